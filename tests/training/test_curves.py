from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import landscape
from landscape.core.errors import ConfigError
from landscape.paths import Bezier, PolyChain
from landscape.training import Fit, Neb, find_path, fit_curve, loop
from landscape.training.loop import convergence


class Point(nn.Module):
    """A point of the plane is its own output."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.at.expand(len(x), 2)


def ring(at: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A circular valley of radius 1 around a hill: the path of least loss is the arc."""
    return (at.square().sum(-1) - 1) ** 2 + 0.0 * labels


def two_basins(at: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Minima at (-1, 0) and (1, 0); between them a hill, and a bent valley around it."""
    x, y = at[..., 0], at[..., 1]
    return (x**2 + y**2 - 1) ** 2 + 0.2 * (y - 1 + x**2) ** 2 * (x**2 < 4) + 0.0 * labels


ENDS = tuple({"at": torch.tensor(at, dtype=torch.float64)} for at in ([-1.0, 0.0], [1.0, 0.0]))
BATCH = [(torch.zeros(1, 1), torch.zeros(1))]
# off the line, for on it the gradient across vanishes by symmetry
START = [{"at": torch.tensor([0.0, 0.1], dtype=torch.float64)}]
SETTINGS = {"precision": "fp64", "learning_rate": 0.05, "steps": 300, "points_per_step": 4}


def along(geometry, anchors, loss=ring) -> np.ndarray:
    return landscape.evaluate(
        Point(), anchors, geometry, BATCH, precision="fp64", loss=loss, device="cpu"
    ).losses.mean(1)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_quadratic_bezier_finds_the_best_one_there_is(optimizer) -> None:
    fit = Fit(**SETTINGS | {"optimizer": optimizer, "clip": None})
    curve = fit_curve(Point(), ENDS, Bezier(41), BATCH, fit, start=START, loss=ring, device="cpu")
    # by symmetry the best control point lies at (0, y): a scan of the mean loss over y
    t = np.linspace(0, 1, 2001)
    y = np.linspace(0, 3, 3001)[:, None]
    points = Bezier().basis(t)
    x = points @ [-1, 0, 1]
    loss = ((x**2 + (points[:, 1] * y) ** 2 - 1) ** 2).mean(1)
    best = float(y[loss.argmin(), 0])
    found = curve.anchors[1]["at"].numpy()
    np.testing.assert_allclose(found, [0, best], atol=0.03)
    assert along(curve.geometry, curve.anchors).max() < 0.1 < along(landscape.Line(41), ENDS).max()
    assert curve.convergence.last < 0.02


def test_a_cubic_and_a_chain_follow_the_ring_too() -> None:
    fit = Fit(**SETTINGS | {"steps": 200})
    start = [{"at": torch.tensor(at, dtype=torch.float64)} for at in ([-0.3, 0.1], [0.3, 0.1])]
    for geometry in (Bezier(41, degree=3), PolyChain(41, bends=2)):
        curve = fit_curve(Point(), ENDS, geometry, BATCH, fit, start=start, loss=ring, device="cpu")
        assert along(curve.geometry, curve.anchors).max() < 0.12
        assert len(curve.anchors) == 4


def test_the_ends_stay_and_a_symmetric_start_stays_on_the_line() -> None:
    curve = fit_curve(Point(), ENDS, Bezier(5), BATCH, Fit(**SETTINGS), loss=ring, device="cpu")
    for anchor, end in zip((curve.anchors[0], curve.anchors[-1]), ENDS, strict=True):
        torch.testing.assert_close(anchor["at"], end["at"], rtol=0, atol=0)
    assert float(curve.anchors[1]["at"][1]) == 0  # the gradient across is 0 there


def test_weight_decay_pulls_control_points_to_the_origin() -> None:
    flat = {"loss": lambda at, labels: 0.0 * at.sum(-1), "device": "cpu"}
    far = [{"at": torch.tensor([3.0, 4.0], dtype=torch.float64)}]
    norms = []
    for decay in (0.0, 1.0):
        fit = Fit(**SETTINGS | {"weight_decay": decay, "points_per_step": 1})
        curve = fit_curve(Point(), ENDS, Bezier(), BATCH, fit, start=far, **flat)
        norms.append(float(curve.anchors[1]["at"].norm()))
    assert norms[0] == pytest.approx(5)
    assert norms[1] < 0.01


class Killed(Exception):
    pass


def test_a_killed_fit_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    fit = Fit(**SETTINGS | {"steps": 40})
    rng = np.random.default_rng(0)
    batches = [(torch.tensor(rng.normal(size=(3, 1))), torch.tensor(rng.normal(size=3)))] * 2
    settings = {"start": START, "loss": ring, "device": "cpu"}
    whole = fit_curve(Point(), ENDS, Bezier(), batches, fit, **settings)
    state = tmp_path / "state.pt"
    asked = []

    def until(step: int):
        asked.append(step)
        if len(asked) == 25:
            raise Killed
        return loop.batch_at(batches, step, fit.seed)

    with pytest.raises(Killed):
        fit_curve(Point(), ENDS, Bezier(), until, fit, state=state, **settings)
    said = []
    again = fit_curve(
        Point(), ENDS, Bezier(), batches, fit, state=state, report=said.append, **settings
    )
    assert said[0] == "curve: going on from step 24 of 40"
    torch.testing.assert_close(again.anchors[1]["at"], whole.anchors[1]["at"], rtol=0, atol=0)
    np.testing.assert_array_equal(again.losses, whole.losses)
    others = [ENDS[0], {"at": torch.tensor([2.0, 0.0], dtype=torch.float64)}]
    with pytest.raises(ConfigError, match="belongs to another training"):
        fit_curve(Point(), others, Bezier(), batches, fit, state=state, loss=ring)


def test_a_pickle_in_the_place_of_a_state_is_not_run(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    torch.save({"recipe": loop.RandomState()}, state)
    with pytest.raises(ConfigError, match="cannot be read"):
        fit_curve(Point(), ENDS, Bezier(), BATCH, Fit(steps=1), state=state, loss=ring)


def test_autoneb_finds_the_path_of_minimum_energy() -> None:
    # a path needs a push off the symmetric line, as real losses give it
    def pushed(at: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return ring(at, labels) + 0.01 * (at[..., 1] - 2) ** 2 / 4

    neb = Neb(
        cycles=((150, 0.03), (150, 0.03), (150, 0.01)),
        max_pivots=7,
        precision="fp64",
        insert_above=0.05,
        clip=None,
    )
    path = find_path(Point(), ENDS, BATCH, BATCH, neb, loss=pushed, device="cpu")
    pivots = np.stack([anchor["at"].numpy() for anchor in path.anchors])
    assert len(path.trained) > neb.pivots
    # on the ring, above the hill, evenly spaced
    np.testing.assert_allclose(np.linalg.norm(pivots[1:-1], axis=1), 1, atol=0.02)
    assert (pivots[1:-1, 1] > 0).all()
    steps = np.linalg.norm(np.diff(pivots, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)
    line = along(landscape.Line(41), ENDS, pushed).max()
    assert along(path.geometry, path.anchors, pushed).max() < 0.15 * line
    np.testing.assert_array_equal(pivots[[0, -1]], [[-1, 0], [1, 0]])


def test_a_killed_search_goes_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    neb = Neb(cycles=((20, 0.03), (20, 0.03)), precision="fp64", insert_above=0.01)
    state = tmp_path / "state.pt"
    settings = {"loss": two_basins, "device": "cpu", "state": state}

    def until(step: int):
        if step == 30:
            raise Killed
        return BATCH[0]

    with pytest.raises(Killed):
        find_path(Point(), ENDS, until, BATCH, neb, **settings)
    said = []
    path = find_path(Point(), ENDS, BATCH, BATCH, neb, report=said.append, **settings)
    assert said[0] == "path: going on from step 30 of 40"
    assert np.isfinite(path.losses).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)two ends and at least one.*0 control points"):
        fit_curve(Point(), ENDS, Bezier(degree=1), BATCH)
    with pytest.raises(ConfigError, match="1 ends"):
        fit_curve(Point(), ENDS[:1], Bezier(), BATCH)
    with pytest.raises(ConfigError, match="learning_rate must be above 0"):
        Fit(learning_rate=0)
    with pytest.raises(ConfigError, match="no batches to train on"):
        fit_curve(Point(), ENDS, Bezier(), [], Fit(steps=1))
    for cycles in ((), ((0, 0.1),), ((1, 0.0),)):
        with pytest.raises(ConfigError, match="needs cycles"):
            Neb(cycles=cycles)
    with pytest.raises(ConfigError, match="A path has two ends"):
        find_path(Point(), ENDS[:1], BATCH, BATCH)


def test_convergence_tells_a_fall_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400) * 0.1
    flat = convergence(1 + noise)
    falling = convergence(1 + noise + np.linspace(1, 0, 400))
    assert flat.converged
    assert not falling.converged
    assert falling.before - falling.last == pytest.approx(0.25, abs=0.05)
    assert flat.error == pytest.approx(0.1 * np.sqrt(2 / 100), rel=0.5)


def test_batches_come_in_a_new_order_each_epoch_and_the_same_again() -> None:
    batches = [(k, k) for k in range(20)]
    order = [loop.batch_at(batches, step, 3)[0] for step in range(40)]
    assert sorted(order[:20]) == sorted(order[20:]) == list(range(20))
    assert order[:20] != order[20:]
    assert order == [loop.batch_at(batches, step, 3)[0] for step in range(40)]
