"""Points that are chosen and certified, against the whole grid in full precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from landscape.analysis.barriers import convexity_gap
from landscape.core.errors import ConfigError, LandscapeError
from landscape.evaluation import Evaluation, Evaluator
from landscape.records import Results, read_store
from landscape.run.measure.measurement import quantities_of
from landscape.run.measure.pair import measure_pair
from landscape.run.measure.pairs import Measuring, PairCurve
from landscape.tasks.examples import Examples
from tests.runs import measured, stop_after
from tests.tiny import save_population, write_experiment

POINTS = 13
DEV = Examples("dev", (("a", "b"),), np.zeros(2, int), ("x", "y"), ((0,), (1,)), {}, "accuracy")
Measure = Callable[[dict[str, Any]], Results]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, task_file: Path) -> tuple[Path, Results]:
    """A population of five, and its store on the whole grid in fp32."""
    folder = tmp_path_factory.mktemp("whole")
    population = save_population(folder / "p", "bert", 5)
    return population, run(folder, population, task_file, {})


def run(folder: Path, population: Path, task_file: Path, changes: dict[str, Any]) -> Results:
    config = write_experiment(folder / "c.yaml", population, task_file)
    content = yaml.safe_load(config.read_text())
    content["examples"] = 24
    content["paths"] = {"points": POINTS, **changes.get("paths", {})}
    content["evaluate"] = {"token_budget": 256, **changes.get("evaluate", {})}
    content["analysis"] = {**content.get("analysis", {}), **changes.get("analysis", {})}
    config.write_text(yaml.safe_dump(content))
    return read_store(measured(config, task_file.parent) / "store.h5")


@pytest.fixture
def measure(tmp_path: Path, whole: tuple[Path, Results], task_file: Path) -> Measure:
    """A run of one's own on the same population, with these changes."""
    return partial(run, tmp_path, whole[0], task_file)


def gaps(results: Results) -> np.ndarray:
    """The convexity gap of each pair's exact points, one pair at a time."""
    losses = results.datasets["dev"].losses.mean(-1, dtype=np.float64)
    return np.array(
        [
            convexity_gap(curve[known], results.positions[known])
            for curve, known in zip(losses, results.exact, strict=True)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_chosen_points_give_the_gap_of_the_whole_grid(
    measure: Measure,
    whole: tuple[Path, Results],
    precision: str,
    adaptive: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Evaluator, "fast_precision", lambda self, anchors: "bf16")
    full = whole[1]
    tolerance = float(gaps(full).max()) / 4  # random weights: curves far from smooth
    changes = {
        "paths": {"adaptive": adaptive, "tolerance": tolerance},
        "evaluate": {"precision": precision},
    }
    chosen = measure(changes)
    missed = gaps(full) - gaps(chosen)
    assert missed.min() > -1e-6
    assert (missed <= chosen.tolerance + 1e-6).all()
    assert chosen.largest_tolerance <= tolerance
    dev, reference = chosen.datasets["dev"], full.datasets["dev"]
    np.testing.assert_allclose(dev.losses[chosen.exact], reference.losses[chosen.exact], atol=2e-6)
    np.testing.assert_allclose(dev.model_losses, reference.model_losses, atol=2e-6)
    if adaptive:
        assert chosen.evaluated.sum() < full.evaluated.sum()
    else:
        assert chosen.evaluated.all()
    if precision == "auto":
        assert not chosen.exact.all()
        both = np.isfinite(dev.difference)
        assert (both == (chosen.exact & np.isfinite(dev.screened))).all()
        means = np.abs(dev.screened - reference.losses.mean(-1, dtype=np.float64))
        assert 0 < np.nanmax(means) < 0.05
        assert (means[both] <= dev.difference[both] + 1e-6).all()
    else:
        assert (chosen.exact == chosen.evaluated).all()
        assert np.isnan(dev.screened).all()


def test_a_pilot_whose_losses_overflow_teaches_nothing(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(self: Measuring, pair: tuple[int, int]) -> PairCurve:
        losses = np.full(POINTS, np.inf)
        return PairCurve(losses, np.isfinite(losses), losses, losses[:, None])

    monkeypatch.setattr(Measuring, "curve", overflowing)
    chosen = measure({"paths": {"adaptive": True}})
    assert chosen.exact.all()


def test_a_rule_that_more_points_can_lower_is_refused(measure: Measure) -> None:
    changes = {"paths": {"adaptive": True}, "analysis": {"rule": "area_above_minimum"}}
    with pytest.raises(ConfigError, match="More points can lower the rule 'area_above_minimum'"):
        measure(changes)


def test_points_chosen_for_one_rule_do_not_serve_another(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        measure({"paths": {"adaptive": True}})
    other = {"paths": {"adaptive": True}, "analysis": {"rule": "barrier_height"}}
    with pytest.raises(LandscapeError, match=r"analysis\.rule: convexity_gap -> barrier_height"):
        measure(other)


def test_a_memory_budget_with_no_room_for_a_pair_is_refused(measure: Measure) -> None:
    with pytest.raises(ConfigError, match=r"(?s)memory budget is too small.*at least"):
        measure({"evaluate": {"memory_budget": "1MB"}})


POSITIONS = np.linspace(0, 1, 9)
CURVE = 1 + 0.5 * np.sin(np.pi * POSITIONS) ** 2


def outputs(points: list[int], off: np.ndarray) -> dict[str, Evaluation]:
    """Two examples whose mean loss is the curve, in the fast format off by so much."""
    losses = (CURVE + off)[points][:, None] + np.array([-0.25, 0.25])
    return {"dev": Evaluation(np.empty(0), losses.astype("f4"), np.zeros((len(points), 2)))}


@pytest.mark.parametrize("error", [0.001, 0.03])
def test_a_format_further_off_than_thought_is_noticed(error: float) -> None:
    """Screening hides the peak by .02; a first guess of .001 is raised as soon as it shows."""
    off = np.where(np.arange(9) == 4, -0.02, 0.01)
    asked: list[tuple[int, str]] = []

    def run(points: list[int], precision: str) -> dict[str, Evaluation]:
        asked.extend((point, precision) for point in points)
        return outputs(points, off if precision == "bf16" else 0 * off)

    pair = measure_pair(
        run,
        CURVE[[0, -1]],
        POSITIONS,
        dataset="dev",
        rule="convexity_gap",
        tolerance=0.001,
        formats=("fp32", "bf16"),
        error=error,
        quantities=partial(quantities_of, examples=[("in_domain", DEV)]),
    )
    assert len(asked) == len(set(asked))  # nothing is evaluated twice in one format
    points, losses = pair.points["loss"], pair.quantities["loss"]
    in_fp32 = losses["format"].values == 1
    exact = np.isin(np.arange(9), [0, *points[in_fp32], 8])
    assert exact[4]
    assert convexity_gap(CURVE[exact], POSITIONS[exact]) == pytest.approx(0.5)
    assert points.tolist() == list(range(1, 8))
    means, off_by = (losses[f"dev/{name}"].values for name in ("screened", "difference"))
    np.testing.assert_allclose(means, (CURVE + off)[1:-1], atol=1e-6)
    np.testing.assert_allclose(off_by[3], 0.02, atol=1e-6)
    assert np.isnan(off_by[~in_fp32]).all()
    kept = losses["dev/losses"].values.mean(1)
    np.testing.assert_allclose(kept, np.where(exact, CURVE, CURVE + off)[1:-1], atol=1e-6)
