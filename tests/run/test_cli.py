"""The commands as a user types them: what they print and how they exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer import Exit

from landscape.records import read_store
from landscape.run.commands.app import resumable
from tests.runs import n_measured
from tests.tiny import save_population, write_experiment

ROOT = Path(__file__).parents[2]


def landscape(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "landscape.run", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
    )


@pytest.fixture(scope="module")
def config(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    return write_experiment(folder / "config.yaml", populations["bert"], task_file)


def test_help_lists_the_commands() -> None:
    done = landscape("--help")
    assert done.returncode == 0
    for name in ("demo", "run", "check", "inspect", "figures", "report", "finetune"):
        assert name in done.stdout


def test_check_run_inspect_figures_report(config: Path, task_file: Path) -> None:
    root = {"LANDSCAPE_DATA": str(task_file.parent)}
    checked = landscape("check", config, **root)
    assert checked.returncode == 0, checked.stderr
    assert "3 of bert" in checked.stdout
    assert "time: about" in checked.stdout

    ran = landscape("run", config, **root)
    assert ran.returncode == 0, ran.stderr
    store = Path(ran.stdout.strip())
    assert (read_store(store).status == 1).all()
    assert "pair/s" in ran.stderr or "s/pair" in ran.stderr  # progress
    assert "Warning" not in ran.stderr

    inspected = landscape("inspect", store)
    assert "3 of 3 measured" in inspected.stdout
    assert "member-2" in inspected.stdout

    out = config.parent / "drawn"
    drawn = landscape("figures", store, "--out", out, "--format", "svg")
    assert drawn.returncode == 0, drawn.stderr
    assert {Path(line) for line in drawn.stdout.split()} == set(out.iterdir())
    assert all(path.suffix == ".svg" for path in out.iterdir())

    page = config.parent / "page.html"
    assert landscape("report", store, "--out", page, "--rule", "saddle").returncode == 0
    assert "saddle" in page.read_text()


def test_references_are_checked_without_a_task(populations: dict[str, Path]) -> None:
    done = landscape("check", f"{populations['roberta']}/member-0", f"{populations['bert']}/*")
    assert done.returncode == 2
    assert "different architectures" in done.stderr
    done = landscape("check", f"{populations['roberta']}/*")
    assert done.returncode == 0
    assert "3 of roberta" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "absent.yaml"], "does not exist"),
        (["inspect", "README.md"], "no store"),
        (["report", "absent.h5"], "no store"),
        (["figures", "absent.h5", "--format", "jpg"], "figure format"),
        (["check", "./nowhere"], "no such directory"),
        (["finetune", "experiments/mnli_minilm.yaml"], "unknown key 'checkpoints'"),
        (["run"], "Missing argument"),
        (["rnu"], "No such command"),
    ],
)
def test_mistakes_exit_with_2_and_no_traceback(arguments: list[str], message: str) -> None:
    done = landscape(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, task_file: Path, kind: signal.Signals, code: int
) -> None:
    population = save_population(tmp_path / "p", "bert", 10)
    config = write_experiment(
        tmp_path / "c.yaml", population, task_file, evaluate={"token_budget": 8}
    )
    # a shell's background jobs ignore it, and so would theirs
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "landscape.run", "run", config, "--data-root", task_file.parent],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not n_measured(tmp_path / "out"):
        time.sleep(0.01)
    process.send_signal(kind)
    _, said = process.communicate()
    assert process.returncode == code
    assert "the same command goes on" in said
    assert "Traceback" not in said
    done = n_measured(tmp_path / "out")
    assert 0 < done < 45
    again = landscape("run", config, LANDSCAPE_DATA=str(task_file.parent))
    assert again.returncode == 0
    assert f"{done} of 45 pairs measured" in again.stderr


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_drops_comes_again(
    kind: signal.Signals, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    dropped = []

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(kind)
            dropped.append(True)  # never reached: its handler raises before

    def long() -> None:
        with resumable():
            Finalized()
            time.sleep(20)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        with pytest.raises(Exit) as stopped:
            long()
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.value.exit_code == code
    assert not dropped
    assert time.monotonic() - began < 15  # the sleep was cut short
    assert "Traceback" not in capfd.readouterr().err


def test_broken_populations_are_refused_before_anything_is_written(
    tmp_path: Path, population: Path, task_file: Path
) -> None:
    (population / "member-1" / "model.safetensors").write_bytes(b"12345678")
    config = write_experiment(tmp_path / "c.yaml", population, task_file)
    for verb in ("check", "run"):
        done = landscape(verb, config, LANDSCAPE_DATA=str(task_file.parent))
        assert done.returncode == 2
        assert "member-1" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**content, "analysis": {"focus": "hard: maybe"}}))
    done = landscape("check", config, LANDSCAPE_DATA=str(task_file.parent))
    assert done.returncode == 2
    assert "There is no focus 'hard: maybe'" in done.stderr
