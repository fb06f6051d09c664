"""Types of arrays, and when numbers are the same up to rounding."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

SAME = 1e-12
"""The difference, or spread, under which numbers are the same up to rounding."""
