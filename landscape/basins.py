"""Gap matrix to basins: affinity, spectral embedding, labels, how many, and the merge tree."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.sparse.csgraph import laplacian
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from landscape.errors import ConfigError

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_MOST_BASINS = 8
_NULL_DRAWS = 400
_NULL_LEVEL = 0.95
_VALUES_AT_ONCE = 1 << 21  # gaps of the null held at a time: 16 MB
_AFFINITY_FLOOR = 1e-6  # keeps the graph connected where exp() underflows


@dataclass(frozen=True)
class Evidence:
    """Why there are as many basins as there are.

    Attributes:
        candidates: (n_candidates,) numbers of basins that were tried.
        silhouettes: (n_candidates,) mean silhouette of each candidate's labels on the gaps.
        null_quantiles: (n_candidates,) the silhouette that each candidate must exceed; 5% of
            one-basin draws exceed any of them. NaN for two models.
        null_quantile: That of the best candidate, in ``reason``.
        p_value: Share of one-basin draws that stand out at any number of basins as much as the
            best candidate does at its own.
        eigenvalues: (n_models,) of the affinity's normalised Laplacian, ascending.
        noise: Median standard error of a gap in nats, NaN when none was given.
        tolerance: Nats that a gap must exceed to count.
        reason: One plain sentence.
    """

    candidates: Labels
    silhouettes: Array
    null_quantiles: Array
    null_quantile: float
    p_value: float
    eigenvalues: Array
    noise: float
    tolerance: float
    reason: str


@dataclass(frozen=True)
class Basins:
    """Which models share a basin.

    Attributes:
        labels: (n_models,) basin of each model; basin 0 is the largest (of equals, the one with
            the first model).
        n_basins: How many; 1 is an answer.
        split: (n_models,) the two sides behind ``centroid_distance``: ``labels`` when there are
            two basins, a forced split when there is one, the nearer of basins 0 and 1 beyond two.
        centroid_distance: (n_models,) ||w - c0|| - ||w - c1|| in the embedding, c0 and c1 the
            centroids of the two sides; positive is nearer to side 1.
        embedding: (n_models, max(2, n_basins)) spectral embedding, first component kept.
        affinity: (n_models, n_models) exp(-gap^2 / 2 delta^2).
        delta: The affinity's scale in nats.
        delta_rule: Where delta comes from: ``median`` or ``given``.
        merge_tree: (n_models - 1, 4) scipy's single linkage of the gaps, heights in nats.
        gaps: (n_models, n_models) nats.
        evidence: What the number of basins rests on.
    """

    labels: Labels
    n_basins: int
    split: Labels
    centroid_distance: Array
    embedding: Array
    affinity: Array
    delta: float
    delta_rule: str
    merge_tree: Array
    gaps: Array
    evidence: Evidence


def find_basins(
    gaps: ArrayLike,
    n_basins: int | None = None,
    *,
    delta: float | str = "median",
    noise: ArrayLike | None = None,
    tolerance: float = 0.02,
    rng: np.random.Generator | int | None = None,
) -> Basins:
    """Cluster a population by its gaps, and say whether there is more than one basin.

    Labels come from spectral clustering of exp(-gap^2 / 2 delta^2) (Juneja et al. 2023, arXiv
    2205.12411, with delta = 1). Where ``n_basins`` is not given:

    1. One basin if no gap exceeds ``tolerance`` by two standard errors.
    2. Candidates are k = 2 to min(8, n_models // 2) basins, and 2 for three models. A candidate
       counts if the median gap between any two of its basins exceeds ``tolerance`` by two median
       standard errors. The best has the highest mean silhouette (Rousseeuw 1987) on the gaps, a
       model alone in its basin scoring 0.
    3. It is accepted if its silhouette exceeds what a null of one basin gives. There a gap is a
       sum a_i + a_j (some models lie farther from everyone, smoothly so: exponential a of the
       fitted mean) plus the permuted residuals of the additive least-squares fit, not below 0.
       Each of 400 draws is cut by average linkage at every k, and every k has its own threshold,
       at one level for all, such that 5% of the draws exceed any (Westfall and Young 1993).

    The null asks for groups, not for large gaps: equal gaps between all models are one basin to
    it. A model far from an otherwise tight group is a basin of its own when it lies farther out
    than exponential effects explain. Few models decide little: two are two basins when their gap
    exceeds the tolerance, three to five are separated only by very clear gaps, two and two
    never. A population whose effects have heavier tails than exponential
    (log-normal of sigma 1) gives a false outlier more often than the nominal 5%.

    Args:
        gaps: (n_models, n_models) nats, symmetric, zero diagonal.
        n_basins: How many; found from the gaps when absent.
        delta: The affinity's scale in nats, or ``median`` of the off-diagonal gaps (their mean
            when the median is 0, 1 when all are).
        noise: (n_models, n_models) standard errors of the gaps in nats.
        tolerance: Nats below which a gap is no barrier; 0.02 lowers the (geometric) mean
            probability of the right label by 2%.
        rng: A generator or a seed, for the null and k-means; seed 0 when absent.

    Raises:
        ConfigError: Gaps or noise that are no symmetric non-negative matrix, unmeasured pairs, a
            delta, tolerance or n_basins out of range.
    """
    matrix = _check_gaps(gaps)
    errors = _check_noise(noise, len(matrix))
    n = len(matrix)
    if not tolerance >= 0:
        raise ConfigError("The tolerance must not be negative.", found=tolerance)
    if n_basins is not None and not 1 <= n_basins <= n:
        raise ConfigError(
            "The number of basins does not fit the population.",
            expected=f"1 to {n}, for {n} models",
            found=n_basins,
        )
    scale, rule = _choose_delta(matrix, delta)
    generator = np.random.default_rng(0 if rng is None else rng)
    seed = int(generator.integers(2**31))
    affinity = np.exp(-0.5 * (matrix / scale) ** 2)
    asked = n_basins or 1
    candidates = np.arange(2, max(2, min(_MOST_BASINS, n // 2), asked) + 1)
    embedding = _embed(affinity, int(candidates[-1]), seed)
    labels = {int(k): _cluster(embedding[:, :k], int(k), seed) for k in candidates}
    evidence, k = _decide(matrix, errors, tolerance, labels, affinity, n_basins, generator)
    embedding = embedding[:, : max(2, k)]
    split, distance = _two_sides(embedding, labels[max(2, k)])
    return Basins(
        labels=labels[k] if k > 1 else np.zeros(n, dtype=np.intp),
        n_basins=k,
        split=split,
        centroid_distance=distance,
        embedding=embedding,
        affinity=affinity,
        delta=scale,
        delta_rule=rule,
        merge_tree=linkage(squareform(matrix, checks=False), method="single"),
        gaps=matrix,
        evidence=evidence,
    )


def leaf_order(merge_tree: ArrayLike) -> Labels:
    """The merge tree's leaves from left to right, (n_models,)."""
    return leaves_list(np.asarray(merge_tree, dtype=np.float64)).astype(np.intp)


