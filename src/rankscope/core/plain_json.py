r"""JSON of users to plain values: a name stands in a table once, and a text is whole characters.

JSON can write half a character (`"\ud83d"`, a lone surrogate), as programs do that cut a text in the middle of an
emoji. UTF-8 cannot hold it, so no file of ours could: it is refused where it is read, whichever field it stands in.
Names of fields are left to those who read them.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from rankscope.core.errors import BadInput

MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape of half a character, beside its other half or alone; unescaped there is none in UTF-8."""
HALF = re.compile("[\ud800-\udfff]")


def json_value(text: str, place: str) -> Any:
    """The value of a JSON text. BadInput names the place of half a character.

    ValueError, as json has it, for what is no JSON, and for a name that stands twice in one table.
    """
    value = json.loads(text, object_pairs_hook=_once)
    require_whole_characters(text, value, place)
    return value


def json_list(text: str, place: str) -> list[Any]:
    """As `json_value`, of a JSON list; half a character is named by its entry, from 1."""
    values = json.loads(text, object_pairs_hook=_once)
    assert isinstance(values, list), "JSON that begins with a bracket is a list"
    if MAYBE_HALF.search(text):
        for number, value in enumerate(values, start=1):
            require_whole_characters(text, value, f"{place}, entry {number}")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, if no key stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"{key!r} stands twice in one table; keep one")
            seen.add(key)
    return found


def require_whole_characters(text: str, value: Any, place: str) -> None:
    """Refuse a value of a JSON text that holds half a character; of most texts a glance shows that none can."""
    left: list[tuple[str, Any]] = [("", value)] if MAYBE_HALF.search(text) else []
    while left:
        name, inside = left.pop()
        if isinstance(inside, str) and (half := HALF.search(inside)):
            what = f"`{name}`" if name else "the text"
            raise BadInput(
                f"{place}: {what} holds half a character ({half[0]!a}, a lone surrogate), which UTF-8 cannot hold. "
                "Write the whole character, or leave it out."
            )
        left += _inside(name, inside)


def _inside(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """What a value holds, by the nearest name."""
    if isinstance(value, dict):
        return value.items()
    return ((name, each) for each in value) if isinstance(value, list) else ()
