"""The store: what is written is read, and what is damaged is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape.core.errors import StoreError
from landscape.records import read_store, write_store
from tests.records.made import make
from tests.runs import differences

ROOT = Path(__file__).parents[2]
STORES = sorted((ROOT / "figures").rglob("*.h5"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_store(make(), tmp_path / "store.h5")
    return tmp_path / "store.h5"


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32), n_models=st.integers(1, 6), n_points=st.integers(3, 6),
    active=st.booleans(),
)  # fmt: skip
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_models: int, n_points: int, active: bool
) -> None:
    path = tmp_path_factory.mktemp("store") / "deep" / "store.h5"
    made = make(seed, n_models, n_points, active=active)
    write_store(made, path, finished=False)
    results = read_store(path)
    assert not differences(made, results, but=("path", "attributes"))
    assert results.path == path
    assert list(results.datasets) == list(made.datasets)
    assert list(results.points) == list(made.points)
    assert list(results.given_scores) == list(made.given_scores)
    assert made.attributes.items() <= results.attributes.items()
    content = path.read_bytes()
    write_store(results, path, finished=False)
    assert path.read_bytes() == content


def test_the_in_domain_sets_come_first_and_finished_is_said(tmp_path: Path) -> None:
    made = make()
    turned = replace(made, datasets=dict(reversed(made.datasets.items())))
    write_store(turned, tmp_path / "store.h5")
    results = read_store(tmp_path / "store.h5")
    assert list(results.datasets) == ["dev", "means", "härter"]
    assert results.attributes["finished"] == "yes"
    assert results.attributes["pairs"] == "all"


@pytest.mark.slow
def test_a_flipped_bit_is_refused_or_harmless(store: Path) -> None:
    sound, content, rng = read_store(store), store.read_bytes(), np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(content), 100, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        store.write_bytes(changed)
        try:
            assert not differences(sound, read_store(store))
        except StoreError:
            refused += 1
    assert refused > 25


def test_what_is_no_store_is_named(store: Path, tmp_path: Path) -> None:
    whole = store.read_bytes()
    for content in (b"", b"no HDF5", *(whole[: len(whole) * k // 10] for k in range(1, 10))):
        store.write_bytes(content)
        with pytest.raises(StoreError) as error:
            read_store(store)
        assert f"where: {store}" in str(error.value)
        assert f"landscape repair {tmp_path}" in str(error.value)
    with h5py.File(store, "w"):
        pass
    with pytest.raises(StoreError, match="not a landscape store"):
        read_store(store)
    store.write_bytes(whole)
    with h5py.File(store, "r+") as file:
        file.attrs["encoding-version"] = "2.0.0"
    with pytest.raises(StoreError, match=r"expected: \S* ?1\.0\.0(?s:.*)found: 2\.0\.0"):
        read_store(store)
    with pytest.raises(StoreError, match="no store"):
        read_store(tmp_path / "absent.h5")


def test_the_layout_is_that_of_the_specification(store: Path) -> None:
    with h5py.File(store) as file:
        assert file.attrs["encoding-type"] == b"landscape"
        assert file.attrs["encoding-version"] == b"1.0.0"
        assert len(file.attrs["content-sha256"]) == 64
        assert set(file) == {
            "config", "plans", "model", "pair", "position", "end", "checkpoints", "pairs",
            "datasets", "scores", "paths", "indicators",
        }  # fmt: skip
        for name, dims in {
            "checkpoints/ref": ["model"],
            "checkpoints/distances": ["model", "other_model"],
            "pairs/models": ["pair", "end"],
            "pairs/tolerance": ["pair"],
            "datasets/dev/labels": ["example"],
            "datasets/dev/texts/text 1": ["example"],
            "scores/steps%2F1000": ["model"],
            "indicators/loss/path": ["row"],
            "indicators/loss/format": ["row"],
            "indicators/loss/dev/losses": ["row", "example"],
            "indicators/loss/dev/screened": ["row"],
            "indicators/toy/dev/spread": ["row", "example", "half"],
        }.items():
            assert [dim[0].name.rpartition("/")[2] for dim in file[name].dims] == dims, name
            assert file[name].fletcher32, name
        assert file["indicators/loss/dev/losses"].attrs["units"] == b"nats"


def test_xarray_opens_it_as_a_tree(store: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is an extra")
    pytest.importorskip("h5netcdf", reason="h5netcdf is an extra")
    with xarray.open_datatree(store, engine="h5netcdf") as tree:
        losses = tree["indicators/loss/dev/losses"]
        assert losses.dims == ("row", "example")
        assert losses.attrs["units"] in ("nats", b"nats")
        assert tree["checkpoints/distances"].dims == ("model", "other_model")
        assert tree["pairs/models"].dims == ("pair", "end")
        assert tree["datasets/dev/texts/text 1"].dims == ("example",)


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_committed_stores_are_read(path: Path, tmp_path: Path) -> None:
    results = read_store(path)
    assert results.attributes["encoding-version"].startswith("1.")
    write_store(results, tmp_path / "store.h5")
    assert not differences(results, read_store(tmp_path / "store.h5"), but=("path",))
    assert (tmp_path / "store.h5").stat().st_size <= 1.05 * path.stat().st_size
