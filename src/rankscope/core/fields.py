"""What an id, a text, a grade and a score may be, the same for every file and every input.

| field | what is read | what is refused |
|---|---|---|
| id | text; in JSON a whole number too, by its digits | empty, white space or NUL in it (a column of TREC's files ends there), half a character, `7.0`, `true` |
| text | text; null and NaN are none | numbers, lists, tables, half a character (a lone surrogate, which UTF-8 cannot hold) |
| grade | a whole number, be it written `2` or `2.0` | `0.5`, text, `true`, beyond `HIGHEST_RELEVANCE` |
| score | a finite number | text, `true`, NaN, infinity |
"""

import math
import re
from collections.abc import Iterable
from operator import index
from os import PathLike, fsencode, fspath
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput

HIGHEST_RELEVANCE = 1_000_000
"""trec_eval counts the docs of every grade in a table as long as the highest."""

WHOLE = re.compile(rb"[+-]?([0-9]+)(\.0*)?")


def check_id(value: Any, what: str, source: object) -> str:
    """The id, if a column of a run file can hold it: ASCII white space ends one, and NUL does in C.

    `what` is query or doc, or nothing where the source says which.
    """
    name = f"{what} id".strip()
    if not isinstance(value, str):
        raise BadInput(
            f"{source}: the {name} {shown(value)} is not text. Give it as text without spaces."
        )
    try:
        written = value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{source}: the {name} {shown(value)} holds half a character (a lone surrogate), which UTF-8 "
            "cannot hold. Give it as text without spaces."
        ) from error
    if written.split() != [written] or b"\0" in written:
        raise BadInput(
            f"{source}: the {name} {shown(value)} is empty or has a space or NUL, where a column of TREC's files "
            "ends. Give it as text without spaces, the same in docs, queries, qrels and runs."
        )
    return value


def as_id(value: Any, what: str, source: object) -> str:
    """The id where numbers stand for ids: a whole number becomes its digits, 7.0 and true do not."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return check_id(str(value) if is_number else value, what, source)


def is_none(value: Any) -> bool:
    """Whether a field is not there: null, or the NaN that tables write for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_text(value: Any, name: str, source: object) -> str | None:
    """The text, None for null and NaN; `name` is what the file calls the field."""
    if is_none(value):
        return None
    if not isinstance(value, str):
        raise BadInput(f"{source}: `{name}` is {shown(value)}. Give it as text.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = value[error.start]
            raise BadInput(
                f"{source}: `{name}` holds half a character ({half!a}, a lone surrogate), which UTF-8 cannot "
                "hold. Write the whole character, or leave it out."
            ) from error
    return value


def as_grade(value: Any, source: object) -> int:
    """The relevance, if it is a whole number, of whatever type (2.0 is 2)."""
    if isinstance(value, str | bytes):
        raise BadInput(
            f"{source}: the relevance {shown(value)} is not a whole number but text. Give it without quotes."
        )
    try:
        number = math.nan if isinstance(value, bool) else float(value)
        grade = int(value) if number.is_integer() else None
    except OverflowError:
        grade = HIGHEST_RELEVANCE + 1
    except (TypeError, ValueError):
        grade = None
    if grade is None:
        raise BadInput(
            f"{source}: the relevance {shown(value)} is not a whole number. Give a grade such as 0, 1 or 2."
        )
    return _in_reach(grade, f"{source}: the relevance is beyond {HIGHEST_RELEVANCE}. Give a grade.")


def written_grade(column: bytes, source: object) -> int:
    """The relevance in a column: digits, of which a fraction of zeros may follow."""
    text = column.decode(errors="replace")
    match = WHOLE.fullmatch(column)
    if match is None:
        raise BadInput(
            f"{source}: the relevance {shown(text)} is not a whole number. Give a grade such as 0, 1 or 2."
        )
    beyond = f"{source}: the relevance {text[:20]} is beyond {HIGHEST_RELEVANCE}. Give a grade."
    digits = match[1].lstrip(b"0") or b"0"
    grade = HIGHEST_RELEVANCE + 1 if len(digits) > 9 else int(digits)
    return _in_reach(-grade if column[:1] == b"-" else grade, beyond)


def _in_reach(grade: int, beyond: str) -> int:
    if abs(grade) > HIGHEST_RELEVANCE:
        raise BadInput(beyond)
    return grade


def is_score(value: Any) -> bool:
    """Whether a value is a finite number: text that looks like one is not."""
    try:
        return not isinstance(value, str | bytes | bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def shown(value: Any) -> str:
    """A value as an error shows it, cut short."""
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__} too long to be written"
    return text if len(text) <= 60 else text[:57] + "..."


def has_name(argument: str) -> bool:
    """Whether an argument is NAME=PATH; a path may have equals signs of its own."""
    name, equals, _ = argument.partition("=")
    return bool(equals and name) and "/" not in name and not Path(argument).exists()


# -- arguments of what Python is given ---------------------------------------------------------------


def given_path(value: Any, what: str) -> str:
    """A path or a name as text. Raises BadInput for what is neither, and for text that no file can be called."""
    path = fspath(value) if isinstance(value, PathLike) else value
    if not isinstance(path, str):
        raise BadInput(f"The {what} is {shown(value)}. Give it as text or as a path.")
    try:
        is_possible = b"\0" not in fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise BadInput(
            f"The {what} is {shown(path)}, and no file can be called so. Give it without half characters and NUL."
        )
    return path


def given_whole(value: Any, what: str) -> int:
    """A whole number, numpy's too. Raises BadInput for text, a fraction and a truth value."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise BadInput(f"The {what} is {shown(value)}. Give it as a whole number.") from None


def given_word(value: Any, what: str) -> str | None:
    """Text or None. Raises BadInput for anything else."""
    if value is not None and not isinstance(value, str):
        raise BadInput(f"The {what} is {shown(value)}. Give it as text, or leave it out.")
    return value


def given_words(values: Any, what: str) -> tuple[str, ...]:
    """Texts; a single one stands for a list of it. Raises BadInput for anything else."""
    several = (values,) if isinstance(values, str) else values
    texts = tuple(several) if isinstance(several, Iterable) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"The {what} are {shown(values)}. Give a list of texts.")
    return texts
