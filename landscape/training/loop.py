"""The one loop of all trainings here: steps, their saved state, and how far they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from landscape.checkpoints.anchors import Anchor, Params
from landscape.checkpoints.torch_files import write_torch_file
from landscape.core.errors import ConfigError
from landscape.evaluation.forward import Batch
from landscape.paths import Geometry

Batches = Sequence[Batch] | Callable[[int], Batch]
"""Ready batches, drawn in a new order each epoch, or a function from the step to its batch."""
Report = Callable[[str], None]

SAVE_SECONDS = 120.0
_LENGTH_POOL = 50  # batches sorted by length together; random beyond that


def silent(line: str) -> None:
    """Report nothing."""


class Stateful(Protocol):
    """What has a state that is saved."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Go on from it."""


class InPlace:
    """Tensors and arrays that are filled in place by a saved state."""

    def __init__(self, values: Mapping[str, Tensor | np.ndarray]) -> None:
        # an array's tensor shares its memory
        self._tensors = {name: torch.as_tensor(value) for name, value in values.items()}

    def state_dict(self) -> dict[str, Any]:
        """The tensors by name."""
        return dict(self._tensors)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy a saved state over them."""
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                tensor.copy_(state_dict[name])


class RandomState:
    """torch's own generator of random numbers, that dropout draws from."""

    def state_dict(self) -> dict[str, Any]:
        """Where it is."""
        return {"rng": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put it there."""
        torch.set_rng_state(state_dict["rng"])


def train(
    what: str,
    steps: int,
    step: Callable[[int], float],
    parts: Mapping[str, Stateful],
    *,
    recipe: Mapping[str, Any],
    state: Path | None = None,
    report: Report = silent,
) -> None:
    """Take every step that a saved state has not taken yet.

    ``step`` takes one and returns its loss, as it is reported; ``parts`` are all that it changes.
    They are saved in the file ``state`` now and then and after the last step, at once or not at
    all; a state of another ``recipe`` is refused.
    """
    text = json.dumps(dict(recipe), sort_keys=True, default=str)
    done = _restore(state, text, parts)
    began = reported = saved = time.monotonic()
    if done:
        report(f"{what}: going on from step {done} of {steps}")
    for number in range(done, steps):
        loss = step(number)
        now, last = time.monotonic(), number + 1 == steps
        if now - reported > 10 or last:
            reported, left = now, (now - began) / (number + 1 - done) * (steps - number - 1)
            minutes = f"{left / 60:.1f} min left"
            report(f"{what}: step {number + 1}/{steps}, loss {loss:.3f}, {minutes}")
        if state is not None and (last or now - saved > SAVE_SECONDS):
            state.parent.mkdir(parents=True, exist_ok=True)
            content = {name: part.state_dict() for name, part in parts.items()}
            write_torch_file({"recipe": text, "done": number + 1, "parts": content}, state)
            saved = time.monotonic()


def _restore(state: Path | None, recipe: str, parts: Mapping[str, Stateful]) -> int:
    """Put a saved state in place; how many steps it had done."""
    if state is None or not state.is_file():
        return 0
    try:
        content = torch.load(state, weights_only=True)
        its_recipe = content["recipe"]
    except Exception as error:  # torch.load raises many kinds
        raise ConfigError(
            "The saved state of a training cannot be read.",
            where=state,
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="remove the file: the training then begins anew",
        ) from None
    if its_recipe != recipe:
        raise ConfigError(
            "The saved state belongs to another training.",
            where=state,
            expected=recipe,
            found=its_recipe,
            fix="restore the settings, or remove the file",
        )
    for name, part in parts.items():
        part.load_state_dict(content["parts"][name])
    return int(content["done"])


def batch_at(batches: Batches, step: int, seed: int) -> Batch:
    """The batch of a step, a function of step and seed alone: a resumed run sees the same."""
    if callable(batches):
        return batches(step)
    if not len(batches):
        raise ConfigError("There are no batches to train on.", where="batches")
    epoch, place = divmod(step, len(batches))
    order = np.random.default_rng([seed, epoch]).permutation(len(batches))
    return batches[int(order[place])]


def batch_rows(lengths: np.ndarray, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """From a step to the row numbers of its batch, a function of the seed and the step alone.

    Batches hold examples of like length (fewer pads): each pool of batches is sorted by length,
    then the batches are shuffled. ``lengths`` are the tokens of each example.
    """

    @lru_cache(maxsize=1)
    def batches_of(epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(lengths))
        batches = []
        for start in range(0, len(order), batch_size * _LENGTH_POOL):
            pool = order[start : start + batch_size * _LENGTH_POOL]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    n_batches = len(batches_of(0))
    return lambda step: batches_of(step // n_batches)[step % n_batches]


def warmed_cosine(step: int, steps: int, warmup: float) -> float:
    """The share of the peak learning rate: linear warm-up, then half a cosine down to 0."""
    ahead = round(warmup * steps)
    if step < ahead:
        return (step + 1) / ahead
    return 0.5 * (1 + float(np.cos(np.pi * (step - ahead) / max(1, steps - ahead))))


def square_norms(anchors: Iterable[Params]) -> list[str]:
    """A number for each anchor, so that a saved state of other checkpoints is refused."""
    return [
        f"{sum(float(t.double().square().sum()) for t in anchor.values()):.9e}"
        for anchor in anchors
    ]


@dataclass(frozen=True)
class Convergence:
    """Whether the training loss still falls at the end.

    The mean loss of the last quarter of the steps and of the quarter before, nats, the standard
    error of their difference, and whether the fall is within two of it.
    """

    last: float
    before: float
    error: float
    converged: bool


@dataclass(frozen=True)
class Fitted:
    """A path between checkpoints, or simplexes around some, with trained points.

    Attributes:
        geometry: With ``anchors`` it goes to ``evaluate`` as it is.
        anchors: Checkpoints and trained points: tensors by name.
        trained: The trained points alone.
        losses: (n_steps, ...) training losses, nats; of several trainings those of the last.
        convergence: Of these losses; of AutoNEB, of those of the last cycle.
    """

    geometry: Geometry
    anchors: tuple[Anchor, ...] = field(repr=False)
    trained: tuple[Params, ...] = field(repr=False)
    losses: np.ndarray = field(repr=False)
    convergence: Convergence


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
