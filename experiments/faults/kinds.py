"""All kinds of faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import disks
import inputs
import numpy as np
import signals
import stores
from population import VARIANTS
from trial import Case, Trial


@dataclass(frozen=True)
class Kind:
    """A fault.

    Attributes:
        act: Does it to a trial's run and checks what comes of it; False where the run had ended
            before.
        executors: With which it can happen.
        variants: Of the experiment.
        drawing: Whether it may also come while figures and report are made.
    """

    act: Callable[[Trial], bool]
    executors: tuple[str, ...] = ("local", "process")
    variants: tuple[str, ...] = VARIANTS
    drawing: bool = False


KINDS = {
    "kill -9 of the driver": Kind(signals.kill_driver, drawing=True),
    "kill -9 of a worker": Kind(signals.kill_worker, executors=("process",)),
    "SIGTERM": Kind(signals.terminate, drawing=True),
    "SIGINT": Kind(signals.interrupt, drawing=True),
    "full disk": Kind(disks.full_disk, drawing=True),
    "limit on the size of files": Kind(disks.limit, drawing=True),
    "read-only folder": Kind(disks.read_only_folder, drawing=True),
    "read-only store": Kind(disks.read_only_store),
    "readings of weights fail, then work": Kind(inputs.reads_fail_for_a_while),
    "readings of weights fail for good": Kind(inputs.reads_fail),
    "file of a checkpoint removed": Kind(inputs.checkpoint_removed),
    "checkpoint replaced": Kind(inputs.checkpoint_replaced),
    "clock jumps": Kind(disks.clock),
    "file times of past and future": Kind(disks.file_times),
    "two drivers from the start": Kind(signals.two_from_the_start),
    "second driver under way": Kind(signals.second_driver),
    "store cut": Kind(stores.store_cut),
    "bytes of the store flipped": Kind(stores.bytes_flipped),
    "NaN or infinite losses": Kind(inputs.loss_not_finite, variants=("plain",)),
    "out of memory once": Kind(inputs.memory_once),
    "out of memory for a while": Kind(inputs.memory_short, variants=("plain",)),
}

_COLD = 0.1  # of the runs, as programs of their own
_DRAWING = 0.12
_WEIGHTS = {"plain": 0.6, "adaptive": 0.2, "active": 0.2}


def draw_cases(seed: int, n: int, *, only: str = "", quick: bool = False) -> list[Case]:
    """Faults in a random order, each kind about equally often.

    Args:
        seed: Of everything.
        n: How many.
        only: A part of the names of the kinds.
        quick: Whether none is a program of its own, or comes while figures and report are made.
    """
    rng = np.random.default_rng([seed, 1])
    names = [name for name in KINDS if only in name]
    rounds = [rng.permutation(names) for _ in range(-(-n // len(names)))]
    cases = []
    for number, name in enumerate(np.concatenate(rounds)[:n].tolist()):
        kind = KINDS[name]
        weights = np.array([_WEIGHTS[variant] for variant in kind.variants])
        draws = kind.drawing and not quick and bool(rng.random() < _DRAWING)
        variant = str(rng.choice(kind.variants, p=weights / weights.sum()))
        case = Case(
            number=number,
            kind=name,
            executor=str(rng.choice(kind.executors)),
            variant=VARIANTS[0] if draws or quick else variant,
            cold=not quick and bool(rng.random() < _COLD),
            drawing=draws,
            seed=int(rng.integers(2**31)),
        )
        cases.append(case)
    return cases
