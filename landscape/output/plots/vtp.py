"""A surface as a VTK file, for ParaView and other viewers of three dimensions."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from landscape.core.files import replacing
from landscape.output.plots.surface import axes_of, loss_field
from landscape.paths.refinement import fill_surface

if TYPE_CHECKING:
    from landscape.records import StoredPath

_TYPES = {"f8": "Float64", "i8": "Int64", "u1": "UInt8"}
_HEIGHT = 0.5  # of the relief, as a share of the grid's longer side


def write_vtp(surface: StoredPath, path: str | Path, labels: Mapping[str, np.ndarray]) -> Path:
    """Write a surface as VTK XML PolyData (.vtp): the grid's points and a quad between each four.

    Each data set gives the point data "<name> loss" in nats and "<name> accuracy"; both
    interpolated where not evaluated, which "evaluated" tells apart. The loss of the first data set
    is the height, and the active scalars.

    Args:
        surface: Two-dimensional.
        path: The file; one of the same name is replaced whole.
        labels: (n_examples,) the right label indices by data set.

    Returns:
        The file.
    """
    shape = (surface.shape[0], surface.shape[1])
    data = {f"{name} loss": loss_field(surface, name).ravel() for name in surface.losses}
    for name in surface.losses:
        shares = surface.accuracies(name, labels[name])
        data[f"{name} accuracy"] = fill_surface(shares, shape, surface.evaluated)
    first = next(iter(data))
    longest = max(np.ptp(part) for part in axes_of(surface))
    z = _HEIGHT * longest * _shares(data[first])
    places = np.column_stack([np.asarray(surface.positions, dtype=np.float64), z])
    corners = np.arange(len(places)).reshape(shape)
    around = (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1])
    quads = np.stack([corner.ravel() for corner in around], axis=1)  # counterclockwise

    # arrays are written little-endian whatever the machine
    format = {"version": "1.0", "byte_order": "LittleEndian", "header_type": "UInt64"}
    root = ElementTree.Element("VTKFile", {"type": "PolyData", **format})
    counts = dict.fromkeys(("NumberOfVerts", "NumberOfLines", "NumberOfStrips"), "0")
    counts |= {"NumberOfPoints": str(len(places)), "NumberOfPolys": str(len(quads))}
    piece = ElementTree.SubElement(ElementTree.SubElement(root, "PolyData"), "Piece", counts)
    point_data = ElementTree.SubElement(piece, "PointData", {"Scalars": first})
    for name, values in data.items():
        _add(point_data, name, values, "f8")
    _add(point_data, "evaluated", surface.evaluated, "u1")
    _add(ElementTree.SubElement(piece, "Points"), "Points", places, "f8")
    polys = ElementTree.SubElement(piece, "Polys")
    _add(polys, "connectivity", quads.ravel(), "i8")
    _add(polys, "offsets", 4 * np.arange(1, len(quads) + 1), "i8")
    ElementTree.indent(root)
    path = Path(path)
    with replacing(path) as file:
        file.write(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return path


def _shares(losses: np.ndarray) -> np.ndarray:
    """From 0 to 1; what is not finite stands at the top."""
    finite = losses[np.isfinite(losses)]
    if not len(finite) or np.ptp(finite) == 0:
        return np.zeros(len(losses))
    shares = (losses - finite.min()) / np.ptp(finite)
    return np.where(np.isfinite(shares), shares, 1.0)


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
