"""Figures to files, whose names and bytes stay the same."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.core.errors import ConfigError, require_known
from landscape.core.files import replacing
from landscape.output.plots.common import styled
from landscape.output.plots.registry import FIGURES, figures_of
from landscape.output.plots.surface import surfaces_of
from landscape.output.plots.vtp import write_vtp

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis

# time stamps would make every run's files differ
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}


@styled
def render(analysis: Analysis, name: str, format: str) -> bytes:
    """One figure as a file's content: the same analysis gives the same bytes."""
    content = io.BytesIO()
    metadata = {"Title": name, **_METADATA[format]}
    FIGURES[name].draw(analysis).savefig(content, format=format, metadata=metadata)
    return content.getvalue()


def write_figures(
    analysis: Analysis, out: Path, formats: Sequence[str] = ("pdf", "png")
) -> list[Path]:
    """Write every figure of ``FIGURES`` that can be drawn of the analysis, in every format.

    Args:
        analysis: The numbers.
        out: The folder; made when absent. Files of the same name are replaced whole.
        formats: Some of pdf, png (300 dpi) and svg.

    Returns:
        The files.

    Raises:
        ConfigError: A format that is not known, or ``out`` is a file.
    """
    for format in formats:
        require_known("figure format", format, _METADATA)
    if out.is_file():
        raise ConfigError("The folder for the figures is a file.", where=out, fix="choose another")
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind in figures_of(analysis):
        for format in formats:
            paths.append(out / f"{kind.name}.{format}")
            with replacing(paths[-1]) as file:
                file.write(render(analysis, kind.name, format))
    return paths


def write_surfaces(analysis: Analysis, out: Path) -> list[Path]:
    """Write every surface as NAME.vtp, for ParaView.

    Args:
        analysis: Of a store that holds surfaces.
        out: The folder; made when absent.

    Raises:
        ConfigError: The store holds none.
    """
    surfaces = surfaces_of(analysis)
    if not surfaces:
        raise ConfigError(
            "The store holds no surfaces.",
            where=analysis.results.path,
            fix="add 'surface' to the experiment, and run it again",
        )
    out.mkdir(parents=True, exist_ok=True)
    labels = {name: data.labels for name, data in analysis.results.datasets.items()}
    return [write_vtp(path, out / f"{path.name}.vtp", labels) for path in surfaces]
