"""The simulation of many workers, against what can be said without it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "clusters"


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(FOLDER))
    import growth

    yield growth
    sys.modules.pop("growth")


def test_one_worker_takes_the_sum_and_many_no_less_than_the_driver(growth: object) -> None:
    simulate = growth.simulate  # type: ignore[attr-defined]
    seconds = np.random.default_rng(3).lognormal(np.log(2.0) - 0.02, 0.2, 500).sum()
    alone = simulate(1, 500, 2.0, 0.0, np.random.default_rng(3))
    assert alone == pytest.approx(seconds)
    # a driver that needs longer than all workers together is busy all the time
    bound = simulate(50, 2000, 0.1, 0.01, np.random.default_rng(0))
    assert bound == pytest.approx(2000 * 0.01, rel=0.01)
    # and one that needs nothing leaves them busy but for the last ones
    shared = simulate(10, 2000, 1.0, 0.0, np.random.default_rng(0))
    assert 200 * 0.98 < shared < 200 * 1.03


def test_more_workers_are_never_slower(growth: object) -> None:
    times = [
        growth.simulate(n, 1000, 0.3, 0.002, np.random.default_rng(1))  # type: ignore[attr-defined]
        for n in (1, 2, 4, 8, 16, 32)
    ]
    assert times == sorted(times, reverse=True)
