"""Figures and files of surfaces: checked on artists and on what a reader of VTK's XML sees."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from landscape.analysis.analysis import Analysis
from landscape.output.plots import FIGURES, figures_of
from landscape.output.plots.common import basin_color, basin_marker
from landscape.output.plots.surface import loss_field, loss_levels
from landscape.output.plots.vtp import write_vtp
from landscape.paths.refinement import FLOOR
from landscape.records import StoredPath
from tests.analyses import make_analysis

MARKS = np.array([[0.0, 0.0], [4.0, 0.0], [1.5, 3.0]])
NAMES = ("seed-0", "seed-1", "seed-$2$")
LABELS = np.array([0, 1, 1, 0, 1])


def surface(
    *, n_y: int = 9, n_x: int = 11, evaluated: np.ndarray | None = None, name: str = "plane"
) -> StoredPath:
    """Three minima of a loss of about 0.05, walls that rise to some nats."""
    x, y = np.linspace(-1, 5, n_x), np.linspace(-1, 4, n_y)
    positions = np.stack([part.ravel() for part in np.meshgrid(x, y)], axis=1)
    nearest = np.square(positions[:, None] - MARKS).sum(-1).min(1)
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.8, 1.2, 5)
    dev = (0.05 + 0.5 * nearest[:, None] * spread).astype(np.float32)
    hans = (0.6 + 0.02 * nearest[:, None] * spread[::-1]).astype(np.float32)
    right = rng.random((len(positions), 5)) < np.exp(-nearest / 3)[:, None]
    predictions = np.where(right, LABELS, 1 - LABELS).astype(np.uint8)
    status = np.ones(len(positions), np.uint8) if evaluated is None else evaluated.astype(np.uint8)
    for losses in (dev, hans):
        losses[status == 0] = np.nan
    return StoredPath(
        name=name,
        kind="plane",
        models=NAMES,
        marks=MARKS,
        positions=positions,
        shape=(n_y, n_x),
        lengths=np.full(len(positions), np.nan),
        status=status,
        losses={"mnli_dev": dev, "hans": hans},
        predictions={"mnli_dev": predictions, "hans": 1 - predictions},
        notes={},
    )


def some(n_y: int = 9, n_x: int = 11) -> np.ndarray:
    """Every second row and column, and a corner in full."""
    mask = np.zeros((n_y, n_x), dtype=bool)
    mask[::2, ::2] = True
    mask[:3, :3] = True
    return mask.ravel()


def contours(ax: Axes) -> list[QuadContourSet]:
    return [item for item in ax.collections if isinstance(item, QuadContourSet)]


def the_fill(ax: Axes) -> QuadContourSet:
    (filled,) = [item for item in contours(ax) if item.filled]
    return filled


def drawn(*surfaces: StoredPath) -> Figure:
    """The figure of a store with these surfaces, of two models of one basin and one of another."""
    return FIGURES["surface"].draw(with_surfaces(*surfaces))


def with_surfaces(*surfaces: StoredPath) -> Analysis:
    analysis = make_analysis((0.0, 0.02, 1.0), names=NAMES)
    points = {path.name: path for path in surfaces}
    return replace(analysis, results=replace(analysis.results, points=points))


def test_points_not_evaluated_are_interpolated_losses_in_their_logarithm() -> None:
    whole, mask = surface(), some()
    exact = whole.losses["mnli_dev"].astype(float).mean(1).reshape(9, 11)
    np.testing.assert_allclose(loss_field(whole, "mnli_dev"), exact, rtol=1e-12)
    filled = loss_field(surface(evaluated=mask), "mnli_dev")
    done = mask.reshape(9, 11)
    np.testing.assert_allclose(filled[done], exact[done], rtol=1e-12)
    # amid an edge: the geometric mean of both ends, above the floor
    between = np.sqrt((exact[8, 8] + FLOOR) * (exact[8, 10] + FLOOR)) - FLOOR
    assert filled[8, 9] == pytest.approx(between)


def test_contours_are_those_of_the_grid_in_true_lengths() -> None:
    points = surface()
    ax = drawn(points).axes[0]
    assert ax.get_aspect() == 1
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 5), (-1, 4))
    filled, (lines,) = the_fill(ax), [item for item in contours(ax) if not item.filled]
    fields = [loss_field(points, name) for name in ("mnli_dev", "hans")]
    assert filled.levels[0] == pytest.approx(min(field.min() for field in fields))
    assert filled.levels[-1] == pytest.approx(max(field.max() for field in fields))
    # steps of a factor, for losses from 0.05 to several nats
    assert isinstance(filled.norm, LogNorm)
    ratios = filled.levels[1:] / filled.levels[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_array_equal(lines.levels, filled.levels[1:-1])
    # along every row, a line crosses where the losses reach its level
    x, y = np.linspace(-1, 5, 11), np.linspace(-1, 4, 9)
    level, row = lines.levels[5], fields[0][3]
    (k,) = np.flatnonzero(np.diff(row > level))[:1]
    at = x[k] + (level - row[k]) / (row[k + 1] - row[k]) * (x[k + 1] - x[k])
    vertices = np.concatenate([path.vertices for path in lines.get_paths()])
    assert np.isclose(vertices, [at, y[3]], atol=1e-6).all(1).any()


def test_levels_are_even_where_losses_are_near_each_other_and_never_too_deep() -> None:
    levels, norm = loss_levels([np.array([[0.6, 1.0]])])
    assert not isinstance(norm, LogNorm)
    np.testing.assert_allclose(levels, np.linspace(0.6, 1.0, 13))
    deep, _ = loss_levels([np.array([[0.0, 5.0, np.inf]])])
    assert (deep[0], deep[-1]) == pytest.approx((5e-3, 5.0))
    flat, _ = loss_levels([np.zeros((2, 2))])
    assert (np.diff(flat) > 0).all()


def test_checkpoints_stand_where_they_lie_in_the_colours_of_their_basins() -> None:
    figure = drawn(surface())
    ax = figure.axes[0]
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    places = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in points]
    assert places == [tuple(mark) for mark in MARKS.tolist()]
    for line, basin in zip(points, (0, 0, 1), strict=True):
        assert to_hex(line.get_markerfacecolor()) == basin_color(basin)
        assert line.get_marker() == basin_marker(basin)
    assert [text.get_text().replace(r"\$", "$") for text in ax.texts] == list(NAMES)
    # names stand away from the middle of the others, and inside the frame
    assert [text.get_va() for text in ax.texts] == ["top", "top", "bottom"]
    figure.draw_without_rendering()
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 < box.x0 < box.x1 < frame.x1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["basin 0", "basin 1"]


def test_panels_share_one_scale_and_one_colour_bar() -> None:
    second = replace(surface(name="other"), kind="pca")
    second.losses["mnli_dev"][:] *= 3
    figure = drawn(surface(), second)
    panels, bars = figure.axes[:4], figure.axes[4:]
    assert [bar.get_ylabel() for bar in bars] == ["loss (nats), log scale"]
    assert [ax.get_title(loc="left") for ax in panels] == [
        "plane: mnli_dev", "plane: hans", "other: mnli_dev", "other: hans",
    ]  # fmt: skip
    fills = [the_fill(ax) for ax in panels]
    for filled in fills:
        np.testing.assert_array_equal(filled.levels, fills[0].levels)
        assert filled.norm is fills[0].norm
    assert [ax.get_subplotspec().rowspan.start for ax in panels] == [0, 0, 1, 1]
    assert [ax.get_xlabel() for ax in panels[1:3]] == [
        "distance in weight space", "principal axis 1 (distance)",
    ]  # fmt: skip


def test_losses_that_are_not_finite_leave_a_hole_and_points_evaluated_are_dots() -> None:
    points = surface(evaluated=some())
    points.losses["mnli_dev"][2] = np.inf
    ax = drawn(points).axes[0]
    (dots,) = [line for line in ax.lines if line.get_label() == "_evaluated"]
    np.testing.assert_array_equal(dots.get_xydata(), points.positions[some()])
    assert np.isfinite(the_fill(ax).levels).all()
    assert ax.patch.get_hatch()


def test_a_surface_of_which_nothing_is_measured_is_no_figure() -> None:
    bare = with_surfaces(surface(evaluated=np.zeros(99, dtype=bool)))
    assert "surface" not in [kind.name for kind in figures_of(bare)]


NUMPY_TYPES = {"Float64": "<f8", "Int64": "<i8", "UInt8": "u1"}


def read_vtp(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The piece's attributes and all its arrays, by VTK's own description of the format."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "VTKFile"
    assert root.attrib == {
        "type": "PolyData",
        "version": "1.0",
        "byte_order": "LittleEndian",
        "header_type": "UInt64",
    }
    (piece,) = root.findall("PolyData/Piece")
    arrays = {}
    for array in piece.iter("DataArray"):
        assert array.get("format") == "binary"
        content = base64.b64decode(array.text or "", validate=True)
        size = int.from_bytes(content[:8], "little")
        assert len(content) == 8 + size
        values = np.frombuffer(content[8:], NUMPY_TYPES[array.attrib["type"]])
        width = int(array.get("NumberOfComponents", 1))
        arrays[array.attrib["Name"]] = values.reshape(-1, width) if width > 1 else values
    attributes = dict(piece.attrib) | dict(piece.find("PointData").attrib)  # type: ignore[union-attr]
    return attributes, arrays


def test_a_vtk_file_holds_the_grid(tmp_path: Path) -> None:
    points = surface(evaluated=some())
    labels = {"mnli_dev": LABELS, "hans": LABELS}
    attributes, arrays = read_vtp(write_vtp(points, tmp_path / "a.vtp", labels))
    assert attributes["NumberOfPoints"] == "99"
    assert attributes["NumberOfPolys"] == "80"
    assert attributes["Scalars"] == "mnli_dev loss"
    assert set(arrays) == {
        "Points", "connectivity", "offsets", "evaluated",
        "mnli_dev loss", "hans loss", "mnli_dev accuracy", "hans accuracy",
    }  # fmt: skip
    for name in labels:
        np.testing.assert_array_equal(arrays[f"{name} loss"], loss_field(points, name).ravel())
        right = np.mean(points.predictions[name] == LABELS, axis=1)
        np.testing.assert_allclose(arrays[f"{name} accuracy"][some()], right[some()])
    shares = arrays["mnli_dev accuracy"].reshape(9, 11)
    assert shares[8, 9] == pytest.approx((shares[8, 8] + shares[8, 10]) / 2)
    np.testing.assert_array_equal(arrays["evaluated"].astype(bool), some())
    np.testing.assert_array_equal(arrays["Points"][:, :2], points.positions)
    z, loss = arrays["Points"][:, 2], arrays["mnli_dev loss"]
    assert (z.min(), z.max()) == (0, pytest.approx(3.0))  # half of the longer side
    np.testing.assert_allclose(z, 3 * (loss - loss.min()) / np.ptp(loss), atol=1e-12)
    np.testing.assert_array_equal(arrays["offsets"], 4 * np.arange(1, 81))
    quads = arrays["Points"][arrays["connectivity"].reshape(-1, 4), :2]
    x, y = quads[..., 0], quads[..., 1]
    # the shoelace formula: counterclockwise, and each as large as a cell of the grid
    areas = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(1) / 2
    np.testing.assert_allclose(areas, (6 / 10) * (5 / 8))
    assert len({tuple(center) for center in quads.mean(1).round(6).tolist()}) == 80
    points.losses["mnli_dev"][0] = np.inf  # stands at the top
    _, arrays = read_vtp(write_vtp(points, tmp_path / "b.vtp", labels))
    assert arrays["Points"][0, 2] == arrays["Points"][:, 2].max() < np.inf
