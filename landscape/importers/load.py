"""Published curves or gaps of pairs, and scores of models, as a store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landscape.core.errors import ConfigError, DataError, StoreError, require_known
from landscape.importers.assemble import assemble
from landscape.importers.curves import Metric, gather_curves, gather_gaps
from landscape.importers.evaluations import read_evaluations
from landscape.importers.names import check_name, natural_key
from landscape.importers.sources import CURVES, SCORES, Paths, Source, kinds_of, read_sources
from landscape.records import write_store

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples


def import_published(
    paths: Paths,
    *,
    out: str | Path,
    scores: Paths = (),
    dataset: str | None = None,
    challenge_losses: Mapping[str, Paths] | None = None,
    roles: Mapping[str, str] | None = None,
    metric: Metric = "accuracy",
    examples: Examples | None = None,
    allow_missing: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Make a store of what others published, to be clustered and related without a run.

    Args:
        paths: Logs of interpolation, their pickles, CSV of curves or gaps with the columns that
            ``landscape.importers.csv_tables`` lists; scores may be among them. Each is recognized
            by its content.
        out: The store; it must not exist.
        scores: Scores of the same models: such a CSV, or JSON of predictions.
        dataset: The in-domain data set, of which the curves are; by default the one that the logs
            name. Of several in the logs, the others are challenge sets.
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
    require_known("metric", metric, ("accuracy", "matthews"), where="metric")
    main, beside = read_sources(paths, metric), read_sources(scores, metric)
    further = {name: read_sources(p, metric) for name, p in (challenge_losses or {}).items()}
    sources = [*main, *beside, *(source for part in further.values() for source in part)]
    _check_kinds(main, beside, further)
    tables = _by_dataset(main, dataset)
    tables |= {name: _by_dataset(part, name)[name] for name, part in further.items()}
    name, *others = tables
    table = tables[name]
    frame = _join_scores([*main, *beside], _models(table), metric, examples)
    shared, left_out = _shared_models(tables, frame, allow_missing)
    table = table[table["model_a"].isin(shared) & table["model_b"].isin(shared)]
    pairs = gather_gaps(table) if "gap" in table else gather_curves(table)
    curves = {other: gather_curves(tables[other], like=pairs) for other in others}
    results = assemble(
        out,
        {name: pairs, **curves},
        scores=frame.reindex(list(pairs.models)),
        roles=_score_roles(list(frame.columns), roles or {}, name),
        sources=sources,
        lines=[kinds_of(sources), *left_out],
    )
    for line in results.config["imported"]["report"]:
        report(line)
    write_store(results, out)
    return out


def _check_kinds(
    main: Sequence[Source], beside: Sequence[Source], further: Mapping[str, Sequence[Source]]
) -> None:
    """Refuse what says nothing of curves or gaps, or more than is asked of it."""
    kinds = {source.kind for source in main}
    for part, fits, expected in (
        (main, bool(kinds & CURVES) != ("gaps" in kinds), "curves of pairs, or gaps of pairs"),
        (beside, {s.kind for s in beside} <= {*SCORES, "unknown"}, "only scores of models"),
        *(
            (part, "gaps" not in kinds and {s.kind for s in part} & CURVES, f"curves on '{name}'")
            for name, part in further.items()
        ),
    ):
        if not fits:
            raise DataError(
                "The files hold other things than they should.",
                expected=expected,
                found=kinds_of(part),
            )


def _by_dataset(sources: Sequence[Source], dataset: str | None) -> dict[str, pd.DataFrame]:
    """By data set the points of its curves, or its gaps; the named one first.

    Points in pickles come first, since logs are rounded. Rows of no named set (a pickle's) belong
    to the only one that is named beside them; where there is only one it takes the name.
    """
    import pandas as pd

    first_pickles = sorted(sources, key=lambda source: source.kind != "pickle")
    table = pd.concat(
        [source.table for source in first_pickles if source.kind in (*CURVES, "gaps")],
        ignore_index=True,
    )
    names = [name for name in table["dataset"].unique() if name]
    if dataset is None and len(names) != 1:
        raise ConfigError(
            "Which data set is it?",
            where="dataset",
            expected="the name of the one that makes the gaps",
            found=", ".join(names) or "no name in the files",
            fix="name it (--dataset)",
        )
    first = dataset or names[0]
    if "/" in check_name(first, "dataset", "data set") or not first.strip("."):
        raise ConfigError("A data set's name cannot be used.", found=first, expected="no '/'")
    if len(names) < 2:
        return {first: table}
    require_known("data set", first, names, where="dataset")
    names.sort(key=lambda name: name != first)
    return {name: table[table["dataset"] == name] for name in names}


def _models(table: pd.DataFrame) -> set[str]:
    return {*table["model_a"], *table["model_b"]}


def _join_scores(
    sources: Sequence[Source], models: Collection[str], metric: Metric, examples: Examples | None
) -> pd.DataFrame:
    """A row a model of everything that scores models, without columns where nothing does."""
    import pandas as pd

    tables = [source.table for source in sources if source.kind == "scores"]
    if files := [source.path for source in sources if source.kind == "evaluation"]:
        tables.append(read_evaluations(files, metric, examples, models))
    frame = pd.concat(tables, axis=1) if tables else pd.DataFrame(index=sorted(models))
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"The score '{twice}' stands in two files.", expected="each score once")
    return frame


def _shared_models(
    tables: Mapping[str, pd.DataFrame], scores: pd.DataFrame, allow_missing: bool
) -> tuple[set[str], list[str]]:
    """The models that every source has, and a line about each side's that are left out."""
    name, *others = tables
    models = shared = _models(tables[name])
    sides = {f"curves on '{other}'": _models(tables[other]) for other in others}
    lines = []
    for what, theirs in (sides | {"scores": set(scores.index)}).items():
        shared = shared & theirs
        for side, alone in (("not", models - theirs), ("only", theirs - models)):
            if alone:
                listed = ", ".join(sorted(alone, key=natural_key))
                lines.append(f"left out, {side} in the {what}: {listed}")
    if len(shared) < 2 or (lines and not allow_missing):
        raise DataError(
            "The files do not name the same models.",
            expected="two models or more that are in all of them, under the same names",
            found="; ".join(lines)[:1000],
            fix="mend the names, or leave out the models that do not match (--allow-missing)",
        )
    return shared, lines


def _score_roles(columns: Sequence[str], roles: Mapping[str, str], dataset: str) -> dict[str, str]:
    """What each score is for: as given, else in-domain where it is named after the data set."""
    for column, role in roles.items():
        require_known("score", column, columns, where="roles")
        require_known("role", role, ("in_domain", "challenge", "covariate"), where=column)
    starts = (f"{dataset}:", f"{dataset} (")
    in_domain = {name for name in columns if name == dataset or name.startswith(starts)}
    defaults = {name: "in_domain" if name in in_domain else "challenge" for name in columns}
    return defaults | dict(roles)
