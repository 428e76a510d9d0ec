"""What is trained in weight space: curves and paths of low loss, simplexes, populations."""

from landscape.training.autoneb import Neb, find_path
from landscape.training.curve_fit import Fit, FittedCurve, fit_curve

__all__ = ["Fit", "FittedCurve", "Neb", "find_path", "fit_curve"]
