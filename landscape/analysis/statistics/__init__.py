"""Basin membership against challenge-set scores, with uncertainty, and what else explains them."""

from landscape.analysis.statistics.conditions import Conditions, find_conditions
from landscape.analysis.statistics.distances import pair_regression, principal_coordinates
from landscape.analysis.statistics.explanation import Explanation, explain
from landscape.analysis.statistics.relation import Relation, relate
from landscape.analysis.statistics.reliability import score_facts, split_half
from landscape.analysis.statistics.scores import pair_kinds, score_groups
from landscape.analysis.statistics.sentence import explanation_sentence

__all__ = [
    "Conditions",
    "Explanation",
    "Relation",
    "explain",
    "explanation_sentence",
    "find_conditions",
    "pair_kinds",
    "pair_regression",
    "principal_coordinates",
    "relate",
    "score_facts",
    "score_groups",
    "split_half",
]
