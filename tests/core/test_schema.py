from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landscape.core.errors import ConfigError
from landscape.core.schema import read_yaml, validate
from landscape.run.config import ExperimentConfig, load_config

GOOD: dict[str, Any] = {"name": "x", "checkpoints": ["a"], "task": "mnli"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chekpoints": []}, "unknown key 'chekpoints' \\(did you mean 'checkpoints'\\?\\)"),
        ({"paths": [{"kind": "line", "pionts": 3}]}, "unknown key 'pionts' .*'points'"),
        ({"evaluate": {"memory_budget": "lots"}}, "4GB or 500MB"),
        ({"analysis": {"rule": "hill"}}, "unknown rule; one of .*convexity_gap"),
        ({"evaluate": {"precision": "fp8"}, "examples": 0}, "2 problems"),
    ],
)
def test_mistakes_are_named_with_the_nearest_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(ExperimentConfig, {**GOOD, **change}, "x.yaml")


def test_sizes_are_read() -> None:
    config = validate(ExperimentConfig, {**GOOD, "evaluate": {"memory_budget": "1.5GB"}}, "")
    assert config.evaluate.memory_budget == 3 * 2**29


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_files_that_are_no_yaml_mapping(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        read_yaml(file)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("experiments/*.yaml")), ids=lambda p: p.name
)
def test_the_experiments_of_the_repository_are_valid(path: Path) -> None:
    from landscape.training.finetune import load_finetune_config

    if "base" in read_yaml(path):
        load_finetune_config(path)
    else:
        load_config(path)
