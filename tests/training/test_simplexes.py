from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landscape.core.errors import ConfigError
from landscape.evaluation import evaluate
from landscape.paths import SimplexSample
from landscape.training import loop
from landscape.training.heights import Base
from landscape.training.simplexes import SimplexFit, fit_simplex
from tests.tiny import make_model

pytestmark = pytest.mark.slow

seeds = st.integers(0, 2**32 - 1)
SHAPES = {"weight": (2, 3), "bias": (4,)}
BATCH = (torch.ones(1), torch.zeros(1, dtype=torch.long))


class Valley(nn.Module):
    """Its logits are its weights: with ``bowl``, the loss is a quadratic form of them."""

    def __init__(self, n=3):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(n))

    def forward(self, x):
        return x[:, None] * self.theta


def bowl(*curvatures, centre=0.0):
    k = torch.tensor(curvatures)
    return lambda logits, labels: 0.5 * (k.to(logits.dtype) * (logits - centre).square()).sum(-1)


def point(*values):
    return {"theta": torch.tensor(values, dtype=torch.float64)}


def random_state(rng):
    return {name: torch.tensor(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def flat(state):
    return np.concatenate([tensor.numpy().ravel() for tensor in state.values()])


def simplex_volume(states):
    """By the product of the edges' singular values: another way than inner products."""
    rows = np.array([flat(state) for state in states])
    edges = rows[1:] - rows[0]
    return np.linalg.svd(edges, compute_uv=False).prod() / math.factorial(len(edges))


@settings(deadline=None)
@given(seeds, st.integers(1, 5))
def test_the_gradient_of_the_log_volume_is_that_of_finite_differences(seed, n_base):
    rng = np.random.default_rng(seed)
    states = [random_state(rng) for _ in range(n_base + 1)]
    base, vertex = Base(states[:-1]), states[-1]
    foot = base.foot(vertex)
    assert foot.log_volume == pytest.approx(math.log(simplex_volume(states)), abs=1e-9)
    found = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    base.add_gradient(vertex, foot, found, 2.0)
    step, expected = 1e-5 * math.sqrt(foot.square), []
    for name, tensor in vertex.items():
        for i in range(tensor.numel()):
            ends = []
            for sign in (1, -1):
                moved = {n: t.clone() for n, t in vertex.items()}
                moved[name].view(-1)[i] += sign * step
                ends.append(math.log(simplex_volume([*states[:-1], moved])))
            expected.append(2 * (ends[0] - ends[1]) / (2 * step))
    scale = 1 / math.sqrt(foot.square)
    np.testing.assert_allclose(flat(found), expected, atol=1e-5 * scale)
    assert np.linalg.norm(flat(found)) == pytest.approx(2 * scale)


def test_a_vertex_on_its_base_has_no_volume():
    # in numbers that are rounded
    base = Base([point(0.3, 0.1), point(0.9, 0.7)])
    assert base.foot(point(0.7, 0.5)).log_volume == -math.inf
    assert Base([point(0.3, 0.1)]).foot(point(0.3, 0.1)).log_volume == -math.inf
    # without weight it is no obstacle; the origin's offset is 0
    result = fitted([point(0.0, 0.0)], 0.0, (1.0, 1.0), steps=20)
    assert np.isfinite(result.losses).all()
    with pytest.raises(ConfigError, match="lies on its base"):
        fitted([point(0.0, 0.0)], 0.1, (1.0, 1.0))


def fitted(ends, weight, curvatures, **changes):
    options = {
        "steps": 300,
        "samples_per_step": 32,
        "learning_rate": 0.1,
        "clip": None,
        "precision": "fp64",
        "offset": 0.1,
        **changes,
    }
    n_connect = options.pop("n_connect", 1)
    fit = SimplexFit(volume_weight=weight, **options)
    valley, loss = Valley(len(curvatures)), bowl(*curvatures, centre=1.0)
    return fit_simplex(valley, ends, [BATCH], fit, loss=loss, n_connect=n_connect)


def test_a_segment_from_the_minimum_grows_as_far_as_its_weight_pays():
    # E over the segment of k (u h)^2 / 2 is k h^2 / 6, u even on [0, 1]: least with - lambda
    # log h at h = sqrt(3 lambda / k), along the direction of least curvature
    lengths = []
    for weight in (0.01, 0.16):
        result = fitted([point(1.0, 1.0, 1.0)], weight, (1.0, 4.0, 9.0))
        lengths.append(result.geometry.volumes[0])
        assert lengths[-1] == pytest.approx(math.sqrt(3 * weight), rel=0.05)
        theta = result.trained[0]["theta"].numpy() - 1
        assert abs(theta[1:]).max() < 0.05 * lengths[-1]
    assert lengths == sorted(lengths)


def test_a_triangle_over_a_segment_is_as_high_as_its_weight_pays():
    # flat Dirichlet coordinates have E u_i^2 = 1/6, E u_i u_j = 1/12: over the segment v the next
    # vertex w has the loss k (w^2 + v w) / 12 - lambda log h, least at -v / 2 along v and
    # h = sqrt(6 lambda / k) across
    result = fitted([point(1.0, 1.0)], 0.1, (1.0, 1.0), n_connect=2, steps=600)
    v, w = (vertex["theta"].numpy() - 1 for vertex in result.trained)
    length = math.sqrt(3 * 0.1)
    assert np.linalg.norm(v) == pytest.approx(length, rel=0.05)
    assert w @ v / length == pytest.approx(-length / 2, abs=0.05)
    area = length * math.sqrt(6 * 0.1) / 2
    assert result.geometry.volumes == pytest.approx([area], rel=0.05)
    assert result.geometry.simplexes == ((0, 1, 2),)
    assert result.losses.shape == (600, 32)


def test_one_vertex_connects_two_checkpoints():
    # K is both segments, V(K) = l_1 + l_2; where both are as long, the mean loss's gradient is
    # v / 3 and that of log V(K) is v / l^2: l^2 = 3 lambda
    two = [point(0.0, 1.0), point(2.0, 1.0)]
    changes = {"steps": 600, "samples_per_step": 64, "learning_rate": 0.03, "offset": 0.5}
    result = fitted(two, 1.0, (1.0, 1.0), **changes)
    assert result.geometry.simplexes == ((0, 2), (1, 2))
    np.testing.assert_allclose(result.geometry.volumes, math.sqrt(3), rtol=0.05)
    x, y = result.trained[0]["theta"].numpy() - 1
    assert x == pytest.approx(0, abs=0.05)
    assert abs(y) == pytest.approx(math.sqrt(2), rel=0.05)


def test_points_are_even_over_the_whole_complex():
    # two triangles of areas 1 and 3 beside each other
    corners = np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [-3.0, 0.0]])
    n = 20_000
    sample = SimplexSample(((0, 1, 2), (0, 1, 3)), 4, np.array([1.0, 3.0]), n)
    rows = sample.coefficients()
    assert rows.shape == (n, 4)
    np.testing.assert_allclose(rows.sum(1), 1)
    assert (rows >= 0).all()
    right = rows[:, 3] == 0
    assert right.mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / n))
    # the third of a triangle nearest to a corner holds a ninth of its area
    assert (rows[right, 2] > 2 / 3).mean() == pytest.approx(1 / 9, abs=0.02)
    points = rows @ corners
    np.testing.assert_allclose(points[right].mean(0), [1 / 3, 2 / 3], atol=0.02)
    np.testing.assert_allclose(points[~right].mean(0), [-1, 2 / 3], atol=0.03)


