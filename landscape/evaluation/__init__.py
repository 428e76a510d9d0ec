"""Points of weight space to logits; speed, memory, precision and device are decided here only."""

from landscape.evaluation.engine import Evaluation, Evaluator, cross_entropy, evaluate
from landscape.evaluation.plan import Plan, machine_name

__all__ = ["Evaluation", "Evaluator", "Plan", "cross_entropy", "evaluate", "machine_name"]
