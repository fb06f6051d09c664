"""Places of a study file: the spec that stands at each, and the places where a field of some name stands."""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import Tag
from pydantic.fields import FieldInfo

from rankscope.pipeline.spec.fields import Spec
from rankscope.study.study import Study

SpecType = type[Spec]


class Alternative(NamedTuple):
    """One of the types that a field may have, and the name by which pydantic chooses it."""

    tag: str | None
    annotation: Any

    @property
    def spec(self) -> SpecType | None:
        """The spec that it is, if it is one."""
        is_spec = isinstance(self.annotation, type) and issubclass(self.annotation, Spec)
        return self.annotation if is_spec else None

    @property
    def inner(self) -> Any:
        """The type of what a table or a list holds; None for a single value."""
        origin, inside = get_origin(self.annotation), get_args(self.annotation)
        if origin is dict:
            return inside[1]
        return inside[0] if origin in (tuple, list) else None


class SpecPlace(NamedTuple):
    """A place where a spec can stand: `rankers.NAME` for any ranker."""

    names: tuple[str, ...]
    spec: SpecType

    def __str__(self) -> str:
        """The place as a message names it, with the field that tells its spec from others there."""
        path = f"in `{'.'.join(self.names)}`" if self.names else "at the top of the file"
        return f"{path}{_told_by(self.spec)}"


def _told_by(spec: SpecType) -> str:
    """How the file says that this spec stands there; nothing where no other can."""
    field = spec.model_fields.get("kind")
    if field is None:
        return ""
    if field.is_required():
        return f" of {either([f'`kind: {kind}`' for kind in get_args(field.annotation)])}"
    needed = (written(spec, name) for name, each in spec.model_fields.items() if each.is_required())
    return f" with `{next(needed)}`"


def written(spec: SpecType, field: str) -> str:
    """A field's name as it stands in a file."""
    return spec.model_fields[field].alias or field


def names(spec: SpecType) -> list[str]:
    """All fields of a spec as they stand in a file."""
    return [written(spec, field) for field in spec.model_fields]


def field_of(spec: SpecType, name: str) -> FieldInfo | None:
    """The field that stands in a file under a name."""
    return next((spec.model_fields[f] for f in spec.model_fields if written(spec, f) == name), None)


def alternatives(annotation: Any, tag: str | None = None) -> Iterator[Alternative]:
    """The types that a field may have: those of a union, each with its tag."""
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        tag = next((each.tag for each in metadata if isinstance(each, Tag)), tag)
        yield from alternatives(bare, tag)
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from alternatives(each, tag)
    else:
        yield Alternative(tag, annotation)


@cache
def places() -> tuple[SpecPlace, ...]:
    """Every place of a study file with every spec that can stand there, those nearest to the top first."""
    found: list[SpecPlace] = []
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), Study)])
    while waiting:
        path, annotation = waiting.popleft()
        for each in alternatives(annotation):
            if each.spec is not None and each.spec not in {place.spec for place in found}:
                found.append(SpecPlace(path, each.spec))
                waiting += (
                    ((*path, written(each.spec, name)), field.annotation)
                    for name, field in each.spec.model_fields.items()
                )
            elif each.inner is not None:
                inner = (*path, "NAME") if get_origin(each.annotation) is dict else path
                waiting.append((inner, each.inner))
    return tuple(found)


def spec_at(loc: Sequence[int | str]) -> SpecType | None:
    """The spec at a place of pydantic's, which names the kinds that it chose among, too; None where no spec stands."""
    annotation: Any = Study
    for part in loc:
        annotation = _inside(annotation, part)
    return next((each.spec for each in alternatives(annotation) if each.spec is not None), None)


def _inside(annotation: Any, part: int | str) -> Any:
    """The type of one part of a place: a field, an entry of a table or a list, or a kind."""
    several = [*alternatives(annotation)]
    for each in several:
        if each.spec is not None and part in (each.tag, *_kinds(each.spec)) and len(several) > 1:
            return each.annotation
    for each in several:
        if each.spec is not None and (field := field_of(each.spec, str(part))) is not None:
            return field.annotation
        if each.inner is not None:
            return each.inner if part not in {other.tag for other in several} else each.annotation
    return None


def _kinds(spec: SpecType) -> tuple[str, ...]:
    """The values of `kind` by which a spec is chosen."""
    field = spec.model_fields.get("kind")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def either(shown: Sequence[str]) -> str:
    """One of several, as words: `a`, `b` or `c`."""
    *before, last = shown
    return f"{', '.join(before)} or {last}" if before else last


def leads_to(spec: SpecType, dotted: str) -> bool:
    """Whether a dotted name such as `samples.group_size` stands in a spec."""
    first, _, rest = dotted.partition(".")
    field = field_of(spec, first)
    if field is None or not rest:
        return field is not None
    inner = [each.spec for each in alternatives(field.annotation) if each.spec is not None]
    return any(leads_to(each, rest) for each in inner)


def below(spec: SpecType, name: str) -> list[str]:
    """The dotted names of all fields of that name in the parts of a spec, the nearest first, each part's spec once."""
    found: list[str] = []
    met: set[SpecType] = {spec}
    waiting = deque((written(spec, field), info) for field, info in spec.model_fields.items())
    while waiting:
        path, info = waiting.popleft()
        inner = [each.spec for each in alternatives(info.annotation) if each.spec is not None]
        for part in filter(lambda each: each not in met, inner):
            met.add(part)
            found += [f"{path}.{name}"] if leads_to(part, name) else []
            waiting += (
                (f"{path}.{written(part, field)}", each)
                for field, each in part.model_fields.items()
            )
    return list(dict.fromkeys(found))


def where(dotted: str) -> list[SpecPlace]:
    """All places in whose spec a dotted name stands."""
    return [place for place in places() if leads_to(place.spec, dotted)]
