"""Margins: the difference below which two rankers count as equivalent, and the one that is taken where none is said."""

from typing import NamedTuple

from rankscope.core.errors import BadInput

DEFAULT_MARGIN = 0.02
"""Of analyses where nobody states one, in a measure, accuracy or coefficient between 0 and 1. It is a convention: paired
differences with a standard deviation of .3 show one of .02 with 80 % power from some 1,800 queries, which large test
collections have. Comparisons of runs have no default: there a margin is what the user says matters."""


class Margin(NamedTuple):
    """The difference below which two rankers count as equivalent."""

    value: float
    is_relative: bool = False
    """Whether it is a share of the baseline's mean."""

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.is_relative else f"{self.value:g}"


def as_margin(written: str | float | Margin) -> Margin:
    """0.02, or "5%" of the baseline's mean. BadInput for what is no positive number."""
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
