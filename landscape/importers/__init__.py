"""What others published, read as it is and written as a store, without running any of it."""

from landscape.core.restricted_pickle import read_pickle
from landscape.importers.curves import MeasuredCurve, PublishedCurves, gather_curves
from landscape.importers.evaluations import read_evaluations
from landscape.importers.gaps import MeasuredGap, PublishedGaps, gather_gaps
from landscape.importers.interpolation_logs import read_interpolation_logs
from landscape.importers.load import PublishedMatrix, import_published, read_published
from landscape.importers.pickled import pickled_curves
from landscape.importers.tables import read_curve_table, read_gaps, read_scores

__all__ = [
    "MeasuredCurve",
    "MeasuredGap",
    "PublishedCurves",
    "PublishedGaps",
    "PublishedMatrix",
    "gather_curves",
    "gather_gaps",
    "import_published",
    "pickled_curves",
    "read_curve_table",
    "read_evaluations",
    "read_gaps",
    "read_interpolation_logs",
    "read_pickle",
    "read_published",
    "read_scores",
]
