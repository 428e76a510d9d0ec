"""The commands as a user types them: what they print and how they exit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer import Exit

from landscape.records import read_store
from landscape.run.commands.app import resumable
from tests.runs import landscape, measured, n_measured
from tests.tiny import save_population, write_experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    return write_experiment(folder / "config.yaml", populations["bert"], task_file)


def test_help_lists_the_commands() -> None:
    command = [sys.executable, "-m", "landscape.run", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    for name in ("demo", "run", "check", "inspect", "figures", "report", "finetune"):
        assert name in done.stdout


@pytest.mark.slow
def test_check_run_inspect_figures_report(config: Path, task_file: Path) -> None:
    root = ("--data-root", task_file.parent)
    checked = landscape("check", config, *root)
    assert checked.code == 0, checked.err
    assert "3 of bert" in checked.out
    assert "time: about" in checked.out
    assert "grid: Gaps are those of this grid" in checked.out

    ran = landscape("run", config, *root)
    assert ran.code == 0, ran.err
    store = Path(ran.out.strip())
    assert (read_store(store).status == 1).all()
    assert "pair/s" in ran.err or "s/pair" in ran.err  # progress
    names = {path.name for path in (store.parent / "figures").iterdir()}
    assert {"loss_curves.pdf", "gap_matrix.png"} <= names
    assert "<html" in (store.parent / "report.html").read_text()

    files = sorted(path for path in store.parent.rglob("*") if path.is_file())
    before = [path.stat().st_mtime_ns for path in files]
    assert landscape("run", config, *root).code == 0  # once more: there is nothing to do
    assert [path.stat().st_mtime_ns for path in files] == before

    inspected = landscape("inspect", store)
    assert "3 of 3 measured" in inspected.out
    assert "member-2" in inspected.out
    assert "max endpoint barrier" in inspected.out

    out = config.parent / "drawn"
    drawn = landscape("figures", store, "--out", out, "--format", "svg")
    assert drawn.code == 0, drawn.err
    assert {Path(line) for line in drawn.out.split()} == set(out.iterdir())
    assert all(path.suffix == ".svg" for path in out.iterdir())

    page = config.parent / "page.html"
    assert landscape("report", store, "--out", page, "--rule", "saddle").code == 0
    assert "saddle" in page.read_text()


def test_references_are_checked_without_a_task(populations: dict[str, Path]) -> None:
    done = landscape("check", f"{populations['roberta']}/member-0", f"{populations['bert']}/*")
    assert done.code == 2
    assert "different architectures" in done.err
    done = landscape("check", f"{populations['roberta']}/*")
    assert done.code == 0
    assert "3 of roberta" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "absent.yaml"], "does not exist"),
        (["inspect", "README.md"], "no store"),
        (["figures", "absent.h5", "--format", "jpg"], "figure format"),
        (["finetune", "experiments/mnli_minilm.yaml"], "unknown key 'checkpoints'"),
        (["run"], "Missing argument"),
        (["rnu"], "No such command"),
    ],
)
def test_mistakes_exit_with_2_and_no_traceback(arguments: list[str], message: str) -> None:
    done = landscape(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, task_file: Path, kind: signal.Signals, code: int
) -> None:
    population = save_population(tmp_path / "p", "bert", 5)
    config = write_experiment(
        tmp_path / "c.yaml", population, task_file, evaluate={"token_budget": 32}
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
    assert 0 < done < 10
    lines: list[str] = []
    measured(config, task_file.parent, report=lines.append)
    assert f"{done} of 10 pairs measured" in " ".join(lines)


def test_a_signal_that_python_drops_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    dropped = []

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            dropped.append(True)  # never reached: its handler raises before

    def long() -> None:
        with resumable():
            Finalized()
            time.sleep(20)

    began = time.monotonic()
    with pytest.raises(Exit) as stopped:
        long()
    assert stopped.value.exit_code == 143
    assert not dropped
    assert time.monotonic() - began < 15  # the sleep was cut short
    assert "Traceback" not in capfd.readouterr().err
