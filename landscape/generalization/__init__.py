"""Basin membership against challenge-set scores, with uncertainty, and what else explains them."""

from landscape.generalization.distances import pair_regression, principal_coordinates
from landscape.generalization.explanation import Explanation, explain
from landscape.generalization.relation import Relation, relate
from landscape.generalization.scores import group_rows, pair_kinds, score_groups
from landscape.generalization.sentence import explanation_sentence

__all__ = [
    "Explanation",
    "Relation",
    "explain",
    "explanation_sentence",
    "group_rows",
    "pair_kinds",
    "pair_regression",
    "principal_coordinates",
    "relate",
    "score_groups",
]
