"""What a command of ours answered, and the type of what calls it."""

from collections.abc import Callable
from typing import NamedTuple


class Answer(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]
