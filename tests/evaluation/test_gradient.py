from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import landscape
from landscape.checkpoints import build_model, load_population, load_tokenizer
from landscape.core.errors import ConfigError
from landscape.evaluation.gradient import Gradients
from landscape.paths import Bezier
from landscape.tasks import load_examples, load_task
from landscape.tasks.batches import make_batches, tokenize
from tests.conftest import KINDS
from tests.tiny import LABELS


class Polynomial(nn.Module):
    """Logits that are no linear function of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
        self.b = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ self.w) + self.b**2


def a_case(n: int, seed: int = 0) -> tuple[list[dict[str, torch.Tensor]], Any]:
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=rng)

    anchors = [{"w": draw(3, 2), "b": draw(2)} for _ in range(n)]
    return anchors, (draw(7, 3), torch.arange(7) % 2)


@pytest.mark.parametrize("strategy", ["loop", "vmap"])
@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.5, 2.0])])
def test_gradients_in_anchors_are_finite_differences(strategy, weights) -> None:
    anchors, batch = a_case(3)
    model = Polynomial()
    # two at a time: the chunk of the stack is smaller than the points
    gradients = Gradients(model, n_points=2, device="cpu", precision="fp64", strategy=strategy)
    matrix = Bezier().basis([0.2, 0.5, 0.9])
    loaded = gradients.load(anchors)
    into = [None, *({k: torch.zeros_like(v) for k, v in a.items()} for a in loaded[1:])]
    losses = gradients.add(loaded, matrix, batch, into, weights)
    share = np.full(3, 1 / 3) if weights is None else weights

    def total() -> float:
        evaluation = landscape.evaluate(
            model, anchors, matrix, [batch], precision="fp64", device="cpu"
        )
        return float(share @ evaluation.losses.mean(1))

    assert share @ losses == pytest.approx(total(), rel=1e-12)
    for anchor, grads in zip(anchors, into, strict=True):
        for name in anchor if grads else ():
            flat = anchor[name].view(-1)
            for place in range(len(flat)):
                step = 1e-6
                flat[place] += step
                above = total()
                flat[place] -= 2 * step
                below = total()
                flat[place] += step
                slope = (above - below) / (2 * step)
                assert float(grads[name].view(-1)[place]) == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_and_loop_agree_on_unmodified_encoders(kind, populations, task_file) -> None:
    population = load_population([f"{populations[kind]}/member-*"], LABELS)
    data = load_examples(load_task(task_file), "dev", task_file.parent)
    encoded = tokenize(load_tokenizer(population.checkpoints[0]), data)
    batch = make_batches(encoded, 256)[0]
    model = build_model(population.checkpoints[0])
    found = {}
    for strategy in ("loop", "vmap"):
        gradients = Gradients(model, n_points=3, device="cpu", strategy=strategy)
        anchors = gradients.load(population.checkpoints)
        grads = {name: torch.zeros_like(value) for name, value in anchors[1].items()}
        losses = gradients.add(anchors, Bezier().basis([0.1, 0.4, 0.8]), batch, [None, grads, None])
        found[strategy] = losses, grads
    np.testing.assert_allclose(found["loop"][0], found["vmap"][0], rtol=1e-5)
    for name, grad in found["loop"][1].items():
        torch.testing.assert_close(grad, found["vmap"][1][name], rtol=1e-3, atol=1e-5)
    # the oracle: autograd through the mixing itself
    state = [{n: t.clone() for n, t in c.params.items()} for c in population.checkpoints]
    control = {n: t.requires_grad_() for n, t in state[1].items()}
    total = 0.0
    for row in Bezier().basis([0.1, 0.4, 0.8]):
        mixed = {
            n: row[0] * state[0][n] + row[1] * control[n] + row[2] * state[2][n] for n in control
        }
        logits = torch.func.functional_call(model, mixed, (), batch[0]).logits
        total = total + nn.functional.cross_entropy(logits, batch[1]) / 3
    total.backward()
    for name, grad in found["loop"][1].items():
        expected = control[name].grad
        expected = torch.zeros_like(grad) if expected is None else expected
        torch.testing.assert_close(grad, expected, rtol=1e-3, atol=1e-5)


def test_the_model_and_its_mode_stay_as_they_are() -> None:
    anchors, batch = a_case(2)
    model = Polynomial().train()
    gradients = Gradients(model, device="cpu", precision="fp64")
    loaded = gradients.load(anchors)
    gradients.add(loaded, [[0.5, 0.5]], batch, [None, None])
    assert model.training
    assert model.w.grad is None
    assert float(model.w.detach().abs().max()) == 0
    with pytest.raises(ConfigError, match="do not fit the anchors"):
        gradients.add(loaded, [[1.0]], batch, [None, None])


@pytest.mark.parametrize("strategy", ["loop", "vmap"])
def test_buffers_are_mixed_but_have_no_gradient(strategy: str) -> None:
    models = []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
            model[0].running_mean += torch.randn(3)
            models.append(model)
    batch = (torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.arange(5) % 2)
    gradients = Gradients(models[0], n_points=2, device="cpu", strategy=strategy)
    anchors = gradients.load(models)
    grads = {name: torch.zeros_like(tensor) for name, tensor in anchors[0].items()}
    losses = gradients.add(anchors, [[0.5, 0.5], [0, 1]], batch, [grads, None])
    expected = landscape.evaluate(models[0], models, np.array([[0.5, 0.5], [0, 1]]), [batch])
    np.testing.assert_allclose(losses, expected.losses.mean(1), rtol=1e-5)
    assert float(grads["1.weight"].abs().max()) > 0
    assert float(grads["0.running_mean"].abs().max()) == 0
