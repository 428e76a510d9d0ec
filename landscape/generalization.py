"""Basin membership against challenge-set scores, with uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import gammaln

from landscape.basins import Basins
from landscape.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_VALUES_AT_ONCE = 1 << 21  # permuted scores held at a time: 16 MB


@dataclass(frozen=True)
class Relation:
    """What basins and centroid distance say about each column of scores.

    Attributes:
        table: A row a group (column of scores); see ``relate``.
        n_basins: How many basins.
        confidence: Nominal coverage of every interval, in (0, 1).
    """

    table: pd.DataFrame
    n_basins: int
    confidence: float


def score_groups(
    predictions: ArrayLike,
    labels: ArrayLike,
    groups: dict[str, NDArray[Any]],
    metric: Literal["accuracy", "matthews"],
    name: str,
) -> pd.DataFrame:
    """Score every model on a data set and on each of its groups.

    Args:
        predictions: (n_models, n_examples) classes.
        labels: (n_examples,) classes.
        groups: From a grouping's name to (n_examples,) values; "" is no group.
        metric: ``accuracy`` in [0, 1], or Matthews correlation in [-1, 1], for more than two
            classes as Gorodkin (2004) extends it. Where the labels hold one class only, Matthews
            correlation is undefined and NaN, never replaced by another metric; where only a
            model's predictions do, it is 0.
        name: The data set's.

    Returns:
        A row a model; the columns ``name`` and, for every value of every grouping,
        ``name: value``. A value that two groupings give to different examples is
        ``name: value (grouping)`` from the second on.

    Raises:
        ConfigError: An unknown metric.
        DataError: Shapes that do not match, or no examples.
    """
    import pandas as pd

    guesses, truth = np.asarray(predictions), np.asarray(labels)
    if metric not in ("accuracy", "matthews"):
        raise ConfigError(
            "The metric is unknown.", where=name, expected="accuracy or matthews", found=metric
        )
    if truth.ndim != 1 or guesses.ndim != 2 or guesses.shape[1] != len(truth) or not len(truth):
        raise DataError(
            "Predictions and labels do not match.",
            where=name,
            expected="(n_models, n_examples) and (n_examples,), n_examples > 0",
            found=f"{guesses.shape} and {truth.shape}",
        )
    rows = group_rows(groups, len(truth), name)
    score = _accuracy if metric == "accuracy" else _matthews
    return pd.DataFrame({column: score(guesses[:, r], truth[r]) for column, r in rows.items()})


def group_rows(
    groups: dict[str, NDArray[Any]], n_examples: int, name: str
) -> dict[str, NDArray[np.bool_]]:
    """Which examples (n_examples,) each column of ``score_groups`` scores, by its name.

    Raises:
        DataError: A grouping of another length.
    """
    rows = {name: np.ones(n_examples, dtype=bool)}
    for grouping, values in groups.items():
        cells = np.asarray(values)
        if cells.shape != (n_examples,):
            raise DataError(
                "A grouping does not match the labels.",
                where=f"{name}: {grouping}",
                expected=f"({n_examples},)",
                found=f"{cells.shape}",
            )
        for value in np.unique(cells[cells != ""]):
            column, chosen = f"{name}: {value}", cells == value
            if column in rows and not np.array_equal(rows[column], chosen):
                column += f" ({grouping})"
            rows[column] = chosen
    return rows


def relate(
    basins: Basins | ArrayLike,
    scores: pd.DataFrame,
    *,
    centroid_distance: ArrayLike | None = None,
    n_resamples: int = 9999,
    confidence: float = 0.95,
    rng: np.random.Generator | int | None = None,
) -> Relation:
    """Relate basins and centroid distance to every column of scores.

    The table has a row a column of ``scores``; a model whose score is NaN is left out of that row.

    - ``group``; ``basin_<i>_mean``, ``_low``, ``_high`` for every basin i: percentile bootstrap
      over the basin's models, too narrow for a handful of them, NaN for one.
    - ``difference``, ``_low``, ``_high``: the largest basin's mean minus the second largest's,
      Welch's interval (it allows unequal spread and, unlike a bootstrap, few models). ``auc``:
      the chance that a model of the first scores higher than one of the second, ties half.
      ``hedges_g``: standardised difference with its exact small-sample factor (Hedges 1981); NaN
      without spread.
    - ``p_value``: permutation test over all basins, exact where ``n_resamples`` allow, of the
      between-basin sum of squares: it orders samples as the absolute difference does for two
      basins, and as F does for more. Basins of one model are left out of it, and it is NaN where
      fewer than two remain. ``q_value``: Benjamini and Hochberg (1995) over the rows.
    - ``pearson``, ``spearman`` of centroid distance with score, ``_low``, ``_high``: Fisher's z,
      for Spearman with the variance of Bonett and Wright (2000). It stays within [-1, 1] and
      works from four models on, where a bootstrap often draws constant samples. Centroid distance
      grows towards basin 1, so these have the opposite sign of ``difference``.

    Args:
        basins: What ``find_basins`` found, or (n_models,) whole-number labels from 0.
        scores: A row a model, a column a group.
        centroid_distance: (n_models,); that of ``basins`` when absent, and NaN correlations
            without either.
        n_resamples: Of the bootstrap and of the permutation test.
        confidence: Nominal coverage of the intervals, in (0, 1).
        rng: A generator or a seed; seed 0 when absent.

    Raises:
        ConfigError: Labels, scores or centroid distances that do not match or are no numbers, a
            confidence or n_resamples out of range.
    """
    import pandas as pd

    distance = centroid_distance
    if isinstance(basins, Basins):
        labels = basins.labels
        distance = basins.centroid_distance if distance is None else distance
    else:
        labels = _check_labels(basins)
    values = _check_scores(scores, len(labels))
    nearness = None if distance is None else np.asarray(distance, dtype=np.float64)
    if nearness is not None and nearness.shape != labels.shape:
        raise ConfigError(
            "The centroid distances do not match the basins.",
            expected=f"({len(labels)},)",
            found=f"{nearness.shape}",
        )
    if not 0 < confidence < 1:
        raise ConfigError("The confidence must lie between 0 and 1.", found=confidence)
    if n_resamples < 1:
        raise ConfigError("At least one resample is needed.", found=n_resamples)
    generator = np.random.default_rng(0 if rng is None else rng)
    names, counts = np.unique(labels, return_counts=True)
    largest = [int(i) for i in np.argsort(-counts, kind="stable")[:2]]
    columns: dict[str, Array] = {}
    # columns that miss the same models share their resamples and permutations
    patterns, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for pattern, known in enumerate(patterns.T):
        here = np.flatnonzero(which == pattern)
        found = _relate_block(
            values[np.ix_(known, here)],
            labels[known],
            names,
            largest,
            None if nearness is None else nearness[known],
            n_resamples,
            confidence,
            generator,
        )
        for column, numbers in found.items():
            columns.setdefault(column, np.full(values.shape[1], np.nan))[here] = numbers
    table = pd.DataFrame({"group": [str(name) for name in scores.columns], **columns})
    tested = table["p_value"].notna().to_numpy()
    q = np.full(len(table), np.nan)
    if tested.any():
        q[tested] = stats.false_discovery_control(table["p_value"].to_numpy()[tested])
    table.insert(int(np.flatnonzero(table.columns == "p_value")[0]) + 1, "q_value", q)
    return Relation(table, len(names), float(confidence))


def pair_kinds(scores: ArrayLike, pairs: ArrayLike, share: float = 1 / 3) -> NDArray[np.str_]:
    """Name each pair by its members' place on a challenge set (Juneja et al., arXiv 2205.12411).

    The highest ``share`` of the models is generalising, the lowest is heuristic: rounded down, at
    least one model each. Of equal scores the model that comes first counts as the lower; a NaN
    score is at neither end.

    Args:
        scores: (n_models,).
        pairs: (n_pairs, 2) models.
        share: In (0, 1/2].

    Returns:
        (n_pairs,) ``generalising-generalising``, ``generalising-heuristic``,
        ``heuristic-heuristic``, or "" for a pair with a member from the middle.

    Raises:
        ConfigError: A share out of range, or pairs that are no pairs of models.
    """
    values, members = np.asarray(scores, dtype=np.float64), np.asarray(pairs)
    if not 0 < share <= 0.5:
        raise ConfigError("The share must lie in (0, 1/2].", found=share)
    if members.size == 0:
        return np.full(0, "")
    if members.ndim != 2 or members.shape[1] != 2:
        raise ConfigError(
            "Pairs are two models each.", expected="(n_pairs, 2)", found=f"{members.shape}"
        )
    if members.min() < 0 or members.max() >= len(values):
        raise ConfigError(
            "A pair names a model without a score.",
            expected=f"0 to {len(values) - 1}",
            found=f"{members.min()} to {members.max()}",
        )
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    # the slack keeps a third of nine three, and the ends never overlap
    count = min(max(1, int(share * len(order) + 1e-9)), len(order) // 2)
    place = np.zeros(len(values), dtype=int)
    place[order[:count]] = -1
    place[order[len(order) - count :]] = 1
    first, second = place[members].T
    kinds = np.full(len(members), "", dtype="U25")
    kinds[(first == 1) & (second == 1)] = "generalising-generalising"
    kinds[first * second == -1] = "generalising-heuristic"
    kinds[(first == -1) & (second == -1)] = "heuristic-heuristic"
    return kinds


def _accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Any:
    return (predictions == labels).mean(1)


def _matthews(predictions: NDArray[Any], labels: NDArray[Any]) -> Any:
    classes = np.union1d(labels, predictions)
    true = np.array([(labels == c).sum() for c in classes], dtype=np.float64)
    guessed = np.stack([(predictions == c).sum(1) for c in classes], 1).astype(np.float64)
    n, right = len(labels), (predictions == labels).sum(1)
    spread_true = n**2 - (true**2).sum()
    if spread_true == 0:
        return np.full(len(predictions), np.nan)
    spread = np.sqrt(spread_true * (n**2 - (guessed**2).sum(1)))
    return (right * n - guessed @ true) / np.where(spread > 0, spread, np.inf)


def _relate_block(
    values: Array,
    labels: NDArray[Any],
    names: NDArray[Any],
    largest: list[int],
    nearness: Array | None,
    n_resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Every column of the table but the names and q, for scores (n_models, n_columns)."""
    missing = np.full(values.shape[1], np.nan)
    members = [values[labels == name] for name in names]
    found: dict[str, Array] = {}
    for name, rows in zip(names, members, strict=True):
        low: Any = missing
        high: Any = missing
        if len(rows) > 1:
            interval = stats.bootstrap(
                (rows,),
                np.mean,
                axis=0,
                vectorized=True,
                n_resamples=n_resamples,
                batch=_batch(rows),
                confidence_level=confidence,
                method="percentile",
                rng=rng,
            ).confidence_interval
            low, high = interval.low, interval.high
        mean = rows.mean(0) if len(rows) else missing
        found |= {f"basin_{name}_mean": mean, f"basin_{name}_low": low, f"basin_{name}_high": high}
    sizes = [len(rows) for rows in members]
    pair = [members[i] for i in largest if sizes[i]]
    compared: tuple[Array, ...] = (missing,) * 5
    if len(pair) == 2:
        compared = _compare(pair[0], pair[1], confidence)
    names_compared = ("difference", "difference_low", "difference_high", "auc", "hedges_g")
    found |= dict(zip(names_compared, compared, strict=True))
    if len(sizes) == 2 and min(sizes) < 2:
        found["p_value"] = missing
    else:
        found["p_value"] = _permute([m for m in members if len(m) > 1], n_resamples, rng, missing)
    for name, rank in (("pearson", False), ("spearman", True)):
        numbers = (missing,) * 3
        if nearness is not None:
            numbers = _correlate(nearness, values, rank, confidence)
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True))
    return found


