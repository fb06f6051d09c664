"""Lists in the fields of a ranker, as its spec reads them: their places, names and values.

The spec's annotation says which values a field takes, so a field that is itself a list makes no sweep.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
)

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rankscope.core.errors import BadStudy, listed
from rankscope.core.visible import brief, visible
from rankscope.pipeline.spec.fields import VALUE_IN_NAME, Spec, is_free
from rankscope.pipeline.spec.wording import described

MOST = 2500
"""Rankers of a study, at most: all of them train, rank and are compared."""
NO_LISTS = {
    "start": "a ranker starts from one ranker. Write a ranker for each",
    "seed": "several seeds stand in `seeds`",
}
"""Fields of a ranker whose values make no sweep, and why."""


class Swept(NamedTuple):
    """A list in a field of a ranker: its place, its name in members' names, its values."""

    keys: tuple[str, ...]
    field: str
    values: tuple[Any, ...]


# -- the lists as written --


def refuse_lists(name: str, base: Mapping[str, Any]) -> None:
    """BadStudy for a list in a field that takes none."""
    for field, why in NO_LISTS.items():
        if isinstance(base.get(field), list):
            raise BadStudy(f"rankers.{name}.{field}: a list cannot stand here: {why}.")


def seeds_of(
    name: str, base: Mapping[str, Any], spec: type[Spec], handed_on: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """The seeds of a ranker: its own, or those of the ranker it starts from."""
    if "seeds" not in base and "seed" not in base:
        return handed_on
    place = f"rankers.{name}.seeds"
    own: tuple[int, ...] = ()
    if "seeds" in base:
        if "seed" not in spec.model_fields:
            raise BadStudy(f"{place}: a {base['kind']} has no seed of its own. Leave it out.")
        if "seed" in base:
            raise BadStudy(f"{place}: `seed` stands beside it. Keep one of the two.")
        if not isinstance(base["seeds"], list):
            raise BadStudy(f"{place}: give a list, such as [1, 2, 3].")
        own = _values(place, base["seeds"], spec.model_fields["seed"])
    if handed_on != (None,) and set(own) != set(handed_on):
        shown = listed(map(str, handed_on))
        raise BadStudy(
            f"{place.removesuffix('s') if 'seed' in base else place}: {base['start']} has the seeds {shown}, "
            f"and {name} goes on with them. Leave it out."
        )
    return own or (None,)


def lists_in(place: str, table: Mapping[str, Any], spec: type[Spec]) -> Iterator[Swept]:
    """Every list in the place of a single value; unknown fields are left to the specs."""
    names = _dotted(table, spec)
    for keys, value, field, shown in _fields(table, spec):
        if isinstance(value, list) and not any(_is_list(arm) for arm in _arms(field.annotation)):
            where = ".".join([place, *keys])
            if is_free(field):
                raise BadStudy(f"{where}: a list cannot stand here: it changes no result.")
            if not any(_is_scalar(arm) for arm in _arms(field.annotation)):
                raise BadStudy(
                    f"{where}: a list cannot stand here; only single values make a sweep."
                )
            yield Swept(keys, _shortest(shown, names), _values(where, value, field))


def _fields(
    table: Mapping[str, Any], spec: type[Spec], keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, FieldInfo, str]]:
    """Each value of a ranker: its keys, the value, its field, the field's dotted name."""
    known = {
        key: (field, field.alias or name)
        for name, field in spec.model_fields.items()
        for key in (name, field.alias or name)
    }
    for key, value in table.items():
        if key not in known:
            continue
        field, shown = known[key]
        yield (*keys, key), value, field, shown
        for part in _parts(value, field):
            for inner in _fields(value, part, (*keys, key)):
                yield *inner[:3], f"{shown}.{inner[3]}"


def _values(place: str, given: Sequence[Any], field: FieldInfo) -> tuple[Any, ...]:
    """The values of a list as the field reads them; 1e-5 without a point is text to YAML, a number here."""
    if not given:
        raise BadStudy(f"{place}: the list is empty. Give at least one value.")
    if len(given) > MOST:
        raise BadStudy(
            f"{place}: the list has {len(given):,} values, and a study {MOST:,} rankers at most. Give fewer."
        )
    reading: TypeAdapter[Any] = TypeAdapter(_typed(field))
    values: list[Any] = []
    for value in given:
        if not isinstance(value, str | int | float):
            raise BadStudy(
                f"{place}: {visible(repr(value)[:60])} is no single value, of which a sweep is made."
            )
        try:
            read = reading.validate_python(value)
        except ValidationError as error:
            wrong = described(error.errors(include_url=False)[0], in_rankers=True)
            raise BadStudy(f"{place}: {wrong}") from error
        if not re.fullmatch(VALUE_IN_NAME, text_of(read)):
            raise BadStudy(
                f"{place}: {brief(value)} cannot be part of a name, as the values of a list are. "
                "Write a ranker for each."
            )
        if read in values:
            raise BadStudy(f"{place}: {text_of(read)} stands in the list twice. Keep one.")
        values.append(read)
    return tuple(values)


def text_of(value: Any) -> str:
    """The shortest text of a value: 1e-06, 0.1, 2, true, ranknet."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


# -- fields of the specs --


def _typed(field: FieldInfo) -> Any:
    """The field's type with its bounds, by which one value is read."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _dotted(table: Mapping[str, Any], spec: type[Spec]) -> list[str]:
    """The dotted names of all fields of a ranker, written or left out, except in parts that are left out."""
    names = []
    for name, field in spec.model_fields.items():
        shown = field.alias or name
        written = table.get(shown, table.get(name))
        inner = [dotted for part in _parts(written, field) for dotted in _dotted(written, part)]
        names += [shown, *(f"{shown}.{dotted}" for dotted in inner)]
    return names


def _parts(value: Any, field: FieldInfo) -> list[type[Spec]]:
    """The specs that a table in a field may be of."""
    if not isinstance(value, dict):
        return []
    arms = [a for a in _arms(field.annotation) if isinstance(a, type) and issubclass(a, Spec)]
    fitting = [arm for arm in arms if set(value) <= _names(arm)]
    return fitting[:1] or arms


def _names(spec: type[Spec]) -> set[str]:
    """The names of a spec's fields in a file."""
    return {key for name, field in spec.model_fields.items() for key in (name, field.alias or name)}


def _shortest(name: str, names: Sequence[str]) -> str:
    """The shortest end of a dotted name that belongs to no other field."""
    parts = name.split(".")
    ends = (".".join(parts[at:]) for at in reversed(range(len(parts))))
    return next(
        (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1), name
    )


def _arms(annotation: Any) -> list[Any]:
    """The types that a field may have."""
    if get_origin(annotation) is Annotated:
        return _arms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [arm for part in get_args(annotation) for arm in _arms(part)]
    return [annotation]


def _is_list(arm: Any) -> bool:
    return get_origin(arm) in (tuple, list, set, frozenset)


def _is_scalar(arm: Any) -> bool:
    return arm in (str, int, float, bool) or get_origin(arm) is Literal
