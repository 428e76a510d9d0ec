"""Damage is found by checksums, and named; what a killed writer leaves is none."""

from __future__ import annotations

import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from landscape.core.errors import StoreError
from landscape.records.store import (
    Results,
    StoredPath,
    StoreWriter,
    create_store,
    read_store,
    tables,
)
from landscape.records.store import read as reading
from landscape.records.store.disk import open_to_read
from landscape.records.store.structure import PAGE, find_directory
from landscape.records.store.tables import seal_of
from landscape.tasks import Examples
from tests.records.test_store import PAIRS, POSITIONS
from tests.records.test_store_pairs import ALL, FREE, make, measure, models, outputs

PER_ROW = ("losses", "predictions", "screened", "difference")
KINDS = ("all", "packed", "active")


def build(path: Path, kind: str) -> Path:
    """Five models, some pairs measured and some not, a way, distances and a plan."""
    rows = ALL[:6] if kind != "active" else [(0, 1), FREE, (1, 2), FREE, (2, 3), FREE]
    make(path, rows)
    with StoreWriter(path) as writer:
        models(writer)
        done = [0, 2, 3, 5] if kind != "active" else writer.assign_pairs([(0, 1), (3, 4)])
        measure(writer, np.asarray(done))
        writer.write_distances(np.arange(25.0).reshape(5, 5))
        writer.add_points(way())
        values = outputs(7, 2)
        writer.write_points("way", [0, 2], values, plan=writer.add_plan({"format": "fp32"}))
        if kind == "packed":
            writer.finish({"name": "x"})
    return path


def way() -> StoredPath:
    t = np.linspace(0, 1, 4)
    ends = np.array([[0.0], [1.0]])
    none = np.zeros(4, dtype=np.uint8)
    return StoredPath("way", "line", ("m0", "m1"), ends, t[:, None], (4,), t, none, {}, {}, {})


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp(request.param) / "store.h5", request.param)


def everything(contents: Results) -> dict[str, Any]:
    """All that a reader sees, as bytes and text."""
    found: dict[str, Any] = {
        "text": repr((contents.attributes, contents.config, contents.plans, contents.models)),
        "table": contents.checkpoints.to_csv(),
    }
    own = "pairs status model_status positions formats tolerance distances plan model_plan"
    found |= {name: getattr(contents, name).tobytes() for name in own.split()}
    for name, data in contents.datasets.items():
        known = {key: values.tolist() for key, values in {**data.texts, **data.groups}.items()}
        found[name] = repr((data.role, data.metric, data.label_names, data.content_hash, known))
        found[f"{name}/labels"] = data.labels.tobytes()
    found |= {f"points/{name}": repr((p.kind, p.notes)) for name, p in contents.points.items()}
    return found | measured_rows(contents)


def measured_rows(contents: Results) -> dict[Any, list[bytes]]:
    """What is stored for every pair, model and point that is measured."""
    found: dict[Any, list[bytes]] = {}
    sets = list(contents.datasets.values())
    for k in np.flatnonzero(contents.status):
        own = [contents.formats[k], contents.tolerance[k], contents.plan[k]]
        values = [getattr(data, kind)[k] for data in sets for kind in PER_ROW]
        found[tuple(contents.pairs[k].tolist())] = [x.tobytes() for x in (*own, *values)]
    for i in np.flatnonzero(contents.model_status):
        values = [getattr(data, f"model_{kind}")[i] for data in sets for kind in PER_ROW]
        found[int(i)] = [x.tobytes() for x in values]
    for name, points in contents.points.items():
        for i in np.flatnonzero(points.status):
            values = [getattr(points, kind)[data.name][i] for data in sets for kind in PER_ROW[:2]]
            found[name, int(i)] = [x.tobytes() for x in (*values, points.plan[i])]
    return found


def row_bytes(path: Path) -> np.ndarray:
    """Where the bytes of rows lie, as HDF5 has it."""
    places: list[np.ndarray] = []
    kinds = {*PER_ROW, *(f"model_{kind}" for kind in PER_ROW)}
    kinds |= {"models", "formats", "tolerance", "plan", "status", "checksum", "seal", "distances"}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and kinds.intersection(name.split("/")[1:]):
            places.append(item.id.get_offset() + np.arange(item.id.get_storage_size()))

    with h5py.File(path) as file:
        file.visititems(look)
    return np.concatenate(places)


