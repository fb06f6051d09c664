"""Types of arrays, and the tolerance for rounding."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

SAME = 1e-12
"""Numbers whose difference, or spread, is smaller count as the same."""
