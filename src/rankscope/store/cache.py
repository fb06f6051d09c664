"""A folder for what an installed version makes once, shared by all studies of a user."""

import os
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path

from rankscope.core.errors import RankscopeError
from rankscope.core.input_files import home_filled_in, regular
from rankscope.store.files import write_text

PLACE = "RANKSCOPE_CACHE"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """The folder of the cache; it may not exist yet."""
    named = os.environ.get(PLACE)
    return home_filled_in(named) if named else user_cache_path("rankscope", appauthor=False)


def cached_text(name: str) -> str | None:
    """A text from the cache; None if it is not there, is damaged or is another user's.

    A file's name ends in the sum of its bytes, which anybody can make for a text of their own.
    """
    for path in sorted(cache_folder().glob(f"{name}-*.txt")):
        try:
            text = _text_if_ours(path)
        except (OSError, UnicodeDecodeError):  # made again, like a damaged one
            continue
        if text is not None and path.stem == f"{name}-{_sum_of(text)}":
            return text
    return None


def keep_text(name: str, text: str) -> None:
    """Keep a text in the cache, where its folder can be written; without it the text is made again next time."""
    try:
        write_text(cache_folder() / f"{name}-{_sum_of(text)}.txt", text)
    except RankscopeError:  # a folder that cannot be written, or a full disk
        return


def _text_if_ours(path: Path) -> str | None:
    """The text of a file that this user or root wrote, else None. OSError for what is no file, a link to one too.

    What is looked at is what was opened: no link can take its place in between.
    """
    with regular(path, flags=os.O_NOFOLLOW) as file:
        if os.fstat(file.fileno()).st_uid not in {0, os.geteuid()}:
            return None
        return file.read().decode()


def _sum_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
