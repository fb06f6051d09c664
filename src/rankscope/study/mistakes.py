"""What pydantic found wrong with a study, in words of ours and with the place that stands in the file."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief, shortened, visible
from rankscope.pipeline.spec.fields import NAME_PATTERN

MOST = 12
"""So many mistakes of one file are told."""
MOST_OF_A_NAME, MOST_OF_A_SENTENCE, MOST_OF_A_MESSAGE = 160, 600, 3600
NAME_WORDS = "is no name: a letter or digit first, then letters, digits, - and _"
RECORDS = {"model_type", "model_attributes_type", "dict_type", "mapping_type", "is_instance_of"}
BOUNDS = {
    "greater_than": "not above {}",
    "greater_than_equal": "below {}, the least that can stand here",
    "less_than": "not below {}",
    "less_than_equal": "above {}, the most that can stand here",
}
NUMBERS = {
    "float_type": "a number", "float_parsing": "a number", "int_type": "a whole number",
    "int_parsing": "a whole number", "int_from_float": "a whole number",
    "int_parsing_size": "a whole number that can be worked with", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false",
}  # fmt: skip


def told(source: str, mistakes: Sequence[str]) -> BadStudy:
    """The error for a study file: its one mistake behind its name, or a line for each, the first of very many."""
    if len(mistakes) == 1:
        return BadStudy(f"{source}: {shortened(mistakes[0], MOST_OF_A_MESSAGE)}")
    shown = [
        shortened(each, MOST_OF_A_MESSAGE // min(len(mistakes), MOST)) for each in mistakes[:MOST]
    ]
    more = len(mistakes) - MOST
    shown += [f"and {more:,} more mistakes"] if more > 0 else []
    return BadStudy(f"{source}: {len(mistakes):,} mistakes:", *(f"  {each}" for each in shown))


def all_hold(rules: Iterable[Callable[[], object]]) -> None:
    """Check every rule; BadStudy with the mistakes of all those that do not hold."""
    found: list[str] = []
    for rule in rules:
        try:
            rule()
        except BadStudy as error:
            found += error.args
    if found:
        raise BadStudy(*dict.fromkeys(found))


def sentences(
    found: Sequence[Mapping[str, Any]], values: Mapping[str, Any], written: Any
) -> list[str]:
    """One sentence for every mistake.

    values: the study, sweeps written out. written: its rankers as the file has them. What is said of a part need not
    be said of the whole, nor of every member of a sweep.
    """
    wholes = {each["loc"][:n] for each in found for n in range(len(each["loc"]))}
    parts = (each for each in found if each["loc"] not in wholes)
    return list(dict.fromkeys(_sentence(each, values, written) for each in parts))


def in_words(details: Mapping[str, Any], *, in_rankers: bool = False) -> str:
    """What is wrong with a value, without its place."""
    kind, given, told = details["type"], details["input"], details.get("ctx", {})
    if isinstance(given, list) and (kind in NUMBERS or kind in {"string_type", "literal_error"}):
        return "one value is needed" + (
            ", and this is a list"
            if in_rankers
            else "; a list makes a sweep in fields of `rankers` alone"
        )
    if kind in WORDS:
        return WORDS[kind](given, told)
    if kind in NUMBERS:
        return _number(given, NUMBERS[kind])
    if kind in RECORDS:
        return f"a table of names and values is needed, and {_this(given)}"
    if kind in BOUNDS:
        bound = next(iter(told.values()))
        shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
        return f"{brief(given)} is {BOUNDS[kind].format(shown)}"
    return str(details["msg"]).removeprefix("Value error, ")


def _sentence(details: Mapping[str, Any], values: Mapping[str, Any], written: Any) -> str:
    parts = list(_place(details["loc"], values, is_missing=details["type"] == "missing"))
    in_rankers = parts[:1] == ["rankers"]
    if in_rankers and len(parts) > 1 and parts[1] not in written:
        parts[1] = parts[1].partition(".")[0]  # the file names the ranker, not a sweep's member
    place = ".".join(visible(part[:MOST_OF_A_NAME]) for part in parts)
    if details["type"] == "missing" and isinstance(details["loc"][-1], int):
        return f"{place.rpartition('.')[0]}: {details['loc'][-1] + 1} values are needed, and one is missing"
    words = shortened(in_words(details, in_rankers=in_rankers), MOST_OF_A_SENTENCE)
    return f"{place or 'study'}: {words}"


def _place(loc: Sequence[Any], values: Any, *, is_missing: bool) -> Iterator[str]:
    """The names that stand in the file; pydantic also names the kinds among which it chose."""
    for at, part in enumerate(loc):
        is_last = at == len(loc) - 1
        if isinstance(values, Mapping) and part in values:
            yield str(part)
            values = values[part]
        elif isinstance(values, list) and isinstance(part, int):
            yield str(part)
            values = values[part] if part < len(values) else None
        elif is_last and is_missing and isinstance(values, Mapping):
            yield str(part)


def _number(given: Any, wanted: str) -> str:
    if given is None or isinstance(given, Mapping | list):
        return f"{wanted} is needed, and {_this(given)}"
    return f"{brief(given)} is not {wanted}"


def _text(given: Any, _: Any) -> str:
    if given is None or isinstance(given, Mapping):
        return f"text is needed, and {_this(given)}"
    return f"give text; a number that is meant as text stands in quotes, as in '{brief(given)}'"


def _this(given: Any) -> str:
    return "nothing stands here" if given is None else f"this is {brief(given)}"


def _choice(given: Any, told: Mapping[str, Any]) -> str:
    expected = told["expected"]
    near = difflib.get_close_matches(str(given)[:50], re.findall("'([^']*)'", expected), n=1)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    return f"{brief(given)} should be {expected}{hint}"


def _kind(_: Any, told: Mapping[str, Any]) -> str:
    return _choice(told["tag"], {"expected": told["expected_tags"]}).replace(
        " should be ", " is no `kind`; there are "
    )


def _no_kind(_: Any, told: Mapping[str, Any]) -> str:
    return f"`{told['discriminator'].strip(chr(39))}` is missing. Write which kind it is"


def _pattern(given: Any, told: Mapping[str, Any]) -> str:
    is_name = told["pattern"].startswith(NAME_PATTERN)
    return (
        f"{brief(given)} {NAME_WORDS if is_name else 'is neither a number nor a share such as 5%'}"
    )


def _few(_: Any, told: Mapping[str, Any]) -> str:
    least = told["min_length"]
    return f"at least {least} {'value is' if least == 1 else 'values are'} needed, and there {_are(told['actual_length'])}"


def _many(_: Any, told: Mapping[str, Any]) -> str:
    return f"at most {told['max_length']} values can stand here, and there {_are(told['actual_length'])}"


def _are(n: int | None) -> str:
    return "are more" if n is None else f"{'is' if n == 1 else 'are'} {n or 'none'}"


def _long(given: Any, told: Mapping[str, Any]) -> str:
    return f"{brief(given)} is too long: {told['max_length']} characters are the most, for files are called so"


WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "extra_forbidden": lambda *_: "there is no such field",
    "missing": lambda *_: "this field is needed",
    "tuple_type": lambda *_: "give a list, such as [a, b]",
    "list_type": lambda *_: "give a list, such as [a, b]",
    "string_type": _text,
    "string_pattern_mismatch": _pattern,
    "string_too_long": _long,
    "literal_error": _choice,
    "union_tag_invalid": _kind,
    "union_tag_not_found": _no_kind,
    "too_short": _few,
    "too_long": _many,
}
