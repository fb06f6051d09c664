"""A folder for what an installed version makes once, shared by all studies of a user."""

import os
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path

from rankscope.core.errors import RankscopeError
from rankscope.store.files import write_text

PLACE = "RANKSCOPE_CACHE"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """The folder of the cache; it may not exist yet."""
    return Path(os.environ.get(PLACE) or user_cache_path("rankscope", appauthor=False))


def cached_text(name: str) -> str | None:
    """A text from the cache; None if it is not there or is damaged. A file's name ends in the sum of its bytes."""
    for path in sorted(cache_folder().glob(f"{name}-*.txt")):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):  # made again, like a damaged one
            continue
        if path.stem == f"{name}-{_sum_of(text)}":
            return text
    return None


def keep_text(name: str, text: str) -> None:
    """Keep a text in the cache, where its folder can be written; without it the text is made again next time."""
    try:
        write_text(cache_folder() / f"{name}-{_sum_of(text)}.txt", text)
    except RankscopeError:  # a folder that cannot be written, or a full disk
        return


def _sum_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
