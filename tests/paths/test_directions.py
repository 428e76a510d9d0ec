"""Directions against the rules they state, computed here with numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from landscape.core.errors import ConfigError
from landscape.paths.directions import random_direction, read_direction

seeds = st.integers(0, 2**32 - 1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(seed: int = 0) -> dict[str, Tensor]:
    """What a small transformer holds."""
    rng = generator(seed)
    shapes = {
        "embeddings.word.weight": (7, 4),
        "layer.query.weight": (4, 4),
        "layer.query.bias": (4,),
        "layer.norm.weight": (4,),
        "classifier.weight": (3, 4),
        "scale": (),
        "conv": (2, 3, 5),
    }
    made = {name: 3 * torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    made["embeddings.word.weight"][0] = 0  # padding
    return made | {"position_ids": torch.arange(7)}


def flat(direction: Mapping[str, Tensor]) -> np.ndarray:
    return np.concatenate([tensor.double().numpy().ravel() for tensor in direction.values()])


@given(seeds, st.sampled_from(["filter", "layer", "none"]))
def test_scaling_never_turns_what_was_drawn(seed: int, normalize: str) -> None:
    params = weights()
    rng = generator(seed)
    drawn = {
        name: torch.randn(tensor.shape, generator=rng).double().numpy()
        for name, tensor in params.items()
        if tensor.is_floating_point()
    }
    made = random_direction(params, generator(seed), normalize=normalize, one_dimensional="norm")
    assert list(made) == list(drawn)
    for name, tensor in made.items():
        raw, like = drawn[name], params[name].double().numpy()
        if tensor.ndim > 1 and normalize == "none":
            expected = raw
        elif tensor.ndim > 1 and normalize == "filter":
            axes = tuple(range(1, raw.ndim))
            ratio = np.square(like).sum(axes, keepdims=True) / np.square(raw).sum(
                axes, keepdims=True
            )
            expected = raw * np.sqrt(ratio)
        else:
            expected = raw * np.sqrt(np.square(like).sum() / np.square(raw).sum())
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_the_draws_do_not_depend_on_what_stays_at_zero() -> None:
    zero = random_direction(weights(), generator(3))
    norm = random_direction(weights(), generator(3), one_dimensional="norm")
    for name, tensor in zero.items():
        expected = norm[name] if tensor.ndim > 1 else torch.zeros_like(tensor)
        torch.testing.assert_close(tensor, expected, rtol=0, atol=0)
    again = random_direction(weights(), generator(3))
    np.testing.assert_array_equal(flat(again), flat(zero))
    assert (flat(random_direction(weights(), generator(4))) != flat(zero)).any()


def test_the_numbers_are_standard_normal() -> None:
    big = {"weight": torch.zeros(300, 200)}
    numbers = flat(random_direction(big, generator(), normalize="none"))
    assert abs(numbers.mean()) < 5 / np.sqrt(len(numbers))
    assert abs(numbers.var() - 1) < 5 * np.sqrt(2 / len(numbers))
    # a uniform variable of this variance has a fourth moment of 1.8
    assert (numbers**4).mean() == pytest.approx(3, abs=0.15)


def test_a_direction_is_read_from_a_file(tmp_path: Path) -> None:
    params, vector = weights(), {"conv": torch.ones(2, 3, 5), "scale": torch.tensor(2.0)}
    save_file(vector, tmp_path / "v.safetensors")
    direction = read_direction(tmp_path / "v.safetensors", params)
    assert list(direction) == [name for name in params if name != "position_ids"]
    for name, tensor in direction.items():
        torch.testing.assert_close(tensor, vector.get(name, torch.zeros_like(params[name])))
    for wrong, message in (
        ({"cnv": torch.ones(1)}, "did you mean 'conv'"),
        ({"conv": torch.ones(2)}, r"(?s)expected: \(2, 3, 5\).*found: \(2,\)"),
        ({"scale": torch.tensor(0.0)}, "not zero"),
        ({"scale": torch.tensor(torch.nan)}, "finite"),
    ):
        save_file(wrong, tmp_path / "v.safetensors")
        with pytest.raises(ConfigError, match=message):
            read_direction(tmp_path / "v.safetensors", params)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_direction(tmp_path / "absent.safetensors", params)


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"(?s)no normalisation 'filters'.*did you mean 'filter'"):
        random_direction(weights(), generator(), normalize="filters")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no parameters to draw a direction for"):
        random_direction({"ids": torch.arange(3)}, generator())
