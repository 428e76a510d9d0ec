"""Straight lines, Bezier curves and polygonal chains between two models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from landscape.paths.curve import Bezier, Line, PolyChain
from landscape.paths.kinds.registry import (
    ENDS,
    Curve,
    FitConfig,
    Params,
    Part,
    Spanned,
    Trained,
    Trainer,
    TrainingConfig,
    path_kind,
)


@path_kind
class LineConfig(Curve):
    """The straight line."""

    kind: Literal["line"] = "line"
    between: Literal["all", "largest_gap"] | tuple[str, str] = "all"

    text = "straight line"
    source = "arXiv:1912.05671"

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        return Spanned(Line(self.points), members, ENDS, (self.points,))


@path_kind
class BezierConfig(Curve):
    """A Bezier curve.

    Attributes:
        degree: One more than the number of its control points.
        fit: How they are trained.
    """

    kind: Literal["bezier"] = "bezier"
    degree: int = Field(default=2, ge=2, le=10)
    fit: FitConfig = FitConfig()

    text = "Bezier curve"
    source = "arXiv:1802.10026"
    trained = True

    def train(self, members: Sequence[Params], trainer: Trainer) -> Trained:
        """As in ``PathKind``."""
        return trainer.fit_curve(members, Bezier(degree=self.degree), self.fit)

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        geometry = Bezier(self.points, degree=self.degree)
        return Spanned(geometry, [members[0], *controls, members[1]], ENDS, (self.points,))


@path_kind
class ChainConfig(Curve):
    """A polygonal chain.

    Attributes:
        bends: How many.
        fit: How they are trained.
    """

    kind: Literal["chain"] = "chain"
    bends: int = Field(default=1, ge=1, le=100)
    fit: FitConfig = FitConfig()

    text = "polygonal chain"
    source = "arXiv:1802.10026"
    trained = True

    def train(self, members: Sequence[Params], trainer: Trainer) -> Trained:
        """As in ``PathKind``."""
        return trainer.fit_curve(members, PolyChain(bends=self.bends), self.fit)

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        return _chain(self.points, members, controls)


@path_kind
class AutoNebConfig(Curve):
    """The chain of pivots that automated nudged elastic bands find.

    Attributes:
        cycles: The last one at a third of the learning rate.
        max_pivots: At most.
        fit: Steps of a cycle, and the rest of the training.
    """

    kind: Literal["autoneb"] = "autoneb"
    between: Literal["largest_gap"] | tuple[str, str] = "largest_gap"
    cycles: int = Field(default=3, ge=1, le=1000)
    max_pivots: int = Field(default=7, ge=1, le=1000)
    fit: TrainingConfig = TrainingConfig()

    text = "AutoNEB path"
    source = "arXiv:1803.00885"
    trained = True

    def train(self, members: Sequence[Params], trainer: Trainer) -> Trained:
        """As in ``PathKind``."""
        return trainer.find_path(members, self.cycles, self.max_pivots, self.fit)

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        return _chain(self.points, members, controls)


def _chain(points: int, members: Sequence[Params], controls: Sequence[Params]) -> Spanned:
    geometry = PolyChain(points, bends=len(controls))
    return Spanned(geometry, [members[0], *controls, members[1]], ENDS, (points,))
