"""pydantic's errors in a study, in the words of `pipeline.spec.wording` and with the place in the file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rankscope.core.errors import BadStudy
from rankscope.core.visible import shortened, visible
from rankscope.pipeline.spec.wording import RECORDS, described
from rankscope.study.fields.elsewhere import NONE, unknown_field
from rankscope.study.fields.places import names, spec_at

MOST = 12
"""Mistakes of one file that a message lists, at most."""
MOST_OF_A_NAME, MOST_OF_A_SENTENCE, MOST_OF_A_MESSAGE = 160, 600, 3600


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


def place_of(ranker: str) -> str:
    """The place of a ranker in the file, where the members of a sweep have one common name."""
    return f"rankers.{ranker.partition('.')[0]}"


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
    kind = details["type"]
    if kind == "extra_forbidden":
        *at, name = details["loc"]
        said = unknown_field(str(name), spec_at(at)) if is_shown else NONE
    else:
        fields = names(spec) if kind in RECORDS and (spec := spec_at(details["loc"])) else ()
        said = described(details, in_rankers=in_rankers, fields=fields)
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
