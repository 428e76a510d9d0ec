"""Which examples make a gap: its exact decomposition over the examples of a data set.

The convexity gap and the barrier height of a path are, at the triple of points i < k < j where the
rise is largest, linear in the losses: L_k minus the line through L_i and L_j at t_k. So an example
contributes its own loss_k minus the line through its own loss_i and loss_j, and the mean of these
contributions is the gap. Contributions are in nats; they may be negative.
"""

from landscape.analysis.barriers.contributions.population import (
    FEW,
    Concentration,
    PopulationContributions,
    concentration,
    effective_number,
    population_contributions,
)

__all__ = [
    "FEW",
    "Concentration",
    "PopulationContributions",
    "concentration",
    "effective_number",
    "population_contributions",
]
