"""Where a store comes from, and whether it is the one that an experiment asks for."""

from __future__ import annotations

import difflib
import os
import platform
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from landscape.checkpoints import Population, expand, load_checkpoint
from landscape.core.errors import StoreError
from landscape.core.progress import Track, silent
from landscape.records.store import Results
from landscape.records.store.compare import differences, measured_part
from landscape.run.inputs import Experiment, stored_config


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


def refuse_other(experiment: Experiment, contents: Results) -> None:
    """Refuse a store that another configuration, other data or other checkpoints made."""
    stored = measured_part(contents.config)
    wanted = measured_part(stored_config(experiment))
    for data in contents.datasets.values():
        stored[f"examples of {data.name}"] = data.content_hash
    for _, examples in experiment.examples:
        wanted[f"examples of {examples.name}"] = examples.content_hash()
    found = differences(stored, wanted)
    if found:
        raise StoreError(
            "The store was made by another configuration (stored -> asked for):\n"
            + "\n".join(f"    {line}" for line in found),
            where=contents.path,
            fix="give this run another 'out', or restore the configuration",
        )


def refuse_changed(experiment: Experiment, contents: Results) -> None:
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
