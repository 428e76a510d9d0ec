"""Runs that are killed, hindered and damaged end as the uninterrupted one; and who says so."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import h5py
import numpy as np
import pytest
import torch

import landscape.analysis.analysis
import landscape.analysis.diagnostics
import landscape.output.plots
import landscape.output.report
import landscape.run.measure.unchanged as unchanged
from landscape.checkpoints import load_population
from landscape.core.errors import CheckpointError
from landscape.core.files import replacing
from landscape.records import Results, StoreWriter, read_store
from landscape.run import pipeline as experiment
from tests.records.test_store_pairs import ALL, make, measure, models
from tests.tiny import LABELS, make_model

HERE = Path(__file__).parents[2] / "experiments" / "faults"
sys.path.insert(0, str(HERE))

from compare import compare, rows_of  # noqa: E402
from damage import _arrays, _spans, cut, flip, touched  # noqa: E402

N_FAULTS = 12


def test_what_runs_survive(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "run.py"), "--quick", "--seed", "5"]
    done = subprocess.run(
        [*command, "--faults", str(N_FAULTS), "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert f"{N_FAULTS} faults, {N_FAULTS} survived" in done.stdout, done.stderr
    results = json.loads((tmp_path / "faults.json").read_text())
    assert len({result["case"]["kind"] for result in results}) == N_FAULTS
    assert {result["case"]["executor"] for result in results} == {"local", "process"}
    assert all(result["place"] for result in results)  # each fault came
    assert "| **all** |" in (tmp_path / "faults.md").read_text()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make(tmp_path_factory.mktemp("store") / "store.h5", ALL)
    with StoreWriter(path) as writer:
        models(writer)
        measure(writer, np.arange(7))
    return path


@pytest.fixture(scope="module")
def contents(store: Path) -> Results:
    return read_store(store)


def test_a_store_is_itself(store: Path, contents: Results) -> None:
    found = compare(store, contents, whole=True)
    assert found.differences == []
    assert (
        found.measured
        == rows_of(contents)
        == {
            *(f"model {k}" for k in range(5)),
            *(f"pair {i} {j}" for i, j in ALL[:7]),
        }
    )


@pytest.mark.parametrize("kind", ["losses", "predictions", "screened", "difference"])
@pytest.mark.parametrize("of", ["", "model_"])
def test_one_number_that_is_not_the_same_is_named(contents: Results, kind: str, of: str) -> None:
    data = contents.datasets["hard"]
    values = getattr(data, of + kind).copy()
    values[3] = np.where(np.isnan(values[3]), 1, values[3] + 1).astype(values.dtype)
    other = replace(
        contents, datasets={**contents.datasets, "hard": replace(data, **{of + kind: values})}
    )
    who = "model 3" if of else "pair {} {}".format(*ALL[3])
    for whole in (True, False):
        found = compare(other, contents, whole=whole)
        assert found.differences == [f"{kind} of {who} on hard"]


def test_what_is_missing_counts_only_where_everything_must_be_there(contents: Results) -> None:
    status = contents.status.copy()
    status[2] = 0
    fewer = replace(contents, status=status)
    assert compare(fewer, contents, whole=False).differences == []
    lacking = compare(fewer, contents, whole=True).differences
    assert "pair {} {} is missing".format(*ALL[2]) in lacking
    assert "the table of pairs" in lacking


def test_rounding_is_let_pass_only_where_a_plan_says_halved(contents: Results) -> None:
    data = contents.datasets["dev"]
    losses = data.losses.copy()
    losses[1] += np.float32(3e-6)
    plan = contents.plan.copy()
    plan[1] = 1
    plans = [{"tokens": 8}, {"tokens": 8, "halved": True}]
    reference = replace(contents, plans=plans[:1], plan=np.zeros_like(plan))
    same = replace(contents, datasets={**contents.datasets, "dev": replace(data, losses=losses)})
    for told, loose, good in ((True, True, True), (True, False, False), (False, True, False)):
        own = np.where(np.arange(len(plan)) == 1, int(told), 0).astype(plan.dtype)
        found = compare(replace(same, plans=plans, plan=own), reference, whole=False, loose=loose)
        assert (found.differences == []) == good


@pytest.mark.parametrize("finished", [False, True])
def test_rows_of_bytes_are_those_that_read_otherwise(
    store: Path, contents: Results, tmp_path: Path, finished: bool
) -> None:
    sound = tmp_path / "sound.h5"
    shutil.copy(store, sound)
    if finished:
        with StoreWriter(sound) as writer:
            writer.finish({"name": "x"})
    rng, seen = np.random.default_rng(0), 0
    with h5py.File(sound) as file:
        spans = [s for array, _ in _arrays(file) for s in _spans(array)]
    inside = np.concatenate([np.arange(start, start + length) for _, start, length in spans])
    for k in range(100):
        damaged = tmp_path / "damaged.h5"
        shutil.copy(sound, damaged)
        places = flip(damaged, rng, inside if k % 2 else None)
        hurt = touched(sound, places)
        try:
            found = read_store(damaged, verify=False)
            with h5py.File(damaged) as file:
                file["pairs/models"][:]
        except Exception:  # of HDF5, whose structure was hit
            continue
        if found.pairs.tolist() != contents.pairs.tolist():
            continue
        differences = compare(found, contents, whole=False).differences
        rows = {d.split(" of ")[1].split(" on ")[0] for d in differences if d.startswith("losses")}
        assert rows <= hurt
        seen += len(rows)
    assert finished or seen > 20  # what is compressed does not read at all


def test_a_cut_takes_the_end(store: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.h5"
    shutil.copy(store, damaged)
    places = cut(damaged, np.random.default_rng(1))
    assert damaged.read_bytes() == store.read_bytes()[: places[0]]
    assert places[-1] + 1 == store.stat().st_size
    assert touched(store, np.arange(store.stat().st_size)) >= rows_of(read_store(store))
    assert touched(store, np.zeros(0, dtype=int)) == set()


def test_a_tensor_is_refused_that_is_read_after_its_file_was_changed(population: Path) -> None:
    loaded = load_population([f"{population}/member-*"], LABELS)
    held = unchanged.held_to(loaded, unchanged.fingerprints_of(loaded))
    name = next(iter(held.checkpoints[1].params))
    tensor = held.checkpoints[1].params[name]
    assert torch.equal(tensor, loaded.checkpoints[1].params[name])
    file = population / "member-1/model.safetensors"
    content, before = file.read_bytes(), tensor.clone()
    start = 8 + int.from_bytes(content[:8], "little")
    file.write_bytes(content[:start] + bytes(len(content) - start))
    os.utime(file, (1, 1))
    assert torch.equal(tensor, before)
    make_model("bert", seed=9).save_pretrained(population / "member-1")
    with pytest.raises(CheckpointError, match=r"(?s)was changed while.*member-1.*restore it"):
        held.checkpoints[1].params[name]
    assert held.checkpoints[0].params[name].shape == held.checkpoints[2].params[name].shape
    (population / "member-2/model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"(?s)cannot be read any more.*member-2"):
        unchanged.fingerprints_of(loaded)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_reading_that_fails_is_tried_three_times(
    population: Path, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged.time, "sleep", lambda seconds: None)
    loaded = load_population([f"{population}/member-*"], LABELS)
    first, left = loaded.checkpoints[0], [failures]

    def read(name: str) -> torch.Tensor:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EIO, "Input/output error")
        return first.params.read(name)

    flaky = first.with_params(replace(first.params, read=read))
    fingerprints = unchanged.fingerprints_of(loaded)
    checkpoints = (flaky, *loaded.checkpoints[1:])
    held = unchanged.held_to(replace(loaded, checkpoints=checkpoints), fingerprints)
    name = next(iter(first.params))
    if failures < 3:
        assert torch.equal(held.checkpoints[0].params[name], first.params[name])
    else:
        with pytest.raises(CheckpointError, match=r"(?s)cannot be read.*member-0.*Input/output"):
            held.checkpoints[0].params[name]


def _write_half(file: BinaryIO, error: BaseException) -> None:
    file.write(b"t")
    raise error


def test_a_file_is_put_in_place_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "way.json"
    with replacing(path) as file:
        file.write(b"one")
    full = OSError(errno.ENOSPC, "No space left on device")
    for error, match in ((full, r"No space left.*way\.json'$"), (KeyboardInterrupt(), None)):
        with pytest.raises(type(error), match=match), replacing(path) as file:
            _write_half(file, error)
    assert [path.name for path in tmp_path.iterdir()] == ["way.json"]
    assert (tmp_path / "way.json").read_bytes() == b"one"


def test_what_is_drawn_is_of_this_store_whatever_the_clock_does(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, drawn = tmp_path / "store.h5", []
    shutil.copy(store, own)

    def write_report(_analysis: Any, page: Path, _details: Any) -> None:
        drawn.append(page)
        page.write_text("page")

    basins = SimpleNamespace(evidence=SimpleNamespace(reason=""))
    analysis = SimpleNamespace(basins=basins)
    monkeypatch.setattr(landscape.analysis.analysis, "analyze", lambda *_, **options: analysis)
    monkeypatch.setattr(landscape.analysis.diagnostics, "diagnose", lambda _: None)
    monkeypatch.setattr(landscape.output.plots, "write_figures", lambda *_: [])
    monkeypatch.setattr(landscape.output.report, "write_report", write_report)

    def draw() -> int:
        experiment.draw(own, tmp_path, lambda line: None)
        return len(drawn)

    assert (draw(), draw()) == (1, 1)
    for shift in (-1e8, 1e8):  # the store was written again, and the clock jumped before
        when = own.stat().st_mtime + shift
        os.utime(own, (when, when))
        before = len(drawn)
        assert (draw(), draw()) == (before + 1, before + 1)
    (tmp_path / "report.html").write_text("")  # a full disk, or a kill, left half of a page
    assert draw() == 4
