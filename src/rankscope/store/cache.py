"""A folder for what an installed version makes once, shared by all studies of a user."""

import os
import stat
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
    """A text from the cache; None if it is not there, is damaged or is another user's.

    A file's name ends in the sum of its bytes, which anybody can make for a text of their own.
    """
    for path in sorted(cache_folder().glob(f"{name}-*.txt")):
        try:
            if not _is_ours(path):
                continue
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


def _is_ours(path: Path) -> bool:
    """Whether it is a file, no pipe or link, that this user or root wrote."""
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and facts.st_uid in {0, os.geteuid()}


def _sum_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
