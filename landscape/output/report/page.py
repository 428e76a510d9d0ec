"""The page: the answer, the figures and every section, put into the template."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from landscape import __version__
from landscape.core.errors import ConfigError
from landscape.core.files import replacing
from landscape.core.wording import count, listed
from landscape.output import words
from landscape.output.plots import common, figures_of, render
from landscape.output.report.answer import answer, tiles
from landscape.output.report.definitions import general_terms
from landscape.output.report.registry import sections_of
from landscape.output.report.warnings import general_warnings

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.diagnostics import Diagnostics
    from landscape.output.plots.registry import FigureKind

_FOLDER = Path(__file__).parent


def write_report(analysis: Analysis, out: Path, diagnostics: Diagnostics | None = None) -> Path:
    """Write the report.

    Args:
        analysis: The numbers.
        out: The HTML file; a file of that name is replaced whole.
        diagnostics: Those of the analysis; computed when absent.

    Returns:
        The file.

    Raises:
        ConfigError: ``out`` is a folder.
    """
    out = Path(out)
    if out.is_dir():
        raise ConfigError(
            "The report's path is a folder.", where=out, fix=f"name a file: {out / 'report.html'}"
        )
    if diagnostics is None:
        from landscape.analysis.diagnostics import diagnose  # reads stores: not for drawing alone

        diagnostics = diagnose(analysis)
    out.parent.mkdir(parents=True, exist_ok=True)
    # JSON can hold half of a character, which UTF-8 cannot
    page = render_report(analysis, diagnostics).encode(errors="backslashreplace")
    with replacing(out) as file:
        file.write(page)
    return out


def render_report(analysis: Analysis, diagnostics: Diagnostics) -> str:
    """The report's HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    script = (_FOLDER / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    results = analysis.results
    groups = analysis.basins.groups
    n_colors = max(analysis.basins.shown.n, groups.n_groups, int(np.max(groups.split)) + 1)
    sections = sections_of(analysis, diagnostics)
    bodies = [body for _, body in sections]
    return environment.get_template("page.html.jinja").render(
        version=__version__,
        title=f"Loss landscape of {results.config.get('name') or results.path.stem}",
        subtitle=(
            f"{count(len(analysis.models), 'model')}, {count(len(analysis.pairs), 'pair')}, "
            f"{words.points_on_a_path(analysis)} on each {words.pair_path(analysis)}, measured on "
            f"{listed(list(results.datasets))}"
        ),
        answer=" ".join(answer(analysis)),
        tiles=tiles(analysis),
        warnings=[*general_warnings(analysis), *(text for b in bodies for text in b.warnings)],
        figures=[_figure(analysis, kind) for kind in figures_of(analysis)],
        sections=sections,
        definitions=[*general_terms(analysis), *(term for b in bodies for term in b.terms)],
        colors=[common.basin_color(basin) for basin in range(n_colors)],
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )


def _figure(analysis: Analysis, kind: FigureKind) -> dict[str, Any]:
    content = render(analysis, kind.name, "svg")
    width, height = _size(content)
    sentences = kind.caption(analysis)
    return {
        "name": kind.name,
        "title": kind.title,
        # an image of its own: ids of several inlined drawings would clash
        "data": "data:image/svg+xml;base64," + base64.b64encode(content).decode(),
        "width": width,
        "height": height,
        "wide": width > 1.5 * 72 * common.COLUMN_WIDTH,
        "alt": f"{kind.title}. {sentences[0]}",
        "caption": " ".join(sentences),
    }


def _size(svg: bytes) -> tuple[int, int]:
    """Width and height in points, from the root element."""
    box = re.search(rb'<svg [^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    return round(float(box[1])), round(float(box[2]))
