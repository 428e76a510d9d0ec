"""Runs that choose their pairs: stopped, resumed, analyzed, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from landscape.analysis.analysis import analysis_options, analyze
from landscape.analysis.diagnostics import diagnose
from landscape.core.errors import LandscapeError
from landscape.output.report import write_report
from landscape.records import StoreWriter, read_store
from landscape.run.inputs import open_experiment
from landscape.run.pipeline import measure
from tests.tiny import save_population, write_experiment

N = 28


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small classifiers, more than are measured completely."""
    return save_population(tmp_path_factory.mktemp("many"), "bert", N, hidden=8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, many: Path, task_file: Path) -> Path:
    """The configuration of an active run that has finished."""
    folder = tmp_path_factory.mktemp("active")
    config = write_experiment(
        folder / "c.yaml", many, task_file, path={"points": 3}, pairs="active", pairs_budget=200
    )
    measure(open_experiment(config, root=task_file.parent), quiet)
    return config


def test_never_measured_pairs_are_marked(finished: Path) -> None:
    contents = read_store(finished.parent / "out" / "store.h5")
    assert contents.attributes["finished"] == "yes"
    assert contents.chosen == "active"
    assert 0 < len(contents.pairs) <= 200
    assert contents.never_measured == N * (N - 1) // 2 - len(contents.pairs)
    assert (contents.status == 1).all()
    analysis = analyze(contents, **analysis_options(contents))
    assert int(np.isnan(np.triu(analysis.gaps.estimate, 1)).sum()) == contents.never_measured
    assert f"{len(contents.pairs)} of {N * (N - 1) // 2} pairs" in analysis.basins.evidence.reason
    assert len(analysis.basins.labels) == N


def test_its_report_is_written(finished: Path, tmp_path: Path) -> None:
    contents = read_store(finished.parent / "out" / "store.h5")
    analysis = analyze(contents, **analysis_options(contents))
    page = write_report(analysis, tmp_path / "report.html", diagnose(analysis)).read_text()
    assert "never measured" in page


def test_a_stopped_run_goes_on_to_the_same_store(
    finished: Path, many: Path, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_experiment(
        tmp_path / "c.yaml", many, task_file, path={"points": 3}, pairs="active", pairs_budget=200
    )
    experiment = open_experiment(config, root=task_file.parent)
    written, write_pair = [], StoreWriter.write_pair

    def stop(self: StoreWriter, pair: int, *arguments: object, **options: object) -> None:
        if len(written) in (3, 40, 120):
            written.append(-1)
            raise KeyboardInterrupt
        write_pair(self, pair, *arguments, **options)  # type: ignore[arg-type]
        written.append(pair)

    monkeypatch.setattr(StoreWriter, "write_pair", stop)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            measure(experiment, quiet)
    measure(experiment, quiet)
    whole, again = (read_store(path.parent / "out" / "store.h5") for path in (finished, config))
    np.testing.assert_array_equal(again.pairs, whole.pairs)
    assert sorted(row for row in written if row >= 0) == list(range(len(whole.pairs)))
    for name, data in whole.datasets.items():
        np.testing.assert_allclose(again.datasets[name].losses, data.losses, atol=1e-6)


def test_another_rule_needs_other_pairs(finished: Path, task_file: Path) -> None:
    contents = read_store(finished.parent / "out" / "store.h5")
    options = {**analysis_options(contents), "dataset": "hard", "seed": 5}
    with pytest.raises(LandscapeError, match=r"do not decide this[\s\S]*hard, seed 5"):
        analyze(contents, **options)
    content = yaml.safe_load(finished.read_text())
    other = finished.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**content, "pairs": "all"}))
    with pytest.raises(LandscapeError, match="pairs: active -> all"):
        measure(open_experiment(other, root=task_file.parent), quiet)


def test_a_small_population_is_measured_whole(
    populations: dict[str, Path], task_file: Path, tmp_path: Path
) -> None:
    stores = {}
    for pairs in ("all", "active"):
        folder = tmp_path / pairs
        folder.mkdir()
        config = write_experiment(folder / "c.yaml", populations["bert"], task_file)
        measure(open_experiment(config, root=task_file.parent, changes={"pairs": pairs}), quiet)
        stores[pairs] = read_store(folder / "out" / "store.h5")
    assert stores["active"].never_measured == 0
    one, other = (analyze(s, **analysis_options(s)) for s in stores.values())
    np.testing.assert_allclose(one.gaps.estimate, other.gaps.estimate, atol=1e-6)
