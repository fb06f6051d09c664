"""How two systems' runs of the same training seed are related."""

from enum import StrEnum


class Kinship(StrEnum):
    """Whether the k-th runs of two systems come from one ancestor's k-th run, and how many stages lie between them.

    Each stage between the two systems adds its own variance over seeds to that of the difference.
    """

    NONE = "none"
    ONE_STAGE = "one stage"
    """One was tuned from the other."""
    TWO_STAGES = "two stages"
    """Both were tuned from one ancestor, or one from the other by way of a third."""
    MORE_STAGES = "more stages"
    """Three or more; counted as three."""
