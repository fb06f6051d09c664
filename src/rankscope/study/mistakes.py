"""pydantic's errors in a study, in our words and with the place in the file."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief, shortened, visible
from rankscope.pipeline.spec.fields import NAME_PATTERN
from rankscope.study.fields.elsewhere import NONE, unknown_field
from rankscope.study.fields.places import spec_at

MOST = 12
"""Mistakes of one file that a message lists, at most."""
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


def study_error(source: str, mistakes: Sequence[str]) -> BadStudy:
    """The error for a study file: its one mistake behind its name, or a line for each of the first mistakes."""
    if len(mistakes) == 1:
        return BadStudy(f"{source}: {shortened(mistakes[0], MOST_OF_A_MESSAGE)}")
    shown = [
        shortened(mistake, MOST_OF_A_MESSAGE // min(len(mistakes), MOST))
        for mistake in mistakes[:MOST]
    ]
    more = len(mistakes) - MOST
    shown += [f"and {more:,} more mistakes"] if more > 0 else []
    return BadStudy(
        f"{source}: {len(mistakes):,} mistakes:", *(f"  {mistake}" for mistake in shown)
    )


def all_hold(rules: Iterable[Callable[[], object]]) -> None:
    """Check every rule; BadStudy with the mistakes of all rules that do not hold."""
    mistakes: list[str] = []
    for rule in rules:
        try:
            rule()
        except BadStudy as error:
            mistakes += error.args
    if mistakes:
        raise BadStudy(*dict.fromkeys(mistakes))


def sentences(
    errors: Sequence[Mapping[str, Any]], values: Mapping[str, Any], written: Any
) -> list[str]:
    """One sentence for every mistake.

    values: the study, sweeps written out. written: its rankers as the file has them. A mistake of a part is not
    repeated for the whole, nor for every member of a sweep.
    """
    wholes = {error["loc"][:n] for error in errors for n in range(len(error["loc"]))}
    told: dict[str, None] = {}
    for error in errors:
        if error["loc"] not in wholes:
            # beyond those that are shown, nobody needs to know what was meant: that takes a millisecond each
            told[_sentence(error, values, written, is_shown=len(told) < MOST)] = None
    return list(told)


def described(details: Mapping[str, Any], *, in_rankers: bool = False) -> str:
    """The mistake in a value, without its place."""
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if isinstance(given, list) and (kind in NUMBERS or kind in {"string_type", "literal_error"}):
        return "one value is needed" + (
            ", and this is a list"
            if in_rankers
            else "; a list makes a sweep in fields of `rankers` alone"
        )
    if kind in WORDS:
        return WORDS[kind](given, context)
    if kind in NUMBERS:
        return _number(given, NUMBERS[kind])
    if kind in RECORDS:
        return f"a table of names and values is needed, and {_this(given)}"
    if kind in BOUNDS:
        bound = next(iter(context.values()))
        shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
        return f"{brief(given)} is {BOUNDS[kind].format(shown)}"
    return str(details["msg"]).removeprefix("Value error, ")


def _sentence(
    details: Mapping[str, Any], values: Mapping[str, Any], written: Any, *, is_shown: bool
) -> str:
    parts = list(_place(details["loc"], values, is_missing=details["type"] == "missing"))
    in_rankers = parts[:1] == ["rankers"]
    if in_rankers and len(parts) > 1 and parts[1] not in written:
        parts[1] = parts[1].partition(".")[0]  # the file names the ranker, not a sweep's member
    place = ".".join(visible(part[:MOST_OF_A_NAME]) for part in parts)
    if details["type"] == "missing" and isinstance(details["loc"][-1], int):
        return f"{place.rpartition('.')[0]}: {details['loc'][-1] + 1} values are needed, and one is missing"
    if details["type"] == "extra_forbidden":
        *at, name = details["loc"]
        said = unknown_field(str(name), spec_at(at)) if is_shown else NONE
    else:
        said = described(details, in_rankers=in_rankers)
    words = shortened(said, MOST_OF_A_SENTENCE)
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


def _choice(given: Any, context: Mapping[str, Any]) -> str:
    expected = context["expected"]
    near = difflib.get_close_matches(str(given)[:50], re.findall("'([^']*)'", expected), n=1)
    hint = f". Did you mean {near[0]!r}?" if near else ""
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
    return f"at least {least} {'value is' if least == 1 else 'values are'} needed, and there {_are(context['actual_length'])}"


def _many(_: Any, context: Mapping[str, Any]) -> str:
    return f"at most {context['max_length']} values can stand here, and there {_are(context['actual_length'])}"


def _are(n: int | None) -> str:
    return "are more" if n is None else f"{'is' if n == 1 else 'are'} {n or 'none'}"


def _long(given: Any, context: Mapping[str, Any]) -> str:
    return f"{brief(given)} is too long: {context['max_length']} characters are the most, for files are called so"


WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
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
