"""What every benchmark needs: real checkpoints and data, fair timing, the ordinary loops."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import landscape
from landscape.checkpoints import Population, build_model, load_population, load_tokenizer
from landscape.tasks import Examples, load_examples, load_task, sample_examples
from landscape.tasks.batches import Batches, make_batches, tokenize

ROOT = Path(__file__).parents[2]
PEERS = ("loss-landscapes==3.0.6", "nngeom==0.2.0")
Batch = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """Where the classifiers and the data are, and how often each thing is timed."""

    checkpoints: Path
    data: Path
    repeats: int
    examples: int
    work: Path
    peer_path: Path | None = None
    """A clone of loss-surface-simplexes, which no registry has."""

    def population(self, refs: Sequence[str] | None = None) -> Population:
        """Classifiers made by ``landscape finetune experiments/mnli_minilm_finetune.yaml``."""
        task = load_task("mnli")
        return load_population(refs or [f"{self.checkpoints}/seed-*"], task.labels)

    def sample(self, name: str, n: int | None = None) -> Examples:
        """Examples of a data set of the MNLI task."""
        whole = load_examples(load_task("mnli"), name, self.data)
        return sample_examples(whole, n or self.examples, np.random.default_rng(0))


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    name = platform.processor()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return {
        "processor": name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "amx": str(bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())),
        "threads": str(torch.get_num_threads()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "torch": str(torch.__version__),
        "landscape": landscape.__version__,
        "python": platform.python_version(),
    }


def interleaved(
    contestants: Mapping[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each, taking turns after one round to warm up; and what each returned last."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    results: dict[str, Any] = {}
    for turn in range(-1, repeats):
        for name, run in contestants.items():
            began = time.perf_counter()
            results[name] = run()
            if turn >= 0:
                times[name].append(time.perf_counter() - began)
            print(f"  round {turn + 1} of {repeats}: {name}", file=sys.stderr, flush=True)
    return times, results


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def sorted_batches(population: Population, examples: Examples, budget: int = 2048) -> Batches:
    """What the engine computes on, handed to peers too."""
    return make_batches(tokenize(load_tokenizer(population.checkpoints[0]), examples), budget)


def plain_batches(
    population: Population, examples: Examples, size: int = 32, pad_to: int | None = None
) -> list[Batch]:
    """Batches in the data's order, padded to their own longest, or all to one length."""
    tokenizer = load_tokenizer(population.checkpoints[0])
    batches = []
    for start in range(0, len(examples), size):
        texts = [list(column[start : start + size]) for column in examples.texts]
        inputs = tokenizer(
            *texts,
            truncation=True,
            max_length=pad_to or 128,
            padding="max_length" if pad_to else True,
            return_tensors="pt",
        )
        batches.append((dict(inputs), torch.from_numpy(examples.labels[start : start + size])))
    return batches


def collapsed(examples: Examples) -> Callable[[Tensor], Tensor]:
    """The logits' classes that the data set tells apart."""
    from landscape.tasks.logits import collapse

    return collapse(examples.classes)


def state_dict_loop(
    model: nn.Module,
    ends: Sequence[Mapping[str, Tensor]],
    positions: Sequence[float],
    sets: Sequence[tuple[Sequence[Batch], Callable[[Tensor], Tensor]]],
) -> np.ndarray:
    """Mean losses (n_sets, n_points): mix two state dicts, load, evaluate; what people run."""
    losses = []
    a, b = ends
    for t in positions:
        model.load_state_dict({name: (1 - t) * a[name] + t * b[name] for name in a}, strict=False)
        losses.append([mean_loss(model, batches, join) for batches, join in sets])
    return np.array(losses).T


@torch.no_grad()
def mean_loss(
    model: nn.Module, batches: Sequence[Batch], join: Callable[[Tensor], Tensor]
) -> float:
    total, n = 0.0, 0
    for inputs, labels in batches:
        logits = join(model(**inputs).logits.float())
        total += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        n += len(labels)
    return total / n


def fresh_model(population: Population, member: int = 0) -> nn.Module:
    """A model of one's own with its weights set, as transformers builds it."""
    checkpoint = population.checkpoints[member]
    model = build_model(checkpoint)
    model.load_state_dict(dict(checkpoint.params), strict=False)
    return model.eval()


def peers(names: Sequence[str] = PEERS) -> Path:
    """A folder of their own for the peers, gone with the temporary directory."""
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *names],
        check=True,
        stdout=sys.stderr,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    sys.path.append(str(folder))
    return folder


def best(seconds: Mapping[str, float], names: Iterable[str]) -> float:
    """The least of those that were timed; NaN where none was."""
    return min((seconds[name] for name in names if name in seconds), default=float("nan"))


def peak_bytes() -> int:
    """The most bytes that this process has had resident since it began to run its program.

    Linux counts them a program; elsewhere getrusage's count is taken, which on Linux would begin
    with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
