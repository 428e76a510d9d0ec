"""Nothing is fetched at run time, and what would have to be is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscape.checkpoints import resolve
from landscape.core.errors import CheckpointError
from landscape.records import read_store
from tests.tiny import write_experiment

ROOT = Path(__file__).parents[2]
# runs before anything else in each Python process
WATCH = """
import atexit, os, socket, sys

log = os.environ["NETWORK_LOG"]

def refused(self, address, *rest):
    if self.family == socket.AF_UNIX:
        return real(self, address, *rest)
    with open(log, "a") as file:
        print("connect", address, file=file)
    raise OSError("no network in this test")

def unknown(*arguments, **options):
    with open(log, "a") as file:
        print("resolve", arguments, file=file)
    raise OSError("no network in this test")

real = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = socket.gethostbyname = unknown

def state():
    with open(log + ".end", "a") as file:
        print(os.environ.get("HF_HUB_OFFLINE"), "torch" in sys.modules, file=file)

atexit.register(state)
"""


class Watched:
    """Python programs without a network, in an environment that says nothing of the hub."""

    def __init__(self, folder: Path) -> None:
        (folder / "watch").mkdir()
        (folder / "watch" / "sitecustomize.py").write_text(WATCH)
        self.log = folder / "network.log"
        hub = {name for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_"))}
        self.environment = {name: os.environ[name] for name in os.environ.keys() - hub} | {
            "PYTHONPATH": os.pathsep.join([str(folder / "watch"), str(ROOT)]),
            "NETWORK_LOG": str(self.log),
            "HF_HOME": str(folder / "hub"),
        }

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=self.log.parent,
            env=self.environment,
        )

    def ends(self) -> list[str]:
        """HF_HUB_OFFLINE and whether torch was loaded, at the end of each program."""
        return Path(f"{self.log}.end").read_text().split("\n")[:-1]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_the_watch_sees_connections(watched: Watched) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80))"
    done = watched.python("-c", code)
    assert done.returncode == 1
    assert "no network in this test" in done.stderr
    assert "192.0.2.1" in watched.log.read_text()
    assert watched.ends() == ["None False"]


def test_commands_reach_no_network_and_are_offline_by_default(
    tmp_path: Path, watched: Watched, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(
        tmp_path / "tiny.yaml", populations["bert"], task_file, paths={"points": 3}, examples=8
    )
    for command in ("check", "run"):
        data = ("--data-root", task_file.parent)
        done = watched.python("-m", "landscape.run", command, config, *data)
        assert done.returncode == 0, done.stderr
    assert (read_store(Path(done.stdout.strip())).status == 1).all()
    assert not watched.log.exists(), watched.log.read_text()
    assert set(watched.ends()) == {"1 True"}


def test_the_library_reaches_no_network_either(
    tmp_path: Path, watched: Watched, populations: dict[str, Path]
) -> None:
    code = f"""
import landscape
population = landscape.load_population(["{populations["bert"]}/member-*"], ("no", "yes"))
landscape.build_model(population.checkpoints[0])
landscape.load_tokenizer(population.checkpoints[0])
"""
    done = watched.python("-c", code)
    assert done.returncode == 0, done.stderr
    assert not watched.log.exists(), watched.log.read_text()
    assert watched.ends() == ["None True"]  # the caller's own choice is left alone


@pytest.mark.parametrize(
    ("ref", "command"),
    [
        ("lab/classifier", "hf download lab/classifier"),
        ("lab/classifier@v1", "hf download lab/classifier --revision v1"),
        ("bert-base-uncased", "hf download bert-base-uncased"),
    ],
)
def test_a_hub_id_that_is_not_cached_says_how_to_fetch_it(
    ref: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(CheckpointError) as error:
        resolve(ref)
    first, *lines = str(error.value).splitlines()
    assert first == "There is no such directory, and no such model in the local hub cache."
    assert lines[0] == f"  where: {ref}"
    assert lines[-1] == f"  to fix: check the path, or fetch the model with: {command}"
    assert len(lines) == 3


def test_a_snapshot_without_weights_says_how_to_fetch_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--lab--classifier"
    for file, text in {"refs/main": "a" * 40, f"snapshots/{'a' * 40}/config.json": "{}"}.items():
        (cached / file).parent.mkdir(parents=True)
        (cached / file).write_text(text)
    message = r"without its weights(?s:.*)fetch the model with: hf download lab/classifier$"
    with pytest.raises(CheckpointError, match=message):
        resolve("lab/classifier")
    (cached / "snapshots" / ("a" * 40) / "model.safetensors").touch()
    assert resolve("lab/classifier").revision == "a" * 40


def test_the_command_line_says_so_without_trying(watched: Watched) -> None:
    done = watched.python("-m", "landscape.run", "check", "lab/classifier@v1")
    assert done.returncode == 2
    assert "hf download lab/classifier --revision v1" in done.stderr
    assert "Traceback" not in done.stderr
    assert not watched.log.exists(), watched.log.read_text()