def order_by_basin(basins: Basins) -> Labels:
    """Models (n_models,) basin by basin, from the first side's core to the second's."""
    return np.lexsort((basins.centroid_distance, basins.labels))


def _choose_delta(gaps: Array, delta: float | str) -> tuple[float, str]:
    if delta == "median":
        off_diagonal = squareform(gaps, checks=False)
        return float(np.median(off_diagonal) or off_diagonal.mean() or 1.0), "median"
    try:
        scale = float(delta)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise ConfigError(
            "The affinity's scale cannot be used.",
            where="delta",
            expected="a positive number of nats, or 'median'",
            found=repr(delta),
        )
    return scale, "given"


def _embed(affinity: Array, n_components: int, seed: int) -> Array:
    from sklearn.manifold import spectral_embedding

    # ARPACK finds fewer components than models; sklearn's other solver is dense at this size
    solver = "arpack" if n_components < len(affinity) else "lobpcg"
    return np.asarray(
        spectral_embedding(
            np.maximum(affinity, _AFFINITY_FLOOR),
            n_components=n_components,
            eigen_solver=solver,
            random_state=seed,
            drop_first=False,
        )
    )


def _cluster(embedding: Array, k: int, seed: int) -> Labels:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # models that coincide in the embedding can fill fewer than k clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        raw = KMeans(k, n_init=10, random_state=seed).fit_predict(embedding)
    _, first, inverse, counts = np.unique(
        raw, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.lexsort((first, -counts))] = np.arange(len(first))
    return rank[inverse]


def _two_sides(embedding: Array, labels: Labels) -> tuple[Labels, Array]:
    if labels.max() == 0:  # every model at one place
        return labels, np.zeros(len(labels))
    to_first, to_second = (
        np.linalg.norm(embedding - embedding[labels == side].mean(0), axis=1) for side in (0, 1)
    )
    distance = to_first - to_second
    return np.where(labels < 2, labels, (distance > 0).astype(np.intp)), distance


