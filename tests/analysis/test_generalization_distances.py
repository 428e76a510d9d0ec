from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from landscape.analysis.statistics import pair_regression, principal_coordinates
from landscape.core.errors import ConfigError


def matrices(n=5, names=("gap", "weights", "disagreement"), seed=0):
    rng = np.random.default_rng(seed)
    points = [rng.normal(size=(n, 2)) for _ in range(len(names) + 1)]
    first, *others = (squareform(pdist(p)) for p in points)
    response = first + 0.5 * others[0]
    return response, dict(zip(names, others, strict=True))


def t_statistic(y, columns, j):
    slopes = np.linalg.lstsq(columns, y)[0]
    left = y - columns @ slopes
    variance = (left**2).sum() / (len(y) - np.linalg.matrix_rank(columns))
    return slopes[j] / np.sqrt(variance * np.linalg.inv(columns.T @ columns)[j, j])


def semi_partialling(response, predictors, name, blocks=None):
    """Dekker, Krackhardt and Snijders, one permutation and one least-squares fit at a time."""
    n = len(response)
    blocks = np.zeros(n, int) if blocks is None else blocks
    pairs = list(itertools.combinations(range(n), 2))
    joined = [tuple(sorted(blocks[list(pair)])) for pair in pairs]
    cells = np.array([[one == kind for kind in sorted(set(joined))] for one in joined]) * 1.0
    i, j = np.array(pairs).T
    y = response[i, j]
    others = np.column_stack([cells, *(m[i, j] for key, m in predictors.items() if key != name)])
    x = predictors[name][i, j]
    known = np.isfinite(np.column_stack([y, x, others])).all(1)
    slopes = np.linalg.lstsq(others[known], x[known])[0]
    residuals = np.full((n, n), np.nan)
    residuals[i[known], j[known]] = residuals[j[known], i[known]] = (
        x[known] - others[known] @ slopes
    )
    null = []
    for order in map(list, itertools.permutations(range(n))):
        if (blocks[order] != blocks).any():
            continue
        moved = residuals[np.ix_(order, order)][i, j]
        here = known & np.isfinite(moved)
        columns = np.column_stack([moved, others])[here]
        null.append(abs(t_statistic(y[here], columns[:, columns.any(0)], 0)))
    return np.mean(np.array(null) >= null[0] * (1 - 1e-9))


def test_coefficients_and_shares_against_scikit_learn():
    response, predictors = matrices(9)
    table = pair_regression(response, predictors, n_permutations=9)
    upper = np.triu_indices(9, 1)
    y = stats.zscore(response[upper])
    x = np.column_stack([stats.zscore(m[upper]) for m in predictors.values()])
    fit = LinearRegression().fit(x, y)
    assert table["predictor"].tolist() == [*predictors]
    np.testing.assert_allclose(table["coefficient"], fit.coef_)
    np.testing.assert_allclose(table["r2"], fit.score(x, y))
    alone = [np.corrcoef(column, y)[0, 1] ** 2 for column in x.T]
    np.testing.assert_allclose(table["r2_alone"], alone)
    assert table["n_pairs"].tolist() == [36] * 3
    assert (table["note"] == "").all()


@pytest.mark.parametrize("missing", [False, True])
def test_p_values_by_brute_force(missing):
    response, predictors = matrices(6)
    if missing:
        response[0, 3] = response[3, 0] = np.nan
        predictors["weights"][1, 2] = predictors["weights"][2, 1] = np.nan
    table = pair_regression(response, predictors)
    expected = [semi_partialling(response, predictors, name) for name in predictors]
    np.testing.assert_allclose(table["p_value"], expected)
    assert table["n_pairs"].tolist() == [13 if missing else 15] * 3


def test_blocks_by_brute_force():
    response, predictors = matrices(7, ("gap", "weights"))
    blocks = np.array([0, 1, 0, 1, 0, 1, 0])
    apart = (blocks[:, None] != blocks) * 3.0
    response, predictors["gap"] = response + apart, predictors["gap"] + apart
    table = pair_regression(response, predictors, conditions=blocks)
    expected = [semi_partialling(response, predictors, name, blocks) for name in predictors]
    np.testing.assert_allclose(table["p_value"], expected)


def test_predictors_that_cannot_be_told_apart():
    response, predictors = matrices(8, ("gap", "weights"))
    more = {**predictors, "flat": np.ones((8, 8)), "twice": 2 * predictors["weights"] + 1}
    plain, table = (pair_regression(response, p, n_permutations=99) for p in (predictors, more))
    assert table["note"].tolist() == [
        "",
        "the predictor is a combination of the others",
        "the predictor is constant",
        "the predictor is a combination of the others",
    ]
    assert table["coefficient"].isna().tolist() == [False, True, True, True]
    assert table["coefficient"][0] == pytest.approx(plain["coefficient"][0])
    assert table["r2"][0] == pytest.approx(plain["r2"][0])
    assert table["p_value"][0] == plain["p_value"][0]


def test_too_little_to_regress():
    response, predictors = matrices(3)
    table = pair_regression(response, predictors)
    assert table[["coefficient", "p_value", "r2"]].isna().all(axis=None)
    assert table["note"].tolist() == ["3 pairs are too few for 3 predictors"] * 3
    response, predictors = matrices(6)
    assert pair_regression(np.ones((6, 6)), predictors)["note"][0] == "the response is constant"
    alone = pair_regression(response, {"gap": predictors["gap"]}, conditions=[0, 1, 2, 3, 4, 5])
    assert alone["note"][0] == "15 pairs are too few for 15 predictors"


def test_principal_coordinates_of_points_in_space():
    points = np.random.default_rng(0).normal(size=(12, 3)) * [3, 2, 1]
    distances = pdist(points)
    found = principal_coordinates(squareform(distances), 5)
    assert found.shape == (12, 3)
    np.testing.assert_allclose(pdist(found), distances)
    expected = PCA(3).fit_transform(points)
    np.testing.assert_allclose(np.abs(found), np.abs(expected))
    two = principal_coordinates(squareform(distances))
    np.testing.assert_allclose(two, found[:, :2])
    largest = np.abs(found).argmax(0)
    assert (found[largest, range(3)] > 0).all()


def test_principal_coordinates_of_few_or_equal_models():
    np.testing.assert_allclose(principal_coordinates([[0, 2], [2, 0]]), [[1], [-1]])
    assert principal_coordinates(np.zeros((4, 4))).shape == (4, 0)
    # no points in space have these distances: only what is real is kept
    strange = np.array([[0, 9, 1, 5], [9, 0, 1, 5], [1, 1, 0, 5], [5, 5, 5, 0.0]])
    values = np.linalg.eigvalsh(-0.5 * (np.eye(4) - 0.25) @ strange**2 @ (np.eye(4) - 0.25))
    assert principal_coordinates(strange, 4).shape[1] == (values > 1e-9).sum() < 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"predictors": {"gap": np.zeros((3, 3))}}, r"of gap.*\n  expected: shape \(5, 5\)"),
        ({"response": np.arange(25.0).reshape(5, 5)}, "where: models 0 and 1"),
        ({"conditions": [1]}, "conditions do not match"),
    ],
)
def test_bad_matrices_are_refused(change, text):
    response, predictors = matrices()
    with pytest.raises(ConfigError, match=text):
        pair_regression(**{"response": response, "predictors": predictors, **change})
