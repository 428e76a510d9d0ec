"""``evaluate`` against a loop over load_state_dict, and against closed forms."""

from __future__ import annotations

import copy
import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import landscape
from landscape.checkpoints import build_model, load_population, load_tokenizer
from landscape.evaluation import evaluate
from landscape.tasks import load_examples, load_task
from landscape.tasks.batches import Batches, make_batches, tokenize
from landscape.tasks.logits import collapse
from tests.conftest import KINDS
from tests.tiny import LABELS


class Affine(nn.Module):
    """Logits x W + b: a cross-entropy that numpy can compute."""

    def __init__(self, seed: int, width: int = 4, labels: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(width, labels, generator=generator))
        self.bias = nn.Parameter(torch.randn(labels, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def some_data(n: int = 17, width: int = 4, labels: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(n, width, generator=generator)
    y = torch.randint(0, labels, (n,), generator=generator)
    return [(x[i : i + 5], y[i : i + 5]) for i in range(0, n, 5)]


def by_hand(
    anchors: list[Affine], coefficients: np.ndarray, data: list[tuple[Tensor, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and losses in numpy's double precision."""
    x = torch.cat([x for x, _ in data]).double().numpy()
    y = torch.cat([y for _, y in data]).numpy()
    logits = []
    for row in coefficients:
        w = sum(c * a.weight.detach().double().numpy() for c, a in zip(row, anchors, strict=True))
        b = sum(c * a.bias.detach().double().numpy() for c, a in zip(row, anchors, strict=True))
        logits.append(x @ w + b)
    out = np.stack(logits)
    norm = np.log(np.exp(out).sum(-1))
    return out, norm - out[:, np.arange(len(y)), y]


@pytest.mark.parametrize("strategy", ["loop", "vmap", "auto"])
def test_matches_numpy(strategy: str) -> None:
    anchors = [Affine(0), Affine(1), Affine(2)]
    coefficients = np.random.default_rng(0).normal(size=(7, 3))
    data = some_data()
    result = evaluate(Affine(9), anchors, coefficients, data, strategy=strategy, chunk=3)
    logits, losses = by_hand(anchors, coefficients, data)
    np.testing.assert_allclose(result.logits, logits, atol=1e-5)
    np.testing.assert_allclose(result.losses, losses, atol=1e-5)
    np.testing.assert_array_equal(result.predictions, logits.argmax(-1))


def test_fp64_is_computed_in_double_precision() -> None:
    anchors = [Affine(0).double(), Affine(1).double()]
    data = some_data()
    result = evaluate(Affine(0), anchors, landscape.Line(5), data, precision="fp64")
    _, losses = by_hand(anchors, landscape.Line(5).coefficients(), data)
    np.testing.assert_allclose(result.losses, losses, atol=1e-13)


def test_bf16_is_near_and_its_losses_are_fp32() -> None:
    anchors = [Affine(0), Affine(1)]
    data = some_data()
    result = evaluate(Affine(0), anchors, landscape.Line(5), data, precision="bf16")
    _, losses = by_hand(anchors, landscape.Line(5).coefficients(), data)
    assert result.losses.dtype == np.float32
    assert 0 < np.abs(result.losses - losses).max() < 0.1


@settings(max_examples=25, deadline=None)
@given(
    chunk=st.integers(1, 9),
    strategy=st.sampled_from(["loop", "vmap"]),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_plan_and_batches_do_not_matter(
    chunk: int, strategy: str, sizes: list[int], seed: int
) -> None:
    anchors = [Affine(0), Affine(1)]
    x = torch.cat([x for x, _ in some_data()])
    y = torch.cat([y for _, y in some_data()])
    order = np.random.default_rng(seed).permutation(len(y))
    cuts = np.cumsum(sizes)[np.cumsum(sizes) < len(y)]
    items = tuple((x[rows], y[rows]) for rows in np.split(order, cuts))
    plain = evaluate(Affine(0), anchors, landscape.Line(6), some_data(), strategy="loop")
    other = evaluate(
        Affine(0),
        anchors,
        landscape.Line(6),
        Batches(items, np.argsort(order), y.numpy()),
        strategy=strategy,
        chunk=chunk,
    )
    np.testing.assert_allclose(other.losses, plain.losses, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face_classifiers_against_load_state_dict(
    kind: str, populations: dict[str, Path], task_file: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = populations[kind]
    population = load_population([f"{folder}/member-*"], LABELS)
    examples = load_examples(load_task(task_file), "dev", base=task_file.parent)
    tokenizer = load_tokenizer(population.checkpoints[0])
    batches = make_batches(tokenize(tokenizer, examples), token_budget=64)
    line = landscape.Line(4)
    results = {
        (attention, strategy): evaluate(
            build_model(population.checkpoints[0], attention),
            population.checkpoints[:2],
            line,
            batches,
            strategy=strategy,
        )
        for attention, strategy in (("sdpa", "loop"), ("sdpa", "vmap"), ("eager", "vmap"))
    }

    ends = [
        AutoModelForSequenceClassification.from_pretrained(folder / f"member-{i}") for i in (0, 1)
    ]
    model = copy.deepcopy(ends[0]).eval()
    for p, t in enumerate(line.positions):
        states = [end.state_dict() for end in ends]
        model.load_state_dict({k: (1 - t) * states[0][k] + t * states[1][k] for k in states[0]})
        for i, text in enumerate(examples.texts[0]):  # one at a time: no padding, no order
            with torch.no_grad():
                logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
            expected = torch.nn.functional.cross_entropy(logits, torch.tensor(examples.labels[i]))
            for result in results.values():
                np.testing.assert_allclose(result.logits[p, i], logits.numpy(), atol=2e-5)
                np.testing.assert_allclose(result.losses[p, i], expected.item(), atol=2e-5)


def test_ends_are_the_checkpoints_bit_for_bit() -> None:
    a, b = Affine(0), Affine(1)
    line = evaluate(a, [a, b], landscape.Line(3), some_data(), strategy="loop")
    alone = evaluate(a, [b], np.ones((1, 1)), some_data(), strategy="loop")
    np.testing.assert_array_equal(line.logits[-1], alone.logits[0])


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(Affine(0), nn.Dropout(0.5))
    model[1].train()
    model[0].eval()
    before = copy.deepcopy(model.state_dict())
    first = evaluate(model, [model, model], landscape.Line(3), some_data())
    second = evaluate(model, [model, model], landscape.Line(3), some_data())
    np.testing.assert_array_equal(first.logits, second.logits)  # no dropout
    assert model[1].training
    assert not model[0].training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_buffers_are_mixed_where_anchors_hold_them() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), Affine(0))
    other = copy.deepcopy(model)
    other[0].running_mean += 2
    x, y = some_data(5)[0]
    result = evaluate(model, [model, other], np.array([[0.5, 0.5]]), [(x, y)])
    middle = copy.deepcopy(model).eval()
    middle[0].running_mean += 1
    np.testing.assert_allclose(result.logits[0], middle(x).detach().numpy(), atol=1e-6)


class Hungry(Affine):
    """Says that memory ran out above a number of examples, or under vmap above some points."""

    def __init__(self, examples: int, points: int = 10**9) -> None:
        super().__init__(0)
        self.examples, self.points, self.calls = examples, points, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        weight = self.weight
        if torch._C._functorch.is_batchedtensor(weight):
            weight = torch._C._functorch.get_unwrapped(weight)
        points = weight.shape[0] if weight.ndim == 3 else 1
        if len(x) > self.examples or points > self.points:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


@pytest.mark.parametrize(("examples", "points"), [(2, 10**9), (10**9, 2), (1, 1)])
def test_out_of_memory_halves_and_goes_on(
    examples: int, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # a hundred times: half a minute
    anchors = [Affine(0), Affine(1)]
    model = Hungry(examples, points)
    result = evaluate(model, anchors, landscape.Line(8), some_data(), strategy="vmap", chunk=8)
    plain = evaluate(Affine(0), anchors, landscape.Line(8), some_data(), strategy="loop")
    assert model.calls > len(some_data())
    np.testing.assert_allclose(result.losses, plain.losses, atol=2e-6)


def test_out_of_memory_with_one_example_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(Hungry(0), [Affine(0)], np.ones((1, 1)), some_data(), strategy="loop")


class Branching(Affine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.bias.sum() > -100 else x  # data-dependent: no vmap


def test_auto_falls_back_to_the_loop_and_vmap_says_why() -> None:
    anchors = [Affine(0), Affine(1)]
    result = evaluate(Branching(0), anchors, landscape.Line(4), some_data())
    plain = evaluate(Affine(0), anchors, landscape.Line(4), some_data(), strategy="loop")
    np.testing.assert_array_equal(result.losses, plain.losses)
    with pytest.raises(landscape.LandscapeError, match="cannot be batched over points by vmap"):
        evaluate(Branching(0), anchors, landscape.Line(4), some_data(), strategy="vmap")


def test_missing_and_misshapen_parameters_are_named() -> None:
    state = Affine(0).state_dict()
    with pytest.raises(landscape.LandscapeError, match=r"lacks the parameter 'bias'") as caught:
        evaluate(Affine(0), [state, {"weight": state["weight"]}], landscape.Line(2), some_data())
    assert "anchors[1]" in str(caught.value)
    with pytest.raises(landscape.LandscapeError, match=r"'weight' in another shape"):
        evaluate(Affine(0), [{**state, "weight": torch.zeros(1)}], np.ones((1, 1)), some_data())
    with pytest.raises(landscape.LandscapeError, match="no batches"):
        evaluate(Affine(0), [state], np.ones((1, 1)), [])
    with pytest.raises(landscape.LandscapeError, match="precision"):
        evaluate(Affine(0), [state], np.ones((1, 1)), some_data(), precision="fp8")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_cuda_agrees_with_cpu() -> None:
    anchors = [Affine(0), Affine(1)]
    gpu = evaluate(Affine(0), anchors, landscape.Line(6), some_data(), device="cuda")
    cpu = evaluate(Affine(0), anchors, landscape.Line(6), some_data(), device="cpu")
    np.testing.assert_allclose(gpu.losses, cpu.losses, atol=1e-5)


def test_each_data_set_has_its_own_classes() -> None:
    """Two labels that one data set does not tell apart are joined before loss and prediction."""
    anchors = [Affine(0), Affine(1)]
    three = some_data()
    two = [(x, (y > 0).long()) for x, y in three]
    both = evaluate(
        Affine(0),
        anchors,
        landscape.Line(3),
        {"three": three, "two": two},
        transform={"two": collapse(((0,), (1, 2)), "logsumexp")},
    )
    logits, losses = by_hand(anchors, landscape.Line(3).coefficients(), three)
    np.testing.assert_allclose(both["three"].losses, losses, atol=1e-5)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p = np.stack([p[..., 0], p[..., 1] + p[..., 2]], axis=-1)
    labels = torch.cat([y for _, y in two]).numpy()
    expected = -np.log(p[:, np.arange(len(labels)), labels])
    np.testing.assert_allclose(both["two"].losses, expected, atol=1e-5)
    np.testing.assert_array_equal(both["two"].predictions, p.argmax(-1))


def test_a_data_loader_of_any_modules_inputs_will_do() -> None:
    x = torch.cat([x for x, _ in some_data()])
    y = torch.cat([y for _, y in some_data()])
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    result = evaluate(Affine(0), [Affine(0), Affine(1)], landscape.Line(3), loader)
    _, losses = by_hand([Affine(0), Affine(1)], landscape.Line(3).coefficients(), some_data())
    np.testing.assert_allclose(result.losses, losses, atol=1e-5)
