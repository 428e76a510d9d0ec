"""Texts and weight distances, in a new store and added to an older one."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from landscape.records.store.texts import text_columns
from safetensors.torch import load_file, save_file

import landscape.checkpoints.distances as module
from landscape.checkpoints import load_checkpoint, load_population
from landscape.checkpoints.distances import weight_distances
from landscape.core.errors import ConfigError, StoreError
from landscape.records import ENCODING_VERSION, StoreWriter, create_store, read_store
from landscape.run.inputs import open_experiment
from landscape.run.inspect import describe
from landscape.run.pipeline import measure
from landscape.tasks import Examples
from tests.records.test_store import bare, examples, fill, make
from tests.tiny import write_experiment

PAIR = Examples(
    "two",
    (("a cat", "naïve 漢字 \N{SMILING FACE WITH SMILING EYES}", "", "nul\0in"), ("b",) * 4),
    np.array([0, 1, 0, 1]),
    ("no", "yes"),
    ((0,), (1,)),
    {},
    "accuracy",
)


def store(path: Path, data: Examples, task: object, texts: bool = True) -> Path:
    table = read_store(Path(__file__).parents[1] / "data" / "store-0.4.0.h5").checkpoints
    create_store(
        path,
        config={"name": "x", "task": task},
        attributes={},
        checkpoints=table,
        pairs=np.array([(0, 1)]),
        positions=np.array([0, 0.5, 1]),
        datasets=[("in_domain", data)],
        texts=texts,
    )
    return path


@pytest.mark.parametrize("finish", [False, True])
def test_texts_are_read_by_the_columns_of_the_task(tmp_path: Path, finish: bool) -> None:
    task = {"texts": ["t"], "in_domain": {"two": {"texts": ["premise", "a/b %"]}}}
    path = store(tmp_path / "store.h5", PAIR, task)
    if finish:
        with StoreWriter(path) as writer:
            writer.finish({"name": "x"})
    texts = read_store(path).datasets["two"].texts
    assert list(texts) == ["premise", "a/b %"]
    first, second = PAIR.texts
    assert texts["premise"].tolist() == [*first[:3], "nul\N{REPLACEMENT CHARACTER}in"]
    assert texts["a/b %"].tolist() == list(second)
    with h5py.File(path) as file:
        assert list(file["datasets/two/texts"]) == ["premise", "a%2Fb %25"]


def test_columns_that_no_task_names_are_numbered() -> None:
    own = {"task": {"texts": ["s"], "challenge": {"x": {"texts": ["p", "h"]}, "y": {}}}}
    assert text_columns(own, "x", 2) == ("p", "h")
    assert text_columns(own, "y", 1) == ("s",)
    assert text_columns(own, "y", 2) == ("text 1", "text 2")
    for config in ({}, {"task": "mnli"}, {"task": {"texts": []}}):
        assert text_columns(config, "x", 1) == ("text",)


def test_texts_that_may_not_be_published_are_left_out(tmp_path: Path) -> None:
    path = make(tmp_path / "store.h5", texts=False)
    fill(path)
    assert all(data.texts == {} for data in read_store(path).datasets.values())
    assert b"naive" not in path.read_bytes()
    lines = [line.split() for line in describe(path).splitlines()]
    assert [line[-2] for line in lines if line[:1] == ["zdev"]] == ["no"]


@pytest.mark.parametrize("finish", [False, True])
def test_texts_are_added_to_a_store_that_lacks_them(tmp_path: Path, finish: bool) -> None:
    path, full = make(tmp_path / "bare.h5", texts=False), make(tmp_path / "full.h5")
    for one in (path, full):
        fill(one, finish)
    with h5py.File(bare(path), "r+") as file:
        file.attrs["encoding-version"] = "0.3.0"
    sets = [("in_domain", examples("zdev", 5)), ("challenge", examples("hard", 3))]
    with StoreWriter(path) as writer:
        writer.add_texts([*sets, ("in_domain", examples("elsewhere", 3))])
    contents, expected = read_store(path), read_store(full)
    assert contents.attributes == expected.attributes  # finished as before, of this format
    for name, data in contents.datasets.items():
        texts = {} if name == "adev" else {"text": expected.datasets[name].texts["text"].tolist()}
        assert {column: values.tolist() for column, values in data.texts.items()} == texts
        np.testing.assert_array_equal(data.losses, expected.datasets[name].losses)
    before = path.stat()
    with StoreWriter(path) as writer:
        writer.add_texts(sets)  # nothing is lacking: the file is not replaced
    assert path.stat().st_ino == before.st_ino
    with StoreWriter(path) as writer:
        with pytest.raises(StoreError, match=r"not those that were measured(?s:.*)'adev'"):
            writer.add_texts([("in_domain", examples("adev", 3))])
        writer.add_texts([("in_domain", examples("adev", 2))])
    assert read_store(path).datasets["adev"].texts["text"].tolist() == ["a", "b"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bare.h5", "full.h5"]


@pytest.mark.parametrize("finish", [False, True])
@pytest.mark.parametrize("older", [False, True])
def test_distances_are_written_to_any_store(tmp_path: Path, finish: bool, older: bool) -> None:
    path = make(tmp_path / "store.h5")
    fill(path, finish)
    if older:
        with h5py.File(bare(path), "r+") as file:
            del file["checkpoints/distances"], file["checkpoints/other_model"]
    assert np.isnan(read_store(path).distances).all()
    distances = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    with StoreWriter(path) as writer:
        assert np.isnan(writer.distances()).all()
        assert writer.distances().shape == (3, 3)
        for wrong in (np.zeros(3), np.zeros((2, 2))):
            with pytest.raises(StoreError, match=r"do not fit(?s:.*)expected: \(3, 3\)"):
                writer.write_distances(wrong)
        writer.write_distances(distances)
        np.testing.assert_array_equal(writer.distances(), distances)
    contents = read_store(path)
    np.testing.assert_array_equal(contents.distances, distances)
    assert contents.attributes["finished"] == ("yes" if finish else "no")
    assert "all pairs of models; weight distances known" in describe(path)
    with StoreWriter(path) as writer:
        writer.finish(contents.config)
    np.testing.assert_array_equal(read_store(path).distances, distances)


@pytest.mark.parametrize("size", [1 << 28, 1 << 13])
def test_weight_distances_are_norms_of_differences(
    populations: dict[str, Path], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one block a tensor or in many."""
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", size)
    members = load_population([f"{populations['bert']}/member-*"], ("no", "yes")).checkpoints
    blocks: list[str] = []

    def track(items: list[str], unit: str) -> list[str]:
        blocks.extend(items)
        return items

    found = weight_distances(members, track)
    flat = [
        np.concatenate([np.asarray(t, np.float64).ravel() for t in member.params.values()])
        for member in members
    ]
    expected = [[np.linalg.norm(a - b) for b in flat] for a in flat]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    n_tensors = len(members[0].params)
    assert len(blocks) == n_tensors if size == 1 << 28 else len(blocks) > n_tensors


