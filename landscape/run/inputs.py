"""What an experiment needs before anything is measured: configuration, task, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landscape.analysis.barriers import RULES
from landscape.checkpoints import (
    Checkpoint,
    Population,
    build_model,
    load_population,
    load_tokenizer,
    token_table,
)
from landscape.core.errors import ConfigError, require_known
from landscape.evaluation import Evaluator
from landscape.indicators.registry import Place
from landscape.run.config import ExperimentConfig, load_config
from landscape.tasks import Examples, Task, data_root, load_examples, load_task, sample_examples
from landscape.tasks.batches import make_batches, tokenize, used_tokens
from landscape.tasks.groups import group_rows
from landscape.tasks.logits import collapse

TOKENS = 2048
"""Of a batch, where nothing else is said or measured."""


@dataclass(frozen=True)
class Experiment:
    """A configuration with its task and examples (role and sample), ready to be checked or run.

    Relative paths start from ``base``; store, figures and report go to ``out``.
    """

    config: ExperimentConfig
    base: Path
    out: Path
    task: Task
    examples: tuple[tuple[str, Examples], ...]
    data_root: Path | None = None

    @property
    def gap_dataset(self) -> str:
        """The data set whose losses make the gap matrix."""
        chosen = self.config.analysis.dataset
        return chosen or next(data.name for role, data in self.examples if role == "in_domain")

    def indicators_at(self, place: Place) -> list[str]:
        """What is measured there, the loss first."""
        indicators = self.config.indicators
        return ["loss", *(indicator.name for indicator in indicators if place in indicator.at)]

    @property
    def store(self) -> Path:
        """The store's path."""
        return self.out / "store.h5"

    def population(self, **options: Any) -> Population:
        """The models; options as in ``load_population``."""
        config = self.config
        return load_population(
            config.checkpoints,
            self.task.labels,
            label_map=config.label_map,
            base=self.base,
            **options,
        )

    def evaluator(
        self,
        checkpoint: Checkpoint,
        examples: Sequence[Examples] | None = None,
        *,
        tokens: int | None = None,
        device: str | None = None,
        n_points: int = 1,
    ) -> Evaluator:
        """What evaluates models on examples, by default on all of them."""
        settings, tokenizer = self.config.evaluate, load_tokenizer(checkpoint)
        datasets = [data for _, data in self.examples] if examples is None else examples
        tokens = tokens or settings.token_budget or TOKENS
        batches = {
            data.name: make_batches(tokenize(tokenizer, data, settings.max_length), tokens)
            for data in datasets
        }
        model = build_model(checkpoint, logits_only=True)
        table = token_table(model)
        return Evaluator(
            model,
            batches,
            device=device or settings.device,
            transform={d.name: collapse(d.classes, self.task.collapse) for d in datasets},
            rows={table: used_tokens(batches.values())} if table else {},
            n_points=n_points,
        )


def open_experiment(
    path: Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Experiment:
    """Read a configuration, its task and its data.

    ``root`` and ``out`` come before the configuration's own, ``changes`` are of its top-level keys.
    """
    config = load_config(path).model_copy(update=dict(changes or {}))
    base = path.absolute().parent
    task = load_task(config.task, base)
    if config.collapse is not None:
        task = task.model_copy(update={"collapse": config.collapse})
    folder = data_root(root or (base / config.data_root if config.data_root else None))
    chosen = config.datasets or tuple(task.datasets)
    for name in chosen:
        require_known("data set", name, task.datasets, where=f"datasets of {path}")
    if not set(chosen) & set(task.in_domain):
        raise ConfigError(
            "No in-domain data set is chosen; the gap matrix is made from one.",
            where=path,
            expected=f"one of {', '.join(task.in_domain)}",
        )
    examples = []
    for number, name in enumerate(chosen):
        rng = np.random.default_rng([config.seed, number])
        whole = load_examples(task, name, folder, base)
        role = "in_domain" if name in task.in_domain else "challenge"
        examples.append((role, sample_examples(whole, config.examples, rng)))
    _check_analysis(config, examples, path)
    where = Path(out) if out else base / config.out if config.out else Path("runs") / config.name
    return Experiment(config, base, where.absolute(), task, tuple(examples), folder)


def _check_analysis(
    config: ExperimentConfig, examples: Sequence[tuple[str, Examples]], path: Path
) -> None:
    """What the analysis names must be there before hours are spent."""
    columns = _columns(examples)
    sets = [data.name for _, data in examples]
    for what, value, names in (
        ("focus", config.analysis.focus, columns),
        ("dataset", config.analysis.dataset, sets),
    ):
        if value is not None:
            require_known(what, value, names, where=f"analysis.{what} of {path}")
    chosen = config.all_pairs.adaptive or config.evaluate.precision == "auto"
    growing = [name for name, rule in RULES.items() if rule.grows]
    if chosen and config.analysis.rule not in growing:
        raise ConfigError(
            f"More points can lower the rule '{config.analysis.rule}': none may be left out.",
            where=f"analysis.rule of {path}",
            expected="with an adaptive path or precision auto, one of " + ", ".join(growing),
            found=config.analysis.rule,
        )


def stored_config(experiment: Experiment) -> dict[str, Any]:
    """The configuration as a store keeps it: the task in full, the focus resolved."""
    content = experiment.config.model_dump(mode="json")
    content["path_text"] = experiment.config.all_pairs.text
    content["task"] = experiment.task.model_dump(mode="json", exclude_none=True)
    columns = _columns(experiment.examples)
    focus = experiment.config.analysis.focus or experiment.task.focus
    content["resolved_focus"] = focus if focus in columns else None
    return content


def _columns(examples: Sequence[tuple[str, Examples]]) -> list[str]:
    """The names that scores will have."""
    return [
        column for _, data in examples for column in group_rows(data.groups, len(data), data.name)
    ]
