"""What the report's terms mean, and who defined them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from landscape.analysis.barriers import RULES
from landscape.output.plots import common
from landscape.output.plots.captions import coverage, percent
from landscape.output.report.terms import JUNEJA, Source, Term, terms_of

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details


def definitions(analysis: Analysis, details: Details) -> list[Term]:
    """The terms that this analysis and its details use."""
    rule = RULES[analysis.rule]
    covered = " ".join(coverage(analysis))
    known = bool(np.isfinite(analysis.gaps.low[tuple(analysis.pairs.T)]).any())
    terms = [
        Term(
            "line, position t",
            "The points (1 \N{MINUS SIGN} t) a + t b of weight space between models a and b, for "
            "t from 0 to 1.",
        ),
        Term("loss", "The mean cross-entropy over a data set's examples, in nats."),
        *(
            [
                Term(
                    "points evaluated",
                    f"{covered} The ends are counted in every pair. A point is left out, or only "
                    "screened in a fast format, where the bounds of the run leave it no more than "
                    "the tolerance to add to a gap. Lines and means in the figures go straight "
                    "over points that are left out.",
                )
            ]
            if covered
            else []
        ),
        Term(
            common.rule_name(analysis),
            rule.text,
            tuple(Source(*paper) for paper in rule.sources),
        ),
        *(
            [
                Term(
                    "interval of a gap, corrected gap",
                    f"The {percent(analysis.gaps.confidence)} interval of "
                    f"{analysis.gaps.n_resamples:,} resamples of the examples, the same examples "
                    "at every point. A maximum is biased upwards by noise: the corrected gap is "
                    "the estimate less the bias that the resamples show, and not below 0.",
                    (Source("Fang and Santos 2019", "1404.3763"),),
                )
            ]
            if known
            else []
        ),
        Term(
            "basin",
            "A set of models with small gaps between them: a cluster of the affinity "
            "exp(\N{MINUS SIGN}gap\u00b2 / 2 delta\u00b2) by spectral clustering. One basin is a "
            "possible answer: more are reported only where the gaps exceed what noise gives.",
            (JUNEJA,),
        ),
        Term(
            "number of basins",
            "The mean silhouette of a grouping says how much nearer models are to their own group "
            "than to the next, from 0 (no nearer) to 1. Several basins are reported where having "
            "no barrier parts the models into groups by itself, or where the silhouette exceeds "
            "what populations of one basin give in 95% of draws and the gaps between groups exceed "
            "the tolerance beyond noise.",
            (Source("Rousseeuw 1987"),),
        ),
        Term(
            "centroid distance",
            "A model's distance to the first centroid less its distance to the second, in the "
            "spectral embedding: a graded membership. Below 0 it is nearer the first. It is "
            "always that of a two-way split.",
            (JUNEJA,),
        ),
        Term(
            "merge tree",
            "Single linkage of the gaps: two groups of models merge at the smallest gap between "
            "them.",
        ),
        Term(
            "difference, AUC, Hedges g",
            "The difference of two basins' mean scores; the chance that a model of the first "
            "scores higher than one of the second (ties count half); and the difference in units "
            "of the pooled standard deviation, corrected for small samples. With more than two "
            "basins, those of the largest two.",
        ),
        Term(
            "intervals over models",
            "Of a basin's mean, percentile bootstrap over its models; of a difference, Welch's; of "
            "a correlation, by Fisher's z. They say what other seeds might have given"
            + (", while the interval of a gap says what other examples might have." * known or "."),
        ),
        Term(
            "p and q",
            "The p of a permutation test of scores over all basins of two or more models, and "
            "that p after Benjamini and Hochberg's control of the false discovery rate over all "
            "groups.",
        ),
    ]
    if (np.asarray(analysis.kinds) != "").any():
        terms.append(
            Term(
                "generalising and heuristic models",
                f"The top and the bottom third of the models by their score on {analysis.focus}.",
                (JUNEJA,),
            )
        )
    return [*terms, *terms_of(analysis, details)]
