"""What was gathered from published files, as results in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

import landscape
from landscape.core.arrays import Array, Indices
from landscape.importers.curves import Curves
from landscape.importers.sources import Source
from landscape.records import FORMATS, MEASURED, Results, StoredDataset

if TYPE_CHECKING:
    import pandas as pd


def assemble(
    path: Path,
    curves: Mapping[str, Curves],
    *,
    scores: pd.DataFrame,
    roles: dict[str, str],
    sources: Sequence[Source],
    lines: Sequence[str],
) -> Results:
    """Results of aggregated data sets: means over examples, nothing of single ones.

    A pair counts as measured; a point as evaluated where some data set has a loss. Of gaps
    without curves nothing counts as evaluated, and no loss is known. ``curves`` are by data set,
    first that of the gaps; ``lines`` is what was to be said of them so far.
    """
    import pandas as pd

    name, *others = curves
    pairs = curves[name]
    n, n_pairs = len(pairs.models), len(pairs.pairs)
    sets = {name: _dataset(name, pairs, "in_domain")}
    sets |= {other: _dataset(other, curves[other], "challenge") for other in others}
    evaluated = np.any([np.isfinite(data.losses[..., 0]) for data in sets.values()], axis=0)
    ends_known = np.any([np.isfinite(data.model_losses[:, 0]) for data in sets.values()], axis=0)
    points = (
        f"points: {len(pairs.positions)} a pair, {int(evaluated.sum())} of {evaluated.size} known"
    )
    unknown = [source.path.name for source in sources if source.kind == "unknown"]
    report = [
        *lines,
        f"models: {n}",
        f"pairs: {n_pairs} of {n * (n - 1) // 2}",
        points if pairs.gaps is None else "points: none, only gaps are known",
        f"data sets: {', '.join(f'{data.name} ({data.role})' for data in sets.values())}",
        f"scores: {', '.join(scores.columns) or 'none'}",
        *([f"left out, of no known form: {', '.join(unknown)}"] if unknown else []),
        *(f"{dataset}: {note}" for dataset, part in curves.items() for note in part.notes),
    ]
    files = [
        {"name": source.path.name, "kind": source.kind, "sha256": source.sha256}
        for source in sources
        if source.kind != "unknown"
    ]
    chosen: Literal["all", "active"] = "all" if n_pairs == n * (n - 1) // 2 else "active"
    checkpoints = pd.DataFrame(
        {"name": pairs.models}
        | dict.fromkeys(("ref", "sha256", "labels", "revision", "fingerprint"), "")
        | dict.fromkeys(("seed", "step"), np.nan)
    )
    return Results(
        path=path,
        attributes={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "landscape-version": landscape.__version__,
            "source": "published",
            "curves": "as published" if pairs.gaps is None else "none: only gaps are known",
            "pairs": chosen,
            "finished": "yes",
        },
        config={"name": path.stem, "imported": {"files": files, "report": report}},
        models=pairs.models,
        checkpoints=checkpoints,
        pairs=pairs.pairs,
        status=np.full(n_pairs, MEASURED, dtype=np.uint8),
        model_status=np.where(ends_known, MEASURED, 0).astype(np.uint8),
        positions=pairs.positions,
        formats=np.where(evaluated, FORMATS.index("fp32"), 0).astype(np.uint8),
        tolerance=np.zeros(n_pairs),
        datasets=sets,
        chosen=chosen,
        given_scores=scores.rename_axis("model"),
        score_roles=roles,
        given_gaps=pairs.gaps,
    )


def _dataset(name: str, curves: Curves, role: str) -> StoredDataset:
    shape, n = curves.losses.shape, len(curves.models)
    return StoredDataset(
        name=name,
        role=role,
        metric=curves.metric,
        label_names=(),
        labels=np.zeros(1, dtype=np.uint8),
        groups={},
        content_hash="",
        losses=curves.losses[..., None].astype(np.float32),
        predictions=np.full((*shape, 1), 255, dtype=np.uint8),
        model_losses=curves.model_losses[:, None].astype(np.float32),
        model_predictions=np.full((n, 1), 255, dtype=np.uint8),
        screened=np.full(shape, np.nan),
        difference=np.full(shape, np.nan, dtype=np.float32),
        model_screened=np.full(n, np.nan),
        model_difference=np.full(n, np.nan, dtype=np.float32),
        aggregated=True,
        accuracies=curves.accuracies.astype(np.float32),
        model_accuracies=_at_ends(curves.accuracies, curves.pairs, n).astype(np.float32),
    )


def _at_ends(values: Array, pairs: Indices, n: int) -> Array:
    """(n,) mean over what stands at a model's end of its pairs; NaN where nothing does."""
    models, ends = pairs.ravel(), values[:, [0, -1]].ravel()
    finite = np.isfinite(ends)
    counts = np.bincount(models[finite], minlength=n)
    sums = np.bincount(models[finite], weights=ends[finite], minlength=n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
