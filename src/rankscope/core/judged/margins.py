"""Margins: the difference below which two rankers count as equivalent, and the default of analyses."""

from typing import NamedTuple

from rankscope.core.errors import BadInput

DEFAULT_MARGIN = 0.02
"""The margin of analyses where nobody states one, in a measure, accuracy or coefficient between 0 and 1. It is a
convention: with a standard deviation of the paired differences of .3, a difference of .02 is detectable with 80 % power
from some 1,800 queries, which large test collections have. Comparisons of runs have no default: there the user says
which difference matters."""


class Margin(NamedTuple):
    """The difference below which two rankers count as equivalent."""

    value: float
    is_relative: bool = False
    """Whether it is a share of the baseline's mean."""

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.is_relative else f"{self.value:g}"


def as_margin(written: str | float | Margin) -> Margin:
    """A margin from 0.02, or from "5%" of the baseline's mean. Raises BadInput for anything but a positive number."""
    if isinstance(written, Margin):
        return written
    text = str(written).strip()
    is_relative = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100 if is_relative else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInput(
            f"The margin {written!r} is not a positive number. Give one such as 0.02, or a share of the "
            'baseline\'s mean such as "5%".'
        )
    return Margin(value, is_relative)
