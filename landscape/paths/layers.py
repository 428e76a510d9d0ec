"""Which parameters of an encoder belong together, and models put together from two of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from landscape.checkpoints import Weights
from landscape.checkpoints.anchors import Anchor, as_params, shape_of
from landscape.core.errors import ConfigError

# BERT, RoBERTa, ELECTRA: encoder.layer.<i>; DistilBERT: transformer.layer.<i>
_LAYER = re.compile(r"(?:\w+\.)?(?:encoder|transformer)\.layer\.(?P<number>\d+)\.(?P<inside>.+)")
_EMBEDDINGS = re.compile(r"(?:\w+\.)?embeddings(?:_project)?\..+")
_HEAD = re.compile(r"(?:(?:\w+\.)?pooler|pre_classifier|classifier)\..+")
_NORM = re.compile(r"LayerNorm|layer_norm")
_KINDS = {"attention": ("attention.",), "feed-forward": ("intermediate.", "output.", "ffn.")}
_LISTED = 10


def parameter_groups(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Groups of an encoder's parameters, by the names that BERT, RoBERTa and DistilBERT give them.

    ``embeddings``, ``layer 0``, ``layer 1``, ... and ``head`` (pooler, pre_classifier, classifier)
    hold every parameter once. So do ``embeddings``, ``lower half``, ``upper half`` and ``head``: of
    an odd number of layers, the middle one is in the upper half. ``attention`` and
    ``feed-forward`` are the linear maps of all layers; ``LayerNorm`` is that of the layers and of
    the embeddings.

    Groups without a parameter are left out.

    Raises:
        ConfigError: Names that belong nowhere, by name.
    """
    names = tuple(names)
    layers: dict[int, list[str]] = {}
    parts: dict[str, list[str]] = {"embeddings": [], "head": []}
    kinds: dict[str, list[str]] = {"attention": [], "feed-forward": [], "LayerNorm": []}
    unknown = []
    for name in names:
        layer = _LAYER.fullmatch(name)
        kind = _kind(name, layer)
        if kind:
            kinds[kind].append(name)
        if layer and kind:
            layers.setdefault(int(layer["number"]), []).append(name)
        elif _EMBEDDINGS.fullmatch(name):
            parts["embeddings"].append(name)
        elif _HEAD.fullmatch(name):
            parts["head"].append(name)
        else:
            unknown.append(name)
    if unknown:
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise ConfigError(
            f"{len(unknown)} of {len(names)} parameters belong to no known part of an encoder.",
            expected="names as of BERT, RoBERTa or DistilBERT classifiers",
            found=", ".join(unknown[:_LISTED]) + more,
        )
    count = max(layers, default=-1) + 1
    lower = [name for name in names for i in range(count // 2) if name in layers.get(i, ())]
    upper = [name for name in names for i in range(count // 2, count) if name in layers.get(i, ())]
    groups = {
        "embeddings": parts["embeddings"],
        "lower half": lower,
        "upper half": upper,
        **{f"layer {i}": layers.get(i, []) for i in range(count)},
        **kinds,
        "head": parts["head"],
    }
    return {group: tuple(members) for group, members in groups.items() if members}


def _kind(name: str, layer: re.Match[str] | None) -> str | None:
    """``attention``, ``feed-forward`` or ``LayerNorm``, where it is one of them."""
    if _NORM.search(layer["inside"] if layer else name):
        return "LayerNorm" if layer or _EMBEDDINGS.fullmatch(name) else None
    if layer is None:
        return None
    return next((k for k, begins in _KINDS.items() if layer["inside"].startswith(begins)), None)


def hybrid(a: Anchor, b: Anchor, names: Iterable[str]) -> Weights:
    """The weights of ``b`` under some names and of ``a`` elsewhere, read when they are asked for.

    A ``Line`` with the anchors ``[a, hybrid(a, b, names)]`` is the path from ``a`` to ``b`` along
    these parameters alone.

    Raises:
        ConfigError: A name that either lacks.
    """
    below, above, chosen = as_params(a), as_params(b), frozenset(names)
    for end, params in (("first", below), ("second", above)):
        if absent := sorted(chosen - set(params)):
            raise ConfigError(
                f"The {end} model lacks {len(absent)} of the chosen parameters.",
                where="hybrid(a, b, names)",
                found=", ".join(absent[:_LISTED]),
            )
    shapes = {name: shape_of(below, name) for name in below}
    return Weights(shapes, lambda name: (above if name in chosen else below)[name].detach())