def _compare(first: Array, second: Array, confidence: float) -> tuple[Array, ...]:
    """Difference with Welch's interval, AUC and Hedges g."""
    missing = np.full(first.shape[1], np.nan)
    # about one of the scores, so that equal scores differ by exactly 0
    difference = (first - first[0]).mean(0) - (second - first[0]).mean(0)
    higher = first[:, None] > second[None]
    auc = (higher.mean((0, 1)) + (first[:, None] >= second[None]).mean((0, 1))) / 2
    n, m = len(first), len(second)
    spread = [
        ((rows - rows.mean(0)) ** 2).sum(0) * (np.ptp(rows, axis=0) > 0) for rows in (first, second)
    ]
    low = high = missing
    if n > 1 and m > 1:
        parts = np.stack([spread[0] / (n - 1) / n, spread[1] / (m - 1) / m])
        error: Any = parts.sum(0)
        weights = parts / np.where(error > 0, error, 1)
        freedom = 1 / np.maximum(weights[0] ** 2 / (n - 1) + weights[1] ** 2 / (m - 1), 1e-300)
        half = stats.t.ppf((1 + confidence) / 2, np.minimum(freedom, n + m - 2)) * np.sqrt(error)
        low, high = difference - half, difference + half
    g = missing
    freedom_all = n + m - 2
    if freedom_all > 1:
        pooled = np.sqrt((spread[0] + spread[1]) / freedom_all)
        log_factor = gammaln(freedom_all / 2) - gammaln((freedom_all - 1) / 2)
        factor = np.exp(log_factor) / np.sqrt(freedom_all / 2)
        g = np.where(pooled > 0, factor * difference / np.where(pooled > 0, pooled, 1), np.nan)
    return difference, low, high, auc, g


