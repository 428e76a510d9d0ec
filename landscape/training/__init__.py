"""What is trained in weight space: curves and paths of low loss, simplexes, populations."""

from landscape.training.autoneb import Neb, find_path
from landscape.training.curve_fit import Fit, fit_curve
from landscape.training.loop import Fitted

__all__ = ["Fit", "Fitted", "Neb", "find_path", "fit_curve"]
