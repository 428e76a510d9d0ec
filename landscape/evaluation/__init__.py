"""Points of weight space to logits; speed, memory, precision and device are decided here only."""

from landscape.evaluation.engine import Evaluation, Evaluator, evaluate
from landscape.evaluation.forward import cross_entropy
from landscape.evaluation.plan import Plan, machine_name

__all__ = ["Evaluation", "Evaluator", "Plan", "cross_entropy", "evaluate", "machine_name"]
