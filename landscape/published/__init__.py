"""What others published, read as it is and written as a store, without running any of it."""

from landscape.published.curves import MeasuredCurve, PublishedCurves, gather_curves
from landscape.published.evaluations import read_evaluations
from landscape.published.gaps import MeasuredGap, PublishedGaps, gather_gaps
from landscape.published.interpolation_logs import read_interpolation_logs
from landscape.published.load import PublishedMatrix, import_published, read_published
from landscape.published.pickled import pickled_curves
from landscape.published.tables import read_curve_table, read_gaps, read_scores
from landscape.restricted_pickle import read_pickle

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
