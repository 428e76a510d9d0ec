"""What a section of the report is, and the registry of all sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from landscape.output.report.tables import Table

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics


@dataclass(frozen=True)
class Source:
    """A paper, and its arXiv id where it has one."""

    name: str
    id: str = ""


@dataclass(frozen=True)
class Term:
    """A term, its meaning, and its sources."""

    name: str
    text: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Body:
    """What stands in a section, in this order.

    Attributes:
        paragraphs: Sentences.
        facts: Single numbers by name.
        tables: Tables.
        code: Text to copy, by heading; "" has none.
        terms: Terms of the section, for the definitions at the page's end.
        warnings: What to know before believing it, for the page's head.
    """

    paragraphs: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] = ()
    warnings: tuple[str, ...] = ()


Write = Callable[["Analysis", "Diagnostics"], Body]


@dataclass(frozen=True)
class SectionKind:
    """A section of the report.

    Attributes:
        name: Its anchor.
        title: Its heading.
        place: Sections stand in ascending order of it.
        needs: Whether there is anything to say.
        write: Makes the body.
    """

    name: str
    title: str
    place: float
    needs: Callable[[Analysis, Diagnostics], object]
    write: Write


SECTIONS: dict[str, SectionKind] = {}


def section(
    name: str,
    *,
    title: str,
    needs: Callable[[Analysis, Diagnostics], object] = lambda analysis, diagnostics: True,
    place: float = 1000,
) -> Callable[[Write], Write]:
    """Declare a section: the decorated function writes its body.

    Any module may do so: once it is imported, the report has the section. The arguments are the
    attributes of ``SectionKind``; a name that is there is replaced.
    """

    def register(write: Write) -> Write:
        SECTIONS[name] = SectionKind(name, title, place, needs, write)
        return write

    return register


def sections_of(analysis: Analysis, diagnostics: Diagnostics) -> list[tuple[SectionKind, Body]]:
    """The sections that have something to say, in their order."""
    ordered = sorted(SECTIONS.values(), key=lambda kind: kind.place)
    return [
        (kind, kind.write(analysis, diagnostics))
        for kind in ordered
        if kind.needs(analysis, diagnostics)
    ]
