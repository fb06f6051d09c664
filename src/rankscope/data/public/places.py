"""The places of public collections that were fetched, and paths into them: `public:NAME/FILE`.

A collection lies in the cache, in `public/NAME`. If `$RANKSCOPE_DATA` names a folder that has a folder NAME, that
one is taken: a copy of one's own goes first.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput, choose
from rankscope.core.input_files import home_filled_in
from rankscope.data.public.table import PUBLIC, PublicCollection
from rankscope.store.cache import cache_folder

PREFIX = "public:"
"""How a path into a fetched collection begins."""
OWN = "RANKSCOPE_DATA"
"""The environment variable that names a folder of own copies."""
SOURCE = "source.json"
"""The file of a fetched collection that tells where it is from; it stands there once all is there."""


def known(name: str) -> PublicCollection:
    """The public collection of that name; UnknownChoice lists what there is."""
    return choose(PUBLIC, name, what="public collection")


def in_cache(name: str) -> Path:
    """The place of a collection in the cache, fetched or not."""
    return cache_folder() / "public" / name


def own_copy(name: str) -> Path | None:
    """The user's own copy of a collection, in $RANKSCOPE_DATA; None where there is none."""
    own = os.environ.get(OWN)
    folder = home_filled_in(own) / name if own else None
    return folder if folder is not None and folder.is_dir() else None


def is_there(name: str) -> bool:
    """Whether a collection was fetched, or is a copy of the user's own."""
    return own_copy(name) is not None or (in_cache(name) / SOURCE).is_file()


def folder_of(name: str) -> Path:
    """The folder of a collection in BEIR layout. Raises BadInput, with the command that fetches it, if it is missing."""
    require([name])
    return own_copy(name) or in_cache(name)


def require(names: Iterable[str]) -> None:
    """Refuse to go on, before any work, without collections that were not fetched."""
    asked = dict.fromkeys(names)
    for name in asked:
        known(name)
    missing = [name for name in asked if not is_there(name)]
    if missing:
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise BadInput(
            f"{', '.join(missing)} {are} not fetched yet. Fetch {them}: rankscope data fetch {' '.join(missing)}"
        )


def names_in(value: Any) -> Iterator[str]:
    """The public collections that the plain values of a study name, by their ids or in paths."""
    if isinstance(value, Mapping):
        if value.get("kind") == "public":
            yield value["id"]
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names_in(inner)
    elif isinstance(value, str) and (name := named_in(value)):
        yield name


def named_in(written: str) -> str | None:
    """The collection that `public:NAME/FILE` names; None for any other path."""
    if not written.startswith(PREFIX):
        return None
    return written.removeprefix(PREFIX).partition("/")[0]


def path_of(written: str) -> Path:
    """The path that `public:NAME/FILE` stands for."""
    name, _, inside = written.removeprefix(PREFIX).partition("/")
    return folder_of(name) / inside
