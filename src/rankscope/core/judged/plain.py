"""Records to plain JSON values and back. Reading is strict: a damaged file is an error, never a guess.

A record is a frozen dataclass, and a field's name is its key. There are four exceptions:

- **A field with a default** is left out where it has that value, and may be missing when it is read.
- **A `flat` field** is a record whose keys stand beside the others; it is `None` where none of them is there.
- **An `Estimate`** is three keys beside the others: `cka`, `cka_low` and `cka_high` of a field `cka`. All three are null
  where the field is `None`.
- **An infinite end of an `Interval`** is null.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from rankscope.core.errors import BadInput, DamagedArtifact, choose

FLAT: Mapping[str, bool] = {"flat": True}
"""Metadata of a field whose keys stand beside those of the record that holds it."""

Record = TypeVar("Record")


class Interval(NamedTuple):
    """A confidence interval; an end is infinite where the sample does not bound it."""

    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether both ends are finite."""
        return isfinite(self.high - self.low)

    @property
    def turned(self) -> "Interval":
        """The interval of the value with its sign changed."""
        return Interval(-self.high, -self.low)


class Estimate(NamedTuple):
    """An estimate over examples and its interval, at 95 % unless another level is given."""

    value: float
    low: float
    high: float


def as_plain(record: Any) -> dict[str, Any]:
    """The record as JSON values (dicts, lists, strings, numbers, None), in the order of its fields.

    BadInput where a number is not finite: no file holds one.
    """
    written: dict[str, Any] = {}
    kind: Any = type(record)
    hints = _hints(kind)
    for field in fields(record):
        value = getattr(record, field.name)
        if field.metadata.get("flat"):
            written |= {} if value is None else as_plain(value)
        elif _is_estimate(hints[field.name]):
            keys = _keys_of_estimate(field.name)
            numbers = zip(keys, value or (None, None, None), strict=True)
            written |= {key: _written(number, key) for key, number in numbers}
        elif not (_is_optional(field) and value == _default(field)):
            written[field.name] = _written(value, field.name)
    return written


def as_stored(record: Any) -> Any:
    """The same with sorted keys, as in stored files."""
    return json.loads(json.dumps(as_plain(record), sort_keys=True))


def _written(value: Any, name: str) -> Any:
    if isinstance(value, float) and not isfinite(value):
        raise BadInput(
            f"The result `{name}` is {value}, which no file can hold: scores or weights are too large, or are none. "
            "Check them."
        )
    if is_dataclass(value):
        return as_plain(value)
    if isinstance(value, Interval):
        return [end if isfinite(end) else None for end in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _written(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item, name) for item in value]
    return value


def from_plain(kind: type[Record], stored: Any, *, where: str) -> Record:
    """The record that `as_plain` wrote; `where` names its source, such as a file.

    Raises DamagedArtifact, with the place, for a missing or unknown key and for a value of another type than the
    field's; UnknownChoice for a name that is not in the field's enumeration, such as a verdict that does not exist.
    """
    if not isinstance(stored, Mapping):
        raise _damaged(where, f"is {_kind_of(stored)} and not an object")
    shape: Any = kind
    unknown = sorted(stored.keys() - _keys(shape))
    if unknown:
        raise _damaged(where, f"has the unknown key {unknown[0]!r}")
    hints, own = _hints(shape), fields(shape)
    read = {
        field.name: _field(field, hints[field.name], stored, where)
        for field in own
        if field.metadata.get("flat") or field.name in stored or not _is_optional(field)
    }
    return kind(**read)


def _field(field: Field[Any], hint: Any, stored: Mapping[str, Any], where: str) -> Any:
    if field.metadata.get("flat"):
        part = _record_in(hint)
        own = {key: stored[key] for key in _keys(part) if key in stored}
        return None if not own and part is not hint else from_plain(part, own, where=where)
    if _is_estimate(hint):
        return _estimate(field.name, hint, stored, where)
    return _under(field.name, hint, stored, where)


def _under(key: str, hint: Any, stored: Mapping[str, Any], where: str) -> Any:
    """The value under a key, in the hint's type."""
    if key not in stored:
        raise _damaged(where, f"lacks the key {key!r}")
    return _read(hint, stored[key], f"{where}: {key}")


