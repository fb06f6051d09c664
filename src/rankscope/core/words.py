"""When two texts are the same: by their words."""


def words(text: str) -> str:
    """A text without what makes no difference: its case, and how much white space stands where."""
    return " ".join(text.casefold().split())
