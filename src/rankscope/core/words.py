"""Texts compared by their words, and counts in words."""


def words(text: str) -> str:
    """The text in one case and with single spaces; two texts are the same where this is equal."""
    return " ".join(text.casefold().split())


def counted(n: int, one: str, several: str = "") -> str:
    """A number and what it counts: 1 doc, 2 docs; `several` is the plural, where it is not `one` with an s."""
    return f"{n:,} {of_number(n, one, several)}"


def of_number(n: int, one: str, several: str = "") -> str:
    """The word that goes with a number: "doc" with 1, "docs" with any other."""
    return one if n == 1 else several or f"{one}s"