def _estimate(name: str, hint: Any, stored: Mapping[str, Any], where: str) -> Estimate | None:
    """The estimate under the three keys of a field; one null among numbers is damage."""
    keys = _keys_of_estimate(name)
    if hint is not Estimate and all(key in stored and stored[key] is None for key in keys):
        return None
    return Estimate(*(_under(key, float, stored, where) for key in keys))


def _read(hint: Any, value: Any, where: str) -> Any:
    """The value in the hint's type. Raises DamagedArtifact where it has another."""
    if hint is Interval:
        return _interval(value, where)
    if is_dataclass(hint):
        return from_plain(hint, value, where=where)  # type: ignore[arg-type]
    if get_origin(hint) is not None:
        return _compound(hint, value, where)
    if issubclass(hint, StrEnum):
        members = {member.value: member for member in hint}
        return choose(members, _leaf(str, value, where), what=hint.__name__.lower())
    return _leaf(hint, value, where)


def _leaf(hint: Any, value: Any, where: str) -> Any:
    if not _fits(hint, value):
        raise _damaged(where, f"is {_kind_of(value)} and not {_NAMES[hint]}")
    return value


def _compound(hint: Any, value: Any, where: str) -> Any:
    """A union, a tuple, or a mapping with strings as keys; records hold no other compound types."""
    if get_origin(hint) in (Union, UnionType):
        return _one_of(get_args(hint), value, where)
    if get_origin(hint) is tuple:
        return _items(get_args(hint), value, where)
    if not isinstance(value, Mapping):
        raise _damaged(where, f"is {_kind_of(value)} and not an object")
    value_hint = get_args(hint)[1]
    return {key: _read(value_hint, item, f"{where}: {key}") for key, item in value.items()}


def _fits(hint: Any, value: Any) -> bool:
    """Whether a string, number or boolean has its field's type; an integer counts as a float, too."""
    kinds = (int, float) if hint is float else hint
    return isinstance(value, kinds) and (hint is bool or not isinstance(value, bool))


def _one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in hints:
        return None
    *others, last = (hint for hint in hints if hint is not NoneType)
    return value if any(_fits(hint, value) for hint in others) else _read(last, value, where)


def _items(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _damaged(where, f"is {_kind_of(value)} and not a list")
    item_hints = [hints[0]] * len(value) if hints[-1] is Ellipsis else list(hints)
    if len(item_hints) != len(value):
        raise _damaged(where, f"has {len(value)} entries and not {len(item_hints)}")
    return tuple(
        _read(hint, item, f"{where}: entry {number}")
        for number, (hint, item) in enumerate(zip(item_hints, value, strict=True), start=1)
    )


def _interval(value: Any, where: str) -> Interval:
    low, high = _items((float | None, float | None), value, where)
    return Interval(-inf if low is None else low, inf if high is None else high)


def _is_optional(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _keys(kind: Any) -> frozenset[str]:
    """Every key that the written record may have."""
    hints = _hints(kind)
    return frozenset(key for field in fields(kind) for key in _keys_of(field, hints[field.name]))


def _keys_of(field: Field[Any], hint: Any) -> Iterable[str]:
    """Every key that a field may be written under."""
    if field.metadata.get("flat"):
        return _keys(_record_in(hint))
    return _keys_of_estimate(field.name) if _is_estimate(hint) else (field.name,)


def _keys_of_estimate(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _is_estimate(hint: Any) -> bool:
    """Whether a field is an `Estimate`, or one or `None`."""
    return Estimate in (hint, *get_args(hint))


def _record_in(hint: Any) -> Any:
    """The record type in a hint: `Place` of `Place` and of `Place | None`."""
    return next((option for option in get_args(hint) if is_dataclass(option)), hint)


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _kind_of(value: Any) -> str:
    names = {NoneType: "null", list: "a list", dict: "an object", **_NAMES}
    return names.get(type(value), type(value).__name__)


def _damaged(where: str, what: str) -> DamagedArtifact:
    return DamagedArtifact(
        f"{where} {what}: it is damaged, or another version of rankscope wrote it. Delete the step's folder and run "
        "the study again."
    )