def batches_of_tokens():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3):
        ids = torch.tensor(rng.integers(4, 16, size=(4, 6)))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        found.append((inputs, torch.tensor(rng.integers(0, 2, size=4))))
    return found


def test_a_killed_fit_goes_on_to_the_same_vertex(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    model, batches = make_model("bert", 0), batches_of_tokens()
    ends = [make_model("bert", 1), make_model("bert", 2)]
    fit = SimplexFit(steps=6, samples_per_step=2, learning_rate=1e-2, volume_weight=0.1)
    whole = fit_simplex(model, ends, batches, fit)
    assert np.isfinite(whole.losses).all()

    def until(step):
        if step == 4:
            raise KeyboardInterrupt
        return batches[int(np.random.default_rng([0, step // 3]).permutation(3)[step % 3])]

    state = tmp_path / "vertex.pt"
    with pytest.raises(KeyboardInterrupt):
        fit_simplex(model, ends, until, fit, state=state)
    said = []
    rest = fit_simplex(model, ends, batches, fit, state=state, report=said.append)
    assert said[0] == "1 of 1: vertex: going on from step 4 of 6"
    np.testing.assert_array_equal(rest.losses, whole.losses)
    for name, tensor in whole.trained[0].items():
        assert torch.equal(rest.trained[0][name], tensor)
    # a state of other checkpoints is not taken for this one's
    others = [make_model("bert", 1), make_model("bert", 3)]
    with pytest.raises(ConfigError, match="belongs to another training"):
        fit_simplex(model, others, batches, fit, state=state)


def test_the_anchors_stay_and_the_vertex_begins_beside_their_centre():
    a, b = make_model("bert", 1), make_model("bert", 2)
    before = [{n: p.detach().clone() for n, p in m.named_parameters()} for m in (a, b)]
    fit = SimplexFit(steps=1, learning_rate=1e-12, offset=0.1, seed=3)
    result = fit_simplex(make_model("bert", 0), [a, b], batches_of_tokens(), fit)
    for model, kept in zip((a, b), before, strict=True):
        assert all(torch.equal(p, kept[n]) for n, p in model.named_parameters())
    for name, tensor in result.trained[0].items():
        centre = (before[0][name] + before[1][name]) / 2
        share = float((tensor - centre).norm() / centre.norm())
        assert share == pytest.approx(0.1, rel=4 / math.sqrt(tensor.numel()))
        assert tensor.grad is None


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: SimplexFit(steps=0), "steps must be above 0"),
        (lambda: SimplexFit(volume_weight=-1.0), "weight must be at least 0"),
        (lambda: Base([point(0.0, 1.0), point(0.0, 1.0)]), "it has no volume"),
    ],
)
def test_refusals(act, message):
    with pytest.raises(ConfigError, match=message):
        act()


def test_checkpoints_are_connected_by_vertices_that_they_share(tmp_path):
    ends = [point(-1.0, 0.0, 0.0), point(1.0, 0.0, 0.0)]
    fit = SimplexFit(steps=20, samples_per_step=4, precision="fp64", volume_weight=0.1)
    state, said = tmp_path / "state.pt", []
    settings = {"n_connect": 2, "points": 50, "loss": bowl(1.0, 1.0, 1.0), "device": "cpu"}
    result = fit_simplex(Valley(), ends, [BATCH], fit, state=state, report=said.append, **settings)
    assert result.geometry.simplexes == ((0, 2, 3), (1, 2, 3))
    assert result.anchors[:2] == tuple(ends)
    states = [[result.anchors[i] for i in members] for members in result.geometry.simplexes]
    assert result.geometry.volumes == pytest.approx([simplex_volume(each) for each in states])
    rows = result.geometry.coefficients()
    np.testing.assert_allclose(rows.sum(1), 1)
    assert not (rows[:, 0] * rows[:, 1]).any()
    assert len(result.trained) == 2
    losses = evaluate(
        Valley(), result.anchors, result.geometry, [BATCH], loss=settings["loss"], precision="fp64"
    ).losses
    points = rows @ np.stack([flat(anchor) for anchor in result.anchors])
    np.testing.assert_allclose(losses[:, 0], 0.5 * (points**2).sum(1))
    # each vertex's own state: nothing is trained again
    again = fit_simplex(Valley(), ends, [BATCH], fit, state=state, report=said.append, **settings)
    assert "2 of 2: vertex: going on from step 20 of 20" in said
    for vertex, same in zip(result.anchors[2:], again.anchors[2:], strict=True):
        assert torch.equal(vertex["theta"], same["theta"])
