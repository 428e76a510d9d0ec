"""Checkpoints, files and clocks that change while a run goes on."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch

import landscape.run.provenance as unchanged
from landscape.checkpoints import WeightCache, load_population
from landscape.core.errors import CheckpointError, LandscapeError
from landscape.records import write_store
from landscape.run import pipeline
from landscape.run.measure.worker import Worker
from tests.records.made import make
from tests.runs import measured, n_measured, quiet
from tests.tiny import LABELS, make_model, write_experiment


@pytest.mark.parametrize("failures", [2, 3])
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

    flaky = replace(first, params=replace(first.params, read=read))
    fingerprints = unchanged.fingerprints_of(loaded)
    checkpoints = (flaky, *loaded.checkpoints[1:])
    held = unchanged.refusing_changes(replace(loaded, checkpoints=checkpoints), fingerprints)
    name = next(iter(first.params))
    if failures < 3:
        assert torch.equal(held.checkpoints[0].params[name], first.params[name])
    else:
        with pytest.raises(CheckpointError, match=r"(?s)cannot be read.*member-0.*Input/output"):
            held.checkpoints[0].params[name]


def test_a_checkpoint_that_lies_elsewhere_on_a_workers_machine_is_read(population: Path) -> None:
    """Of its folder there the run has noted nothing."""
    loaded = load_population([f"{population}/member-*"], LABELS)
    watched = unchanged.refusing_changes(loaded, {"elsewhere": "a fingerprint"})
    name = next(iter(loaded.checkpoints[0].params))
    for before, after in zip(loaded.checkpoints, watched.checkpoints, strict=True):
        assert torch.equal(after.params[name], before.params[name])


def test_a_checkpoint_replaced_during_a_run_is_named_and_what_was_measured_stays(
    tmp_path: Path, population: Path, task_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_experiment(tmp_path / "c.yaml", population, task_file)
    evaluate = Worker.pair

    def replacing_one(self: Worker, task: object, following: object) -> object:
        if n_measured(tmp_path / "out") == 1:
            make_model("bert", seed=9).save_pretrained(population / "member-2")
        return evaluate(self, task, following)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "pair", replacing_one)
    monkeypatch.setattr(WeightCache, "_in_memory", lambda self, checkpoint: None)
    with pytest.raises(CheckpointError, match=r"where: \S*member-2"):
        measured(config, task_file.parent)
    monkeypatch.undo()
    assert n_measured(tmp_path / "out") == 1
    with pytest.raises(LandscapeError, match=r"where: \S*member-2(?s:.*)expected: sha256"):
        measured(config, task_file.parent)
    make_model("bert", seed=2).save_pretrained(population / "member-2")
    measured(config, task_file.parent)
    assert n_measured(tmp_path / "out") == 3


def test_what_is_drawn_is_of_this_store_whatever_the_clock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, page, drawn = tmp_path / "store.h5", tmp_path / "report.html", []
    write_store(make(), store)

    def write_report(_analysis: object, page: Path, _diagnostics: object) -> None:
        drawn.append(page)
        page.write_text("page")

    for part in (
        "analysis.diagnostics.diagnose",
        "output.tables.write_tables",
        "output.plots.write_figures",
        "analysis.analysis.analyze",
    ):
        monkeypatch.setattr(f"landscape.{part}", MagicMock())
    monkeypatch.setattr("landscape.output.report.write_report", write_report)

    def draw() -> int:
        pipeline.draw(store, tmp_path, quiet)
        return len(drawn)

    assert (draw(), draw()) == (1, 1)
    os.utime(store, (1, 1))  # the store was written again, and the clock jumped before
    assert (draw(), draw()) == (2, 2)
    page.write_text("")  # a full disk, or a kill, left half of a page
    assert draw() == 3
