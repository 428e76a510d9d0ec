"""What figures and report say of an analysis alike: names, sizes, and which points it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.core.sentences import grid_sentence
from landscape.core.wording import count, listed

if TYPE_CHECKING:
    import pandas as pd

    from landscape.analysis.analysis import Analysis
    from landscape.records import StoredPath

# in the store's own words only where the path was measured beside those of the pairs
_PAIR_PATHS = {
    "bezier": "Bezier curve",
    "chain": "polygonal chain",
    "autoneb": "AutoNEB path",
}


def dataset_of(analysis: Analysis, column: str) -> str:
    """The data set that a column of scores was computed on."""
    names = [n for n in analysis.results.datasets if column == n or column.startswith(f"{n}: ")]
    return max(names, key=len, default=column)


def metric_name(metric: str) -> str:
    """A metric in words."""
    return {"matthews": "Matthews correlation"}.get(metric, metric)


def metric_of(analysis: Analysis, column: str) -> str:
    """The metric of a column of scores, in words."""
    dataset = analysis.results.datasets.get(dataset_of(analysis, column))
    return "score" if dataset is None else metric_name(dataset.metric)


def role_of(analysis: Analysis, column: str) -> str:
    """``in-domain`` or ``challenge``."""
    if column in analysis.challenge_columns:
        return "challenge"
    dataset = analysis.results.datasets.get(dataset_of(analysis, column))
    return "challenge" if dataset is not None and dataset.role == "challenge" else "in-domain"


def rule_name(analysis: Analysis) -> str:
    """The rule's name in words."""
    return analysis.rule.replace("_", " ")


def pair_path(analysis: Analysis) -> str:
    """What joins the two models of a pair, in words: ``line``, ``Bezier curve``."""
    kind = str(_pair_config(analysis).get("kind", "line"))
    return _PAIR_PATHS.get(kind, kind)


def pair_path_is_trained(analysis: Analysis) -> bool:
    """Whether it has control points that were trained."""
    return "fit" in _pair_config(analysis)


def _pair_config(analysis: Analysis) -> dict[str, Any]:
    entries = analysis.results.config.get("paths") or [{}]
    return dict(entries[0])


def path_text(path: StoredPath) -> str:
    """A path's kind in words."""
    return str(path.notes.get("text", path.kind))


def trained_points(texts: Iterable[str]) -> list[str]:
    """A sentence on these paths' control points, which were trained; none without a path."""
    names = [f"the {text}" for text in dict.fromkeys(texts)]
    points = f"The control points of {listed(names)}" if names else ""
    return [f"{points} were trained on the task's training data."] if names else []


def examples_of(analysis: Analysis, column: str) -> str:
    """How many examples a data set has."""
    dataset = analysis.results.datasets[dataset_of(analysis, column)]
    return "means only" if dataset.aggregated else count(len(dataset.labels), "example")


def points_on_a_path(analysis: Analysis) -> str:
    """``11 points``, or ``up to 11 points`` where some were not evaluated."""
    some = "" if analysis.results.evaluated.all() else "up to "
    return some + count(len(analysis.positions), "point")


def pairs_measured(analysis: Analysis) -> str:
    """``45 pairs``, or ``44 of 45 pairs`` where one was not measured."""
    total, finite = len(analysis.pairs), len(ranked_pairs(analysis))
    of = f" of {total:,}" if finite < total else ""
    return f"{finite:,}{of} {'pair' if total == 1 else 'pairs'}"


def ranked_pairs(analysis: Analysis) -> np.ndarray:
    """Numbers of the measured pairs, the largest gap first."""
    gaps = np.asarray(analysis.gaps.estimate)[tuple(np.asarray(analysis.pairs).T)]
    measured = np.flatnonzero(np.isfinite(gaps))
    return measured[np.argsort(-gaps[measured], kind="stable")]


def has_intervals(analysis: Analysis) -> bool:
    """Whether losses of single examples are known, and so what noise does to the gaps."""
    return bool(np.isfinite(analysis.gaps.low[tuple(analysis.pairs.T)]).any())


def has_contributions(analysis: Analysis) -> bool:
    """Whether it is known which examples make the gaps."""
    contributions = analysis.contributions
    return contributions is not None and contributions.concentration.n_half > 0


def relation_row(analysis: Analysis, column: str) -> pd.Series | None:
    """The relation table's row of a group."""
    table = analysis.relation.table
    rows = table[table["group"] == column]
    return rows.iloc[0] if len(rows) else None


def grid(analysis: Analysis) -> list[str]:
    """What the grid of points can hide, in a sentence; none where no losses are known."""
    if analysis.results.given_gaps is not None:
        return []
    adaptive = bool(_pair_config(analysis).get("adaptive", False))
    n_points = len(analysis.positions)
    return [grid_sentence(n_points, tolerance=analysis.tolerance, adaptive=adaptive)]


def coverage(analysis: Analysis) -> list[str]:
    """Which points were evaluated and what that does to the gaps, in sentences.

    None where every point was evaluated in one format, or no losses are known.
    """
    results, formats = analysis.results, analysis.results.points_by_format
    total, done, exact = results.formats.size, sum(formats.values()), int(results.exact.sum())
    if not done or (done == total and len(formats) == 1):
        return []
    how = ", ".join(f"{n:,} in {name}" for name, n in formats.items())
    where = f"points of the {pair_path(analysis)}s"
    sentences = [f"{done:,} of {total:,} {where} were evaluated: {how}."]
    if exact < total and np.isfinite(analysis.tolerance):
        stay = "stay the same" if analysis.settled else "would differ"
        sentences.append(
            f"Gaps are those of the {exact:,} in full precision; on the whole grid no gap would be "
            f"larger by more than {analysis.tolerance:.2g} nats, and with gaps as large as that "
            f"the basins {stay}."
        )
    elif exact < total:
        sentences.append(
            f"Gaps are those of the {exact:,} in full precision; on the whole grid they may be "
            "larger, for the points were chosen by another rule or data set."
        )
    if np.isfinite(analysis.difference):
        sentences.append(
            "Between the formats, the loss of one example differs by at most "
            f"{analysis.difference:.2g} nats, a mean loss by at most "
            f"{analysis.mean_difference:.2g}."
        )
    return sentences
