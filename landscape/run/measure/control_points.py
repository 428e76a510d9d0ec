"""Control points: trained once, kept beside the results as safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn

from landscape.checkpoints import Population, build_model, load_tokenizer
from landscape.core.errors import ConfigError
from landscape.core.files import replacing
from landscape.paths.kinds import FitConfig, Part, PathKind, Trained, TrainingConfig
from landscape.paths.kinds.registry import Params
from landscape.records.writing import writing
from landscape.run.inputs import Experiment
from landscape.tasks import load_examples, sample_examples
from landscape.tasks.batches import tokenize
from landscape.training import Fit, Fitted, Neb, find_path, fit_curve
from landscape.training.loop import batch_rows
from landscape.training.simplexes import SimplexFit, fit_simplex

Report = Callable[[str], None]
_NOTES = "path.json"


def recipe_of(path: PathKind, part: Part, names: Sequence[str]) -> dict[str, Any]:
    """What must be the same for numbers of a path to be the same."""
    recipe = {
        "path": path.model_dump(mode="json"),
        "models": [names[i] for i in part.models],
        "part": part.notes,
    }
    return dict(json.loads(json.dumps(recipe)))


def trained_controls(
    path: PathKind,
    part: Part,
    folder: Path,
    experiment: Experiment,
    population: Population,
    report: Report,
) -> Trained:
    """Trained control points: from the path's own folder, or trained now and kept there."""
    recipe = recipe_of(path, part, population.names)
    notes_file = folder / _NOTES
    if notes_file.is_file():
        notes = json.loads(notes_file.read_text())
        if {key: notes.get(key) for key in recipe} == recipe:
            return Trained(read_controls(folder), notes)
    members = [population.checkpoints[i].params for i in part.models]
    with writing(folder):
        trained = path.train(members, _Trainer(experiment, population, folder, report))
        folder.mkdir(parents=True, exist_ok=True)
        for before in folder.glob("control-*.safetensors"):  # of other settings
            before.unlink()
        for number, control in enumerate(trained.controls):
            content = {name: value.cpu().contiguous() for name, value in control.items()}
            with replacing(folder / f"control-{number:02d}.safetensors") as file:
                file.write(save(content, {"format": "pt"}))
        notes = {**recipe, "n_controls": len(trained.controls), **trained.notes}
        with replacing(notes_file) as file:
            file.write(json.dumps(notes, indent=1).encode())
        for state in folder.glob("state.pt*"):
            state.unlink()
    return Trained(trained.controls, notes)


def read_controls(folder: Path) -> list[dict[str, torch.Tensor]]:
    """Control points that were kept."""
    files = sorted(folder.glob("control-*.safetensors"))
    notes = folder / _NOTES
    n = json.loads(notes.read_text())["n_controls"] if notes.is_file() else "some"
    if len(files) != n:
        raise ConfigError(
            "The control points of a path are not there.",
            where=folder,
            expected=f"{n} files control-*.safetensors, and {_NOTES}",
            found=len(files),
            fix="restore the folder, or run the experiment again",
        )
    return [load_file(file) for file in files]


@dataclass(frozen=True)
class _Trainer:
    """As in ``paths.kinds.registry.Trainer``, on the task's training data."""

    experiment: Experiment
    population: Population
    folder: Path
    report: Report

    def fit_curve(self, ends: Sequence[Params], geometry: Any, fit: FitConfig) -> Trained:
        curve = fit_curve(
            self._model(),
            ends,
            geometry,
            self._batches(fit),
            Fit(**fit.model_dump(exclude={"examples", "batch_size"})),
            **self._settings(),
        )
        return _trained(curve)

    def find_path(
        self, ends: Sequence[Params], cycles: int, max_pivots: int, fit: TrainingConfig
    ) -> Trained:
        rates = [fit.learning_rate] * (cycles - 1) + [fit.learning_rate / 3]
        neb = Neb(
            cycles=tuple((fit.steps, rate) for rate in rates),
            max_pivots=max_pivots,
            seed=fit.seed,
            precision=fit.precision,
        )
        batches = self._batches(fit)
        probe = [batches(step) for step in range(4)]
        path = find_path(self._model(), ends, batches, probe, neb, **self._settings())
        return _trained(path)

    def fit_simplex(
        self,
        vertices: Sequence[Params],
        fit: TrainingConfig,
        *,
        connect: int,
        samples_per_step: int,
        volume_weight: float,
    ) -> Trained:
        settings = SimplexFit(
            **fit.model_dump(exclude={"examples", "batch_size"}),
            samples_per_step=samples_per_step,
            volume_weight=volume_weight,
        )
        simplex = fit_simplex(
            self._model(),
            vertices,
            self._batches(fit),
            settings,
            n_connect=connect,
            **self._settings(),
        )
        return _trained(simplex)

    def _model(self) -> nn.Module:
        return build_model(self.population.checkpoints[0], logits_only=True)

    def _settings(self) -> dict[str, Any]:
        return {
            "device": self.experiment.config.evaluate.device,
            "state": self.folder / "state.pt",
            "report": lambda line: self.report(f"{self.folder.name}: {line}"),
        }

    def _batches(self, fit: TrainingConfig) -> Callable[[int], Any]:
        """From a step to its batch of the task's training data."""
        experiment = self.experiment
        examples = load_examples(experiment.task, "train", experiment.data_root, experiment.base)
        examples = sample_examples(examples, fit.examples, np.random.default_rng(fit.seed))
        tokenizer = load_tokenizer(self.population.checkpoints[0])
        encoded = tokenize(tokenizer, examples, experiment.config.evaluate.max_length)
        size = min(fit.batch_size, len(encoded))
        rows = batch_rows(encoded.lengths, size, fit.seed)
        return lambda step: encoded.pad(rows(step))


def _trained(fitted: Fitted) -> Trained:
    convergence = fitted.convergence
    notes = {
        "training_loss": convergence.last,
        "training_loss_before": convergence.before,
        "training_loss_error": convergence.error,
        "converged": convergence.converged,
    }
    return Trained([dict(control) for control in fitted.trained], notes)
