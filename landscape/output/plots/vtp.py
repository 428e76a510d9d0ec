"""A surface as a VTK file, for ParaView and other viewers of three dimensions."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from landscape.core.files import replacing
from landscape.output.plots.field import axes_of, field_of, require_surface

if TYPE_CHECKING:
    from landscape.records import StoredPath

_TYPES = {"f8": "Float64", "i8": "Int64", "u1": "UInt8"}


def write_vtp(
    points: StoredPath,
    path: str | Path,
    datasets: str | Sequence[str] | None = None,
    *,
    labels: Mapping[str, np.ndarray] | None = None,
    height: float = 0.5,
) -> Path:
    """Write a surface as VTK XML PolyData (.vtp): the grid's points and a quad between each four.

    Each data set gives the point data "<name> loss" in nats, the first of them the active
    scalars, and "<name> accuracy" where its labels are given; both interpolated where not
    evaluated, which "evaluated" tells apart. In ParaView, "Warp By Scalar" lifts a flat grid by
    any of them.

    Args:
        points: A surface.
        path: The file; one of the same name is replaced whole.
        datasets: Some of its data sets; all of them when absent.
        labels: The right label indices by data set, for accuracies.
        height: How high the largest finite loss of the first data set stands over its smallest,
            as a share of the grid's longer side; 0 leaves the grid flat.

    Returns:
        The file.

    Raises:
        ConfigError: A curve instead of a surface, no such data set, or no point evaluated.
    """
    require_surface(points)
    given = points.losses if datasets is None else datasets
    names = [given] if isinstance(given, str) else list(given)
    losses = {name: field_of(points, name).ravel() for name in names}
    data = {f"{name} loss": values for name, values in losses.items()}
    for name in names:
        if labels is not None and name in labels:
            data[f"{name} accuracy"] = field_of(points, name, "accuracy", labels[name]).ravel()
    x, y = axes_of(points)
    z = np.zeros(len(points.positions))
    if names:
        z = _lifted(losses[names[0]], height * max(np.ptp(x), np.ptp(y)))
    places = np.column_stack([np.asarray(points.positions, dtype=np.float64), z])
    quads = _quads(len(y), len(x))

    # arrays are written little-endian whatever the machine
    root = ElementTree.Element(
        "VTKFile",
        {
            "type": "PolyData",
            "version": "1.0",
            "byte_order": "LittleEndian",
            "header_type": "UInt64",
        },
    )
    counts = {"NumberOfPoints": len(places), "NumberOfPolys": len(quads)}
    counts |= dict.fromkeys(("NumberOfVerts", "NumberOfLines", "NumberOfStrips"), 0)
    piece = ElementTree.SubElement(
        ElementTree.SubElement(root, "PolyData"),
        "Piece",
        {name: str(count) for name, count in counts.items()},
    )
    first = {"Scalars": next(iter(data))} if data else {}
    point_data = ElementTree.SubElement(piece, "PointData", first)
    for name, values in data.items():
        _add(point_data, name, values, "f8")
    _add(point_data, "evaluated", points.evaluated, "u1")
    _add(ElementTree.SubElement(piece, "Points"), "Points", places, "f8")
    polys = ElementTree.SubElement(piece, "Polys")
    _add(polys, "connectivity", quads.ravel(), "i8")
    _add(polys, "offsets", 4 * np.arange(1, len(quads) + 1), "i8")
    ElementTree.indent(root)
    path = Path(path)
    with replacing(path) as file:
        file.write(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return path


def _quads(n_y: int, n_x: int) -> np.ndarray:
    """(n_quads, 4) point indices, counterclockwise."""
    corners = np.arange(n_y * n_x).reshape(n_y, n_x)
    around = (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1])
    return np.stack([corner.ravel() for corner in around], axis=1)


def _lifted(losses: np.ndarray, height: float) -> np.ndarray:
    """From 0 to ``height``; what is not finite stands at the top."""
    finite = losses[np.isfinite(losses)]
    if not len(finite) or np.ptp(finite) == 0:
        return np.zeros(len(losses))
    shares = (losses - finite.min()) / np.ptp(finite)
    return height * np.where(np.isfinite(shares), shares, 1.0)


def _add(parent: ElementTree.Element, name: str, values: np.ndarray, kind: str) -> None:
    array = np.asarray(values).astype(f"<{kind}")
    attributes = {"type": _TYPES[kind], "Name": name, "format": "binary"}
    if array.ndim == 2:
        attributes["NumberOfComponents"] = str(array.shape[1])
    content = array.tobytes()
    # the number of bytes, then the bytes, as one text in base 64
    header = np.array([len(content)], dtype="<u8").tobytes()
    element = ElementTree.SubElement(parent, "DataArray", attributes)
    element.text = base64.b64encode(header + content).decode()
