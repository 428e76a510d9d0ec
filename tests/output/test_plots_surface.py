"""Figures and files of surfaces: checked on artists and on what a reader of VTK's XML sees."""

from __future__ import annotations

import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from landscape.core.errors import ConfigError
from landscape.output.plots.common import basin_color, basin_marker
from landscape.output.plots.field import field_of, scale_of
from landscape.output.plots.surface import plot_surface, plot_surface_3d, plot_surface_panels
from landscape.output.plots.vtp import write_vtp
from landscape.paths.refinement import FLOOR
from landscape.records import StoredPath

MARKS = np.array([[0.0, 0.0], [4.0, 0.0], [1.5, 3.0]])
NAMES = ("seed-0", "seed-1", "seed-$2$")
BASINS = {"seed-0": 0, "seed-1": 0, "seed-$2$": 1}
LABELS = np.array([0, 1, 1, 0, 1])


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(4, 4), layout="constrained").subplots()


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


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
        losses={"dev": dev, "hans": hans},
        predictions={"dev": predictions, "hans": 1 - predictions},
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


def test_the_field_is_the_mean_over_examples() -> None:
    points = surface()
    for name in ("dev", "hans"):
        expected = points.losses[name].astype(float).mean(1).reshape(9, 11)
        np.testing.assert_allclose(field_of(points, name), expected, rtol=1e-12)
        right = np.mean(points.predictions[name] == LABELS, axis=1).reshape(9, 11)
        np.testing.assert_array_equal(field_of(points, name, "accuracy", LABELS), right)
        np.testing.assert_allclose(field_of(points, name, "error", LABELS), 1 - right)


def test_points_not_evaluated_are_interpolated_losses_in_their_logarithm() -> None:
    whole, mask = surface(), some()
    points = surface(evaluated=mask)
    found = field_of(points, "dev")
    exact = field_of(whole, "dev")
    done = mask.reshape(9, 11)
    np.testing.assert_allclose(found[done], exact[done], rtol=1e-12)
    # amid an edge: the geometric mean of both ends, above the floor
    between = np.sqrt((exact[8, 8] + FLOOR) * (exact[8, 10] + FLOOR)) - FLOOR
    assert found[8, 9] == pytest.approx(between)
    shares = field_of(points, "dev", "accuracy", LABELS)
    assert shares[8, 9] == pytest.approx((shares[8, 8] + shares[8, 10]) / 2)
    assert shares[7, 9] == pytest.approx(shares[np.ix_([6, 8], [8, 10])].mean())


