"""What two systems' runs of one training seed have in common."""

from enum import StrEnum


class Kinship(StrEnum):
    """What the k-th runs of two systems have in common."""

    NONE = "none"
    DESCENT = "descent"
    """One was tuned from the other."""
    SIBLINGS = "siblings"
    """Both were tuned from one ancestor's k-th run."""