def test_checksums_are_those_of_the_specification(tmp_path: Path) -> None:
    with h5py.File(build(tmp_path / "store.h5", "all")) as file:
        sets = [file["datasets/dev"], file["datasets/hard"]]
        pairs, table, points = file["pairs"], file["checkpoints"], file["points/way"]
        for row in range(6):
            own = [pairs[name][row] for name in ("models", "formats", "tolerance", "plan")]
            values = [group[kind][row] for group in sets for kind in PER_ROW]
            crc = zlib.crc32(b"".join(value.tobytes() for value in (*own, *values)))
            status = pairs["status"][row]
            assert pairs["checksum"][row] == (crc if status else 0)
            seal = zlib.crc32(pairs["models"][row].tobytes() + bytes([status]))
            assert pairs["seal"][row] == seal
        for row in range(5):
            values = [group[f"model_{kind}"][row] for group in sets for kind in PER_ROW]
            values.append(table["plan"][row])
            assert table["checksum"][row] == zlib.crc32(b"".join(x.tobytes() for x in values))
            assert table["seal"][row] == zlib.crc32(b"\1")
        for row in (0, 2):
            values = [
                points[f"{kind}/{name}"][row] for name in ("dev", "hard") for kind in PER_ROW[:2]
            ]
            values.append(points["plan"][row])
            assert points["checksum"][row] == zlib.crc32(b"".join(x.tobytes() for x in values))
        assert points["status"][:].tolist() == [1, 0, 1, 0]
        assert points["seal"][1] == zlib.crc32(b"\0")
        assert table["distances_checksum"][()] == zlib.crc32(table["distances"][:].tobytes())


def test_packing_and_growing_change_no_checksum(tmp_path: Path) -> None:
    path = build(tmp_path / "store.h5", "active")
    found = []
    for step in ("", "grow", "finish", "grow again"):
        with StoreWriter(path) as writer:
            if step == "finish":
                writer.finish({"name": "x"})
            elif step:
                writer.assign_pairs([p for p in ALL if step == "grow again" or p < (1, 3)])
        with h5py.File(path) as file:
            sums = file["pairs/checksum"][:]
            rows = {tuple(pair): row for row, pair in enumerate(file["pairs/models"][:].tolist())}
            found.append([sums[rows[pair]] for pair in ((0, 1), (3, 4))])
        read_store(path)
    assert all(each == found[0] for each in found)


def flip(path: Path, array: str, row: int) -> None:
    """Change a row past all checksums."""
    with open_to_read(path) as file:
        item = file[array]
        size = item.dtype.itemsize * int(np.prod(item.shape[1:]))
        place = item.id.get_offset() + row * size
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(bytes(whole))


