"""Types of values, and the tolerance for rounding."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Values = Mapping[str, float]
"""A run's value for each query_id."""

SAME = 1e-12
"""Numbers whose difference, or spread, is smaller count as the same."""