def _permute(
    members: list[Array], n_resamples: int, rng: np.random.Generator, missing: Array
) -> Array:
    if len(members) < 2:
        return missing
    centre = np.concatenate(members).mean(0)

    def between(*samples: Array, axis: int) -> Any:
        return sum(rows.shape[axis] * rows.mean(axis) ** 2 for rows in samples)

    tested = stats.permutation_test(
        tuple(rows - centre for rows in members),
        between,
        permutation_type="independent",
        vectorized=True,
        n_resamples=n_resamples,
        batch=_batch(*members),
        alternative="greater",
        axis=0,
        rng=rng,
    )
    constant = np.ptp(np.concatenate(members), axis=0) == 0
    p_values: Array = np.where(constant, 1.0, tested.pvalue)
    return p_values


def _batch(*members: Array) -> int:
    return max(1, _VALUES_AT_ONCE // max(1, sum(rows.size for rows in members)))


def _correlate(
    nearness: Array, values: Array, rank: bool, confidence: float
) -> tuple[Array, Array, Array]:
    """Correlation and Fisher's interval; NaN for fewer than three models or without spread."""
    known = np.isfinite(nearness)
    x, y = nearness[known, None], values[known]
    n = len(x)
    r = np.full(values.shape[1], np.nan)
    varied = np.ptp(y, axis=0) > 0 if n > 2 and np.ptp(x) > 0 else np.zeros(len(r), dtype=bool)
    if varied.any():
        y = y[:, varied]
        if rank:
            x, y = stats.rankdata(x, axis=0), stats.rankdata(y, axis=0)
        x, y = x - x.mean(0), y - y.mean(0)
        # scaled first, so that the squares of tiny spreads do not vanish
        x, y = x / np.abs(x).max(0), y / np.abs(y).max(0)
        r[varied] = np.clip((x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0)), -1, 1)
    if n < 4:
        return r, np.full(len(r), np.nan), np.full(len(r), np.nan)
    variance = (1 + r**2 / 2 if rank else 1) / (n - 3)
    with np.errstate(divide="ignore"):  # r of 1 or -1 is infinite in z, and comes back as itself
        z = np.arctanh(r)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance)
    return r, np.tanh(z - half), np.tanh(z + half)


def _check_labels(labels: ArrayLike) -> NDArray[np.intp]:
    values = np.asarray(labels)
    whole = values.ndim == 1 and values.size > 0 and values.dtype.kind in "iuf"
    if not (whole and np.isfinite(values).all() and (values >= 0).all() and not (values % 1).any()):
        raise ConfigError(
            "The basin labels cannot be used.",
            where="basins",
            expected="(n_models,) whole numbers from 0, or what find_basins returns",
            found=f"{values.dtype} of shape {values.shape}",
        )
    return values.astype(np.intp)


def _check_scores(scores: pd.DataFrame, n_models: int) -> Array:
    if len(scores) != n_models:
        raise ConfigError(
            "The scores do not match the basins.",
            where="scores",
            expected=f"{n_models} rows, one a model",
            found=f"{len(scores)} rows",
        )
    if not len(scores.columns):
        raise ConfigError("There are no scores to relate.", where="scores", found="no columns")
    for column, kind in zip(scores.columns, scores.dtypes, strict=True):
        if kind.kind not in "iufb":
            raise ConfigError(f"The scores '{column}' are no numbers.", where="scores", found=kind)
    values = scores.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)
