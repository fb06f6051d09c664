"""pydantic's errors in our words, without their place: for study files, and for the options of commands.

Every type of error that a spec can raise has a sentence here (a test goes through pydantic's own list of them), so that
no message speaks of the validator.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rankscope.core.visible import brief
from rankscope.core.words import of_number

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_-]*"
"""The beginning of a name in a study file."""
NAME_WORDS = "is no name: a letter or digit first, then letters, digits, - and _"
LISTS = {"tuple_type", "list_type", "iterable_type"}
RECORDS = {"model_type", "model_attributes_type", "dict_type", "mapping_type", "is_instance_of"}
BOUNDS = {
    "greater_than": "not above {}",
    "greater_than_equal": "below {}, the least that can stand here",
    "less_than": "not below {}",
    "less_than_equal": "above {}, the most that can stand here",
    "multiple_of": "no multiple of {}",
}
NUMBERS = {
    "float_type": "a number", "float_parsing": "a number", "int_type": "a whole number",
    "int_parsing": "a whole number", "int_from_float": "a whole number",
    "int_parsing_size": "a whole number that can be worked with", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false",
}  # fmt: skip
SINGLE = {*NUMBERS, "string_type", "literal_error", "enum"}
"""Types of errors of fields that take one value."""
OURS = {"value_error", "assertion_error", "samples_kind", "ranker_kind"}
"""Types of errors whose words are written where they are raised."""


def described(
    details: Mapping[str, Any], *, in_rankers: bool = False, fields: Sequence[str] = ()
) -> str:
    """The mistake in a value, without its place.

    in_rankers: whether a list of values makes a sweep there. fields: those of the table that stands there.
    """
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if isinstance(given, list) and kind in SINGLE:
        return "one value is needed" + (
            ", and this is a list"
            if in_rankers
            else "; a list makes a sweep in fields of `rankers` alone"
        )
    if kind in RECORDS:
        return _record(given, fields)
    if kind in OURS:
        return str(details["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    say = WORDS.get(kind)
    return say(given, context) if say else f"{brief(given)} cannot stand here"


FEW = 4
"""Fields of a table that a message names, at most."""


def _record(given: Any, fields: Sequence[str]) -> str:
    names = " and ".join(f"`{name}`" for name in fields)
    table = f"of {names}" if 0 < len(fields) <= FEW else "of names and values"
    return f"a table {table} is needed, and {_this(given)}"


def _list(given: Any, _: Any) -> str:
    return f"a list is needed, such as [a, b], and {_this(given)}"


def _beyond(bound_words: str, given: Any, context: Mapping[str, Any]) -> str:
    bound = next(iter(context.values()))
    shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
    return f"{brief(given)} is {bound_words.format(shown)}"


def _number(wanted: str, given: Any, _: Any) -> str:
    if given is None or isinstance(given, Mapping | list):
        return f"{wanted} is needed, and {_this(given)}"
    return f"{brief(given)} is not {wanted}"


def _text(given: Any, _: Any) -> str:
    if given is None or isinstance(given, Mapping):
        return f"text is needed, and {_this(given)}"
    return f"give text; a number that is meant as text stands in quotes, as in '{brief(given)}'"


def _key(given: Any, _: Any) -> str:
    return f"{brief(given)} is no name; one that is meant as text stands in quotes, as in '{brief(given)}'"


def _this(given: Any) -> str:
    return "nothing stands here" if given is None else f"this is {brief(given)}"


def _choice(given: Any, context: Mapping[str, Any]) -> str:
    expected = context["expected"]
    choices = {name.lower(): name for name in re.findall("'([^']*)'", expected)}
    near = difflib.get_close_matches(str(given)[:50].lower(), choices, n=1)
    hint = f". Did you mean {choices[near[0]]!r}?" if near else ""
    return f"{brief(given)} should be {expected}{hint}"


def _kind(_: Any, context: Mapping[str, Any]) -> str:
    return _choice(context["tag"], {"expected": context["expected_tags"]}).replace(
        " should be ", " is no `kind`; there are "
    )


def _no_kind(_: Any, context: Mapping[str, Any]) -> str:
    return f"`{context['discriminator'].strip(chr(39))}` is missing. Write which kind it is"


def _pattern(given: Any, context: Mapping[str, Any]) -> str:
    is_name = context["pattern"].startswith(NAME_PATTERN)
    return (
        f"{brief(given)} {NAME_WORDS if is_name else 'is neither a number nor a share such as 5%'}"
    )


def _few(_: Any, context: Mapping[str, Any]) -> str:
    least = context["min_length"]
    return f"at least {least} {of_number(least, 'value is', 'values are')} needed, and there {_are(context['actual_length'])}"


def _many(_: Any, context: Mapping[str, Any]) -> str:
    most = context["max_length"]
    return f"at most {most} {of_number(most, 'value')} can stand here, and there {_are(context['actual_length'])}"


def _are(n: int | None) -> str:
    return "are more" if n is None else f"{of_number(n, 'is', 'are')} {n or 'none'}"


def _long(given: Any, context: Mapping[str, Any]) -> str:
    return f"{brief(given)} is too long: {context['max_length']} characters are the most, for files are called so"


def _short(given: Any, context: Mapping[str, Any]) -> str:
    return f"{brief(given)} is too short: {context['min_length']} characters are the least"


WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "extra_forbidden": lambda *_: "there is no such field",
    "missing": lambda *_: "this field is needed",
    "invalid_key": _key,
    "string_type": _text,
    "string_unicode": lambda given, _: f"{brief(given)} has half a character. Write it anew",
    "string_pattern_mismatch": _pattern,
    "string_too_long": _long,
    "string_too_short": _short,
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _kind,
    "union_tag_not_found": _no_kind,
    "too_short": _few,
    "too_long": _many,
    "iteration_error": lambda *_: "this cannot be read as a list",
    "recursion_loop": lambda *_: "this stands inside itself. Take it out",
    **{kind: partial(_number, wanted) for kind, wanted in NUMBERS.items()},
    **{kind: partial(_beyond, bound) for kind, bound in BOUNDS.items()},
    **dict.fromkeys(LISTS, _list),
}
"""What is said of each type of error, from the value given and pydantic's context."""