@pytest.mark.parametrize(
    ("array", "row", "found"),
    [
        ("datasets/dev/losses", 2, "found: pair m0 - m3\n"),
        ("datasets/hard/predictions", 0, "found: pair m0 - m1\n"),
        ("pairs/tolerance", 3, "found: pair m0 - m4\n"),
        ("pairs/checksum", 3, "found: pair m0 - m4\n"),
        ("pairs/models", 5, "found: pair in row 5\n"),
        ("pairs/models", 1, "found: pair in row 1\n"),
        ("pairs/status", 0, "found: pair in row 0\n"),
        ("datasets/dev/model_losses", 4, "found: model m4\n"),
        ("checkpoints/status", 1, "found: model m1\n"),
        ("points/way/losses/hard", 2, "found: point 2 of way\n"),
        ("points/way/status", 0, "found: point 0 of way\n"),
        ("checkpoints/distances", 3, "found: the weight distances\n"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, array: str, row: int, found: str) -> None:
    path = build(tmp_path / "store.h5", "all")
    flip(path, array, row)
    with pytest.raises(StoreError, match="The store is damaged") as error:
        read_store(path)
    assert found in str(error.value)
    read_store(path, verify=False)  # who looks again and again may leave it


def test_the_copies_hold_every_byte_outside_of_the_rows(store: Path) -> None:
    fd = os.open(store, os.O_RDONLY)
    directory, both = find_directory(fd)
    os.close(fd)
    assert directory is not None
    assert both
    whole = store.read_bytes()
    outside = b"".join(whole[start:end] for start, end in directory.outside())
    pages = np.split(np.frombuffer(outside, "u1"), range(PAGE, len(outside), PAGE))
    for place in directory.places:
        for page, length in zip(pages, directory.lengths.tolist(), strict=True):
            assert zlib.decompress(whole[place : place + length]) == page.tobytes()
            place += length
    inside = {k for start, n in directory.spans.tolist() for k in range(start, start + n)}
    assert inside.isdisjoint({k for a, b in directory.outside() for k in range(a, b)})
    assert len(inside) + len(outside) + directory.block == len(whole)
    for text in (b"kind%2Fof", b"losses", b"fingerprint"):
        assert text in outside


def long_rows(path: Path) -> Path:
    table = read_store(Path(__file__).parents[1] / "data" / "store-0.4.0.h5").checkpoints
    many = Examples(
        "dev",
        (tuple(f"text {k}" for k in range(400)),),
        np.arange(400) % 2,
        ("no", "yes"),
        ((0,), (1,)),
        {},
        "accuracy",
    )
    create_store(
        path,
        config={"name": "x"},
        attributes={},
        checkpoints=table.assign(name=["m0", "m1", "m2"]),
        pairs=PAIRS,
        positions=POSITIONS,
        datasets=[("in_domain", many)],
    )
    rng = np.random.default_rng(0)
    with StoreWriter(path) as writer:
        for i in range(3):
            writer.write_model(i, {"dev": (rng.random(400), rng.integers(0, 2, 400))})
        for k in range(3):
            writer.write_pair(k, {"dev": (rng.random((2, 400)), rng.integers(0, 2, (2, 400)))})
        writer.finish({"name": "x"})
    return path


def test_a_finished_store_is_written_to_as_any_other(tmp_path: Path) -> None:
    """Its compressed rows are laid out again first; a kill at any moment leaves a store."""
    path = long_rows(tmp_path / "store.h5")
    before = read_store(path)
    with StoreWriter(path) as writer:
        writer.write_pair(1, {"dev": (np.ones((2, 400)), np.zeros((2, 400)))})
    contents = read_store(path)
    assert contents.attributes["finished"] == "no"
    assert (contents.datasets["dev"].losses[1, 1:3] == 1).all()
    np.testing.assert_array_equal(
        contents.datasets["dev"].losses[[0, 2]], before.datasets["dev"].losses[[0, 2]]
    )


def test_a_row_that_is_written_while_it_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build(tmp_path / "store.h5", "all")
    plain, tries = reading._read, []

    def meanwhile(*args: Any) -> Any:
        found = plain(*args)
        tries.append(found[1])
        if len(tries) == 1:
            os.utime(path, ns=(1, 1))
            return found[0], ["pair m0 - m1"]
        return found

    monkeypatch.setattr(reading, "_read", meanwhile)
    assert read_store(path).status.sum() == 4
    assert len(tries) == 2


def test_seals_are_never_those_of_a_free_slot() -> None:
    assert seal_of(1, (0, 1)) == zlib.crc32(b"\0\0\0\0\1\0\0\0\1")
    assert seal_of(0) == zlib.crc32(b"\0")
    assert 0 not in {seal_of(s, (a, b)) for s in (0, 1) for a in range(60) for b in range(a, 60)}


@pytest.mark.parametrize("row", [1, 2])
def test_a_writer_killed_between_any_two_writes_leaves_no_damage(
    tmp_path: Path, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pair that is measured for the first time (row 1), or once more."""
    whole = build(tmp_path / "whole.h5", "all")
    path = tmp_path / "store.h5"
    put, writes = tables.put, 0
    done = False
    while not done:
        shutil.copyfile(whole, path)
        left, writes = writes, writes + 1

        def stop(fd: int, array: h5py.Dataset, at: int, values: Any) -> np.ndarray:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return put(fd, array, at, values)

        with monkeypatch.context() as context, StoreWriter(path) as writer:
            context.setattr(tables, "put", stop)
            with suppress(KeyboardInterrupt):
                measure(writer, np.array([row]))
                done = True
        contents = read_store(path)
        assert contents.status[[0, 3, 5]].all()
        if contents.status[row]:
            assert contents.tolerance[row] == 0
        with StoreWriter(path) as writer:
            measure(writer, writer.pairs_to_measure())
        assert read_store(path).status.all()
    assert writes > 14  # formats, tolerance, plan, four arrays of each set, checksum, status, seal
