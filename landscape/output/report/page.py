"""The page: findings, figures, tables and provenance put into the template."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from landscape import __version__
from landscape.core.errors import ConfigError
from landscape.output.plots import common, figures
from landscape.output.plots.captions import caption, count, points_on_a_line
from landscape.output.report.answer import answer, tiles
from landscape.output.report.basins import basins_section
from landscape.output.report.datasets import datasets_section
from landscape.output.report.definitions import definitions
from landscape.output.report.examples import examples_section
from landscape.output.report.explanation import explanation_section
from landscape.output.report.models import models_section
from landscape.output.report.pairs import pairs_section
from landscape.output.report.relation import relation_section
from landscape.output.report.sources import sources_section
from landscape.output.report.structure import structure_section
from landscape.output.report.warnings import warnings
from landscape.output.report.ways import ways_section
from landscape.output.report.words import listed

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details

_FOLDER = Path(__file__).parent
_TITLES = {
    "loss_curves": "Loss between two models",
    "gap_matrix": "Gaps between all pairs",
    "centroid_distance": "Centroid distance and generalisation",
    "basin_histogram": "Scores by basin",
    "ways": "Ways between two models",
    "layers": "Which layers make the barrier",
    "surface": "The loss around the models",
    "evidence": "How many basins",
    "contributions": "Examples that make the gaps",
}


def write_report(analysis: Analysis, out: Path, details: Details | None = None) -> Path:
    """Write the report.

    Args:
        analysis: The numbers.
        out: The HTML file; a file of that name is replaced whole.
        details: Those of the analysis; computed when absent.

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
    if details is None:
        from landscape.analysis.details import examine  # reads stores, which drawing alone does not

        details = examine(analysis)
    out.parent.mkdir(parents=True, exist_ok=True)
    # JSON can hold half of a character, which UTF-8 cannot
    page = render_report(analysis, details).encode(errors="backslashreplace")
    return common.write_whole(out, page)


def render_report(analysis: Analysis, details: Details) -> str:
    """The report's HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    script = (_FOLDER / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    contents = analysis.contents
    n_colors = max(analysis.basins.n_basins, int(np.max(analysis.basins.split)) + 1)
    return environment.get_template("page.html.jinja").render(
        version=__version__,
        title=f"Loss landscape of {contents.config.get('name') or contents.path.stem}",
        subtitle=(
            f"{count(len(analysis.models), 'model')}, {count(len(analysis.pairs), 'pair')}, "
            f"{points_on_a_line(analysis)} on each {common.path_name(analysis)}, measured on "
            f"{listed(list(contents.datasets))}"
        ),
        answer=" ".join(answer(analysis)),
        tiles=tiles(analysis),
        warnings=warnings(analysis, details),
        figures=[_figure(analysis, details, name) for name in figures.figures_of(analysis)],
        sections=[
            basins_section(analysis),
            *structure_section(analysis, details),
            *sources_section(analysis, details),
            *explanation_section(analysis, details),
            *examples_section(details),
            models_section(analysis),
            pairs_section(analysis),
            relation_section(analysis),
            *ways_section(analysis),
            datasets_section(analysis),
        ],
        provenance=_provenance(analysis),
        commands=_commands(analysis),
        config=yaml.safe_dump(contents.config, sort_keys=False, allow_unicode=True, width=100),
        definitions=definitions(analysis, details),
        colors=[common.basin_color(basin) for basin in range(n_colors)],
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )


def _figure(analysis: Analysis, details: Details, name: str) -> dict[str, Any]:
    content = figures.render(analysis, name, "svg", details.contributions)
    width, height = _size(content)
    text = caption(analysis, name)
    return {
        "name": name,
        "title": _TITLES[name],
        # an image of its own: ids of several inlined drawings would clash
        "data": "data:image/svg+xml;base64," + base64.b64encode(content).decode(),
        "width": width,
        "height": height,
        "wide": width > 1.5 * 72 * common.COLUMN_WIDTH,
        "alt": f"{_TITLES[name]}. {text.split('. ')[0].rstrip('.')}.",
        "caption": text,
    }


def _size(svg: bytes) -> tuple[int, int]:
    """Width and height in points, from the root element."""
    found = re.search(rb'<svg [^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if found is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    return round(float(found[1])), round(float(found[2]))


def _provenance(analysis: Analysis) -> list[tuple[str, str]]:
    contents = analysis.contents
    rows = [("store", contents.path.name)]
    rows += [(name.replace("-", " "), str(value)) for name, value in contents.attributes.items()]
    rows += [
        ("read by", f"landscape {__version__}"),
        ("rule", common.rule_name(analysis)),
        ("data set of the gaps", analysis.dataset),
        ("focus", analysis.focus or "none"),
        ("resamples", f"{analysis.gaps.n_resamples:,}"),
        ("confidence", f"{analysis.gaps.confidence:g}"),
    ]
    return rows


def _commands(analysis: Analysis) -> str:
    store = shlex.quote(analysis.contents.path.name)
    return "\n".join(
        (
            "landscape run config.yaml           # measure, cluster, relate, draw",
            f"landscape figures {store} --out figures --format pdf,png,svg",
            f"landscape report {store}",
        )
    )
