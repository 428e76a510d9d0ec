"""Files of any published form, told apart by what is in them."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.core.restricted_pickle import parse_pickle
from landscape.importers.csv_tables import COLUMNS, read_table, score_table, table_kind
from landscape.importers.curves import Metric
from landscape.importers.evaluations import is_evaluation
from landscape.importers.interpolation_logs import is_interpolation_log, read_interpolation_log
from landscape.importers.names import natural_key
from landscape.importers.pickled import pickled_pairs

if TYPE_CHECKING:
    import pandas as pd

Paths = str | Path | Iterable[str | Path]
Kind = Literal["pickle", "log", "evaluation", "scores", "gaps", "curves"]

_MAX_VALUES = 20_000_000  # of a text: each of them takes some sixty bytes of memory
_KINDS = {"log": "logs", "pickle": "pickles", "evaluation": "JSON of predictions"}


@dataclass
class Sources:
    """What files hold, before anything is brought together.

    Attributes:
        points: Of curves, in the order in which they are believed: pickles before logs, which are
            rounded.
        gaps: Gaps without curves.
        evaluations: The files of predictions.
        scores: Tables of scores, a row a model.
        files: Name, kind and SHA-256 of every file that was read.
        left_out: Names of a folder's files that are none of these.
    """

    points: list[pd.DataFrame] = field(default_factory=list)
    gaps: list[pd.DataFrame] = field(default_factory=list)
    evaluations: list[Path] = field(default_factory=list)
    scores: list[pd.DataFrame] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_sources(paths: Paths, metric: Metric) -> Sources:
    """Read files, folders (not below them) and patterns of any known form.

    Args:
        paths: A folder's hidden files, and those that are of no known form, are left out.
        metric: What the first metric in pickles is.

    Raises:
        DataError: No file, one that is named and of no known form, or a mistake in one.
        StoreError: A pickle that cannot be read.
    """
    sources, exact = Sources(), []
    for path, named in _find_files(paths).items():
        data = read_bytes(path)
        kind = recognize(data, path)
        if kind is None:
            if named:
                raise DataError(
                    "The file is of no known form.",
                    where=path,
                    expected="logs of interpolation, their pickles, JSON of predictions, or CSV "
                    f"with the columns {'; or '.join(map(', '.join, COLUMNS.values()))}",
                    found=repr(data[:60].decode(errors="replace").partition("\n")[0]),
                )
            sources.left_out.append(path.name)
            continue
        digest = sha256(data).hexdigest()
        sources.files.append({"name": path.name, "kind": kind, "sha256": digest})
        if kind == "pickle":
            points, gaps = pickled_pairs(parse_pickle(data, path), path, metric)
            exact += [points] if len(points) else []
            sources.gaps += [gaps] if len(gaps) else []
        elif kind == "log":
            text = data.decode("utf-8-sig", errors="replace")
            sources.points.append(read_interpolation_log(text, path))
        elif kind == "evaluation":
            sources.evaluations.append(path)
        else:
            table = read_table(data, path)
            if kind == "scores":
                sources.scores.append(score_table(table, path))
            elif kind == "gaps":
                sources.gaps.append(table)
            else:
                sources.points.append(table)
    sources.points = exact + sources.points
    return sources


def kinds_of(sources: Iterable[Sources]) -> str:
    """How many files of each kind were read, in words."""
    kinds = Counter(file["kind"] for source in sources for file in source.files)
    words = (f"{n} {_KINDS.get(kind, f'CSV of {kind}')}" for kind, n in kinds.items())
    return f"files: {', '.join(words) or 'none'}"


def recognize(data: bytes, path: Path) -> Kind | None:
    """What a file is, by its content; None where it is none of the known forms.

    Raises:
        DataError: It is too large.
    """
    if data[:1] == b"\x80":  # of a pickle; no text in UTF-8 begins with it
        return "pickle"
    if sum(map(data.count, (b",", b"[", b"{", b"\n"))) > _MAX_VALUES:
        raise DataError(
            "The file is too large.", where=path, expected=f"up to {_MAX_VALUES} values"
        )
    text = data.decode("utf-8-sig", errors="replace")
    if is_interpolation_log(text):
        return "log"
    return "evaluation" if is_evaluation(text) else table_kind(text)


def _find_files(paths: Paths) -> dict[Path, bool]:
    """The files, each once, and whether each is named itself, not by a folder or pattern."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    files: dict[Path, bool] = {}
    for path in (Path(each).expanduser() for each in several):
        try:
            if path.is_file():
                files[path] = True
                continue
            if path.is_dir():
                members = [p for p in path.iterdir() if p.name[0] != "."]
            else:
                members = [Path(p) for p in glob.glob(str(path))]
            members = [p for p in members if p.is_file()]
        except (OSError, ValueError) as error:
            raise DataError("The path cannot be read.", where=path, found=error) from None
        if not members:
            raise DataError(
                "There is no file.", where=path, expected="a file, a folder of files or a pattern"
            )
        for member in sorted(members, key=lambda p: natural_key(p.name)):
            files.setdefault(member, False)
    if not files:
        raise DataError("No files are named.")
    return files
