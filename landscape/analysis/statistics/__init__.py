"""Basin membership against challenge-set scores, with uncertainty, and what else explains them."""

from landscape.analysis.statistics.distances import pair_regression, principal_coordinates
from landscape.analysis.statistics.explanation import Explanation, explain
from landscape.analysis.statistics.relation import Relation, relate
from landscape.analysis.statistics.scores import pair_kinds, score_groups
from landscape.analysis.statistics.sentence import explanation_sentence

__all__ = [
    "Explanation",
    "Relation",
    "explain",
    "explanation_sentence",
    "pair_kinds",
    "pair_regression",
    "principal_coordinates",
    "relate",
    "score_groups",
]
