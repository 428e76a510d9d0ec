"""Paths and surfaces beside the pairs of an experiment: measured, killed, refused, exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import landscape
from landscape.checkpoints import Population, build_model, load_population, load_tokenizer
from landscape.checkpoints.gram_matrix import gram
from landscape.checkpoints.mix import Mixer
from landscape.core.errors import LandscapeError
from landscape.evaluation import Evaluation
from landscape.evaluation.gradient import Gradients
from landscape.paths import Bezier, Plane, coordinates, distances
from landscape.paths.layers import hybrid, parameter_groups
from landscape.records import Results, StoredPath, read_store
from landscape.run.export import export_stored
from landscape.run.inputs import open_experiment
from landscape.run.measure.other_paths import stored_points
from landscape.run.pipeline import run_experiment
from landscape.tasks.batches import make_batches, tokenize
from landscape.training import loop
from tests.runs import landscape as run_command
from tests.runs import measured, quiet, stop_after
from tests.tiny import LABELS, write_experiment

pytestmark = pytest.mark.slow

FIT = {"steps": 4, "batch_size": 8, "learning_rate": 0.01}
LINE = {"kind": "line", "between": "largest_gap", "points": 5}
BEZIER = {"kind": "bezier", "points": 5, "fit": FIT}
PLANE = {"kind": "plane", "points": 4, "through": ["member-0", "member-1", "member-2"]}
PATHS: list[dict[str, Any]] = [
    LINE,
    BEZIER,
    {"kind": "chain", "points": 5, "bends": 2, "fit": FIT, "between": ["member-0", "member-2"]},
    {"kind": "autoneb", "points": 5, "cycles": 2, "fit": FIT},
    {"kind": "layers", "points": 3, "groups": ["embeddings", "upper half"]},
    PLANE,
    {"kind": "random", "points": 3, "through": ["member-1"], "seed": 3},
    {"kind": "directions", "points": 3, "through": ["member-1"], "along": ["one.st", "two.st"]},
    {"kind": "pca", "points": 4},
    {"kind": "simplex", "points": 4, "through": ["member-0", "member-2"], "fit": FIT},
    {**PLANE, "name": "fine", "points": 7, "through": PLANE["through"][::-1], "tolerance": 0.5},
]


def run(folder: Path, population: Path, task: Path, paths: object, **changes: object) -> Path:
    changes = {"evaluate": {"token_budget": 256}, "examples": 12, **changes}
    config = write_experiment(folder / "config.yaml", population, task, paths=paths, **changes)
    return measured(config, task.parent) / "store.h5"


@pytest.fixture
def measure(tmp_path: Path, populations: dict[str, Path], task_file: Path) -> Measure:
    """From paths to the store of a run of one's own, in a folder of one's own."""
    return partial(run, tmp_path, populations["bert"], task_file)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, populations: dict[str, Path], task_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("paths")
    rng = torch.Generator().manual_seed(0)
    head = load_file(populations["bert"] / "member-1" / "model.safetensors")["classifier.weight"]
    for name in ("one.st", "two.st"):
        save_file({"classifier.weight": torch.randn(head.shape, generator=rng)}, folder / name)
    return run(folder, populations["bert"], task_file, [{"points": 5}, *PATHS])


@pytest.fixture(scope="module")
def results(store: Path) -> Results:
    return read_store(store)


@pytest.fixture(scope="module")
def members(populations: dict[str, Path]) -> Population:
    return load_population([f"{populations['bert']}/member-*"], LABELS)


Measure = Callable[..., Path]
Evaluate = Callable[..., Mapping[str, Evaluation]]


@pytest.fixture(scope="module")
def evaluate(store: Path, members: Population, task_file: Path) -> Evaluate:
    """From anchors and coefficients to losses by ``landscape.evaluate`` itself."""
    experiment = open_experiment(store.parent.parent / "config.yaml", root=task_file.parent)
    tokenizer = load_tokenizer(members.checkpoints[0])
    batches = {d.name: make_batches(tokenize(tokenizer, d)) for _, d in experiment.examples}
    model = build_model(members.checkpoints[0])
    return lambda anchors, c: landscape.evaluate(model, anchors, c, batches)


def same(path: StoredPath, outputs: Mapping[str, Evaluation]) -> None:
    assert path.evaluated.all()
    for name, losses in path.losses.items():
        np.testing.assert_allclose(losses, outputs[name].losses, rtol=2e-4, atol=1e-5)
        np.testing.assert_array_equal(path.predictions[name], outputs[name].predictions)


def ends_of(path: StoredPath, members: Population) -> list[Any]:
    return [members.checkpoints[members.names.index(name)] for name in path.models]


def test_every_path_is_there(results: Results) -> None:
    assert results.attributes["finished"] == "yes"
    parts = {
        f"layers.{group}.from.{end}"
        for group in ("embeddings", "upper half")
        for end in results.points["line"].models
    }
    names = {path.get("name", path["kind"]) for path in PATHS} - {"layers"}
    assert set(results.points) == names | parts
    assert results.points["chain"].models == ("member-0", "member-2")


def test_a_path_goes_where_the_largest_gap_is(
    results: Results, members: Population, evaluate: Evaluate
) -> None:
    gaps = [landscape.convexity_gap(c.mean(1)) for c in results.datasets["dev"].losses]
    line = results.points["line"]
    pair = results.pairs[int(np.argmax(gaps))]
    assert line.models == tuple(members.names[i] for i in pair)
    same(line, evaluate(ends_of(line, members), landscape.Line(5)))
    for name, data in results.datasets.items():  # to the bit
        np.testing.assert_array_equal(line.losses[name][[0, -1]], data.model_losses[pair])
    length = distances(gram(ends_of(line, members)))[0, 1]
    np.testing.assert_allclose(line.lengths, np.linspace(0, length, 5), rtol=1e-6)


def test_a_curve_was_trained_and_is_kept(
    store: Path, results: Results, members: Population, evaluate: Evaluate
) -> None:
    path = results.points["bezier"]
    folder = store.parent / "control_points" / "bezier"
    (file,) = folder.glob("control-*.safetensors")
    assert not (folder / "state.pt").exists()
    first, last = ends_of(path, members)
    control = load_file(file)
    same(path, evaluate([first, control, last], Bezier(5)))
    assert path.lengths[-1] > distances(gram([first, last]))[0, 1]
    head = "classifier.weight"
    middle = (first.params[head] + last.params[head]) / 2
    assert float((control[head] - middle).norm()) > 0.005
    assert {"training_loss", "converged"} <= path.notes.keys()
    assert len(list((store.parent / "control_points" / "chain").glob("control-*"))) == 2


def test_layers_move_alone_from_either_end(
    results: Results, members: Population, evaluate: Evaluate
) -> None:
    a, b = ends_of(results.points["line"], members)
    groups = parameter_groups(a.params)
    for group in ("embeddings", "upper half"):
        for start, other in ((a, b), (b, a)):
            name = members.names[members.checkpoints.index(start)]
            ends = [start, hybrid(start, other, groups[group])]
            same(results.points[f"layers.{group}.from.{name}"], evaluate(ends, landscape.Line(3)))


def test_surfaces_are_where_they_say(
    store: Path, results: Results, members: Population, evaluate: Evaluate
) -> None:
    plane = results.points["plane"]
    corners = coordinates(gram(members.checkpoints))
    np.testing.assert_allclose(plane.marks, corners, rtol=1e-6)
    geometry = Plane.around(corners, 4)
    np.testing.assert_allclose(plane.positions, geometry.positions)
    same(plane, evaluate(members.checkpoints, geometry))
    for name in ("random", "directions"):
        surface = results.points[name]
        centre = int(np.flatnonzero((surface.positions == 0).all(1))[0])
        own = results.datasets["dev"].model_losses[1]
        np.testing.assert_allclose(surface.losses["dev"][centre], own, rtol=1e-4)
    model = members.checkpoints[1].params
    moved = dict(model)
    for name, step in zip(("one.st", "two.st"), surface.positions[0], strict=True):
        direction = load_file(store.parent.parent / name)["classifier.weight"]
        moved["classifier.weight"] = moved["classifier.weight"] + float(step) * direction
    corner = evaluate([moved], np.ones((1, 1)))["dev"].losses[0]
    np.testing.assert_allclose(surface.losses["dev"][0], corner, rtol=2e-4, atol=1e-5)
    pca = results.points["pca"]  # three points lie in their own principal plane
    between = np.linalg.norm(pca.marks[:, None] - pca.marks[None], axis=-1)
    np.testing.assert_allclose(between, distances(gram(members.checkpoints)), rtol=1e-5)
    assert sum(pca.notes["explained_variance"]) == pytest.approx(1)


def test_a_tolerance_saves_points_and_says_so(results: Results) -> None:
    fine = results.points["fine"]
    assert fine.notes["tolerance"] == 0.5
    assert fine.notes["saved"] == pytest.approx(1 - fine.evaluated.mean())
    assert 0 < fine.notes["saved"] < 1


def test_every_pairs_path_can_be_a_trained_curve(
    tmp_path: Path, measure: Measure, members: Population, evaluate: Evaluate
) -> None:
    store = measure({**BEZIER, "between": "all"})
    results = read_store(store)
    for k, pair in enumerate(results.pairs):
        title = "--".join(members.names[i] for i in pair)
        (file,) = (store.parent / "control_points" / "pairs" / title).glob("control-*.safetensors")
        first, last = (members.checkpoints[i] for i in pair)
        outputs = evaluate([first, load_file(file), last], Bezier(5))
        for name, data in results.datasets.items():
            np.testing.assert_allclose(data.losses[k], outputs[name].losses, rtol=2e-4, atol=1e-5)
    out = export_stored(store, title, None, tmp_path / "point", control=0)
    exported = load_file(out / "model.safetensors")
    assert all(torch.equal(exported[name], value) for name, value in load_file(file).items())


class Killed(BaseException):
    pass


def test_a_killed_run_goes_on_with_its_paths(
    tmp_path: Path,
    measure: Measure,
    root: Path,
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    add, steps = Gradients.add, [0]

    def counted(self: Gradients, *args: Any, **kwargs: Any) -> Any:
        steps[0] += 1
        if steps[0] == 3:
            raise Killed
        return add(self, *args, **kwargs)

    monkeypatch.setattr(Gradients, "add", counted)
    paths = [{"points": 5}, BEZIER, PLANE]
    with pytest.raises(Killed):
        measure(paths)
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    assert (read_store(out).status == 1).all()
    said: list[str] = []
    with monkeypatch.context() as context:
        stop_after(context, 2, "paths")
        with pytest.raises(KeyboardInterrupt):
            measured(config, root, report=said.append)
    assert "bezier: curve: going on from step 2 of 4" in said
    assert read_store(out).points["bezier"].evaluated.sum() == 2
    before = steps[0]
    measured(config, root)
    assert steps[0] == before  # nothing is trained again
    whole = read_store(out / "store.h5")
    assert whole.attributes["finished"] == "yes"
    for name in ("bezier", "plane"):
        for dataset, losses in results.points[name].losses.items():
            np.testing.assert_array_equal(whole.points[name].losses[dataset], losses)
    stamp = (out / "store.h5").stat().st_mtime_ns
    measured(config, root)
    assert (out / "store.h5").stat().st_mtime_ns == stamp


def test_a_finished_run_takes_more_paths(measure: Measure) -> None:
    def more(*paths: dict[str, Any]) -> Results:
        return read_store(measure([{"points": 5}, *paths]))

    losses = more().datasets["dev"].losses
    with_line = more(LINE)
    assert list(with_line.points) == ["line"]
    np.testing.assert_array_equal(with_line.datasets["dev"].losses, losses)
    changed = {**LINE, "points": 7}
    with pytest.raises(LandscapeError, match=r"'line'(?s:.*)another 'name'"):
        more(changed)
    assert set(more(LINE, {**changed, "name": "longer"}).points) == {"line", "longer"}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ({"kind": "line", "between": ["member-0", "membr-1"]}, "did you mean 'member-1'"),
        ({"kind": "layers", "groups": ["uper half"]}, "did you mean 'upper half'"),
        ({"kind": "bezier", "degre": 3}, "did you mean 'degree'"),
        ({"kind": "line", "bends": 2}, "unknown key 'bends'"),
        ({"kind": "plane", "through": ["member-0"]}, "goes through 3 of the models"),
        ([LINE, LINE], "two paths named 'line'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, measure: Measure, path: object, part: str
) -> None:
    with pytest.raises(LandscapeError, match=part):
        measure(path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["bezier", "layers", "plane", "directions", "pca", "simplex"])
def test_an_exported_point_is_the_one_that_was_evaluated_to_the_bit(
    store: Path,
    results: Results,
    members: Population,
    evaluate: Evaluate,
    tmp_path: Path,
    name: str,
) -> None:
    path = next(p for p in results.points.values() if p.name.split(".")[0] == name)
    index = len(path.positions) // 2
    at = path.positions[index].tolist()
    out = export_stored(store, path.name, at, tmp_path / "point")
    exported = load_file(out / "model.safetensors")
    ends = [members.checkpoints[members.names.index(m)].params for m in path.notes["models"]]
    folder = store.parent / "control_points" / path.name
    spanned = stored_points(path.name, path.notes, ends, folder)
    mixer = Mixer(build_model(members.checkpoints[0]), torch.float32, torch.device("cpu"))
    mixed = mixer.mix(mixer.load(spanned.anchors), spanned.coefficients()[[index]])
    assert all(torch.equal(value, mixed[key][0]) for key, value in exported.items())
    member = landscape.load_checkpoint(out)
    outputs = evaluate([member], np.ones((1, 1)))
    for dataset, losses in path.losses.items():
        np.testing.assert_allclose(outputs[dataset].losses[0], losses[index], rtol=2e-4, atol=1e-5)
    assert (member.notes["recipe"]["of"], member.notes["recipe"]["at"]) == (path.name, at)


def test_what_cannot_be_exported_is_refused(store: Path, tmp_path: Path) -> None:
    for name, at, part in (
        ("lin", [0.5], "did you mean 'line'"),
        ("line", [0.5, 0.5], "expected: --at T"),
        ("plane", [0.5], "expected: --at X,Y"),
        ("line", [1.5], "where: --at"),
    ):
        with pytest.raises(LandscapeError, match=part):
            export_stored(store, name, at, tmp_path / "out")
    copy = tmp_path / "copy" / "store.h5"
    copy.parent.mkdir()
    copy.write_bytes(store.read_bytes())
    with pytest.raises(LandscapeError, match=r"control_points/bezier(?s:.*)expected: some files"):
        export_stored(copy, "bezier", [0.5], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands_speak_of_them(store: Path, task_file: Path, tmp_path: Path) -> None:
    table = run_command("inspect", store).out
    assert "layers.upper half.from" in table
    assert "bezier" in table
    assert "member-0 and member-1" in run_command("check", store, "member-0", "member-1").out
    assert "did you mean 'member-1'" in run_command("check", store, "member-0", "membr-1").err
    run_command("export", store, "--of", "plane", "--at", "0.5,0.5", "--out", tmp_path / "point")
    assert (tmp_path / "point" / "model.safetensors").is_file()
    run_experiment(store.parent.parent / "config.yaml", root=task_file.parent, report=quiet)
    page = (store.parent / "report.html").read_text()
    for name in ("paths", "layers", "surface"):
        assert (store.parent / "figures" / f"{name}.png").stat().st_size > 10_000
        assert name in page
    names = run_command("figures", store, "--out", tmp_path / "figures", "--format", "vtp").out
    assert "plane.vtp" in names
    assert "fine.vtp" in names
