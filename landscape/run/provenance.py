"""Where results come from: whether they are those that an experiment asks for, and stay it."""

from __future__ import annotations

import difflib
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from safetensors import SafetensorError
from torch import Tensor

from landscape.checkpoints import Checkpoint, Population, expand, load_checkpoint
from landscape.core.errors import CheckpointError, StoreError
from landscape.core.progress import Track, silent
from landscape.records import Manifest, RunFolder
from landscape.records.same import differences, measured_part
from landscape.run.inputs import Experiment, stored_config

_PAUSES = (0.2, 1.0, None)  # seconds after a failed reading


def attributes(experiment: Experiment) -> dict[str, str]:
    """Versions, device and machine, as a store's root attributes."""
    import torch
    import transformers

    import landscape

    device = experiment.config.evaluate.device or ("cuda" if torch.cuda.is_available() else "cpu")
    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else ""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "landscape-version": landscape.__version__,
        "torch-version": str(torch.__version__),
        "transformers-version": transformers.__version__,
        "numpy-version": np.__version__,
        "python-version": platform.python_version(),
        "device": device,
        "precision": experiment.config.evaluate.precision,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{', ' + gpu if gpu else ''}",
    }


def checkpoint_rows(population: Population, track: Track[Any] = silent) -> list[dict[str, Any]]:
    """A mapping a checkpoint, as a manifest keeps it."""
    members = list(zip(population.names, population.checkpoints, strict=True))
    return [
        {
            "name": name,
            "ref": checkpoint.ref,
            "sha256": checkpoint.content_hash(),
            "labels": ", ".join(checkpoint.label_names),
            "revision": checkpoint.revision,
            "fingerprint": checkpoint.fingerprint(),
            "seed": checkpoint.notes.get("seed"),
            "step": checkpoint.notes.get("step"),
            "recipe": checkpoint.notes.get("recipe") or {},
        }
        for name, checkpoint in track(members, "hash")
    ]


def refuse_other(experiment: Experiment, folder: RunFolder, manifest: Manifest) -> None:
    """Refuse records that another configuration or other data made."""
    datasets = {data.name: data.content_hash() for _, data in experiment.examples}
    lines = differences(
        measured_part(manifest.config, manifest.datasets),
        measured_part(stored_config(experiment), datasets),
    )
    if lines:
        raise StoreError(
            "The run was begun by another configuration (stored -> asked for):\n"
            + "\n".join(f"    {line}" for line in lines),
            where=folder.path,
            fix="give this run another 'out', or restore the configuration",
        )


def refuse_changed(experiment: Experiment, folder: RunFolder, manifest: Manifest) -> None:
    """Refuse records whose checkpoints are not, or no longer, those of the experiment."""
    sources = expand(experiment.config.checkpoints, experiment.base)
    stored = [row["ref"] for row in manifest.checkpoints]
    refs = [source.ref for source in sources]
    if stored != refs:
        changed = difflib.unified_diff(stored, refs, "stored", "asked for", n=0, lineterm="")
        raise StoreError(
            "The run was begun with other checkpoints:\n    " + "\n    ".join(changed),
            where=folder.path,
            fix="give this run another 'out'",
        )
    for source, row in zip(sources, manifest.checkpoints, strict=True):
        checkpoint = load_checkpoint(source)
        now = {"labels": ", ".join(checkpoint.label_names)}
        if checkpoint.fingerprint() != row["fingerprint"]:
            now["sha256"] = checkpoint.content_hash()
        for what, value in now.items():
            if value != row[what]:
                raise StoreError(
                    "A checkpoint has changed since the run began.",
                    where=source.path,
                    expected=f"{what} {row[what]}",
                    found=value,
                    fix="restore the checkpoint, or give this run another 'out'",
                )


def fingerprints_of(population: Population) -> dict[str, str]:
    """From each checkpoint's folder to its ``fingerprint`` as it is now."""
    return {str(checkpoint.path): _fingerprint(checkpoint) for checkpoint in population.checkpoints}


def _fingerprint(checkpoint: Checkpoint) -> str:
    try:
        return checkpoint.fingerprint()
    except OSError as error:
        raise _unreadable(checkpoint, error) from None


def refuse_replaced(checkpoint: Checkpoint, expected: str | None) -> None:
    """After its weights were read: they must be those that the run began with, if it noted any."""
    fingerprint = _fingerprint(checkpoint)
    if expected is not None and fingerprint != expected:
        raise CheckpointError(
            "A checkpoint was changed while it was being measured.",
            where=checkpoint.path,
            expected=expected,
            found=fingerprint,
            fix="restore it and run again: what was finished before the change is kept",
        )


def refusing_changes(population: Population, fingerprints: Mapping[str, str]) -> Population:
    """The same models, each tensor refused that is read after its file was changed."""

    def checked(checkpoint: Checkpoint) -> Checkpoint:
        # another machine may have the checkpoint elsewhere: of that nothing was noted
        expected = fingerprints.get(str(checkpoint.path))
        check = partial(refuse_replaced, checkpoint, expected)
        params = replace(checkpoint.params, read=_patient(checkpoint), check=check)
        return replace(checkpoint, params=params)

    return replace(population, checkpoints=tuple(map(checked, population.checkpoints)))


def _patient(checkpoint: Checkpoint) -> Callable[[str], Tensor]:
    def read(name: str) -> Tensor:
        for pause in _PAUSES:
            try:
                return checkpoint.params.read(name)
            except (OSError, SafetensorError) as error:
                if pause is None:
                    raise _unreadable(checkpoint, error) from None
                time.sleep(pause)  # a file server's bad moment
        raise AssertionError("the last pause ends it")

    return read


def _unreadable(checkpoint: Checkpoint, error: Exception) -> CheckpointError:
    return CheckpointError(
        "A checkpoint cannot be read any more.",
        where=checkpoint.path,
        found=error,
        fix="see that it is still there, and run again: what was finished is kept",
    )
