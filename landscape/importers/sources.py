"""Files of any published form, told apart by what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from landscape.core.errors import DataError
from landscape.core.files import read_bytes
from landscape.importers.csv_tables import COLUMNS, read_table, table_kind
from landscape.importers.curves import Metric
from landscape.importers.evaluations import is_evaluation
from landscape.importers.interpolations import START, pickled_points, read_interpolation_log
from landscape.importers.names import natural_key
from landscape.importers.restricted_pickle import parse_pickle

if TYPE_CHECKING:
    import pandas as pd

Paths = str | Path | Iterable[str | Path]
Kind = Literal["pickle", "log", "curves", "gaps", "scores", "evaluation", "unknown"]
CURVES, SCORES = {"pickle", "log", "curves"}, {"scores", "evaluation"}

_WORDS = {"log": "logs", "pickle": "pickles", "evaluation": "JSON of predictions"}


@dataclass(frozen=True)
class Source:
    """A file by its content; the table of what it holds, but of predictions and unknown forms."""

    path: Path
    kind: Kind
    sha256: str
    table: pd.DataFrame | None


def read_sources(paths: Paths, metric: Metric) -> list[Source]:
    """Read files, and folders' files (not below them, and none that is hidden).

    Raises:
        DataError: No file, one that is named and of no known form, or a mistake in one.
        StoreError: A pickle that cannot be read.
    """
    sources = []
    for path in [Path(paths)] if isinstance(paths, str | Path) else map(Path, paths):
        try:
            members = [p for p in path.iterdir() if p.is_file() and p.name[0] != "."]
        except NotADirectoryError:
            members = [path]
        except (OSError, ValueError) as error:
            raise DataError("The path cannot be read.", where=path, found=error) from None
        if not members:
            raise DataError("There is no file.", where=path)
        for member in sorted(members, key=lambda p: natural_key(p.name)):
            source = _read(member, metric)
            if source.kind == "unknown" and member == path:
                raise DataError(
                    "The file is of no known form.",
                    where=path,
                    expected="logs of interpolation, their pickles, JSON of predictions, or CSV "
                    f"with the columns {'; or '.join(map(', '.join, COLUMNS.values()))}",
                )
            sources.append(source)
    return sources


def kinds_of(sources: Sequence[Source]) -> str:
    """How many files of each kind were read, in words."""
    kinds = Counter(source.kind for source in sources if source.kind != "unknown")
    words = (f"{n} {_WORDS.get(kind, f'CSV of {kind}')}" for kind, n in kinds.items())
    return f"files: {', '.join(words) or 'none'}"


def _read(path: Path, metric: Metric) -> Source:
    data = read_bytes(path)
    kind, table = _recognize(data, path), None
    if kind == "pickle":
        table = pickled_points(parse_pickle(data, path), path, metric)
    elif kind == "log":
        table = read_interpolation_log(data.decode("utf-8-sig", errors="replace"), path)
    elif kind in ("curves", "gaps", "scores"):
        table = read_table(data, path, kind)
    return Source(path, kind, sha256(data).hexdigest(), table)


def _recognize(data: bytes, path: Path) -> Kind:
    if data[:1] == b"\x80":  # of a pickle; no text in UTF-8 begins with it
        return "pickle"
    text = data.decode("utf-8-sig", errors="replace")
    if START in text:
        return "log"
    return "evaluation" if is_evaluation(text) else table_kind(text) or "unknown"
