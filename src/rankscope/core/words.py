"""Texts compared by their words."""


def words(text: str) -> str:
    """The text in one case and with single spaces; two texts are the same where this is equal."""
    return " ".join(text.casefold().split())
