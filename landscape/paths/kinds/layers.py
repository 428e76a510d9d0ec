"""Lines on which only a group of layers moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from landscape.core.errors import require_known
from landscape.paths.curve import Line
from landscape.paths.kinds.registry import (
    ENDS,
    Curve,
    Params,
    Part,
    Population,
    Spanned,
    path_kind,
)
from landscape.paths.layers import hybrid, parameter_groups

DEFAULT_GROUPS = (
    "embeddings",
    "lower half",
    "upper half",
    "attention",
    "feed-forward",
    "LayerNorm",
    "head",
)


@path_kind
class LayersConfig(Curve):
    """A line for each group of layers and each of the two models that it begins at.

    Attributes:
        groups: Names in ``parameter_groups``; embeddings, lower and upper half, attention,
            feed-forward, LayerNorm and head when absent.
    """

    kind: Literal["layers"] = "layers"
    between: Literal["largest_gap"] | tuple[str, str] = "largest_gap"
    groups: tuple[str, ...] | None = None

    text = "line of one group of layers"

    def check(self, names: Sequence[str], params: Params) -> None:
        """As in ``PathKind``."""
        super().check(names, params)
        for group in self.groups or ():
            require_known("group of layers", group, parameter_groups(params), where="paths.groups")

    def parts(self, population: Population) -> list[Part]:
        """As in ``PathKind``."""
        pair = self.pair(population)
        return [
            Part(
                f"{self.title}.{group}.from.{population.names[ends[0]]}",
                ends,
                {"group": group, "from": population.names[ends[0]]},
            )
            for group in self.groups or DEFAULT_GROUPS
            for ends in (pair, pair[::-1])
        ]

    def span(self, members: Sequence[Params], controls: Sequence[Params], part: Part) -> Spanned:
        """As in ``PathKind``."""
        moved = parameter_groups(members[0])[part.notes["group"]]
        anchors = [members[0], hybrid(members[0], members[1], moved)]
        return Spanned(Line(self.points), anchors, ENDS[:1], (self.points,))
