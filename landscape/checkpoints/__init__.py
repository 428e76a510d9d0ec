"""Find, read, compare and export checkpoints; weights stay on disk until they are asked for."""

from landscape.checkpoints.cache import WeightCache
from landscape.checkpoints.find import Source, expand, resolve
from landscape.checkpoints.population import Population, load_population
from landscape.checkpoints.read import Checkpoint, Weights, load_checkpoint
from landscape.checkpoints.skeleton import build_model, token_table
from landscape.checkpoints.tokenizer import load_tokenizer

__all__ = [
    "Checkpoint",
    "Population",
    "Source",
    "WeightCache",
    "Weights",
    "build_model",
    "expand",
    "load_checkpoint",
    "load_population",
    "load_tokenizer",
    "resolve",
    "token_table",
]
