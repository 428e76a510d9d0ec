"""Terms that the whole page uses: paths, losses, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.barriers import RULES
from landscape.core.wording import percent
from landscape.output import words
from landscape.output.report.registry import Source, Term

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis


def general_terms(analysis: Analysis) -> list[Term]:
    """Those that no section brings along."""
    rule, path = RULES[analysis.rule], words.pair_path(analysis)
    points = "The points (1 \N{MINUS SIGN} t) a + t b of weight space between models a and b, for"
    if path != "line":
        points = f"The points of the {path} from model a to model b, for"
    terms = [
        Term(f"{path}, position t", f"{points} t from 0 to 1."),
        Term("loss", "The mean cross-entropy over a data set's examples, in nats."),
    ]
    if covered := words.coverage(analysis):
        terms.append(
            Term(
                "points evaluated",
                f"{' '.join(covered)} The ends are counted in every pair. A point is left out, or "
                "only screened in a fast format, where the bounds of the run leave it no more than "
                "the tolerance to add to a gap. Lines and means in the figures go straight over "
                "points that are left out.",
            )
        )
    sources = tuple(Source(*paper) for paper in rule.sources)
    terms.append(Term(words.rule_name(analysis), rule.text, sources))
    if np.isfinite(analysis.gaps.low[tuple(analysis.pairs.T)]).any():
        terms.append(
            Term(
                "interval of a gap, corrected gap",
                f"The {percent(analysis.gaps.confidence)} interval of "
                f"{analysis.gaps.n_resamples:,} resamples of the examples, the same examples at "
                "every point. A maximum is biased upwards by noise: the corrected gap is the "
                "estimate less the bias that the resamples show, and not below 0.",
                (Source("Fang and Santos 2019", "1404.3763"),),
            )
        )
    if (np.asarray(analysis.kinds) != "").any():
        terms.append(
            Term(
                "generalising and heuristic models",
                f"The top and the bottom third of the models by their score on {analysis.focus}.",
                (Source("Juneja et al. 2023", "2205.12411"),),
            )
        )
    return terms
