"""Published curves or gaps of pairs, and scores of models, as a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from landscape.core.errors import ConfigError, DataError, StoreError, require_known
from landscape.importers.assemble import assemble
from landscape.importers.curves import Metric, gather_curves
from landscape.importers.evaluations import read_evaluations
from landscape.importers.gaps import gather_gaps
from landscape.importers.names import check_name, shared_models
from landscape.importers.sources import Paths, Sources, kinds_of, read_sources
from landscape.records import write_store

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples


def import_published(
    paths: Paths,
    *,
    out: str | Path,
    scores: Paths | pd.DataFrame | None = None,
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
            ``landscape.importers.csv_tables`` lists; scores may be among them. Each is known by
            its content.
        out: The store; it must not exist.
        scores: Scores of the same models: such a CSV, JSON of predictions, or a table in memory
            with a row a model and a column a score.
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
    main, beside = read_sources(paths, metric), _read_scores(scores, metric)
    further = {own: read_sources(files, metric) for own, files in (challenge_losses or {}).items()}
    sources = [main, beside, *further.values()]
    lines = [kinds_of(sources)]
    tables = _tables(main, further, dataset)
    name, whole = next(iter(tables.items()))
    frame = _join_scores([main, beside], _models(whole), metric, examples)
    shared = set(_models(whole))
    others = {f"curves on '{own}'": _models(t) for own, t in tables.items() if own != name}
    others |= {"scores": list(map(str, frame.index))} if frame.shape[1] else {}
    for what, models in others.items():
        both, left_out = shared_models(_models(whole), models, what, allow_missing)
        shared &= both
        lines += left_out
    whole = whole[whole["model_a"].isin(shared) & whole["model_b"].isin(shared)]
    if whole.empty:
        raise DataError(
            "No pair of models is left.",
            expected="two models in every source",
            found="; ".join(lines),
        )
    pairs = gather_gaps(whole) if main.gaps else gather_curves(whole)
    results = assemble(
        out,
        name,
        pairs,
        {own: gather_curves(table, like=pairs) for own, table in tables.items() if own != name},
        scores=frame.reindex(list(pairs.models)),
        roles=_score_roles(list(frame.columns), roles or {}, name),
        files=[file for source in sources for file in source.files],
        lines=lines,
        left_out=[file for source in sources for file in source.left_out],
    )
    for line in results.config["imported"]["report"]:
        report(line)
    write_store(results, out)
    return out


def _tables(
    main: Sources, further: Mapping[str, Sources], dataset: str | None
) -> dict[str, pd.DataFrame]:
    """By data set the points of its curves, or its gaps; the one that makes the gaps first."""
    import pandas as pd

    if bool(main.points) == bool(main.gaps) or (main.gaps and further):
        raise DataError(
            "There are both curves and gaps." if main.gaps else "There are no curves and no gaps.",
            expected="one of them: gaps follow from curves, and have no points on other sets",
            found=kinds_of([main, *further.values()]),
        )
    tables = _split(pd.concat(main.points or main.gaps, ignore_index=True), dataset)
    for name, source in further.items():
        if not source.points:
            raise DataError(f"There are no curves on '{name}'.", found=kinds_of([source]))
        tables[name] = _split(pd.concat(source.points, ignore_index=True), name)[name]
    for name in tables:
        check_name(name, "the data set's name", "data set")
        if "/" in name or not name.strip("."):
            raise ConfigError("A data set's name cannot be used.", found=name, expected="no '/'")
    return tables


def _split(table: pd.DataFrame, dataset: str | None) -> dict[str, pd.DataFrame]:
    """Data sets told apart, the named one first.

    Rows of no named set (a pickle's) belong to the only one that is named beside them; where there
    is only one it takes the name ``dataset``.

    Raises:
        ConfigError: The name is needed and not given, or is not one of several.
    """
    names = [name for name in table["dataset"].unique() if name]
    if dataset is None and len(names) != 1:
        raise ConfigError(
            "There are several data sets." if names else "Which data set is it?",
            where="dataset",
            expected="the name of the one that makes the gaps",
            found=", ".join(names) or "no name in the files",
            fix="name it (--dataset)",
        )
    if len(names) < 2:
        return {dataset or names[0]: table}
    first = str(dataset)
    require_known("data set", first, names, where="dataset")
    names.sort(key=lambda name: name != first)
    return {name: table[table["dataset"] == name] for name in names}


def _models(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*table["model_a"], *table["model_b"]]))


def _read_scores(scores: Paths | pd.DataFrame | None, metric: Metric) -> Sources:
    """Sources that hold scores only."""
    import pandas as pd

    if scores is None:
        return Sources()
    if not isinstance(scores, pd.DataFrame):
        sources = read_sources(scores, metric)
        if sources.points or sources.gaps or not (sources.scores or sources.evaluations):
            raise DataError(
                "The files of scores hold no scores, or more than scores.",
                expected="CSV of scores, or predictions",
                found=kinds_of([sources]),
            )
        return sources
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
    return Sources(scores=[table])


def _join_scores(
    sources: Sequence[Sources], models: list[str], metric: Metric, examples: Examples | None
) -> pd.DataFrame:
    """A row a model of everything that scores models, without columns where nothing does."""
    import pandas as pd

    tables = [table for source in sources for table in source.scores]
    if files := [path for source in sources for path in source.evaluations]:
        tables.append(read_evaluations(files, metric=metric, examples=examples, models=models))
    columns = [column for table in tables for column in table.columns]
    if twin := next((name for k, name in enumerate(columns) if name in columns[:k]), ""):
        raise DataError(f"The score '{twin}' stands in two tables.", expected="each score once")
    return pd.concat(tables, axis=1) if tables else pd.DataFrame(index=pd.Index(models))


def _score_roles(columns: Sequence[str], roles: Mapping[str, str], dataset: str) -> dict[str, str]:
    """What each score is for: given, else in-domain where it is named after the data set.

    Raises:
        ConfigError: A role of a score that there is not, or a role that there is not.
    """
    for column, role in roles.items():
        require_known("score", column, columns, where="roles")
        require_known("role", role, ("in_domain", "challenge", "covariate"), where=column)
    starts = (f"{dataset}:", f"{dataset} (")
    own = {name for name in columns if name == dataset or name.startswith(starts)}
    return {name: roles.get(name, "in_domain" if name in own else "challenge") for name in columns}
