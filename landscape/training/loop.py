"""What every training of points in weight space shares: batches, the learning rate, saved state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints.torch_files import write_torch_file
from landscape.core.errors import ConfigError

Batch = tuple[Any, Tensor]
Batches = Sequence[Batch] | Callable[[int], Batch]
"""Ready batches, drawn in a new order each epoch, or a function from the step to its batch."""
Report = Callable[[str], None]

SAVE_SECONDS = 60.0


def batch_at(batches: Batches, step: int, seed: int) -> Batch:
    """The batch of a step: a function of step and seed alone, so that a resumed run sees the same.

    Raises:
        ConfigError: There are no batches.
    """
    if callable(batches):
        return batches(step)
    if not len(batches):
        raise ConfigError("There are no batches to train on.", where="batches")
    epoch, place = divmod(step, len(batches))
    order = np.random.default_rng([seed, epoch]).permutation(len(batches))
    return batches[int(order[place])]


def rate(step: int, steps: int, warmup: float) -> float:
    """The share of the peak learning rate: linear warm-up, then half a cosine down to 0."""
    ahead = round(warmup * steps)
    if step < ahead:
        return (step + 1) / ahead
    return 0.5 * (1 + float(np.cos(np.pi * (step - ahead) / max(1, steps - ahead))))


def tell_apart(anchors: Sequence[Mapping[str, Tensor]]) -> list[str]:
    """A number for each anchor, so that a saved state of other checkpoints is refused."""
    return [
        f"{sum(float(t.double().square().sum()) for t in anchor.values()):.9e}"
        for anchor in anchors
    ]


@dataclass(frozen=True)
class Convergence:
    """Whether the training loss still falls at the end.

    Attributes:
        last: Mean loss of the last quarter of the steps, nats.
        before: Mean loss of the quarter before it, nats.
        error: Standard error of their difference, nats, from means of tenths of a quarter.
        converged: Whether the fall is within two standard errors.
    """

    last: float
    before: float
    error: float
    converged: bool


def convergence(losses: np.ndarray) -> Convergence:
    """Compare the last two quarters of a trace of losses (n_steps,)."""
    quarter = len(losses) // 4
    if quarter < 2:
        return Convergence(*(float(np.mean(losses)),) * 2, np.nan, False)
    last, before = losses[-quarter:], losses[-2 * quarter : -quarter]
    # neighbouring steps share batches and drift: blocks, not steps, are the observations
    blocks = [
        [part.mean() for part in np.array_split(half, min(10, quarter))] for half in (last, before)
    ]
    error = float(np.sqrt(sum(np.var(b, ddof=1) / len(b) for b in blocks)))
    fall = float(before.mean() - last.mean())
    return Convergence(float(last.mean()), float(before.mean()), error, fall <= 2 * error)


class SavedState:
    """A training's state in one file, replaced at once; only tensors and plain data are read.

    Args:
        path: The file, or None for a training that cannot be resumed.
        recipe: What decides the result; a state of another recipe is refused.
    """

    def __init__(self, path: Path | None, recipe: dict[str, Any]) -> None:
        self._path = path
        self._recipe = json.dumps(recipe, sort_keys=True, default=str)
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The state, or None where there is none.

        Raises:
            ConfigError: It is another training's, or cannot be read.
        """
        if self._path is None or not self._path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self._path, weights_only=True)
            recipe = state["recipe"]
        except Exception as error:  # torch.load raises many kinds
            raise ConfigError(
                "The saved state of a training cannot be read.",
                where=self._path,
                found=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="remove the file: the training then begins anew",
            ) from None
        if recipe != self._recipe:
            raise ConfigError(
                "The saved state belongs to another training.",
                where=self._path,
                expected=self._recipe,
                found=recipe,
                fix="restore the settings, or remove the file",
            )
        return state

    def due(self, last: bool) -> bool:
        """Whether it is time to save: at the last step, or some time after the save before."""
        return self._path is not None and (last or time.monotonic() - self._saved > SAVE_SECONDS)

    def save(self, state: dict[str, Any]) -> None:
        """Write the state."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_torch_file({**state, "recipe": self._recipe}, self._path)
        self._saved = time.monotonic()


class Progress:
    """Says now and then how far a training is, and how long it will take."""

    def __init__(self, what: str, steps: int, done: int, report: Report) -> None:
        self._what, self._steps, self._done, self._report = what, steps, done, report
        self._began = self._said = time.monotonic()
        if done:
            report(f"{what}: going on from step {done} of {steps}")

    def step(self, number: int, loss: float) -> None:
        """After step ``number`` (from 0)."""
        now = time.monotonic()
        if now - self._said < 10 and number + 1 < self._steps:
            return
        self._said = now
        left = (now - self._began) / (number + 1 - self._done) * (self._steps - number - 1)
        self._report(
            f"{self._what}: step {number + 1}/{self._steps}, loss {loss:.3f}, "
            f"{left / 60:.1f} min left"
        )
