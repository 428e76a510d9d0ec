"""Published matrices as stores: curves or gaps of pairs, and scores of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import landscape
from landscape.core.errors import ConfigError, DataError, StoreError, require_known
from landscape.importers.curves import Metric, PublishedCurves, gather_curves
from landscape.importers.files import Paths
from landscape.importers.gaps import curves_from_gaps, gather_gaps
from landscape.importers.join import (
    align,
    check_set_names,
    finite_points,
    keep_models,
    score_roles,
    shared_models,
    split_sets,
)
from landscape.importers.names import check_name
from landscape.importers.sources import Sources, all_scores, read_sources
from landscape.records.store import Published, write_published

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples

Role = Literal["in_domain", "challenge"]


@dataclass(frozen=True)
class PublishedMatrix:
    """Everything of a store that others have measured.

    Attributes:
        models: (n_models) names.
        pairs: (n_pairs, 2) model indices, first < second.
        positions: (n_points,) from 0 to 1.
        datasets: Losses and accuracies by data set.
        scores: A row a model; no columns where there are no scores.
        roles: From each column of scores to ``in_domain``, ``challenge`` or ``covariate``.
        attributes: Of the store.
        config: Of the store: which files the numbers come from.
        lines: What was read and what was left out, to be printed.
    """

    models: tuple[str, ...]
    pairs: NDArray[np.intp]
    positions: NDArray[np.float64]
    datasets: dict[str, Published] = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    roles: dict[str, str]
    attributes: dict[str, str]
    config: dict[str, Any] = field(repr=False)
    lines: tuple[str, ...]


def import_published(
    paths: Paths,
    *,
    out: str | Path,
    scores: Paths | pd.DataFrame | None = None,
    dataset: str | None = None,
    role: Role = "in_domain",
    challenge_losses: Mapping[str, Paths] | None = None,
    roles: Mapping[str, str] | None = None,
    metric: Metric = "accuracy",
    examples: Examples | None = None,
    allow_missing: bool = False,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Make a store of what others published, to be clustered and related without a run.

    Args:
        paths: Logs of interpolation, their pickles, CSV of curves or gaps; scores may be among
            them. Each is known by its content.
        out: The store; it must not exist.
        scores: Scores of the same models: CSV, JSON, or a table with a row a model.
        dataset: The name of the data set of the curves; by default the one that the logs name.
        role: Of that data set. Of several in the logs, the others are challenge sets.
        challenge_losses: By name, the curves of the same pairs on further data sets.
        roles: Of columns of scores: ``in_domain``, ``challenge`` or ``covariate``; by default
            those named after ``dataset`` are in-domain, the others challenge scores.
        metric: What predictions are scored by, and what the first metric in pickles is.
        examples: The set that the predictions are of, with its groups.
        allow_missing: Leave out models that not every source has; otherwise they are an error.
        report: Called with each line about what was read.

    Returns:
        The store.

    Raises:
        ConfigError: A data set, role or score that there is not.
        DataError: A file that cannot be read as what it is, or sources that do not match.
        StoreError: A pickle that holds more than plain values, or a store that exists.
    """
    out = Path(out)
    if out.exists():
        raise StoreError("There is a file already.", where=out, fix="remove it, or name another")
    matrix = read_published(
        paths,
        scores=scores,
        dataset=dataset,
        role=role,
        challenge_losses=challenge_losses,
        roles=roles,
        metric=metric,
        examples=examples,
        allow_missing=allow_missing,
    )
    if report:
        for line in matrix.lines:
            report(line)
    try:
        write_published(
            out,
            models=matrix.models,
            pairs=matrix.pairs,
            positions=matrix.positions,
            datasets=matrix.datasets,
            scores=matrix.scores,
            roles=matrix.roles,
            attributes=matrix.attributes,
            config=matrix.config,
        )
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError("The store cannot be written.", where=out, found=error) from None
    return out


