"""The experiment that a YAML file describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from landscape.schema import Strict, read_yaml, validate

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class PathConfig(Strict):
    """The way between the two models of a pair.

    Attributes:
        points: Evenly spaced positions, both ends included.
        adaptive: Evaluate a position only where the gap could still grow by more than the
            tolerance.
        tolerance: Nats by which a gap may be too low, with adaptive positions or
            ``precision: auto``.
    """

    kind: Literal["line"] = "line"
    points: int = Field(default=11, ge=3, le=1001)
    adaptive: bool = False
    tolerance: float = Field(default=0.005, gt=0)


class EvaluateConfig(Strict):
    """How forwards are run.

    Attributes:
        device: cpu or cuda; cuda where there is one when absent.
        precision: ``auto`` screens in a faster format, where this machine has one, and
            evaluates in fp32 what decides a gap.
        token_budget: Examples x longest of one batch, in tokens; measured when absent.
        max_length: Longer texts are cut, in tokens.
        memory_budget: Of the whole process (on a GPU, of its memory), as 4GB or 500MB; half of
            what there is when absent.
    """

    device: str | None = Field(default=None, pattern=r"^(cpu|cuda(:\d+)?)$")
    precision: Literal["fp32", "tf32", "bf16", "fp64", "auto"] = "fp32"
    token_budget: int | None = Field(default=None, gt=0)
    max_length: int = Field(default=128, gt=2)
    memory_budget: int | None = None

    @field_validator("memory_budget", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError("write a size as 4GB or 500MB")
        return int(float(match[1]) * _UNITS[match[2].upper()])


class AnalysisConfig(Strict):
    """How the stored losses are read; changing it measures nothing anew.

    Attributes:
        rule: The barrier rule that makes the gap matrix.
        dataset: The data set whose losses make it; the first in-domain one when absent.
        n_basins: Found from the data when absent.
        delta: The affinity's scale in nats, or "median" of the gaps.
        focus: The challenge group that figures and the kinds of pairs show.
    """

    rule: str = "convexity_gap"
    dataset: str | None = None
    n_basins: int | None = Field(default=None, ge=1)
    delta: float | Literal["median"] = "median"
    focus: str | None = None
    n_resamples: int = Field(default=1000, ge=100)
    seed: int = 0

    @field_validator("rule")
    @classmethod
    def _known(cls, value: str) -> str:
        from landscape.barriers import RULES

        if value not in RULES:
            raise ValueError(f"unknown rule; one of {', '.join(RULES)}")
        return value


class ExperimentConfig(Strict):
    """What ``landscape run`` takes.

    Attributes:
        checkpoints: Directories, globs, hub ids with ``@revision``.
        label_map: From the checkpoints' label names to the task's; for all, or by checkpoint.
        task: A built-in task's name, a YAML file, or its content.
        collapse: How logits of labels that a data set does not tell apart become one, ``max`` or
            ``logsumexp``; the task's choice when absent.
        data_root: Where the task's data files lie.
        datasets: Only these of the task's data sets.
        examples: How many of each data set, stratified; all when null.
        seed: Of the sample.
        out: The folder for store, figures and report; ``runs/NAME`` when absent.
    """

    name: str = Field(pattern=r"^[\w.-]+$")
    checkpoints: tuple[str, ...] = Field(min_length=1)
    label_map: dict[str, str] | dict[str, dict[str, str]] | None = None
    task: str | dict[str, Any]
    collapse: Literal["max", "logsumexp"] | None = None
    data_root: str | None = None
    datasets: tuple[str, ...] | None = None
    examples: int | None = Field(default=512, ge=2)
    seed: int = 0
    path: PathConfig = PathConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    out: str | None = None

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def load_config(path: Path) -> ExperimentConfig:
    """Read an experiment's YAML.

    Raises:
        ConfigError: Every problem in one message, with the nearest key for an unknown one.
    """
    return validate(ExperimentConfig, read_yaml(path), path)
