"""Are there two kinds of gaps? A mixture view of their distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import squareform

from landscape.core.arrays import Array

_FEWEST = 10  # gaps; a mixture of fewer says nothing


@dataclass(frozen=True)
class Mixture:
    """One kind of gaps, or two: normal components on the square root of the gaps.

    Gaps of one population depend on each other: the criterion ranks and tests nothing.

    Attributes:
        n_kinds: 1 or 2, with the lower Bayesian information criterion (Schwarz 1978).
        preference: The criterion of one kind minus that of two; positive is for two.
        means: (2,) nats, the square of the components' means, ascending.
        share: Of the gaps that belong to the lower kind.
        threshold: Nats at which a gap is as likely of either kind.
        probability: (n_models, n_models) that a gap is of the higher kind.
    """

    n_kinds: int
    preference: float
    means: Array
    share: float
    threshold: float
    probability: Array


def fit_mixture(gaps: Array) -> Mixture | None:
    """Fit one and two kinds of gaps (n_models, n_models), nats."""
    from sklearn.mixture import GaussianMixture

    roots = np.sqrt(squareform(gaps, checks=False))[:, None]
    if len(roots) < _FEWEST or np.ptp(roots) == 0:
        return None
    # a component must not shrink to a point: gaps are rounded
    least = (0.01 * float(np.ptp(roots))) ** 2
    single, double = (
        GaussianMixture(k, n_init=5, reg_covar=least, random_state=0).fit(roots) for k in (1, 2)
    )
    preference = float(single.bic(roots) - double.bic(roots))
    order = np.argsort(double.means_[:, 0])
    higher = double.predict_proba(roots)[:, order[1]]
    lower, upper = double.means_[order, 0]
    grid = np.linspace(lower, upper, 2001)[:, None]
    above = double.predict_proba(grid)[:, order[1]] >= 0.5
    threshold = float(grid[int(above.argmax()), 0] ** 2) if above.any() else np.nan
    return Mixture(
        n_kinds=2 if preference > 0 else 1,
        preference=preference,
        means=double.means_[order, 0] ** 2,
        share=float(double.weights_[order[0]]),
        threshold=threshold,
        probability=squareform(higher, checks=False),
    )
