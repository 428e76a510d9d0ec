"""The straight line between two models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from landscape.paths.kinds.registry import ENDS, Curve, Params, Part, Spanned, path_kind
from landscape.paths.line import Line


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