def test_contours_are_those_of_the_grid_in_true_lengths(ax: Axes) -> None:
    points = surface()
    assert plot_surface(points, "dev", ax=ax) is ax
    assert ax.get_aspect() == 1
    assert ax.get_xlim() == (-1, 5)
    assert ax.get_ylim() == (-1, 4)
    field = field_of(points, "dev")
    filled = the_fill(ax)
    assert filled.levels[0] == pytest.approx(field.min())
    assert filled.levels[-1] == pytest.approx(field.max())
    # steps of a factor, for losses from 0.05 to several nats
    assert isinstance(filled.norm, LogNorm)
    ratios = filled.levels[1:] / filled.levels[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    (lines,) = [item for item in contours(ax) if not item.filled]
    np.testing.assert_array_equal(lines.levels, filled.levels[1:-1])
    # a contour line along the row through the first minimum is where the losses say
    row = 3
    x, z = np.linspace(-1, 5, 11), None
    z = np.interp(-0.7, x, field[row])
    own = Figure().subplots()
    plot_surface(points, "dev", ax=own, levels=[0.01, z, 10], colorbar=False)
    (line,) = [item for item in contours(own) if not item.filled]
    vertices = np.concatenate([path.vertices for path in line.get_paths()])
    level = points.positions.reshape(9, 11, 2)[row, 0, 1]
    assert np.isclose(vertices, [-0.7, level], atol=1e-6).all(1).any()


def test_levels_are_even_where_values_are_near_each_other_and_for_shares(ax: Axes) -> None:
    points = surface()
    plot_surface(points, "hans", ax=ax)
    np.testing.assert_allclose(np.diff(the_fill(ax).levels, n=2), 0, atol=1e-9)
    assert not isinstance(the_fill(ax).norm, LogNorm)
    own = Figure().subplots()
    plot_surface(points, "dev", ax=own, quantity="accuracy", labels=LABELS, levels=5)
    assert the_fill(own).levels.tolist() == np.linspace(0, 1, 6).tolist()
    # dark is good, for both
    loss, accuracy = the_fill(ax), the_fill(own)
    assert sum(loss.to_rgba(loss.norm.vmin)[:3]) < sum(loss.to_rgba(loss.norm.vmax)[:3])
    assert sum(accuracy.to_rgba(1.0)[:3]) < sum(accuracy.to_rgba(0.0)[:3])


@pytest.mark.parametrize("cmap", ["cividis", "cividis_r"])
def test_colours_can_be_told_apart_in_grey(cmap: str) -> None:
    red, green, blue, _ = mpl.colormaps[cmap](np.linspace(0, 1, 13)).T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (np.abs(np.diff(grey)) > 0.02).all()
    assert len(set(np.sign(np.diff(grey)))) == 1


def test_given_limits_are_kept_and_what_lies_beyond_is_said(ax: Axes) -> None:
    plot_surface(surface(), "dev", ax=ax, vmin=0.1, vmax=2.0)
    filled = the_fill(ax)
    assert (filled.levels[0], filled.levels[-1]) == pytest.approx((0.1, 2.0))
    assert filled.extend == "both"
    (bar,) = ax.child_axes
    assert bar.get_ylabel() == "loss (nats), log scale"
    ticks = [label.get_text() for label in bar.get_yticklabels()]
    assert ticks == ["0.1", "0.2", "0.5", "1", "2"]
    below = scale_of([np.array([[1e-9, 5.0]])])
    assert below.extend == "min"
    assert below.levels[0] == pytest.approx(5e-3)


def test_checkpoints_stand_where_they_lie_in_the_colours_of_their_basins(ax: Axes) -> None:
    points = surface()
    plot_surface(points, "dev", ax=ax, basins=BASINS)
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [(float(x.get_xdata()[0]), float(x.get_ydata()[0])) for x in drawn] == [
        tuple(mark) for mark in MARKS.tolist()
    ]
    for line, name in zip(drawn, NAMES, strict=True):
        assert to_hex(line.get_markerfacecolor()) == basin_color(BASINS[name])
        assert line.get_marker() == basin_marker(BASINS[name])
    assert [text.get_text().replace(r"\$", "$") for text in ax.texts] == list(NAMES)
    # names stand away from the middle of the others, and inside the frame
    assert [text.get_va() for text in ax.texts] == ["top", "top", "bottom"]
    ax.figure.draw_without_rendering()
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 < box.x0 < box.x1 < frame.x1
    handles, labels = ax.get_legend_handles_labels()
    assert labels == ["basin 0", "basin 1"]
    assert len(handles) == 2
    plain = Figure().subplots()
    plot_surface(points, "dev", ax=plain)
    assert {line.get_markerfacecolor() for line in plain.lines} == {"white"}
    own = plot_surface(points, "dev", basins=BASINS)
    (legend,) = own.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["basin 0", "basin 1"]


def test_dots_are_the_points_evaluated(ax: Axes) -> None:
    points = surface(evaluated=some())
    plot_surface(points, "dev", ax=ax)
    (dots,) = [line for line in ax.lines if line.get_label() == "_evaluated"]
    np.testing.assert_array_equal(dots.get_xydata(), points.positions[some()])
    for wanted, case in ((False, points), (None, surface())):
        other = Figure().subplots()
        plot_surface(case, "dev", ax=other, dots=wanted)
        assert not [line for line in other.lines if line.get_label() == "_evaluated"]
    always = Figure().subplots()
    plot_surface(surface(), "dev", ax=always, dots=True)
    assert len(next(x for x in always.lines if x.get_label() == "_evaluated").get_xdata()) == 99


def test_panels_share_one_scale_and_one_colour_bar() -> None:
    first, second = surface(), surface(name="other")
    second.losses["dev"][:] *= 3
    figure = plot_surface_panels([first, second], ["dev", "hans"], basins=BASINS)
    panels, bars = figure.axes[:4], figure.axes[4:]
    assert len(bars) == 1
    assert [ax.get_title(loc="left") for ax in panels] == [
        "plane: dev", "plane: hans", "other: dev", "other: hans",
    ]  # fmt: skip
    fills = [the_fill(ax) for ax in panels]
    everything = [field_of(p, name) for p in (first, second) for name in ("dev", "hans")]
    for filled in fills:
        np.testing.assert_array_equal(filled.levels, fills[0].levels)
        assert filled.norm is fills[0].norm
        # the same value, the same colour
        assert filled.to_rgba(0.7) == fills[0].to_rgba(0.7)
    assert fills[0].levels[0] == pytest.approx(min(field.min() for field in everything))
    assert fills[0].levels[-1] == pytest.approx(max(field.max() for field in everything))
    x_labels = [ax.get_xlabel() for ax in panels]
    assert x_labels == ["", "", "distance in weight space", "distance in weight space"]
    rows = [ax.get_subplotspec().rowspan.start for ax in panels]
    assert rows == [0, 0, 1, 1]
    assert len(figure.legends) == 1


def test_panels_of_many_data_sets_wrap() -> None:
    points = surface()
    names = [f"set {i}" for i in range(5)]
    points = replace(
        points,
        losses=dict.fromkeys(names, points.losses["dev"]),
        predictions=dict.fromkeys(names, points.predictions["dev"]),
    )
    figure = plot_surface_panels(points, names)
    assert len(figure.axes) == 6
    places = [ax.get_subplotspec() for ax in figure.axes[:5]]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1),
    ]  # fmt: skip
    one = plot_surface_panels(points, "set 0")
    assert one.get_size_inches()[0] == 3.25
    shares = plot_surface_panels(
        points, names[:2], quantity="error", labels=dict.fromkeys(names, LABELS)
    )
    assert the_fill(shares.axes[0]).norm.vmax <= 1


