"""The answer in a plain sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landscape.analysis.basins.number import Evidence

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")


def reason(evidence: Evidence, gaps: NDArray[np.float64], n_basins: int) -> str:
    """One sentence: how many basins, and on what that rests."""
    n = len(gaps)
    pairs = n * (n - 1) // 2
    known = np.isfinite(evidence.noise)
    beyond = f"{_short(evidence.tolerance)} nats" + (" beyond example noise" if known else "")
    against = ""
    if n > 2 and np.isfinite(evidence.null_quantile):
        best = int(np.flatnonzero(evidence.null_quantiles == evidence.null_quantile)[0])
        against = (
            f"silhouette {_short(evidence.silhouettes[best])} against "
            f"{_short(evidence.null_quantile)} at the 95% quantile of one-basin nulls"
        )
    if evidence.verdict == "asked":
        return f"{_count(n_basins)}, as asked" + (
            f": {against}." if n_basins > 1 and n > 2 else "."
        )
    if evidence.verdict == "one valley":
        return f"One basin: no gap exceeds {beyond}."
    if n == 2:
        return f"Two basins: the one gap, {_short(gaps[0, 1])} nats, exceeds {beyond}."
    above = f"{evidence.n_barriers} of {pairs} gaps exceed {beyond}"
    if evidence.verdict == "no groups":
        return f"One basin: no groups of models stand apart ({against}), though {above}."
    if evidence.sharp:
        return f"{_count(n_basins)}: every gap between them exceeds {beyond}, none within does."
    return f"{_count(n_basins)}: {against}."


def _count(k: int) -> str:
    return f"{_NUMBERS[k] if k < len(_NUMBERS) else k} {'basin' if k == 1 else 'basins'}"


def _short(value: float) -> str:
    """Two digits, without a leading zero: .32, 1.9, .004."""
    text = f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1g}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and value != 0 else text