def _decide(
    gaps: Array,
    errors: Array | None,
    tolerance: float,
    labels: dict[int, Labels],
    affinity: Array,
    asked: int | None,
    rng: np.random.Generator,
) -> tuple[Evidence, int]:
    """The evidence, and the number of basins."""
    n = len(gaps)
    excess = gaps if errors is None else gaps - 2 * errors
    silhouettes = np.array([_silhouette(gaps, groups, k) for k, groups in labels.items()])
    thresholds, level = np.full(len(labels), np.nan), np.nan
    null = np.full((0, len(labels)), np.nan)
    if n > 2:
        null = _null_silhouettes(gaps, np.array([*labels]), rng)
        # how rare each draw's rarest silhouette is, among those at the same number of basins
        rarest = (rankdata(-null, method="max", axis=0) / len(null)).min(1)
        thresholds = np.quantile(null, 1 - np.quantile(rarest, 1 - _NULL_LEVEL), axis=0)
    apart = np.array([_closest_basins(excess, groups) > tolerance for groups in labels.values()])
    passed = apart & (silhouettes > thresholds)
    eligible = passed if passed.any() else apart
    best = int(np.argmax(np.where(eligible, silhouettes, -np.inf)))
    if asked is not None and asked > 1:
        best = [*labels].index(asked)
    k = [*labels][best]
    if n > 2:
        as_rare = (null[:, best] >= silhouettes[best]).mean()
        level = float((1 + (rarest <= as_rare).sum()) / (1 + len(null)))
    against = (
        f"silhouette {_short(silhouettes[best])} against {_short(thresholds[best])} at the 95% "
        "quantile of one-basin nulls"
    )
    beyond = f"{_short(tolerance)} nats" + ("" if errors is None else " by two standard errors")
    if asked is not None:
        chosen = asked
        reason = f"{_count(asked)}, as asked" + (f": {against}." if n > 2 and asked > 1 else ".")
    elif not (excess[~np.eye(n, dtype=bool)] > tolerance).any():
        chosen, reason = 1, f"One basin: no gap exceeds {beyond}."
    elif n == 2:
        chosen, reason = 2, f"Two basins: the one gap, {_short(gaps[0, 1])} nats, exceeds {beyond}."
    elif not apart.any():
        chosen, reason = 1, f"One basin: no groups of models lie more than {beyond} apart."
    elif passed.any():
        chosen, reason = k, f"{_count(k)}: {against}."
    else:
        chosen, reason = 1, f"One basin: {against}."
        above = int((squareform(excess, checks=False) > tolerance).sum())
        if 2 * above > n * (n - 1) // 2:  # no valley that they share, but no groups either
            reason = (
                f"One basin: no groups of models stand apart ({against}), though {above} of "
                f"{n * (n - 1) // 2} gaps exceed {beyond}."
            )
    evidence = Evidence(
        candidates=np.array([*labels], dtype=np.intp),
        silhouettes=silhouettes,
        null_quantiles=thresholds,
        null_quantile=float(thresholds[best]),
        p_value=level,
        eigenvalues=np.linalg.eigvalsh(np.asarray(laplacian(affinity, normed=True))),
        noise=np.nan if errors is None else float(np.median(squareform(errors, checks=False))),
        tolerance=float(tolerance),
        reason=reason,
    )
    return evidence, chosen


def _closest_basins(gaps: Array, labels: Labels) -> float:
    """The smallest median gap between two basins; -inf where there is one basin only."""
    members = [labels == basin for basin in range(labels.max() + 1)]
    medians = [
        float(np.median(gaps[np.ix_(first, second)]))
        for i, first in enumerate(members)
        for second in members[:i]
    ]
    return min(medians, default=-math.inf)


def _silhouette(gaps: Array, labels: Labels, k: int) -> Array:
    """Mean silhouettes (...) of labels (..., n) in 0..k-1 on gaps (..., n, n).

    scikit-learn's silhouette_score on precomputed distances, for many matrices at a time.
    """
    member = labels[..., None] == np.arange(k)
    sizes = member.sum(-2)
    sums = gaps @ member.astype(np.float64)
    own = np.take_along_axis(sizes, labels, -1)
    within = np.take_along_axis(sums, labels[..., None], -1)[..., 0] / np.maximum(own - 1, 1)
    others = sums / np.maximum(sizes, 1)[..., None, :]
    # a group without models, or a model's own, is never the nearest other one
    nearest = np.where(member | (sizes == 0)[..., None, :], np.inf, others).min(-1)
    larger = np.maximum(within, nearest)
    counts = (own > 1) & (larger > 0) & np.isfinite(larger)
    scores = np.where(counts, nearest - within, 0) / np.where(counts, larger, 1)
    return np.asarray(scores.mean(-1))


