"""Names for arrays by what they hold; shapes stand in the docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Labels = NDArray[np.intp]
Mask = NDArray[np.bool_]
