"""What commands that open a model share: notes on its folder, and the tag of its run."""

from pathlib import Path

from rankscope.models.location import Location


def untold(note: str) -> None:
    """Drop a note, for callers who want none."""


def tag_of(model: Location) -> str:
    """The tag of a model's run: the name of its folder, or of its step where a study keeps it."""
    path = Path(model.name)
    return path.parent.name if path.name == "model" else path.name
