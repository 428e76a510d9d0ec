"""Runs that choose their pairs: stopped, resumed, analyzed, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from landscape.analysis.analysis import analysis_options, analyze
from landscape.core.errors import LandscapeError
from landscape.records import read_store
from tests.runs import assert_same, measured, n_measured, stop_after
from tests.tiny import save_population, write_experiment

pytestmark = pytest.mark.slow

N = 14


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small classifiers, more than are measured completely."""
    return save_population(tmp_path_factory.mktemp("many"), "bert", N, hidden=8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, many: Path, task_file: Path) -> Path:
    """The configuration of an active run that has finished."""
    folder = tmp_path_factory.mktemp("active")
    config = write_experiment(
        folder / "c.yaml",
        many,
        task_file,
        paths={"points": 3},
        evaluate={"token_budget": 256},
        examples=12,
        pairs="active",
        pairs_budget=60,
    )
    measured(config, task_file.parent)
    return config


def test_never_measured_pairs_are_marked(finished: Path) -> None:
    results = read_store(finished.parent / "out" / "store.h5")
    assert results.attributes["finished"] == "yes"
    assert results.chosen == "active"
    assert 0 < len(results.pairs) <= 60
    assert results.never_measured == N * (N - 1) // 2 - len(results.pairs)
    assert (results.status == 1).all()
    analysis = analyze(results, **analysis_options(results))
    assert int(np.isnan(np.triu(analysis.gaps.estimate, 1)).sum()) == results.never_measured
    basins = analysis.basins
    assert len(basins.labels) == N
    # what is shown of a pair that was never measured is shown by none
    decided = (basins.states.apart | basins.states.joined)[tuple(results.pairs.T)].sum()
    assert basins.states.n_apart + basins.states.n_joined == decided
    assert f"{len(results.pairs)}" in basins.sentence(analysis.models)


def test_a_stopped_run_goes_on_to_the_same_records(
    finished: Path, many: Path, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (3, 20):
        with monkeypatch.context() as context:
            stop_after(context, n)
            with pytest.raises(KeyboardInterrupt):
                measured(finished, task_file.parent, tmp_path)
    assert n_measured(tmp_path) == 23
    measured(finished, task_file.parent, tmp_path)
    assert_same(finished.parent / "out", tmp_path)


def test_another_rule_needs_other_pairs(finished: Path, task_file: Path) -> None:
    results = read_store(finished.parent / "out" / "store.h5")
    options = {**analysis_options(results), "dataset": "hard", "seed": 5}
    with pytest.raises(LandscapeError, match=r"do not decide this[\s\S]*hard, seed 5"):
        analyze(results, **options)
    content = yaml.safe_load(finished.read_text())
    other = finished.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**content, "pairs": "all"}))
    with pytest.raises(LandscapeError, match="pairs: active -> all"):
        measured(other, task_file.parent)


def test_a_small_population_is_measured_whole(
    populations: dict[str, Path], task_file: Path, tmp_path: Path
) -> None:
    stores = {}
    for pairs in ("all", "active"):
        folder = tmp_path / pairs
        folder.mkdir()
        config = write_experiment(folder / "c.yaml", populations["bert"], task_file)
        measured(config, task_file.parent, changes={"pairs": pairs})
        stores[pairs] = read_store(folder / "out" / "store.h5")
    assert stores["active"].never_measured == 0
    one, other = (analyze(s, **analysis_options(s)) for s in stores.values())
    np.testing.assert_allclose(one.gaps.estimate, other.gaps.estimate, atol=1e-6)
