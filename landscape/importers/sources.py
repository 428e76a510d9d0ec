"""Files of any published form, told apart by what is in them."""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.core.restricted_pickle import parse_pickle
from landscape.importers.curves import MeasuredCurve, Metric
from landscape.importers.evaluations import is_evaluation, parse_json, read_evaluations
from landscape.importers.files import Paths, content_hash, find_files, named_files
from landscape.importers.gaps import MeasuredGap
from landscape.importers.interpolation_logs import is_interpolation_log, parse_interpolation_log
from landscape.importers.pickled import pickled_curves
from landscape.importers.tables import curves_of, gaps_of, read_rows, scores_of, table_kind

if TYPE_CHECKING:
    import pandas as pd

    from landscape.tasks import Examples

_ENOUGH = 100_000  # instructions that no other file would happen to have
Kind = Literal["pickle", "log", "evaluation", "scores", "gaps", "curves"]


@dataclass
class Sources:
    """What files hold, before anything is brought together.

    Attributes:
        curves: In the order in which they are believed: pickles before logs, which are rounded.
        gaps: Gaps without curves.
        evaluations: The files of predictions and of scores in JSON.
        scores: Tables of scores, a row a model.
        files: Name, kind and SHA-256 of every file that was read.
        left_out: Names of a folder's files that are none of these.
    """

    curves: list[MeasuredCurve] = field(default_factory=list)
    gaps: list[MeasuredGap] = field(default_factory=list)
    evaluations: list[Path] = field(default_factory=list)
    scores: list[pd.DataFrame] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def recognize(path: Path) -> Kind | None:
    """What a file is, by its content; None where it is none of the known forms.

    Raises:
        DataError: No such file, or it is too large.
    """
    return _recognize(path)[0]


def _recognize(path: Path) -> tuple[Kind | None, str | None]:
    """What a file is, or what is wrong with it for the nearest form."""
    data = read_bytes(path)
    if _is_pickle(data):
        return "pickle", None
    text = data.decode("utf-8-sig", errors="replace")
    if is_interpolation_log(text):
        return "log", None
    try:
        if text.lstrip()[:1] in ("{", "["):
            return ("evaluation", None) if is_evaluation(parse_json(text, path)) else (None, None)
        return table_kind(read_rows(path)), None
    except DataError as error:
        return None, "; ".join(line.strip() for line in str(error).split("\n"))


def read_sources(paths: Paths, *, metric: Metric = "accuracy") -> Sources:
    """Read files, folders and patterns of any known form.

    Args:
        paths: A folder's files that are of no known form are left out.
        metric: What the first metric in pickles is.

    Raises:
        DataError: No file, one that is named and of no known form, or a mistake in one.
        StoreError: A pickle that cannot be read.
    """
    found, named = Sources(), named_files(paths)
    kinds = [(path, *_recognize(path)) for path in find_files(paths)]
    for path, kind, wrong in sorted(kinds, key=lambda item: item[1] != "pickle"):
        if kind is None:
            if path in named:
                raise DataError(
                    "The file is of no known form.",
                    where=path,
                    expected="logs of interpolation, their pickles, JSON of predictions or scores, "
                    "or a CSV of scores, gaps or curves",
                    found=wrong,
                )
            found.left_out.append(path.name)
            continue
        found.files.append({"name": path.name, "kind": kind, "sha256": content_hash(path)})
        where = str(path)
        if kind == "pickle":
            for one in pickled_curves(parse_pickle(read_bytes(path), where), where, metric):
                if isinstance(one, MeasuredGap):
                    found.gaps.append(one)
                else:
                    found.curves.append(one)
        elif kind == "log":
            text = read_bytes(path).decode("utf-8-sig", errors="replace")
            found.curves += parse_interpolation_log(text, where)
        elif kind == "evaluation":
            found.evaluations.append(path)
        elif kind == "scores":
            found.scores.append(scores_of(read_rows(path), path))
        elif kind == "gaps":
            found.gaps += gaps_of(read_rows(path), path)
        else:
            found.curves += curves_of(read_rows(path), path)
    return found


def all_scores(
    sources: Sources,
    models: tuple[str, ...],
    *,
    metric: Metric = "accuracy",
    examples: Examples | None = None,
) -> pd.DataFrame | None:
    """A row a model of everything that scores models; None where nothing does.

    Args:
        sources: What ``read_sources`` found.
        models: Known names, to find by which model a file of predictions is.
        metric: What predictions are scored by.
        examples: The evaluated set with its groups.

    Raises:
        DataError: A mistake in a file, or a score that two of them have.
    """
    import pandas as pd

    tables = list(sources.scores)
    if sources.evaluations:
        tables.append(
            read_evaluations(sources.evaluations, metric=metric, examples=examples, models=models)
        )
    if not tables:
        return None
    columns = [column for table in tables for column in table.columns]
    twin = next((name for k, name in enumerate(columns) if name in columns[:k]), None)
    if twin is not None:
        raise DataError(f"The score '{twin}' stands in two tables.", expected="each score once")
    return pd.concat(tables, axis=1).rename_axis("model")


def _is_pickle(data: bytes) -> bool:
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if data[:1] not in (b"(", b"}", b"]", b")", b"c", b"I", b"F", b"N") or data[-1:] != b".":
        return False  # older pickles do not say what they are
    try:
        instructions = islice(pickletools.genops(data), _ENOUGH)
        return all(position is not None for *_, position in instructions)
    except Exception:  # what is no pickle ends in errors of every kind
        return False
