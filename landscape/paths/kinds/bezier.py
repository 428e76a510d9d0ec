"""A Bezier curve with trained control points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from landscape.paths.curve import Bezier
from landscape.paths.kinds.registry import (
    ENDS,
    Curve,
    FitConfig,
    Params,
    Part,
    Spanned,
    Trained,
    Trainer,
    path_kind,
)


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
        return trainer.fit_curve(members, self._geometry(), self.fit)

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        anchors = [members[0], *controls, members[1]]
        return Spanned(self._geometry(), anchors, ENDS, (self.points,))

    def _geometry(self) -> Bezier:
        return Bezier(self.points, degree=self.degree)
