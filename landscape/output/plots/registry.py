"""What a figure is, and the registry of all figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from landscape.core.errors import require_known
from landscape.output.plots.common import styled

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

FIGURES: dict[str, FigureKind] = {}


@dataclass(frozen=True)
class FigureKind:
    """A figure of an analysis.

    Attributes:
        name: Of its files.
        title: Over it in the report.
        place: Figures stand in ascending order of it.
        needs: Whether it can be drawn of an analysis.
        caption: What it shows and from what it is drawn, in sentences; the first of them stands for
            the figure where it cannot be seen.
        draw: Makes the figure.
    """

    name: str
    title: str
    place: float
    needs: Callable[[Analysis], object]
    caption: Callable[[Analysis], list[str]]
    draw: Callable[[Analysis], Figure]


def figure(
    name: str,
    *,
    title: str,
    caption: Callable[[Analysis], list[str]],
    needs: Callable[[Analysis], object] = lambda analysis: True,
    place: float = 1000,
) -> Callable[[Callable[[Analysis], Figure]], Callable[[Analysis], Figure]]:
    """Declare a figure: the decorated function draws it, in the package's style.

    Any module may do so: once it is imported, ``write_figures`` and the report have the figure.
    The arguments are the attributes of ``FigureKind``; a name that is there is replaced.
    """

    def register(draw: Callable[[Analysis], Figure]) -> Callable[[Analysis], Figure]:
        FIGURES[name] = FigureKind(name, title, place, needs, caption, styled(draw))
        return FIGURES[name].draw

    return register


def figures_of(analysis: Analysis) -> list[FigureKind]:
    """The figures that can be drawn of an analysis, in their order."""
    ordered = sorted(FIGURES.values(), key=lambda kind: kind.place)
    return [kind for kind in ordered if kind.needs(analysis)]


def caption(analysis: Analysis, name: str) -> str:
    """The caption of a figure.

    Raises:
        ConfigError: There is no such figure.
    """
    require_known("figure", name, FIGURES)
    return " ".join(FIGURES[name].caption(analysis))
