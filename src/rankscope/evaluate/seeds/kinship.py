"""What two systems' runs of one training seed have in common."""

from enum import StrEnum


class Kinship(StrEnum):
    """Whether the k-th runs of two systems come from one ancestor's k-th run, and how far they are apart.

    What stages add of their own is in the difference once for each stage between the two.
    """

    NONE = "none"
    ONE_STAGE = "one stage"
    """One was tuned from the other."""
    TWO_STAGES = "two stages"
    """Both were tuned from one ancestor, or one from the other by way of a third."""
    MORE_STAGES = "more stages"
    """Counted as three."""
