"""The command line in this process, with a limit of time and a watch on what it touches."""

from __future__ import annotations

import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from landscape.run.check import check_references
from tests.malformed.inputs import Inputs
from tests.runs import landscape
from tests.tiny import save_population, write_task

SECONDS = 60
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
events: list[str] = []
# a hook of Python cannot be taken away again: it is there once, and its list emptied
sys.addaudithook(lambda event, _: events.append(event) if event in FORBIDDEN else None)


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sound classifiers and a sound task, to be copied."""
    folder = tmp_path_factory.mktemp("materials")
    save_population(folder / "population", "bert", 2)
    (folder / "task").mkdir()
    write_task(folder / "task", n=24)
    check_references([f"{folder}/population/member-*"])  # what it imports starts programs
    return folder


@pytest.fixture
def inputs(tmp_path: Path, materials: Path) -> Inputs:
    """A folder of one's own."""
    (tmp_path / "secret.txt").write_text("text\tlabel\nTHE SECRET\tno\n")
    return Inputs(tmp_path, materials)


@contextmanager
def time_limit() -> Iterator[None]:

    def stop(*_: Any) -> None:
        pytest.fail(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def snapshot(inputs: Inputs) -> set[tuple[str, int, int, int]]:
    """Mode, size and time of every file outside of folders ``out``, links not followed."""
    return {
        (str(path), about.st_mode, about.st_size, about.st_mtime_ns)
        for path in inputs.root.rglob("*")
        if "out" not in path.relative_to(inputs.root).parts and not path.is_dir()
        for about in [path.lstat()]
    }


Command = Callable[..., str]


@pytest.fixture
def command(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run ``landscape ARGUMENTS``; what it says on standard error; no input may change."""
    inputs.write("empty", "")
    monkeypatch.chdir(inputs.root / "in")
    # other libraries log to the standard error of the test before
    monkeypatch.setattr("logging.raiseExceptions", False)

    def run(*arguments: object, code: int = 0) -> str:
        before = snapshot(inputs)
        events.clear()
        with time_limit():
            said = landscape(*arguments)
        assert said.code == code, said.err
        assert snapshot(inputs) == before
        assert not events
        assert not inputs.canary.exists()
        assert "THE SECRET" not in said.out + said.err
        return said.err

    return run


@pytest.fixture
def refused(inputs: Inputs, command: Command) -> Callable[..., None]:
    """Run a command that must end in one error that holds these pieces, and no output."""

    def run(*arguments: object, naming: str | tuple[str, ...] = ()) -> None:
        said = command(*arguments, code=2)
        assert len(re.findall("^error: ", said, re.MULTILINE)) == 1
        assert "Traceback" not in said
        assert len(said) < 10_000
        assert not re.search(r"[^\x20-\x7e\n\r\t\u00a0-\U0010ffff]", said)
        for piece in (naming,) if isinstance(naming, str) else naming:
            assert piece in said
        assert not [path for path in inputs.out.rglob("*") if path.is_file()]

    return run