def test_distances_of_equal_and_of_unlike_checkpoints(
    population: Path, populations: dict[str, Path]
) -> None:
    shutil.copytree(population / "member-2", population / "member-3")
    # one weight of the copy differs a little
    path = population / "member-3" / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"][0] += 1.0
    save_file(tensors, path, metadata={"format": "pt"})
    shutil.copytree(population / "member-2", population / "member-4")
    members = load_population([f"{population}/member-*"], ("no", "yes")).checkpoints
    found = weight_distances(members)
    assert found[2, 3] == pytest.approx(1, rel=1e-6)
    assert found[2, 4] <= 1e-6 * found[0].max()
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()
    other = load_checkpoint(populations["distilbert"] / "member-0")
    with pytest.raises(ConfigError, match="lacks the parameter"):
        weight_distances([members[0], other])


def test_a_run_adds_what_an_older_store_lacks(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    experiment = open_experiment(config, root=task_file.parent)
    measure(experiment, lambda line: None)
    made = read_store(experiment.store)
    for _, data in experiment.examples:
        assert made.datasets[data.name].texts["text"].tolist() == list(data.texts[0])
    assert (made.distances[np.triu_indices(3, 1)] > 1).all()
    with h5py.File(bare(experiment.store), "r+") as file:
        file.attrs["encoding-version"] = "0.3.0"
        del file.attrs["pairs"]
        del file["checkpoints/distances"], file["checkpoints/other_model"]
        for group in file["datasets"].values():
            del group["texts"]
    said: list[str] = []
    measure(experiment, said.append)
    contents = read_store(experiment.store)
    assert contents.attributes["encoding-version"] == ENCODING_VERSION
    assert contents.attributes["finished"] == "yes"
    assert contents.attributes["created"] == made.attributes["created"]
    np.testing.assert_array_equal(contents.distances, made.distances)
    for name, data in contents.datasets.items():
        assert data.texts["text"].tolist() == made.datasets[name].texts["text"].tolist()
        np.testing.assert_array_equal(data.losses, made.datasets[name].losses)
    before = experiment.store.stat().st_mtime_ns
    measure(experiment, said.append)
    assert experiment.store.stat().st_mtime_ns == before


def test_what_an_older_store_does_not_name_stood_at_its_default(
    tmp_path: Path, populations: dict[str, Path], task_file: Path
) -> None:
    config = write_experiment(tmp_path / "c.yaml", populations["bert"], task_file)
    experiment = open_experiment(config, root=task_file.parent)
    measure(experiment, lambda line: None)
    content = read_store(experiment.store).config
    for section, key in ((content, "label_map"), (content["evaluate"], "max_length")):
        del section[key]
    del content["path"]["kind"], content["path"]["fit"], content["surface"]
    with StoreWriter(experiment.store) as writer:
        writer.finish(content)
    measure(experiment, lambda line: None)  # is not refused
    changed = yaml.safe_load(config.read_text())
    changed["evaluate"] = {"max_length": 64}
    config.write_text(yaml.safe_dump(changed))
    with StoreWriter(experiment.store) as writer:
        writer.finish(content)
    with pytest.raises(StoreError, match=r"evaluate\.max_length: 128 -> 64"):
        measure(open_experiment(config, root=task_file.parent), lambda line: None)
