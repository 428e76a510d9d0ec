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
    points = f"The points of the {path} from model a, t = 0, to model b, t = 1."
    if path == "line":
        points = "The points (1 \N{MINUS SIGN} t) a + t b of weight space between models a and b."
    terms = [
        Term(f"{path}, position t", points),
        Term("loss", "The mean cross-entropy over a data set's examples, in nats."),
    ]
    if covered := words.coverage(analysis):
        text = (
            f"{' '.join(covered)} A point is left out, or only screened in a fast format, where it "
            "can add no more than the tolerance to a gap. Lines and means in the figures go "
            "straight over points that are left out."
        )
        terms.append(Term("points evaluated", text))
    sources = tuple(Source(*paper) for paper in rule.sources)
    terms.append(Term(words.rule_name(analysis), rule.text, sources))
    if words.has_intervals(analysis):
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