@pytest.mark.parametrize("case", ["plain", "basins", "refined"])
def test_nothing_sticks_out_of_a_figure(case: str) -> None:
    points = surface(evaluated=some() if case == "refined" else None)
    basins = BASINS if case == "basins" else None
    figures = [
        plot_surface(points, "dev", basins=basins).figure,
        plot_surface_panels(points, ["dev", "hans"], basins=basins),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        inner = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(inner.x0, inner.y0) > -0.02
        assert inner.x1 < width + 0.02
        assert inner.y1 < height + 0.02


def test_a_relief_has_the_grid_and_its_heights() -> None:
    points = surface()
    ax = plot_surface_3d(points, "dev", basins=BASINS)
    field = field_of(points, "dev")
    (relief,) = ax.collections
    heights = np.concatenate([corners[:, 2] for corners in relief._faces])
    assert heights.min() == pytest.approx(np.log10(field.min()))
    assert heights.max() == pytest.approx(np.log10(field.max()))
    assert len(relief._faces) == 8 * 10
    ticks = [label.get_text() for label in ax.get_zticklabels()]
    assert ticks == ["0.1", "0.3", "1", "3"]
    np.testing.assert_allclose(ax.get_zticks(), np.log10([0.1, 0.3, 1, 3]))
    # a checkpoint stands on the surface, here between grid points
    mark = next(line for line in ax.lines)
    x, y, z = (float(part[0]) for part in mark.get_data_3d())
    assert (x, y) == (0, 0)
    assert np.log10(field.min()) <= z < np.log10(0.4)
    cut = plot_surface_3d(points, "hans", ax=plt.figure().add_subplot(projection="3d"), vmax=0.65)
    faces = np.concatenate([corners[:, 2] for corners in cut.collections[0]._faces])
    assert faces.max() == pytest.approx(0.65)
    flat = Figure().subplots()
    with pytest.raises(ConfigError, match=r"(?s)axes of three dimensions.*projection"):
        plot_surface_3d(points, "dev", ax=flat)


def test_losses_that_are_not_finite_leave_a_hole(ax: Axes) -> None:
    points = surface()
    points.losses["dev"][5] = np.inf
    plot_surface(points, "dev", ax=ax)
    assert np.isfinite(the_fill(ax).levels).all()
    assert ax.patch.get_hatch()
    ax.figure.draw_without_rendering()
    zero = replace(points, losses={"dev": np.zeros((99, 5), np.float32)})
    plot_surface(zero, "dev", ax=Figure().subplots())


def test_axes_say_what_their_unit_is(ax: Axes) -> None:
    plot_surface(surface(), "dev", ax=ax)
    assert ax.get_ylabel() == "distance in weight space"
    random = replace(surface(), kind="random", models=NAMES[:1], marks=np.zeros((1, 2)))
    figure = plot_surface_panels([random, replace(surface(), kind="pca")], "dev")
    labels = [panel.get_xlabel() for panel in figure.axes[:2]]
    assert labels == ["step along direction 1", "principal axis 1 (distance)"]


def test_settings_stay_and_axes_are_the_callers() -> None:
    before, open_before = dict(mpl.rcParams), plt.get_fignums()
    plot_surface_panels(surface(), ["dev", "hans"])
    assert plt.get_fignums() == open_before
    figure, ax = plt.subplots()
    plot_surface(surface(), "dev", ax=ax)
    assert plot_surface(surface(), "dev").figure is not figure
    assert dict(mpl.rcParams) == before


def test_a_surface_loads_no_torch() -> None:
    code = (
        "import sys, landscape.output.plots.surface, landscape.output.plots.vtp; "
        "print([m for m in ('torch', 'transformers', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    points = surface()
    with pytest.raises(ConfigError, match=r"(?s)no data set 'dav'.*did you mean 'dev'"):
        plot_surface(points, "dav")
    with pytest.raises(ConfigError, match="no quantity 'los'"):
        plot_surface(points, "dev", quantity="los")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"(?s)accuracy needs the right labels.*5 label indices"):
        plot_surface(points, "dev", quantity="accuracy")
    nothing = surface(evaluated=np.zeros(99, dtype=bool))
    with pytest.raises(ConfigError, match=r"(?s)No point.*evaluated.*'plane'.*run the experiment"):
        plot_surface(nothing, "dev")
    way = replace(points, kind="line", shape=(99,))
    for call in (lambda: plot_surface(way, "dev"), lambda: write_vtp(way, tmp_path / "x.vtp")):
        with pytest.raises(ConfigError, match=r"(?s)Only a surface.*a line of shape \(99,\)"):
            call()
    with pytest.raises(ConfigError, match="no surfaces to draw"):
        plot_surface_panels(points, [])
    with pytest.raises(ConfigError, match="levels must ascend"):
        plot_surface(points, "dev", levels=[2, 1])
    with pytest.raises(ConfigError, match=r"(?s)lower to a higher value.*1 to 0.5"):
        plot_surface(points, "dev", vmin=1, vmax=0.5)
    with pytest.raises(ConfigError, match="No value of the surface is finite"):
        scale_of([np.full((2, 2), np.nan)])


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
    path = write_vtp(points, tmp_path / "a.vtp", labels={"dev": LABELS})
    attributes, arrays = read_vtp(path)
    assert attributes["NumberOfPoints"] == "99"
    assert attributes["NumberOfPolys"] == "80"
    assert attributes["Scalars"] == "dev loss"
    assert set(arrays) == {
        "Points", "connectivity", "offsets", "evaluated",
        "dev loss", "hans loss", "dev accuracy",
    }  # fmt: skip
    for name in ("dev", "hans"):
        np.testing.assert_array_equal(arrays[f"{name} loss"], field_of(points, name).ravel())
    accuracy = field_of(points, "dev", "accuracy", LABELS).ravel()
    np.testing.assert_array_equal(arrays["dev accuracy"], accuracy)
    np.testing.assert_array_equal(arrays["evaluated"].astype(bool), some())
    np.testing.assert_array_equal(arrays["Points"][:, :2], points.positions)
    z, loss = arrays["Points"][:, 2], arrays["dev loss"]
    assert (z.min(), z.max()) == (0, pytest.approx(3.0))  # half of the longer side
    np.testing.assert_allclose(z, 3 * (loss - loss.min()) / np.ptp(loss), atol=1e-12)


def test_its_quads_cover_the_grid_and_turn_one_way(tmp_path: Path) -> None:
    _, arrays = read_vtp(write_vtp(surface(n_y=4, n_x=6), tmp_path / "a.vtp", "hans", height=0))
    assert (arrays["Points"][:, 2] == 0).all()
    assert "dev loss" not in arrays
    np.testing.assert_array_equal(arrays["offsets"], 4 * np.arange(1, 16))
    quads = arrays["Points"][arrays["connectivity"].reshape(-1, 4), :2]
    x, y = quads[..., 0], quads[..., 1]
    # the shoelace formula: counterclockwise, and each as large as a cell of the grid
    areas = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(1) / 2
    np.testing.assert_allclose(areas, (6 / 5) * (5 / 3))
    centers = {tuple(center) for center in quads.mean(1).round(6).tolist()}
    assert len(centers) == 15


def test_infinite_losses_stand_at_the_top(tmp_path: Path) -> None:
    points = surface()
    points.losses["dev"][7] = np.inf
    _, arrays = read_vtp(write_vtp(points, tmp_path / "a.vtp"))
    assert np.isfinite(arrays["Points"]).all()
    assert arrays["Points"][7, 2] == arrays["Points"][:, 2].max()
    assert np.isinf(arrays["dev loss"][7])