def read_published(
    paths: Paths,
    *,
    scores: Paths | pd.DataFrame | None = None,
    dataset: str | None = None,
    role: Role = "in_domain",
    challenge_losses: Mapping[str, Paths] | None = None,
    roles: Mapping[str, str] | None = None,
    metric: Metric = "accuracy",
    examples: Examples | None = None,
    allow_missing: bool = False,
) -> PublishedMatrix:
    """As ``import_published``, without writing the store."""
    require_known("role", role, ("in_domain", "challenge"), where="role")
    sources = read_sources(paths, metric=metric)
    if scores is not None:
        _add_scores(sources, scores, metric)
    lines = [_kinds(sources)]
    if sources.curves and sources.gaps:
        raise DataError(
            "There are curves and gaps; the gaps follow from the curves.",
            where=f"{sources.curves[0].where} and {sources.gaps[0].where}",
            fix="give one of them",
        )
    if sources.curves:
        name, sets = split_sets(sources.curves, dataset)
        if (said := sets[name][0].dataset) not in ("", name):
            lines.append(f"the curves are of '{said}', stored as '{name}'")
        measured = {own: gather_curves(curves) for own, curves in sets.items()}
    else:
        if not sources.gaps:
            raise DataError("There are no curves and no gaps of pairs.", where=paths)
        if dataset is None:
            raise ConfigError(
                "Which data set are the gaps of?", where="dataset", fix="name it (--dataset)"
            )
        name, measured = dataset, {dataset: curves_from_gaps(gather_gaps(sources.gaps), dataset)}
    for own, files in (challenge_losses or {}).items():
        measured[own] = _challenge(own, files, metric, sources)
    check_set_names(measured)
    frame = all_scores(sources, measured[name].models, metric=metric, examples=examples)
    main, others = _join(measured, name, frame, allow_missing, lines)
    columns = _columns(frame, main.models)
    n, made = len(main.models), not sources.curves
    sets_out = {name: _published(main, role, made)}
    sets_out |= {own: _published(curves, "challenge", False) for own, curves in others.items()}
    lines += [
        f"models: {n}",
        f"pairs: {len(main.pairs)} of {n * (n - 1) // 2}",
        f"points: {len(main.positions)} a pair, "
        + ("made from the gaps" if made else f"{finite_points(main.losses)} known"),
        f"data sets: {', '.join(f'{own} ({data.role})' for own, data in sets_out.items())}",
        f"scores: {', '.join(columns.columns) or 'none'}",
    ]
    if sources.left_out:
        lines.append(f"left out, of no known form: {', '.join(sources.left_out)}")
    lines += [f"{own}: {note}" for own, curves in measured.items() for note in curves.notes]
    return PublishedMatrix(
        models=main.models,
        pairs=main.pairs,
        positions=main.positions,
        datasets=sets_out,
        scores=columns,
        roles=score_roles(list(columns.columns), roles or {}, name),
        attributes={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "landscape-version": landscape.__version__,
            "source": "published",
            "curves": "made from gaps" if made else "as published",
            **({"model-losses": "zeros that stand for no measurement"} if made else {}),
        },
        config={"imported": {"files": sources.files, "report": lines}},
        lines=tuple(lines),
    )


def _add_scores(sources: Sources, scores: Paths | pd.DataFrame, metric: Metric) -> None:
    import pandas as pd

    if isinstance(scores, pd.DataFrame):
        names = [check_name(name, "scores") for name in scores.index]
        columns = [check_name(name, "scores", "score") for name in scores.columns]
        kinds = {kind.kind for kind in scores.dtypes}
        if len(set(names)) < len(names) or not kinds <= set("iufb"):
            raise DataError(
                "The table of scores cannot be used.",
                where="scores",
                expected="an index of unique model names, and columns of numbers",
            )
        table = scores.set_axis(names).set_axis(columns, axis=1).astype(float)
        sources.scores.append(table.rename_axis("model"))
        return
    found = read_sources(scores, metric=metric)
    if found.curves or found.gaps or not (found.scores or found.evaluations):
        raise DataError(
            "The files of scores hold no scores, or more than scores.",
            where=scores,
            expected="CSV or JSON with a row a model, or predictions",
            found=_kinds(found),
        )
    sources.scores += found.scores
    sources.evaluations += found.evaluations
    sources.files += found.files
    sources.left_out += found.left_out


def _challenge(name: str, files: Paths, metric: Metric, sources: Sources) -> PublishedCurves:
    found = read_sources(files, metric=metric)
    if not found.curves:
        raise DataError(f"There are no curves on '{name}'.", where=files, found=_kinds(found))
    _, sets = split_sets(found.curves, name)
    sources.files += found.files
    sources.left_out += found.left_out
    return replace(gather_curves(sets[name]), dataset=name)


def _join(
    measured: Mapping[str, PublishedCurves],
    name: str,
    frame: pd.DataFrame | None,
    allow_missing: bool,
    lines: list[str],
) -> tuple[PublishedCurves, dict[str, PublishedCurves]]:
    """The main curves among the models that all sources share, and the others at their points."""
    whole = measured[name]
    kept = set(whole.models)
    beside = {f"curves on '{own}'": c.models for own, c in measured.items() if own != name}
    if frame is not None:
        beside["scores"] = tuple(frame.index)
    for what, models in beside.items():
        shared, said = shared_models(whole.models, models, what, allow_missing)
        kept &= shared
        lines += said
    main, line = keep_models(whole, kept)
    if not len(main.pairs):
        raise DataError(
            "No pair of models is left.",
            expected="two models in every source, with a loss at both ends of their curve",
            found="; ".join(lines),
        )
    others = {}
    said = [line]
    for own, curves in measured.items():
        if own != name:
            others[own], line = align(replace(curves, dataset=own), main)
            said.append(line)
    lines += filter(None, said)
    return main, others


def _columns(frame: pd.DataFrame | None, models: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    if frame is None:
        return pd.DataFrame(index=pd.Index(models, name="model"))
    return frame.loc[list(models)]


def _published(curves: PublishedCurves, role: Role, made: bool) -> Published:
    return Published(
        role=role,
        metric=curves.metric,
        losses=curves.losses,
        accuracies=curves.accuracies,
        model_losses=np.zeros(len(curves.models)) if made else curves.model_losses,
    )


def _kinds(sources: Sources) -> str:
    kinds = Counter(file["kind"] for file in sources.files)
    words = {"log": "logs", "pickle": "pickles", "evaluation": "JSON of scores or predictions"}
    words |= {"scores": "CSV of scores", "gaps": "CSV of gaps", "curves": "CSV of curves"}
    return f"files: {', '.join(f'{n} {words[kind]}' for kind, n in kinds.items()) or 'none'}"
