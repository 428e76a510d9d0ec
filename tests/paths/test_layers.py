"""Groups of parameters against the modules that own them, and models made of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from landscape.checkpoints import WeightCache, load_population
from landscape.core.errors import ConfigError
from landscape.paths.layers import hybrid, parameter_groups
from tests.conftest import KINDS
from tests.tiny import LABELS, make_model

ENCODER = {
    "bert": "bert.encoder",
    "roberta": "roberta.encoder",
    "distilbert": "distilbert.transformer",
}


def owned(model: nn.Module, *modules: nn.Module) -> set[str]:
    """The names of the parameters that these modules hold."""
    ids = {id(p) for module in modules for p in module.parameters()}
    return {name for name, p in model.named_parameters() if id(p) in ids}


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_the_modules_parameters(kind: str) -> None:
    model = make_model(kind, seed=0)
    names = [name for name, _ in model.named_parameters()]
    groups = {group: set(members) for group, members in parameter_groups(names).items()}
    base = getattr(model, kind)
    layers = list(model.get_submodule(ENCODER[kind]).layer)  # type: ignore[arg-type]
    inside = [(name, m) for layer in layers for name, m in layer.named_modules()]
    linear = [(name, m) for name, m in inside if isinstance(m, nn.Linear)]
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    assert groups == {
        "embeddings": owned(model, base.embeddings),
        "lower half": owned(model, layers[0]),
        "upper half": owned(model, layers[1]),
        "layer 0": owned(model, layers[0]),
        "layer 1": owned(model, layers[1]),
        "attention": owned(model, *[m for name, m in linear if name.startswith("attention.")]),
        "feed-forward": owned(model, *[m for n, m in linear if not n.startswith("attention.")]),
        "LayerNorm": owned(model, *norms),
        "head": set(names) - owned(model, base.embeddings, *layers),
    }
    assert all(groups.values())


def test_halves_of_an_odd_number_of_layers() -> None:
    names = [f"bert.encoder.layer.{i}.output.dense.weight" for i in (2, 10, 0, 1, 4, 3)]
    groups = parameter_groups(names)
    assert groups["lower half"] == (names[0], names[2], names[3], names[4], names[5])
    assert groups["upper half"] == (names[1],)
    assert "layer 7" not in groups
    first = [name for name in names if "10" not in name]
    assert parameter_groups(first)["lower half"] == (names[2], names[3])
    assert "head" not in parameter_groups(first)


def test_unknown_names_are_listed() -> None:
    strange = ["transformer.h.0.attn.c_attn.weight", "bert.encoder.layer.0.adapter.weight"]
    with pytest.raises(ConfigError, match=r"2 of 3 parameters") as caught:
        parameter_groups([*strange, "classifier.weight"])
    assert all(name in str(caught.value) for name in strange)
    with pytest.raises(ConfigError, match=r"x9 and 5 more"):
        parameter_groups([f"x{i}" for i in range(15)])


def test_a_hybrid_is_what_checkpoints_give(populations: dict[str, Path]) -> None:
    folder = populations["bert"]
    turned = load_population([f"{folder}/member-*"], LABELS[::-1]).checkpoints
    a, b = (member.params for member in turned[:2])
    assert a.rows  # the head's rows stand in another order than in the file
    mixed = hybrid(turned[0], turned[1], ["classifier.weight"])
    assert torch.equal(mixed["classifier.weight"], b["classifier.weight"])
    assert torch.equal(mixed["classifier.bias"], a["classifier.bias"])
    table = "bert.embeddings.word_embeddings.weight"
    fewer = mixed.with_rows({table: [3, 1]})
    assert torch.equal(fewer[table], a[table][[3, 1]])
    with WeightCache(10 * a.n_bytes, rows={table: [3, 1]}) as cache:
        kept = cache.get(replace(turned[0], params=mixed))
    assert torch.equal(kept[table], a[table][[3, 1]])
    assert torch.equal(kept["classifier.weight"], b["classifier.weight"])


def test_hybrids_of_models_that_do_not_fit() -> None:
    a = {"w": torch.zeros(2), "v": torch.zeros(3)}
    with pytest.raises(ConfigError, match=r"second model lacks 1 [\s\S]*found: v"):
        hybrid(a, {"w": torch.zeros(2)}, ["v"])
    with pytest.raises(ConfigError, match=r"first model lacks 1 [\s\S]*found: u"):
        hybrid(a, a, ["u"])
