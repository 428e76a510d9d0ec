"""Ways of low loss between two checkpoints, by control points that are trained."""

from landscape.curves.fit import Fit, FittedCurve, fit_curve
from landscape.curves.neb import Neb, find_path

__all__ = ["Fit", "FittedCurve", "Neb", "find_path", "fit_curve"]
