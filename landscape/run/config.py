"""The experiment that a YAML file describes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, field_serializer, field_validator

from landscape.core.registry import load_plugins
from landscape.core.schema import Device, Name, PathText, Seed, Strict, read_yaml, validate
from landscape.indicators import Indicator, read_indicator
from landscape.indicators.calibrated_loss import CalibratedLoss
from landscape.paths.kinds import Curve, PathKind, read_path
from landscape.paths.kinds.curves import LineConfig

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


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

    device: Device | None = None
    precision: Literal[Precision, "auto"] = "fp32"
    token_budget: int | None = Field(default=None, gt=0)
    max_length: int = Field(default=128, gt=2)
    memory_budget: int | None = Field(default=None, gt=0)

    @property
    def exact(self) -> Precision:
        """The number format of what is reported."""
        return "fp32" if self.precision == "auto" else self.precision

    @field_validator("memory_budget", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError("write a size as 4GB or 500MB")
        size = float(match[1]) * _UNITS[match[2].upper()]
        if not size < 2**63:
            raise ValueError("more than 64 bits of bytes")
        return int(size)


class AnalysisConfig(Strict):
    """How the stored losses are read; changing it measures nothing anew.

    Attributes:
        rule: The barrier rule that makes the gap matrix.
        dataset: The data set whose losses make it; the first in-domain one when absent.
        n_basins: Found from the data when absent.
        delta: The affinity's scale in nats, or "median" of the gaps.
        focus: The challenge group that figures and the kinds of pairs show.
        tolerance: Nats (shares of examples of accuracy) below which a gap is no barrier.
        conditions: What tells training conditions apart: checkpoints' ``recipe``, models'
            ``names`` without the number at their end, ``auto``: the first of these that does,
            ``none``, or conditions by patterns of names (``none-*: none``).
    """

    rule: str = "convexity_gap"
    dataset: str | None = None
    n_basins: int | None = Field(default=None, ge=1)
    delta: float | Literal["median"] = "median"
    focus: str | None = None
    tolerance: float = Field(default=0.02, ge=0)
    conditions: Literal["auto", "recipe", "names", "none"] | dict[str, str] = "auto"
    n_resamples: int = Field(default=1000, ge=100, le=1_000_000)
    seed: Seed = 0

    @field_validator("rule")
    @classmethod
    def _known(cls, value: str) -> str:
        from landscape.analysis.barriers import RULES

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
        pairs: ``all`` pairs of models, or those that an ``active`` rule chooses: for populations
            whose pairs are too many to measure.
        pairs_budget: At most so many, of ``active``; about 1.1 n log2 n when absent.
        paths: Exactly one between all pairs, the straight line when absent; the others, curves
            between two models and surfaces through some, are measured after it.
        indicators: What is measured beside the losses; the calibrated loss when absent.
        out: The folder for store, figures and report; ``runs/NAME`` when absent.
    """

    name: Name
    checkpoints: tuple[PathText, ...] = Field(min_length=1)
    label_map: dict[str, str] | dict[str, dict[str, str]] | None = None
    task: PathText | dict[str, Any]
    collapse: Literal["max", "logsumexp"] | None = None
    data_root: PathText | None = None
    datasets: tuple[str, ...] | None = None
    examples: int | None = Field(default=512, ge=2)
    seed: Seed = 0
    pairs: Literal["all", "active"] = "all"
    pairs_budget: int | None = Field(default=None, gt=0)
    paths: tuple[SerializeAsAny[PathKind], ...] = (LineConfig(between="all"),)
    indicators: tuple[SerializeAsAny[Indicator], ...] = (CalibratedLoss(),)
    evaluate: EvaluateConfig = EvaluateConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    out: PathText | None = None

    @property
    def all_pairs(self) -> Curve:
        """The path between all pairs of models."""
        path = self.paths[0]
        assert isinstance(path, Curve)
        return path

    @property
    def other_paths(self) -> tuple[PathKind, ...]:
        """Those that are measured beside it."""
        return self.paths[1:]

    @field_validator("paths")
    @classmethod
    def _one_of_all_pairs(cls, value: tuple[PathKind, ...]) -> tuple[PathKind, ...]:
        of_all = [path for path in value if path.is_of_all_pairs] or [LineConfig(between="all")]
        if len(of_all) > 1:
            raise ValueError("more than one path between all pairs")
        others = [path for path in value if not path.is_of_all_pairs]
        titles = [path.title for path in others]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"two paths named '{twice[0]}': give one of them another 'name'")
        return (*of_all, *others)

    @field_serializer("indicators")
    def _by_name(self, value: tuple[Indicator, ...]) -> list[dict[str, Any]]:
        return [{indicator.name: indicator.model_dump(mode="json")} for indicator in value]

    @field_validator("datasets")
    @classmethod
    def _each_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value and len(set(value)) < len(value):
            raise ValueError("a data set is named twice")
        return value

    @field_validator("paths", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        return _entries(value, read_path, "paths")

    @field_validator("indicators", mode="before")
    @classmethod
    def _indicators(cls, value: Any) -> Any:
        return _entries(value, read_indicator, "indicators")

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def _entries(value: Any, read: Callable[[object, str], Any], where: str) -> Any:
    """Each entry by its registry; their errors are those of the whole configuration."""
    if isinstance(value, dict | str):
        value = (value,)
    if not isinstance(value, list | tuple):
        return value
    return tuple(read(entry, f"{where}[{index}]") for index, entry in enumerate(value))


def load_config(path: Path) -> ExperimentConfig:
    """Read an experiment's YAML."""
    load_plugins()
    return validate(ExperimentConfig, read_yaml(path), path)
