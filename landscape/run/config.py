"""The experiment that a YAML file describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from landscape.core.errors import ConfigError
from landscape.core.schema import Device, PathText, Seed, Strict, read_yaml, validate

Name = Annotated[str, Field(pattern=r"^\.*[\w-][\w.-]*$", max_length=200)]
"""A file's or a folder's name: not "..", and no path."""
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class FitConfig(Strict):
    """How the control points of a curve are trained, on the task's training data.

    Attributes:
        examples: Training examples in a stratified sample; all when null.
        batch_size: Examples a step.
        steps: Of the optimiser; of one cycle of AutoNEB.
        points_per_step: Values of t a step.
        learning_rate: The peak.
        precision: bf16 means autocast; the weights stay fp32.
        seed: Of the sample, the order of the batches and the values of t.
    """

    examples: int | None = Field(default=4000, ge=2)
    batch_size: int = Field(default=32, gt=0)
    steps: int = Field(default=300, gt=0)
    points_per_step: int = Field(default=1, gt=0, le=1001)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: Seed = 0


class PathConfig(Strict):
    """The way between the two models of a pair.

    Attributes:
        kind: ``line``; ``bezier`` and ``chain`` with control points that are trained for each pair.
        points: Evenly spaced positions, both ends included.
        degree: Of a Bezier curve.
        bends: Of a chain.
        fit: How control points are trained.
        adaptive: Evaluate a position only where the gap could still grow by more than the
            tolerance.
        tolerance: Nats by which a gap may be too low, with adaptive positions or
            ``precision: auto``.
    """

    kind: Literal["line", "bezier", "chain"] = "line"
    points: int = Field(default=11, ge=3, le=1001)
    adaptive: bool = False
    tolerance: float = Field(default=0.005, gt=0)
    degree: int = Field(default=2, ge=2, le=10)
    bends: int = Field(default=1, ge=1, le=100)
    fit: FitConfig = FitConfig()


class WayConfig(Strict):
    """A way between two of the models, measured beside the pairs.

    Attributes:
        kind: ``line``; ``bezier`` and ``chain`` with trained control points; ``autoneb``;
            ``layers``: lines on which only a group of layers moves, one for each group and end.
        between: Two models' names, or ``largest_gap``.
        points: Evenly spaced values of t, both ends included.
        degree: Of a Bezier curve.
        bends: Of a chain.
        cycles: Of AutoNEB.
        max_pivots: Of AutoNEB, at most.
        groups: Of ``layers``, names in ``parameter_groups``; embeddings, lower and upper half,
            attention, feed-forward, LayerNorm and head when absent.
        fit: How control points are trained.
    """

    kind: Literal["line", "bezier", "chain", "autoneb", "layers"]
    name: Name | None = None
    between: Literal["largest_gap"] | tuple[str, str] = "largest_gap"
    points: int = Field(default=21, ge=3, le=1001)
    degree: int = Field(default=2, ge=2, le=10)
    bends: int = Field(default=1, ge=1, le=100)
    cycles: int = Field(default=3, ge=1, le=1000)
    max_pivots: int = Field(default=7, ge=1, le=1000)
    groups: tuple[str, ...] | None = None
    fit: FitConfig = FitConfig()


class SurfaceConfig(Strict):
    """A surface through some of the models, measured beside the pairs.

    Attributes:
        kind: ``plane`` through three models; ``random``: two filter-normalised random directions
            from one; ``pca``: the principal plane of all models.
        through: Of a plane: three models' names, or ``two_basins`` for the two nearest models of
            one basin and the one of another that is farthest from them. Of ``random``: one.
        points: Along the longer side.
        margin: Beside the models, as a share of each side.
        extent: Of ``random``: steps go from -extent to extent, in lengths of the filters.
        tolerance: How far a loss may be off, as a share of it, where it is interpolated between
            evaluated points; every point is evaluated when null.
        seed: Of random directions.
    """

    kind: Literal["plane", "random", "pca"] = "plane"
    name: Name | None = None
    through: Literal["two_basins"] | tuple[str, ...] = "two_basins"
    points: int = Field(default=21, ge=3, le=501)
    margin: float = Field(default=0.2, ge=0)
    extent: float = Field(default=1.0, gt=0)
    tolerance: float | None = Field(default=None, gt=0)
    seed: Seed = 0

    @model_validator(mode="after")
    def _as_many_as_it_needs(self) -> SurfaceConfig:
        needed = {"plane": 3, "random": 1}.get(self.kind)
        if needed and self.through != "two_basins" and len(self.through) != needed:
            raise ValueError(
                f"a surface of kind '{self.kind}' goes through {needed} of the models, "
                f"not {len(self.through)}"
            )
        return self


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
    precision: Literal["fp32", "tf32", "bf16", "fp64", "auto"] = "fp32"
    token_budget: int | None = Field(default=None, gt=0)
    max_length: int = Field(default=128, gt=2)
    memory_budget: int | None = Field(default=None, gt=0)

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
    """

    rule: str = "convexity_gap"
    dataset: str | None = None
    n_basins: int | None = Field(default=None, ge=1)
    delta: float | Literal["median"] = "median"
    focus: str | None = None
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
        ways: Measured between single pairs, after all pairs' lines.
        surface: One surface or several, measured after the ways.
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
    path: PathConfig = PathConfig()
    ways: tuple[WayConfig, ...] = ()
    surface: tuple[SurfaceConfig, ...] = ()
    evaluate: EvaluateConfig = EvaluateConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    out: PathText | None = None

    @model_validator(mode="after")
    def _named_apart(self) -> ExperimentConfig:
        names = [way.name or way.kind for way in self.ways]
        names += [surface.name or surface.kind for surface in self.surface]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two ways or surfaces named '{twice[0]}': give one of them another 'name'"
            )
        return self

    @field_validator("datasets")
    @classmethod
    def _each_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value and len(set(value)) < len(value):
            raise ValueError("a data set is named twice")
        return value

    @field_validator("ways", "surface", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, dict) else value

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def load_config(path: Path) -> ExperimentConfig:
    """Read an experiment's YAML.

    Raises:
        ConfigError: Every problem in one message, with the nearest key for an unknown one; an
            ``out`` that cannot be a folder.
    """
    config = validate(ExperimentConfig, read_yaml(path), path)
    if config.out is not None:
        _check_folder(path.absolute().parent / config.out, f"out of {path}")
    return config


def _check_folder(path: Path, where: str) -> None:
    """Refuse what is, or lies below, something else than a folder."""
    try:
        there = next((up for up in (path, *path.parents) if up.exists()), None)
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise ConfigError("The folder cannot be used.", where=where, found=error) from None
    if there is not None and not there.is_dir():
        raise ConfigError(
            "The folder to write to cannot be made: a file is in its place.",
            where=where,
            found=there,
            fix="name another 'out'",
        )