def _null_silhouettes(gaps: Array, candidates: Labels, rng: np.random.Generator) -> Array:
    """(n_draws, n_candidates) silhouettes of average-linkage cuts of one-basin gaps."""
    n = len(gaps)
    first, second = np.triu_indices(n, 1)
    # least squares of gap_ij = a_i + a_j has a closed form on a full off-diagonal
    rows = gaps.sum(1)
    effects = (rows - rows.sum() / (2 * (n - 1))) / (n - 2)
    # sorted, so that the draws do not depend on the order of the models
    residuals = np.sort(gaps[first, second] - effects[first] - effects[second])
    chunk = max(1, _VALUES_AT_ONCE // n**2)
    scores = []
    for start in range(0, _NULL_DRAWS, chunk):
        n_draws = min(chunk, _NULL_DRAWS - start)
        far = rng.exponential(max(effects.mean(), 0.0), (n_draws, n))
        noise = rng.permuted(np.broadcast_to(residuals, (n_draws, len(residuals))), axis=1)
        pairs = np.maximum(far[:, first] + far[:, second] + noise, 0)
        square = np.zeros((n_draws, n, n))
        square[:, first, second] = square[:, second, first] = pairs
        trees = np.array([linkage(row, method="average") for row in pairs])
        cuts = _cuts(trees, int(candidates[-1]))
        scores.append(np.stack([_silhouette(square, cuts[k], k) for k in candidates], axis=1))
    return np.concatenate(scores)


def _cuts(trees: Array, most: int) -> dict[int, Labels]:
    """Labels (n_trees, n) of trees (n_trees, n - 1, 4) cut into ``most`` down to 2 groups."""
    n_trees, n = len(trees), trees.shape[1] + 1
    names = np.tile(np.arange(n), (n_trees, 1))  # the trees' own names of each model's group
    cuts = {}
    for merge in range(n - 1):
        if n - merge <= most:
            present = np.zeros((n_trees, n + merge), dtype=bool)
            np.put_along_axis(present, names, True, axis=1)
            cuts[n - merge] = np.take_along_axis(present.cumsum(1) - 1, names, axis=1)
        merged = (names[..., None] == trees[:, None, merge, :2]).any(-1)
        names[merged] = n + merge
    return cuts


def _count(k: int) -> str:
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")
    return f"{words[k] if k < len(words) else k} {'basin' if k == 1 else 'basins'}"


def _short(value: float) -> str:
    """Two digits, without a leading zero: .32, 1.9, .004."""
    text = f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and value != 0 else text


def _check_gaps(gaps: ArrayLike) -> Array:
    matrix = _check_square(gaps, "gaps")
    n = len(matrix)
    if n < 2:
        raise ConfigError("A population needs at least two models.", found=n)
    off_diagonal = ~np.eye(n, dtype=bool)
    missing = int(np.isnan(matrix)[np.triu_indices(n, 1)].sum())
    missing = max(missing, int(np.isnan(matrix)[np.tril_indices(n, -1)].sum()))
    if missing:
        raise ConfigError(
            f"{missing} of {n * (n - 1) // 2} pairs of models have no gap.",
            expected="a gap for every pair",
            found=f"{missing} NaN",
            fix="Measure the missing pairs, or leave their models out.",
        )
    matrix = np.where(off_diagonal, matrix, np.nan_to_num(matrix))
    if not np.isfinite(matrix).all():
        raise ConfigError("The gaps must be finite.", where="gaps")
    if (lowest := matrix.min()) < 0:
        raise ConfigError(
            "A gap is negative.",
            where=_place(matrix == lowest),
            expected="nats, 0 or more",
            found=f"{lowest:.4g}",
            fix="Use a rule that measures a rise, such as convexity_gap.",
        )
    if matrix.diagonal().any():
        raise ConfigError(
            "A model's gap to itself is not 0.",
            where=_place(np.diag(matrix.diagonal() != 0)),
            found=f"{matrix.diagonal().max():.4g}",
        )
    return matrix


def _check_noise(noise: ArrayLike | None, n: int) -> Array | None:
    if noise is None:
        return None
    errors = _check_square(noise, "noise")
    if len(errors) != n:
        raise ConfigError(
            "The noise does not match the gaps.",
            expected=f"shape ({n}, {n})",
            found=f"shape {errors.shape}",
        )
    errors = np.where(np.eye(n, dtype=bool), 0.0, errors)
    if not (np.isfinite(errors).all() and (errors >= 0).all()):
        raise ConfigError("The noise must be finite standard errors, 0 or more.", where="noise")
    return errors


def _check_square(values: ArrayLike, name: str) -> Array:
    matrix = np.array(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ConfigError(
            f"The {name} must be a square matrix.",
            expected="(n_models, n_models)",
            found=f"shape {matrix.shape}",
        )
    asymmetric = ~np.isclose(matrix, matrix.T, rtol=1e-6, atol=1e-9, equal_nan=True)
    if asymmetric.any():
        i, j = np.argwhere(asymmetric)[0]
        raise ConfigError(
            f"The {name} must be symmetric.",
            where=f"models {i} and {j}",
            found=f"{matrix[i, j]:.6g} and {matrix[j, i]:.6g}",
        )
    return (matrix + matrix.T) / 2


def _place(mask: NDArray[np.bool_]) -> str:
    i, j = np.argwhere(mask)[0]
    return f"models {i} and {j}"
