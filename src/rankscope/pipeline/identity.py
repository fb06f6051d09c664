"""The identity of a step: every param that can change its result and is not at its default.

A new field with a default therefore renames no step that leaves it at the default. After a change of a default,
results made with the old one would pass for results of the new one: then the kind's version must be raised.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

from pydantic_core import PydanticUndefined

from rankscope.pipeline.spec.fields import Spec

Digest = Callable[[Path], str]
REQUIRED = object()
"""The default of a field that has none."""
DISCRIMINATOR = "kind"
"""The field that tells specs apart; it is always part of the identity."""


class Setting(NamedTuple):
    """A field of params that can change the result of a step."""

    name: str
    type: Any
    default: Any
    """As plain data; `REQUIRED` where the field is always part of the identity."""


def identity(value: Any, kind: str, digest: Digest) -> Any:
    """A value as plain data: a file as its digest, a spec or dataclass as the settings that are not at their defaults.

    `kind` is that of the step: some fields are read by some kinds only.
    """
    if isinstance(value, Path):
        return digest(value)
    if isinstance(value, Mapping):
        return {name: identity(item, kind, digest) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [identity(item, kind, digest) for item in value]
    if _has_settings(type(value)):
        return dict(_set(value, kind, digest))
    return value


def _set(value: Any, kind: str, digest: Digest) -> Iterator[tuple[str, Any]]:
    """The settings of a spec or dataclass that are not at their defaults."""
    for setting in settings(value.__class__, kind):
        plain = identity(getattr(value, setting.name), kind, digest)
        if plain != setting.default:
            yield setting.name, plain


@cache
def settings(params: type, kind: str) -> tuple[Setting, ...]:
    """The fields of a spec or dataclass that steps of a kind read and that can change their results."""
    return tuple(
        Setting(
            name, annotation, REQUIRED if name == DISCRIMINATOR else identity(default, kind, str)
        )
        for name, annotation, default, marks in _fields(params)
        if marks.get("changes_results", True) and kind in marks.get("read_by", (kind,))
    )


def defaults(params: Any, kind: str) -> dict[str, Any]:
    """The defaults that the names of a kind's steps leave out: {`Class.field`: default}, for params of a type."""
    return {
        f"{part.__name__}.{setting.name}": setting.default
        for part in dict.fromkeys(_types(params, kind))
        for setting in settings(part, kind)
        if setting.default is not REQUIRED
    }


def _types(annotation: Any, kind: str) -> Iterator[type]:
    """The specs and dataclasses in a type, and in the types of their settings."""
    if _has_settings(annotation):
        yield annotation
        for setting in settings(annotation, kind):
            yield from _types(setting.type, kind)
    for part in get_args(annotation):
        yield from _types(part, kind)


def _has_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and (
        issubclass(annotation, Spec) or is_dataclass(annotation)
    )


def _fields(params: Any) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Name, type, default and marks of every field."""
    if issubclass(params, Spec):
        for name, field in params.model_fields.items():
            default = field.get_default(call_default_factory=True)
            marks = field.json_schema_extra
            yield (
                name,
                field.annotation,
                REQUIRED if default is PydanticUndefined else default,
                marks if isinstance(marks, dict) else {},
            )
    else:
        types = get_type_hints(params, include_extras=True)
        for member in fields(params):
            made = member.default if member.default_factory is MISSING else member.default_factory()
            yield (
                member.name,
                types[member.name],
                REQUIRED if made is MISSING else made,
                member.metadata,
            )
