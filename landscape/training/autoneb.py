"""AutoNEB: a chain of pivots that relaxes to a path of low loss, finer where it is needed.

Draxler et al. 2018, arXiv 1803.00885, after the nudged elastic band of Henkelman and Jonsson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from landscape.checkpoints.anchors import Anchor
from landscape.core.errors import ConfigError
from landscape.evaluation import Evaluator, cross_entropy
from landscape.evaluation.forward import Loss
from landscape.evaluation.gradient import Gradients, Grads
from landscape.paths import PolyChain
from landscape.training.loop import (
    Batches,
    Fitted,
    InPlace,
    Report,
    batch_at,
    convergence,
    silent,
    square_norms,
    train,
    warmed_cosine,
)

_BETWEEN = 4  # points a segment is probed at
_COLUMNS = 1 << 20  # of the pivots, moved at once


@dataclass(frozen=True)
class Neb:
    """How the path is found.

    Attributes:
        cycles: Steps and learning rate of each; between two, pivots are inserted.
        pivots: Inner ones to begin with, evenly on the line.
        max_pivots: Inner ones at most.
        insert_above: A pivot is inserted where the loss between two exceeds their linear
            interpolation by more than this share of the path's highest loss above its lower end.
        clip: The largest norm of one pivot's gradient; None for no limit.
        precision: ``fp32``; ``bf16`` means autocast, the weights stay fp32; ``fp64``.
    """

    cycles: tuple[tuple[int, float], ...] = ((60, 1e-4), (60, 1e-4), (60, 3e-5))
    pivots: int = 1
    max_pivots: int = 7
    insert_above: float = 0.2
    clip: float | None = 1.0
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"

    def __post_init__(self) -> None:
        are_right = all(steps >= 1 and rate > 0 for steps, rate in self.cycles)
        if not self.cycles or not are_right or not 1 <= self.pivots <= self.max_pivots:
            raise ConfigError(
                "AutoNEB needs cycles of at least one step and a learning rate above 0, and "
                "between one and max_pivots pivots.",
                found=f"cycles {self.cycles}, {self.pivots} of {self.max_pivots} pivots",
            )


def find_path(
    model: nn.Module,
    ends: Sequence[Anchor],
    batches: Batches,
    probe: Any,
    neb: Neb | None = None,
    *,
    device: str | torch.device | None = None,
    loss: Loss | None = None,
    state: Path | None = None,
    report: Report = silent,
) -> Fitted:
    """Find a path of low loss between two checkpoints: pivots, evenly spaced by length.

    Each step moves every inner pivot down its gradient, less the gradient's part along the path;
    then the pivots are spread evenly along the chain, which is what springs would do.

    The arguments are those of ``fit_curve``; the loss on ``probe``, batches too, decides where
    pivots are inserted.

    Raises:
        ConfigError: Not two ends, or a saved state of another search.
    """
    neb = neb or Neb()
    if len(ends) != 2:
        raise ConfigError("A path has two ends.", where="find_path(ends)", found=len(ends))
    gradients = Gradients(model, device=device, precision=neb.precision, loss=loss)
    a, b = gradients.load(ends)
    evaluator = Evaluator(model, probe, device=device, loss=loss or cross_entropy)
    chain = _Chain(a, b, neb)
    end_losses = _mean_losses(evaluator, chain, np.eye(len(chain.flat))[[0, -1]])
    starts = np.cumsum([0, *(steps for steps, _ in neb.cycles)])
    losses = np.full(starts[-1], np.nan)

    def step(number: int) -> float:
        cycle = int(np.searchsorted(starts, number, side="right")) - 1
        if cycle == chain.cycles:
            if cycle:
                _insert(chain, evaluator, neb, report)
            chain.begin_cycle()
        steps, learning_rate = neb.cycles[cycle]
        grads = torch.zeros_like(chain.flat[1:-1])
        into: list[Grads | None] = [None, *chain.anchors(grads), None]
        inner, batch = np.eye(len(into))[1:-1], batch_at(batches, number, neb.seed)
        values = gradients.add(chain.anchors(), inner, batch, into, np.ones(len(inner)))
        chain.remove_tangent(grads, np.concatenate([end_losses[:1], values, end_losses[1:]]))
        if neb.clip is not None:
            norms = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
            grads *= (neb.clip / (norms + 1e-12)).clamp(max=1.0)
        chain.descend(grads, learning_rate * warmed_cosine(number - int(starts[cycle]), steps, 0.1))
        losses[number] = values.mean()
        return float(losses[number])

    train(
        "path",
        len(losses),
        step,
        {"chain": chain, "losses": InPlace({"losses": losses})},
        recipe={**asdict(neb), "ends": square_norms([a, b])},
        state=state,
        report=report,
    )
    anchors = tuple(chain.anchors())
    geometry, trained = PolyChain(bends=len(anchors) - 2), anchors[1:-1]
    last = losses[-neb.cycles[-1][0] :]
    return Fitted(geometry, anchors, trained, losses, convergence(last))


class _Chain:
    """Ends and pivots, each a row of one tensor, with an optimiser that is new in each cycle."""

    def __init__(self, a: dict[str, Tensor], b: dict[str, Tensor], neb: Neb) -> None:
        self._neb = neb
        self.cycles = 0  # begun so far
        self._shapes = {name: tensor.shape for name, tensor in a.items()}
        ends = [torch.cat([end[name].ravel() for name in self._shapes]) for end in (a, b)]
        t = torch.linspace(0, 1, neb.pivots + 2, dtype=ends[0].dtype, device=ends[0].device)
        self.flat = torch.lerp(ends[0], ends[1], t[:, None])
        self.flat[-1] = ends[1]

    def anchors(self, flat: Tensor | None = None) -> list[dict[str, Tensor]]:
        """Views of each row, by name."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        named = []
        for row in self.flat if flat is None else flat:
            parts = zip(torch.split(row, sizes), self._shapes.items(), strict=True)
            named.append({name: part.view(shape) for part, (name, shape) in parts})
        return named

    def begin_cycle(self) -> None:
        """Optimise the inner pivots that there are now."""
        learning_rate = self._neb.cycles[self.cycles][1]
        self.cycles += 1
        self._optimizer = torch.optim.AdamW([self.flat[1:-1]], lr=learning_rate, weight_decay=0.0)

    def descend(self, grads: Tensor, learning_rate: float) -> None:
        """One step of the inner pivots down their gradients."""
        (group,) = self._optimizer.param_groups
        group["lr"] = learning_rate
        group["params"][0].grad = grads
        self._optimizer.step()
        self.spread()

    def state_dict(self) -> dict[str, Any]:
        moments = self._optimizer.state_dict()
        return {"flat": self.flat, "cycles": self.cycles, "optimizer": moments}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.flat, self.cycles = state_dict["flat"].to(self.flat), state_dict["cycles"] - 1
        self.begin_cycle()
        self._optimizer.load_state_dict(state_dict["optimizer"])

    def _lengths(self) -> np.ndarray:
        """Of the segments, in float64."""
        squares = torch.zeros(len(self.flat) - 1, dtype=torch.float64, device=self.flat.device)
        for columns in torch.split(self.flat, _COLUMNS, dim=1):
            squares += columns.diff(dim=0).square().sum(1, dtype=torch.float64)
        return squares.sqrt().cpu().numpy()

    def move(self, matrix: np.ndarray) -> None:
        """Replace the rows by linear combinations (n_rows, n_old_rows) of them."""
        rows = torch.as_tensor(matrix, dtype=self.flat.dtype, device=self.flat.device)
        moved = self.flat
        if len(rows) != len(self.flat):
            moved = rows.new_empty((len(rows), self.flat.shape[1]))
        for old, new in zip(
            torch.split(self.flat, _COLUMNS, dim=1),
            torch.split(moved, _COLUMNS, dim=1),
            strict=True,
        ):
            # the ends stay to the last bit
            first, last = old[0].clone(), old[-1].clone()
            new.copy_(rows @ old)
            new[0], new[-1] = first, last
        self.flat = moved

    def spread(self) -> None:
        """Put the pivots at even distances along the chain."""
        lengths = self._lengths()
        if lengths.sum() == 0:
            return
        knots = np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()
        knots = np.maximum.accumulate(knots + 1e-12 * np.arange(len(knots)))
        knots = (knots - knots[0]) / (knots[-1] - knots[0])
        even = np.linspace(0, 1, len(self.flat))
        self.move(PolyChain(bends=len(even) - 2, knots=knots.tolist()).basis(even))

    def remove_tangent(self, grads: Tensor, values: np.ndarray) -> None:
        """Take from each pivot's gradient (n_inner, n) its part along the path.

        ``values`` (n_inner + 2,) are the losses of ends and pivots. The tangent points to the
        neighbour of higher loss: next to the top of a barrier the mean of both directions lets a
        path kink (Henkelman and Jonsson 2000).
        """
        for k in range(1, len(self.flat) - 1):
            upward = values[k + 1] >= values[k - 1]
            i, j = (k, k + 1) if upward else (k - 1, k)
            tangent = self.flat[j] - self.flat[i]
            square = tangent.square().sum()
            if square > 0:
                grad = grads[k - 1]
                grad.sub_(tangent * (grad.dot(tangent) / square))


