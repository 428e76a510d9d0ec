"""Functions of a run that fail as they are told to: reading, forwards, losses, the clock."""

from __future__ import annotations

import datetime
import errno
import functools
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hooks import Notes

Patch = Callable[[ModuleType, "Notes"], None]
_time, _time_ns = time.time, time.time_ns


def patches(plan: dict[str, Any]) -> dict[str, Patch]:
    """By module, what makes it fail: as ``plan`` says under ``reads``, ``memory`` and so on."""
    found: dict[str, Patch] = {}
    if plan.get("reads"):
        found["landscape.checkpoints.read"] = _reads
    if plan.get("memory"):
        found["landscape.evaluation.forward"] = _memory
    if plan.get("loss"):
        found["landscape.run.measure.worker"] = _loss
    if plan.get("clock"):
        found["landscape.run.provenance"] = _clock
    return found


def _reads(module: ModuleType, notes: Notes) -> None:
    """Opening or reading a weight file of ``model`` fails, ``from`` a count on, ``times`` times."""
    plan, seen, failed = notes.plan["reads"], [0], [0]
    real = module.safe_open

    def fail(path: Any) -> None:
        if plan["model"] and Path(path).parent.name != plan["model"]:
            return
        seen[0] += 1
        if seen[0] >= plan["from"] and failed[0] < plan["times"]:
            failed[0] += 1
            notes.say("cannot read")
            raise OSError(errno.EIO, "Input/output error", str(path))

    class Opened:
        def __init__(self, path: Any, *args: Any, **options: Any) -> None:
            fail(path)
            self._path, self._file = path, real(path, *args, **options)

        def __enter__(self) -> Opened:
            self._file.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def get_tensor(self, name: str) -> Any:
            fail(self._path)
            return self._file.get_tensor(name)

    module.safe_open = Opened  # type: ignore[attr-defined]


def _memory(module: ModuleType, notes: Notes) -> None:
    """Forwards run out of memory: single ones (``at``), or some of more than ``most`` rows."""
    import torch

    plan, seen, failed = notes.plan["memory"], [0], [0]

    def wrap(real: Callable[..., Any], rows: Callable[..., int]) -> Callable[..., Any]:
        @functools.wraps(real)
        def forward(*args: Any) -> Any:
            seen[0] += 1
            short = seen[0] >= plan["from"] and rows(*args) > plan["most"]
            if seen[0] in plan["at"] or (short and failed[0] < plan["times"]):
                failed[0] += 1
                notes.say("out of memory")
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return real(*args)

        return forward

    def stacked(_: Any, weights: dict[str, Any], inputs: Any) -> int:
        return len(next(iter(weights.values()))) * int(module.n_examples(inputs))

    module._vmapped = wrap(module._vmapped, stacked)  # type: ignore[attr-defined]
    module._call = wrap(module._call, lambda _, inputs: module.n_examples(inputs))  # type: ignore[attr-defined]


def _loss(module: ModuleType, notes: Notes) -> None:
    """Losses of one point of a pair are not finite."""
    import numpy as np

    plan = notes.plan["loss"]
    real = module.Worker._run

    @functools.wraps(real)
    def run(self: Any, models: Any, coefficients: Any, *args: Any) -> Any:
        results = real(self, models, coefficients, *args)
        if list(models) == plan["pair"]:
            place = np.flatnonzero(np.isclose(coefficients[:, -1], plan["t"]))
            for name in plan["sets"]:
                results[name].losses[place, plan["first"] :] = float(plan["value"])
            if len(place):
                notes.say(f"{plan['value']} in pair {models[0]} {models[1]}")
        return results

    module.Worker._run = run


def _clock(module: ModuleType, notes: Notes) -> None:
    """The clock jumps at some events, by so many seconds."""
    jumps = notes.plan["clock"]

    def offset() -> float:
        return float(sum(by for at, by in jumps if notes.counts["event"] >= at))

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(max(0.0, _time() + offset()), tz)

    time.time = lambda: max(0.0, _time() + offset())  # type: ignore[assignment]
    time.time_ns = lambda: max(0, _time_ns() + int(offset()) * 10**9)  # type: ignore[assignment]
    module.datetime = Shifted  # type: ignore[attr-defined]
