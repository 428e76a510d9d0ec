"""Where a store comes from, and whether it is the one that an experiment asks for."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from landscape.checkpoints import Population, expand, load_checkpoint
from landscape.config import EvaluateConfig, ExperimentConfig, PathConfig
from landscape.errors import StoreError
from landscape.inputs import Experiment, stored_config
from landscape.progress import Track, silent
from landscape.store import Contents


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


def checkpoint_table(population: Population, track: Track[Any] = silent) -> pd.DataFrame:
    """A row a checkpoint, as a store keeps it."""
    rows = []
    members = list(zip(population.names, population.checkpoints, strict=True))
    for name, checkpoint in track(members, "hash"):
        rows.append(
            {
                "name": name,
                "ref": checkpoint.ref,
                "sha256": checkpoint.content_hash(),
                "labels": ", ".join(checkpoint.label_names),
                "revision": checkpoint.revision,
                "fingerprint": checkpoint.fingerprint(),
                "seed": checkpoint.notes.get("seed", np.nan),
                "step": checkpoint.notes.get("step", np.nan),
            }
        )
    return pd.DataFrame(rows)


def refuse_other(experiment: Experiment, contents: Contents) -> None:
    """Refuse a store that another configuration, other data or other checkpoints made."""
    stored = _flat(_measured_part(contents.config))
    wanted = _flat(_measured_part(stored_config(experiment)))
    for data in contents.datasets.values():
        stored[f"examples of {data.name}"] = data.content_hash
    for _, examples in experiment.examples:
        wanted[f"examples of {examples.name}"] = examples.content_hash()
    difference = [
        f"    {key}: {stored.get(key, 'absent')} -> {wanted.get(key, 'absent')}"
        for key in sorted(stored.keys() | wanted.keys())
        if stored.get(key, ...) != wanted.get(key, ...)
    ]
    if difference:
        raise StoreError(
            "The store was made by another configuration (stored -> asked for):\n"
            + "\n".join(difference),
            where=contents.path,
            fix="give this run another 'out', or restore the configuration",
        )


def _measured_part(content: dict[str, Any]) -> dict[str, Any]:
    # the collapse stands in the task, which is stored in full
    free = {"analysis", "out", "data_root", "name", "resolved_focus", "collapse"}
    # each way and surface keeps its own settings
    free |= {"ways", "surface"}
    # a run that chooses its pairs may go on with more of them
    free |= {"pairs_budget"}
    kept = {key: value for key, value in content.items() if key not in free}
    # what an older store does not name stood at its default
    kept = {**_defaults(ExperimentConfig, free), **kept}
    own = {"memory_budget", "token_budget"}
    evaluate = {**_defaults(EvaluateConfig, own), **content.get("evaluate", {})}
    kept["evaluate"] = {k: v for k, v in evaluate.items() if k not in own}
    kept["path"] = {**_defaults(PathConfig), **content.get("path", {})}
    chosen = kept["path"]["adaptive"] or evaluate["precision"] == "auto"
    if chosen or kept["pairs"] == "active":
        # whose gap the points and pairs were chosen for
        kept["analysis"] = {key: content["analysis"][key] for key in ("rule", "dataset")}
    task = content.get("task", {})
    kept["task"] = {k: v for k, v in task.items() if k not in ("focus", "train")}
    return kept


def _defaults(section: type[BaseModel], free: Collection[str] = ()) -> dict[str, Any]:
    """What a section says where the user says nothing, as a store keeps it."""
    names = {name for name, one in section.model_fields.items() if not one.is_required()}
    return section.model_construct().model_dump(mode="json", include=names - set(free))


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(content, dict) and content:
        parts = [
            _flat(value, f"{prefix}.{key}" if prefix else key) for key, value in content.items()
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {prefix: content}


def refuse_changed(experiment: Experiment, contents: Contents) -> None:
    """Refuse a store whose checkpoints are not, or no longer, those of the experiment.

    Raises:
        StoreError: Other references, or a checkpoint whose weights or label names changed.
    """
    sources = expand(experiment.config.checkpoints, experiment.base)
    stored, wanted = list(contents.checkpoints["ref"]), [source.ref for source in sources]
    if stored != wanted:
        changed = difflib.unified_diff(stored, wanted, "stored", "asked for", n=0, lineterm="")
        raise StoreError(
            "The store was made from other checkpoints:\n    " + "\n    ".join(changed),
            where=contents.path,
            fix="give this run another 'out'",
        )
    for source, row in zip(sources, contents.checkpoints.to_dict("records"), strict=True):
        checkpoint = load_checkpoint(source)
        now = {"labels": ", ".join(checkpoint.label_names)}
        if checkpoint.fingerprint() != row["fingerprint"]:
            now["sha256"] = checkpoint.content_hash()
        for what, value in now.items():
            if value != row[what]:
                raise StoreError(
                    "A checkpoint has changed since the store was made.",
                    where=source.path,
                    expected=f"{what} {row[what]}",
                    found=value,
                    fix="restore the checkpoint, or give this run another 'out'",
                )