def _mean_losses(evaluator: Evaluator, chain: _Chain, coefficients: np.ndarray) -> np.ndarray:
    """(n_points,) nats on the probe's batches."""
    evaluation = evaluator.evaluate(chain.anchors(), coefficients)
    means: np.ndarray = evaluation.losses.mean(1, dtype=np.float64)
    return means


def _insert(chain: _Chain, evaluator: Evaluator, neb: Neb, report: Report) -> None:
    """Insert a pivot in each segment whose loss is highest above the line between its ends."""
    n = len(chain.flat)
    t = np.linspace(0, n - 1, (n - 1) * _BETWEEN + 1)
    basis = PolyChain(bends=n - 2).basis(t / (n - 1))
    losses = _mean_losses(evaluator, chain, basis)
    line = np.interp(t, t[::_BETWEEN], losses[::_BETWEEN])
    room = losses.max() - min(losses[0], losses[-1])
    above = np.where(losses - line > neb.insert_above * max(room, 1e-12), losses - line, 0.0)
    tops = [
        start + int(above[start : start + _BETWEEN].argmax())
        for start in range(0, len(t) - 1, _BETWEEN)
    ]
    tops = sorted((top for top in tops if above[top] > 0), key=lambda top: -above[top])
    chosen = tops[: neb.max_pivots - (n - 2)]
    if chosen:
        chain.move(basis[sorted([*range(0, len(t), _BETWEEN), *chosen])])
        chain.spread()
    report(f"path: highest loss {losses.max():.3f}, {len(chain.flat) - 2} pivots")
