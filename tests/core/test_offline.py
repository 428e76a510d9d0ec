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


def watched(folder: Path, *arguments: object) -> tuple[subprocess.CompletedProcess[str], str, str]:
    """A Python program without a network, in an environment that says nothing of the hub.

    Also what it tried to reach, and HF_HUB_OFFLINE and whether torch was loaded at its end.
    """
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(WATCH)
    log = folder / "network.log"
    hub = {name for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_"))}
    environment = {name: os.environ[name] for name in os.environ.keys() - hub} | {
        "PYTHONPATH": os.pathsep.join([str(folder / "watch"), str(ROOT)]),
        "NETWORK_LOG": str(log),
        "HF_HOME": str(folder / "hub"),
    }
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    return done, log.read_text() if log.exists() else "", Path(f"{log}.end").read_text()


def test_the_watch_sees_connections(tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80))"
    done, tried, end = watched(tmp_path, "-c", code)
    assert done.returncode == 1
    assert "192.0.2.1" in tried
    assert end == "None False\n"


@pytest.mark.slow
def test_a_run_reaches_no_network_and_is_offline_by_default(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(
        tmp_path / "tiny.yaml", populations["bert"], task_file, paths={"points": 3}, examples=8
    )
    command = ("-m", "landscape.run", "run", config, "--data-root", task_file.parent)
    done, tried, end = watched(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert (read_store(Path(done.stdout.strip())).status == 1).all()
    assert (tried, end) == ("", "1 True\n")


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
