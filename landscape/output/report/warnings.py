"""What to know before believing what an analysis found."""

from __future__ import annotations

from math import factorial, isfinite, prod
from typing import TYPE_CHECKING

import numpy as np

from landscape.output.plots.captions import count
from landscape.output.report.basins import models_between
from landscape.output.report.words import FDR, listed, ranked_pairs

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details

_TINY = 2  # models; a basin of so few has no spread to speak of
_NAMED = 5  # models by name in one sentence


def _smallest_p(sizes: np.ndarray) -> float:
    """What an exact permutation test gives the most extreme grouping into such basins."""
    # a basin of one model is left out of the test; exchanging equal basins changes nothing
    tested = [int(size) for size in sizes if size > 1]
    if len(tested) < 2:
        return 1.0
    same = prod(factorial(tested.count(size)) for size in set(tested))
    return same * prod(map(factorial, tested)) / factorial(sum(tested))


def warnings(analysis: Analysis, details: Details) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = [*_of_pairs(analysis), *_of_basins(analysis), *_of_triples(details)]
    if not analysis.focus:
        found.append("There is no challenge set: scores in the figures are in-domain.")
    return found


def _of_pairs(analysis: Analysis) -> list[str]:
    contents, found = analysis.contents, []
    aggregated = contents.datasets[analysis.dataset].aggregated
    n_missing = len(analysis.pairs) - len(ranked_pairs(analysis))
    if n_missing:
        what = "has" if n_missing == 1 else "have"
        was = "was" if n_missing == 1 else "were"
        found.append(
            f"{count(n_missing, 'pair')} of {len(analysis.pairs):,} "
            + (
                f"{what} no losses in the files that were read."
                if aggregated
                else f"{was} not measured; run the experiment again to fill the store."
            )
        )
    elif str(contents.attributes.get("finished", "yes")) != "yes":
        found.append("The store is not marked as finished: a run was interrupted or still goes on.")
    if lines := analysis.not_finite:
        has = "has" if len(lines) == 1 else "have"
        found.append(
            f"{count(len(lines), 'pair')} {has} losses that are not finite on {analysis.dataset}, "
            f"and so no gap: {_some(list(lines), '; ')}. What depends on all gaps rests on the "
            "others."
        )
    if never := contents.never_measured - len(analysis.not_finite):
        n = len(analysis.models)
        chose = contents.chosen == "active" and not aggregated
        why = ": the run chose those that decide something" if chose else ""
        found.append(
            f"{count(never, 'pair')} of {n * (n - 1) // 2:,} "
            f"{'was' if never == 1 else 'were'} never measured"
            f"{why}. What depends on all gaps rests on the measured ones."
        )
    if contents.given_gaps is not None:
        found.append(
            f"Of {analysis.dataset} only gaps are known, not the losses that they are of: gaps "
            "have no intervals, and there are no curves to draw."
        )
    elif aggregated:
        found.append(
            f"Of {analysis.dataset} only mean losses are known, not those of single examples: gaps "
            "have no intervals, and nothing says which of them are noise."
        )
    return found


def _of_basins(analysis: Analysis) -> list[str]:
    basins, evidence, found = analysis.basins, analysis.basins.evidence, []
    if basins.n_basins == 1:
        if evidence.verdict == "no groups":
            beyond = " beyond noise" if isfinite(evidence.noise) else ""
            verb = "exceeds" if evidence.n_barriers == 1 else "exceed"
            found.append(
                "One basin means here that no groups of models stand apart, not that the models "
                f"share one valley: {count(evidence.n_barriers, 'gap')} {verb} "
                f"{evidence.tolerance:g} nats{beyond}."
            )
        found.append(
            "One basin was found. Centroid distance still needs two centroids: it, and the two "
            "sides in the figures, come from a split that was forced and need not mean anything."
        )
        return found
    if between := models_between(analysis):
        names = [analysis.models[model] for model in between]
        who = f"Model {names[0]} lies" if len(names) == 1 else f"Models {_some(names)} lie"
        found.append(f"{who} between two basins: see the section on basins.")
    sizes = np.bincount(basins.labels, minlength=basins.n_basins)
    for basin in np.flatnonzero(sizes <= _TINY):
        found.append(
            f"Basin {basin} holds {count(int(sizes[basin]), 'model')} only: "
            "its mean and interval say little."
        )
    smallest = _smallest_p(sizes)
    if smallest > FDR:
        found.append(
            f"With basins of {listed(sizes.tolist())} models the permutation test can give no "
            f"p below {smallest:.2g}: no difference can be significant before there are more "
            "models."
        )
    return found


def _of_triples(details: Details) -> list[str]:
    triangles = details.triangles
    if not triangles.n_certain:
        return []
    noise = " beyond noise" if triangles.with_intervals else ""
    verb = "is" if triangles.n_certain == 1 else "are"
    return [
        f"{triangles.n_certain:,} of {count(triangles.n_triples, 'triple')} of models {verb} "
        f"intransitive{noise}: no partition into basins describes who joins whom."
    ]


def _some(names: list[str], between: str = ", ") -> str:
    if len(names) <= _NAMED:
        return listed(names) if between == ", " else between.join(names)
    return f"{between.join(names[:_NAMED])} and {len(names) - _NAMED} more"
