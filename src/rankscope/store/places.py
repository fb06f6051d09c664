"""Paths as users write them."""

from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.visible import brief


def home_filled_in(written: str) -> Path:
    """The path with the user's home for `~`. Raises BadInput for the home of nobody."""
    try:
        return Path(written).expanduser()
    except RuntimeError as error:
        raise _leads_nowhere(written, error) from error


def resolved(written: str, beside: Path) -> Path:
    """The absolute path, links followed; a relative one starts from `beside`. Raises BadInput for a circle of links."""
    try:
        return (beside / home_filled_in(written)).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise _leads_nowhere(written, error) from error


def _leads_nowhere(written: str, error: Exception) -> BadInput:
    return BadInput(f"{brief(written)}: it leads nowhere ({error}). Mend the path.")
