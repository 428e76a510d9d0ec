"""Ways and surfaces beside the pairs of an experiment; killed, resumed, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import landscape
from landscape.checkpoints import build_model, load_population, load_tokenizer
from landscape.checkpoints.gram_matrix import gram
from landscape.core.errors import LandscapeError
from landscape.evaluation.gradient import Gradients
from landscape.paths import Bezier, Directions, Plane, coordinates, distances
from landscape.paths.layers import hybrid, parameter_groups
from landscape.records import StoredPath, read_store
from landscape.run.commands import app
from landscape.run.export import export_stored
from landscape.run.inputs import open_experiment
from landscape.run.pipeline import measure, run_experiment
from landscape.tasks.batches import make_batches, tokenize
from landscape.training import loop
from tests.tiny import LABELS, write_experiment

FIT = {"steps": 6, "batch_size": 8, "learning_rate": 0.01}
WAYS: list[dict[str, Any]] = [
    {"kind": "line", "points": 5},
    {"kind": "bezier", "points": 5, "fit": FIT},
    {"kind": "chain", "points": 5, "bends": 2, "fit": FIT, "between": ["member-0", "member-2"]},
    {"kind": "autoneb", "points": 5, "cycles": 2, "fit": FIT},
    {"kind": "layers", "points": 3, "groups": ["embeddings", "upper half"]},
]
SURFACES: list[dict[str, Any]] = [
    {"kind": "plane", "points": 4, "through": ["member-0", "member-1", "member-2"]},
    {"kind": "random", "points": 3, "through": ["member-1"], "seed": 3},
    {"kind": "pca", "points": 4},
    {
        "name": "fine",
        "points": 9,
        "through": ["member-2", "member-1", "member-0"],
        "tolerance": 0.5,
    },
]


def run(folder: Path, population: Path, task: Path, **changes: object) -> Path:
    config = write_experiment(folder / "config.yaml", population, task, **changes)
    measure(open_experiment(config, root=task.parent), lambda line: None)
    return folder / "out" / "store.h5"


@pytest.fixture(scope="module")
def store(tmp_path_factory, populations, task_file) -> Path:
    folder = tmp_path_factory.mktemp("ways")
    return run(folder, populations["bert"], task_file, ways=WAYS, surface=SURFACES)


@pytest.fixture(scope="module")
def case(populations, task_file):
    """The models, and from anchors and coefficients to losses by ``evaluate`` itself."""
    population = load_population([f"{populations['bert']}/member-*"], LABELS)
    config = write_experiment(
        task_file.parent / "plain.yaml", populations["bert"], task_file, out="plain"
    )
    experiment = open_experiment(config, root=task_file.parent)
    tokenizer = load_tokenizer(population.checkpoints[0])
    batches = {d.name: make_batches(tokenize(tokenizer, d)) for _, d in experiment.examples}
    model = build_model(population.checkpoints[0])
    return population, lambda anchors, c: landscape.evaluate(model, anchors, c, batches)


def same(points: StoredPath, found: Any) -> None:
    assert points.evaluated.all()
    for name, losses in points.losses.items():
        np.testing.assert_allclose(losses, found[name].losses, rtol=2e-4, atol=1e-5)
        np.testing.assert_array_equal(points.predictions[name], found[name].predictions)


def test_every_way_and_surface_is_there(store: Path) -> None:
    contents = read_store(store)
    assert contents.attributes["finished"] == "yes"
    parts = [
        f"layers.{group}.from.{end}"
        for group in ("embeddings", "upper half")
        for end in contents.points["line"].models
    ]
    names = ["line", "bezier", "chain", "autoneb", *parts, "plane", "random", "pca", "fine"]
    assert list(contents.points) == names
    assert contents.points["chain"].models == ("member-0", "member-2")


def test_a_way_goes_where_the_largest_gap_is(store: Path, case) -> None:
    population, evaluate = case
    contents = read_store(store)
    gaps = [landscape.convexity_gap(c.mean(1)) for c in contents.datasets["dev"].losses]
    a, b = contents.pairs[int(np.argmax(gaps))]
    line = contents.points["line"]
    assert line.models == (population.names[a], population.names[b])
    ends = [population.checkpoints[i] for i in (a, b)]
    same(line, evaluate(ends, landscape.Line(5)))
    length = distances(gram(ends))[0, 1]
    np.testing.assert_allclose(line.lengths, np.linspace(0, length, 5), rtol=1e-6)


def test_a_curve_was_trained_and_is_kept(store: Path, case) -> None:
    from safetensors.torch import load_file

    population, evaluate = case
    points = read_store(store).points["bezier"]
    folder = store.parent / "ways" / "bezier"
    (file,) = folder.glob("control-*.safetensors")
    assert not (folder / "state.pt").exists()
    ends = [population.checkpoints[population.names.index(name)] for name in points.models]
    anchors = [ends[0], load_file(file), ends[1]]
    same(points, evaluate(anchors, Bezier(5)))
    assert points.lengths[-1] > distances(gram(ends))[0, 1]
    middle = {n: (ends[0].params[n] + ends[1].params[n]) / 2 for n in anchors[1]}
    assert float((anchors[1]["classifier.weight"] - middle["classifier.weight"]).norm()) > 0.01
    assert {"training_loss", "converged"} <= points.notes.keys()
    chain = read_store(store).points["chain"]
    assert len(list((store.parent / "ways" / "chain").glob("control-*"))) == 2
    assert chain.notes["n_controls"] == 2


def test_layers_move_alone_from_either_end(store: Path, case) -> None:
    population, evaluate = case
    contents = read_store(store)
    a, b = (
        population.checkpoints[population.names.index(n)] for n in contents.points["line"].models
    )
    groups = parameter_groups(a.params)
    for group in ("embeddings", "upper half"):
        for start, other in ((a, b), (b, a)):
            name = population.names[population.checkpoints.index(start)]
            points = contents.points[f"layers.{group}.from.{name}"]
            ends = [start, hybrid(start, other, groups[group])]
            same(points, evaluate(ends, landscape.Line(3)))
            assert points.notes["group"] == group


def test_surfaces_are_where_they_say(store: Path, case) -> None:
    population, evaluate = case
    contents = read_store(store)
    members = list(population.checkpoints)
    plane = contents.points["plane"]
    corners = coordinates(gram(members))
    np.testing.assert_allclose(plane.marks, corners, rtol=1e-6)
    geometry = Plane.around(corners, 4)
    assert plane.shape == geometry.shape
    np.testing.assert_allclose(plane.positions, geometry.positions)
    same(plane, evaluate(members, geometry))
    random = contents.points["random"]
    centre = int(np.flatnonzero((random.positions == 0).all(1))[0])
    own = contents.datasets["dev"].model_losses[population.names.index("member-1")]
    np.testing.assert_allclose(random.losses["dev"][centre], own, rtol=1e-4)
    assert isinstance(Directions([0.0]), Directions)
    pca = contents.points["pca"]
    # three points lie in their own principal plane, at their true distances
    between = np.linalg.norm(pca.marks[:, None] - pca.marks[None], axis=-1)
    np.testing.assert_allclose(between, distances(gram(members)), rtol=1e-5)
    assert sum(pca.notes["explained_variance"]) == pytest.approx(1)


def test_a_tolerance_saves_points_and_says_so(store: Path) -> None:
    contents = read_store(store)
    fine = contents.points["fine"]
    saved = fine.notes["saved"]
    assert fine.notes["tolerance"] == 0.5
    assert saved == pytest.approx(1 - fine.evaluated.mean())
    assert 0 < saved < 1


def test_every_pairs_path_can_be_a_trained_curve(tmp_path, populations, task_file, case) -> None:
    from safetensors.torch import load_file

    population, evaluate = case
    path = {"kind": "bezier", "points": 5, "fit": FIT}
    store = run(tmp_path, populations["bert"], task_file, path=path)
    contents = read_store(store)
    for k, (i, j) in enumerate(contents.pairs):
        names = [population.names[i], population.names[j]]
        (file,) = (store.parent / "paths" / "--".join(names)).glob("control-*.safetensors")
        ends = [population.checkpoints[i], population.checkpoints[j]]
        found = evaluate([ends[0], load_file(file), ends[1]], Bezier(5))
        for name, data in contents.datasets.items():
            np.testing.assert_allclose(data.losses[k], found[name].losses, rtol=2e-4, atol=1e-5)
    page = run_experiment(
        tmp_path / "config.yaml", root=task_file.parent, report=lambda line: None
    ).with_name("report.html")
    assert "5 points on each Bézier curve" in page.read_text()
    with pytest.raises(LandscapeError, match=r"(?s)another configuration.*path.kind: bezier"):
        run(tmp_path, populations["bert"], task_file, path={**path, "kind": "chain"})


@pytest.mark.parametrize("precision", ["bf16", "fp64"])
def test_ways_have_the_runs_own_precision(tmp_path, populations, task_file, precision) -> None:
    between = ["member-0", "member-2"]
    store = run(
        tmp_path,
        populations["bert"],
        task_file,
        ways={**WAYS[0], "between": between},
        evaluate={"precision": precision},
    )
    contents = read_store(store)
    for name, data in contents.datasets.items():
        ends = contents.points["line"].losses[name][[0, -1]]
        np.testing.assert_array_equal(ends, data.model_losses[[0, 2]])


class Killed(BaseException):
    pass


def test_a_killed_run_goes_on_with_its_ways(
    tmp_path: Path, populations, task_file, monkeypatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    ways = [WAYS[1]]
    surface = [SURFACES[0]]
    settings = {"ways": ways, "surface": surface}
    count, add = 0, Gradients.add

    def dies(self, *args, **kwargs):
        nonlocal count
        count += 1
        if count == 4:
            raise Killed
        return add(self, *args, **kwargs)

    monkeypatch.setattr(Gradients, "add", dies)
    with pytest.raises(Killed):
        run(tmp_path, populations["bert"], task_file, **settings)
    contents = read_store(tmp_path / "out" / "store.h5")
    assert contents.attributes["finished"] == "no"
    assert (contents.status == 1).all()
    said: list[str] = []
    experiment = open_experiment(tmp_path / "config.yaml", root=task_file.parent)
    count = 100
    from landscape.run.measure import ways as room

    record = room.record

    def dies_too(writer, name, plan, indices, evaluate):
        record(writer, name, plan, indices[:2], evaluate)
        raise Killed

    monkeypatch.setattr(room, "record", dies_too)
    with pytest.raises(Killed):
        measure(experiment, said.append)
    assert "bezier: curve: going on from step 3 of 6" in said
    monkeypatch.setattr(room, "record", record)
    assert read_store(tmp_path / "out" / "store.h5").points["bezier"].evaluated.sum() == 2
    steps = count
    measure(experiment, said.append)
    assert count == steps  # nothing is trained again
    whole = read_store(tmp_path / "out" / "store.h5")
    assert all(points.evaluated.all() for points in whole.points.values())
    assert whole.attributes["finished"] == "yes"
    stamp = (tmp_path / "out" / "store.h5").stat().st_mtime_ns
    measure(experiment, said.append)
    assert (tmp_path / "out" / "store.h5").stat().st_mtime_ns == stamp


def test_a_finished_store_takes_more_ways(tmp_path: Path, populations, task_file) -> None:
    path = run(tmp_path, populations["bert"], task_file)
    losses = read_store(path).datasets["dev"].losses
    run(tmp_path, populations["bert"], task_file, ways=WAYS[:1])
    contents = read_store(path)
    assert list(contents.points) == ["line"]
    np.testing.assert_array_equal(contents.datasets["dev"].losses, losses)
    run(tmp_path, populations["bert"], task_file, ways=WAYS[:1], surface=SURFACES[1])
    assert list(read_store(path).points) == ["line", "random"]
    changed = {**WAYS[0], "points": 7}
    with pytest.raises(LandscapeError, match=r"(?s)holds 'line' already.*another 'name'"):
        run(tmp_path, populations["bert"], task_file, ways=changed)
    run(tmp_path, populations["bert"], task_file, ways=[{**changed, "name": "longer"}])
    assert list(read_store(path).points) == ["line", "random", "longer"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": {"kind": "line", "between": ["member-0", "membr-1"]}}, "did you mean 'member-1'"),
        ({"ways": {"kind": "layers", "groups": ["uper half"]}}, "did you mean 'upper half'"),
        ({"ways": {"kind": "spline"}}, "'ways.0.kind'"),
        ({"ways": {"kind": "bezier", "degre": 3}}, "did you mean 'degree'"),
        ({"surface": {"through": ["member-0"]}}, "goes through 3 of the models"),
        ({"surface": {"through": ["member-0", "member-1", "x"]}}, "no model 'x'"),
        ({"ways": [{"kind": "line"}, {"kind": "line"}]}, "two ways or surfaces named 'line'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, populations, task_file, changes, message
) -> None:
    with pytest.raises(LandscapeError, match=message):
        run(tmp_path, populations["bert"], task_file, **changes)


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("line", [0.3]),
        ("bezier", [0.5]),
        ("chain", [0.25]),
        ("autoneb", [0.75]),
        ("layers.embeddings.from.member-1", [0.5]),
        ("plane", None),
        ("random", None),
        ("pca", None),
    ],
)
def test_a_point_of_a_way_or_surface_is_exported(store: Path, case, tmp_path, name, at) -> None:
    _, evaluate = case
    contents = read_store(store)
    points = contents.points.get(name)
    if points is None:  # the layers of the pair with the largest gap
        points = next(p for p in contents.points.values() if p.kind == "layers")
        name = points.name
    index = len(points.positions) // 2 + 1 if at is None else None
    position = points.positions[index].tolist() if at is None else at
    out = export_stored(store, name, position, tmp_path / "point")
    member = landscape.load_checkpoint(out)
    found = evaluate([member], np.ones((1, 1)))
    if index is None:
        t = points.positions[:, 0]
        matches = np.flatnonzero(np.isclose(t, at[0]))
        index = int(matches[0]) if len(matches) else None
    if index is not None:
        for data, losses in points.losses.items():
            np.testing.assert_allclose(found[data].losses[0], losses[index], rtol=2e-4, atol=1e-5)
    assert member.notes["recipe"]["of"] == name
    assert member.notes["recipe"]["at"] == position


def test_what_cannot_be_exported_is_refused(store: Path, tmp_path: Path) -> None:
    for name, at, message in (
        ("lin", [0.5], "did you mean 'line'"),
        ("line", [0.5, 0.5], r"(?s)has 1 coordinate\..*--at T"),
        ("plane", [0.5], r"(?s)has 2 coordinates.*--at X,Y"),
        ("line", [1.5], "lies from 0 to 1"),
    ):
        with pytest.raises(LandscapeError, match=message):
            export_stored(store, name, at, tmp_path / "out")
    copy = tmp_path / "copy" / "store.h5"
    copy.parent.mkdir()
    copy.write_bytes(store.read_bytes())
    with pytest.raises(LandscapeError, match=r"(?s)control points of 'bezier' are not there"):
        export_stored(copy, "bezier", [0.5], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line_speaks_of_them(store: Path, tmp_path: Path, capsys) -> None:
    def command(*arguments: object) -> str:
        app(list(map(str, arguments)), standalone_mode=False)
        return capsys.readouterr().out

    table = command("inspect", store)
    assert "layers.upper half.from" in table
    assert "bezier   " in table
    names = command("figures", store, "--out", tmp_path / "figures", "--format", "svg,vtp")
    for name in ("ways.svg", "layers.svg", "surface.svg", "plane.vtp", "fine.vtp"):
        assert name in names
        assert (tmp_path / "figures" / name).stat().st_size > 1000
    assert "average" in command("check", store)
    assert "member-0 and member-1" in command("check", store, "member-0", "member-1")
    with pytest.raises(LandscapeError, match="did you mean 'member-1'"):
        command("check", store, "member-0", "membr-1")
    out = tmp_path / "point"
    command("export", store, "--of", "plane", "--at", "0.5,0.5", "--out", out)
    assert (out / "model.safetensors").is_file()


def test_a_run_draws_and_reports_them(store: Path, task_file) -> None:
    run_experiment(
        store.parent.parent / "config.yaml", root=task_file.parent, report=lambda line: None
    )
    page = (store.parent / "report.html").read_text()
    for name in ("ways", "layers", "surface"):
        assert (store.parent / "figures" / f"{name}.png").stat().st_size > 10_000
        assert f"{name}.png" in page or name in page
    assert json.loads(json.dumps(read_store(store).points["bezier"].notes))
