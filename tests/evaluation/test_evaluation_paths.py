"""Every fast path of ``evaluate`` gives what the plain one gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

import landscape
from landscape.checkpoints import (
    Population,
    WeightCache,
    build_model,
    load_population,
    load_tokenizer,
    token_table,
)
from landscape.core.errors import ConfigError
from landscape.evaluation import Evaluator, evaluate
from landscape.evaluation.kernels import Kernels, has_onednn
from landscape.evaluation.plan import Plan, default_plan, plan_key, remember, remembered
from landscape.tasks import load_examples, load_task
from landscape.tasks.batches import Batches, make_batches, tokenize, used_tokens
from tests.conftest import KINDS
from tests.tiny import LABELS


@pytest.fixture(params=KINDS)
def case(
    request: pytest.FixtureRequest, populations: dict[str, Path], task_file: Path
) -> tuple[Population, Batches]:
    """Three classifiers of an architecture, and length-sorted batches for them."""
    population = load_population([f"{populations[request.param]}/member-*"], LABELS)
    examples = load_examples(load_task(task_file), "dev", base=task_file.parent)
    tokens = tokenize(load_tokenizer(population.checkpoints[0]), examples)
    return population, make_batches(tokens, token_budget=64)


def plain(population: Population, batches: Batches, attention: str = "sdpa") -> np.ndarray:
    """Logits along a line, by functional_call and nothing else."""
    model = build_model(population.checkpoints[0], attention)
    a, b = (dict(member.params) for member in population.checkpoints[:2])
    logits = []
    for t in landscape.Line(4).positions:
        state = {name: (1 - t) * a[name] + t * b[name] for name in a}
        with torch.no_grad():
            parts = [functional_call(model, state, (), inputs).logits for inputs, _ in batches]
        logits.append(torch.cat(parts)[batches.places])
    return torch.stack(logits).numpy()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_last_layer_at_the_first_token_gives_the_same_logits(
    case: tuple[Population, Batches], attention: str
) -> None:
    population, batches = case
    model = build_model(population.checkpoints[0], attention, logits_only=True)
    assert "forward" in vars(last_layer(model))  # it was done
    result = evaluate(model, population.checkpoints[:2], landscape.Line(4), batches)
    np.testing.assert_allclose(result.logits, plain(population, batches), atol=2e-5)


def last_layer(model: nn.Module) -> nn.Module:
    return [m for m in model.modules() if isinstance(m, nn.ModuleList)][-1][-1]


def test_a_layer_of_another_kind_is_left_as_it_is(populations: dict[str, Path]) -> None:
    from landscape.checkpoints.first_token import read_first_token_only

    (member, *_) = load_population([f"{populations['bert']}/member-*"], LABELS).checkpoints
    model = build_model(member)
    last = last_layer(model)
    last.intermediate.forward = lambda hidden: hidden.sum(1, keepdim=True).repeat(1, 1, 2)
    assert not read_first_token_only(model, member.params)
    assert "forward" not in vars(last)


@pytest.mark.parametrize("linear", ["onednn", "packed"])
@pytest.mark.skipif(not has_onednn(), reason="this torch has no oneDNN")
def test_kernels_of_linear_layers_agree(case: tuple[Population, Batches], linear: str) -> None:
    population, batches = case
    evaluator = Evaluator(build_model(population.checkpoints[0], logits_only=True), batches)
    evaluator.use(Plan("loop", 1, linear))
    result = evaluator.evaluate(population.checkpoints[:2], landscape.Line(4))
    np.testing.assert_allclose(result.logits, plain(population, batches), atol=2e-5)


@pytest.mark.parametrize("shape", [None, (6, 6), (5, 1, 6, 6), (1, 1, 6, 6), (5, 4, 6, 6)])
@pytest.mark.parametrize("shared_key", [False, True])
def test_batched_attention_against_a_loop(shape: tuple[int, ...] | None, shared_key: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 3, 5, 4, 6, 8, generator=generator).unbind(0)
    mask = None if shape is None else torch.randn(shape, generator=generator)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)

    dims = (0, None if shared_key else 0, 0)
    with Kernels("torch"):
        batched = vmap(attend, in_dims=dims)(q, k[0] if shared_key else k, v)
    for p in range(3):
        expected = attend(q[p], k[0] if shared_key else k[p], v[p])
        torch.testing.assert_close(batched[p], expected)


def test_rows_that_no_token_uses_are_never_mixed(case: tuple[Population, Batches]) -> None:
    population, batches = case
    model = build_model(population.checkpoints[0])
    table = token_table(model)
    assert table is not None
    used = used_tokens([batches])
    broken = []
    for member in population.checkpoints[:2]:
        params = {name: tensor.clone() for name, tensor in member.params.items()}
        unused = np.setdiff1d(np.arange(len(params[table])), used)
        assert len(unused)
        params[table][unused] = torch.nan
        broken.append(params)
    for strategy in ("loop", "vmap"):
        whole = evaluate(
            model, broken, landscape.Line(4), batches, rows={table: used}, strategy=strategy
        )
        np.testing.assert_allclose(whole.logits, plain(population, batches), atol=2e-5)
        part = [member.params.with_rows({table: used}) for member in population.checkpoints[:2]]
        few = evaluate(
            model, part, landscape.Line(4), batches, rows={table: used}, strategy=strategy
        )
        np.testing.assert_array_equal(few.logits, whole.logits)
    with pytest.raises(ConfigError, match=f"'{table}' in another shape"):
        evaluate(model, [broken[0], {**broken[1], table: broken[1][table][:3]}],
                 landscape.Line(4), batches, rows={table: used})  # fmt: skip


def test_a_tied_token_table_is_not_cut(populations: dict[str, Path]) -> None:
    (member, *_) = load_population([f"{populations['bert']}/member-*"], LABELS).checkpoints
    model = build_model(member)
    model.extra = nn.Linear(16, 16, bias=False)
    model.extra.weight = model.get_input_embeddings().weight
    assert token_table(model) is None


def test_bf16_keeps_the_classification_head_in_fp32() -> None:
    """The body's outputs are exact in bf16 here, so that only the head's rounding could show."""
    torch.manual_seed(0)
    body, head = nn.Linear(4, 64), nn.Linear(64, 3)
    with torch.no_grad():
        body.weight.copy_(torch.randint(-2, 3, (64, 4)))
        body.bias.zero_()
    model = nn.Sequential(body, nn.ReLU(), head)
    x, y = torch.randint(-2, 3, (9, 4)).float(), torch.zeros(9, dtype=torch.long)
    for strategy in ("loop", "vmap"):
        low = evaluate(
            model, [model], np.ones((1, 1)), [(x, y)], precision="bf16", strategy=strategy
        )
        np.testing.assert_allclose(low.logits[0], model(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("case", ["bert"], indirect=True)
def test_an_evaluator_answers_as_often_as_asked(case: tuple[Population, Batches]) -> None:
    population, batches = case
    evaluator = Evaluator(build_model(population.checkpoints[0]), {"a": batches, "b": batches})
    first = evaluator.evaluate(population.checkpoints[:2], landscape.Line(4))
    evaluator.evaluate(population.checkpoints[1:], landscape.Line(3), "bf16")
    again = evaluator.evaluate(population.checkpoints[:2], landscape.Line(4))
    np.testing.assert_array_equal(first["a"].logits, again["b"].logits)


@pytest.mark.parametrize("case", ["bert"], indirect=True)
def test_a_plan_is_measured_remembered_and_used(
    case: tuple[Population, Batches], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path))
    population, batches = case
    model = build_model(population.checkpoints[0], logits_only=True)
    plan = Evaluator(model, batches).tune(population.checkpoints[:2])
    assert plan.tokens in (1024, 2048, 4096)
    (file,) = (tmp_path / "plans").iterdir()
    assert json.loads(file.read_text())["strategy"] == plan.strategy
    assert Evaluator(model, batches).plan(population.checkpoints[:2]) == plan
    file.write_text("{")  # a cache that was cut off is measured anew, not trusted
    unmeasured = Evaluator(model, batches).plan(population.checkpoints[:2])
    assert unmeasured == default_plan(
        sum(p.numel() for p in model.parameters()), torch.device("cpu")
    )
    assert Evaluator(model, batches).fast_precision(population.checkpoints[:1]) in ("bf16", None)


def test_a_plan_belongs_to_model_format_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path))
    cpu, model = torch.device("cpu"), nn.Linear(2, 2)
    key = plan_key(model, cpu, "fp32", 100)
    assert key == plan_key(nn.Linear(2, 2), cpu, "fp32", 120)
    others = ((nn.Linear(2, 3), "fp32", 100), (model, "tf32", 100), (model, "fp32", 1000))
    assert all(plan_key(which, cpu, *rest)[:32] != key[:32] for which, *rest in others)
    remember(key, Plan(chunk=7))
    assert remembered(key) == Plan(chunk=7)
    monkeypatch.setenv("LANDSCAPE_CACHE", "/proc/nowhere")
    remember(key, Plan())  # no obstacle
    assert remembered(key) is None


def test_tf32_is_for_nvidia_gpus() -> None:
    model = nn.Linear(4, 3)
    data = [(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))]
    with pytest.raises(ConfigError, match="TF32 is a number format of NVIDIA GPUs"):
        evaluate(model, [model], np.ones((1, 1)), data, precision="tf32", device="cpu")


def test_a_cache_keeps_what_fits_and_reads_ahead(populations: dict[str, Path]) -> None:
    members = load_population([f"{populations['bert']}/member-*"], LABELS).checkpoints
    size = members[0].params.n_bytes
    with WeightCache(2 * size) as cache:
        for i in (0, 1, 0, 1):
            for name, tensor in cache.get(members[i]).items():
                torch.testing.assert_close(tensor, members[i].params[name])
        assert cache.reads == 2
        cache.prefetch(members)  # no room beside a pair
        cache.get(members[2])
        assert cache.reads == 3
        torch.testing.assert_close(dict(cache.get(members[1])), dict(members[1].params))
        assert cache.reads == 3  # 1 was used last when 2 came in place of 0
    with WeightCache(4 * size) as cache:
        cache.prefetch(members)
        cache.get(members[-1])
        assert cache.reads == 3
