"""Terms of the sections on evidence, structure, sources, explanations and examples."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape.analysis.analysis import Analysis
    from landscape.analysis.details import Details


@dataclass(frozen=True)
class Source:
    """A paper, and its arXiv id where it has one."""

    name: str
    id: str = ""


@dataclass(frozen=True)
class Term:
    """A term, its meaning, and its sources."""

    name: str
    text: str
    sources: tuple[Source, ...] = ()


JUNEJA = Source("Juneja et al. 2023", "2205.12411")


def terms_of(analysis: Analysis, details: Details) -> list[Term]:
    """Those of the sections that there are."""
    found = _of_basins(analysis)
    if details.triangles.n_triples:
        found += _of_structure()
    if len(details.sources) > 1:
        found += _of_sources()
    if details.explanation is not None:
        found += _of_explanations(details.explanation.target)
    if details.contributions is not None and details.contributions.concentration.n_half:
        found += _of_examples()
    return found


def _of_basins(analysis: Analysis) -> list[Term]:
    terms = [
        Term("separation", "The smallest median gap between the models of two basins, in nats."),
        Term(
            "eigengap",
            "The number of basins after which the eigenvalues of the affinity's normalised "
            "Laplacian, in ascending order, rise most.",
            (Source("von Luxburg 2007", "0711.0189"),),
        ),
        Term(
            "mixture (kinds of gaps)",
            "Whether one normal distribution or two describe the square roots of the gaps better, "
            "by the Bayesian information criterion (BIC); gaps depend on each other, so that it "
            "ranks the two and tests nothing.",
            (Source("Schwarz 1978"),),
        ),
    ]
    if isfinite(analysis.basins.evidence.noise):
        terms.append(
            Term(
                "stability",
                "The mean adjusted Rand index of a grouping with those that average linkage finds "
                "on resampled gaps: 1 where other examples would give the same groups.",
                (Source("von Luxburg 2010", "1007.1075"),),
            )
        )
    if analysis.basins.n_basins > 1:
        terms.append(
            Term(
                "between basins",
                "A model lies between two basins if no barrier beyond noise parts it from the "
                "median model of either, or if it is nearest to its own in fewer than 95% of the "
                "resamples.",
            )
        )
    return terms


def _of_structure() -> list[Term]:
    return [
        Term(
            "intransitive triple",
            "Three models of which two pairs have no barrier and the third has one, which no "
            "partition can describe; transitivity is the share of two joined pairs that are closed "
            "by a third.",
            (Source("Newman 2003", "cond-mat/0303516"), JUNEJA),
        ),
        Term(
            "clustering coefficient",
            "How strongly the neighbours of a model are tied to each other, weighted by affinity: "
            "the mean over its triangles of the geometric mean of their affinities (Onnela), or of "
            "the affinity across, weighted by the two others (Zhang and Horvath).",
            (
                Source("Onnela et al. 2005", "cond-mat/0408629"),
                Source("Zhang and Horvath 2005"),
            ),
        ),
        Term(
            "climb, one-way pair",
            "The climb is the highest loss on the line less the loss of the model where it starts; "
            "a pair is one-way where that is within the tolerance from one end only, and "
            "reciprocity is the share of such ways that go both ways.",
            (Source("Garlaschelli and Loffredo 2004", "cond-mat/0404521"),),
        ),
    ]


def _of_sources() -> list[Term]:
    return [
        Term(
            "adjusted Rand index",
            "The share of pairs of models that two partitions both join or both part, scaled so "
            "that chance gives 0 and equal partitions 1.",
            (Source("Hubert and Arabie 1985"),),
        ),
        Term(
            "variation of information",
            "What each of two partitions leaves unknown of the other, in nats: 0 where they are "
            "equal.",
            (Source("Meil\u0103 2007"),),
        ),
        Term(
            "Mantel's p",
            "Of the correlation between two matrices of distances, by permuting the models of one "
            "of them.",
            (Source("Mantel 1967"),),
        ),
    ]


def _of_explanations(target: str) -> list[Term]:
    return [
        Term(
            "gain",
            f"R\u00b2 of a regression with {target} among the predictors less that without it; its "
            "p permutes what the others leave of the score.",
            (Source("Freedman and Lane 1983"),),
        ),
        Term(
            "partial correlation",
            f"The correlation of {target} with a score after what the other predictors say of "
            "either is taken away.",
            (Source("Fisher 1924"),),
        ),
    ]


def _of_examples() -> list[Term]:
    return [
        Term(
            "contribution",
            "An example's own loss at the highest point of a rise less the line between its own "
            "losses at the ends of the rise, in nats: the mean over the examples is the gap.",
        ),
        Term(
            "effective number",
            "As many examples with equal contributions would be as concentrated: the squared sum "
            "of the contributions above 0 over the sum of their squares.",
            (Source("Hill 1973"),),
        ),
    ]
