"""One self-contained HTML page that says what an analysis found, from what, and how to redo it.

The page needs no network and no JavaScript (a few inlined lines let tables be sorted); its content
security policy forbids everything else. The same analysis gives the same bytes. ``section``
declares a section, one in each module.
"""

from landscape.core.registry import load_modules
from landscape.output.report.page import render_report, write_report
from landscape.output.report.registry import SECTIONS, Body, SectionKind, Source, Term, section
from landscape.output.report.tables import Cell, make_table

load_modules(__name__, __path__)

__all__ = [
    "SECTIONS",
    "Body",
    "Cell",
    "SectionKind",
    "Source",
    "Term",
    "make_table",
    "render_report",
    "section",
    "write_report",
]
