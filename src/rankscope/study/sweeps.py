"""Lists where a ranker takes one value, and `seeds`: a ranker for each value, and for each seed.

Plain values in, plain values out, before anything is validated: what comes out could have been
written by hand, so nobody after this knows of sweeps. Members are called by their values, the seed
last (`C-D.learning_rate=1e-06.seed=1`); without the seed that is the name of their system, since runs
that differ in nothing else are one.

A ranker that starts from a swept one has a member for each of its members and takes over what they are
called by. Several lists are crossed. Seeds are not: a stage goes on with the seed it starts from.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby, product
from math import prod
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeGuard,
    Union,
    final,
    get_args,
    get_origin,
)

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rankscope.analyses.table import ANALYSES
from rankscope.core.errors import BadStudy, listed
from rankscope.core.visible import brief, visible
from rankscope.pipeline.spec.fields import VALUE_IN_NAME, Spec, is_free
from rankscope.pipeline.spec.rankers import RANKER_KINDS, ranker_kind, system_of
from rankscope.study.mistakes import in_words

MOST = 2500
"""Rankers of a study: all are trained, ranked with and compared."""
NO_LISTS = {
    "start": "a ranker starts from one ranker. Write a ranker for each",
    "seed": "several seeds stand in `seeds`",
}
"""Fields of a ranker whose values make no sweep, and why."""


class Coordinate(NamedTuple):
    """One value of a sweep: in whose list it stood, its field, and how it is written."""

    owner: str
    field: str
    text: str


class Member(NamedTuple):
    """One ranker of a sweep, and what a ranker that starts from it takes over."""

    name: str
    coordinates: tuple[Coordinate, ...] = ()
    seed: int | None = None


class Swept(NamedTuple):
    """A list in a field of a ranker: where it stands, what it is called, its values."""

    keys: tuple[str, ...]
    field: str
    values: tuple[Any, ...]


def expand(values: Mapping[str, Any]) -> dict[str, Any]:
    """The study with every sweep written out; BadStudy where a list cannot be one.

    What is wrong in other ways is left as it is, for the specs to say.
    """
    if not isinstance(values.get("rankers"), dict):
        return dict(values)
    found = _Expansion(values["rankers"])
    renamed = {"rankers": found.rankers()}
    if isinstance(values.get("teachers"), dict):
        renamed["teachers"] = {
            name: found.taught(f"teachers.{name}.ranker", teacher)
            for name, teacher in values["teachers"].items()
        }
    if isinstance(values.get("evaluate"), dict):
        renamed["evaluate"] = found.evaluated(values["evaluate"])
    if isinstance(values.get("explain"), dict):
        renamed["explain"] = found.explained(values["explain"])
    return {**values, **renamed}


@final
class _Expansion:
    """Expands rankers on demand, each once, starts first."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        self.written = written
        self.made: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, tuple[Member, ...]] = {}
        self.n_members = 0
        mistakes: list[str] = []
        for name in written:
            for each in self._starts_first(name):
                try:
                    self._expand(each)
                except BadStudy as error:
                    mistakes += error.args
                    self.made[each] = {each: written[each]}  # what starts from it is looked at too
            if self.n_members > MOST:
                break
        if mistakes:
            raise BadStudy(*mistakes)

    def rankers(self) -> dict[str, Any]:
        """All members, in the order of the file."""
        found: dict[str, Any] = {}
        for name in self.written:
            for member, fields in self.made[name].items():
                if member in found or (member != name and member in self.written):
                    raise BadStudy(
                        f"rankers.{member}: the values of {member.partition('.')[0]} make a ranker of "
                        "this name too. Rename one."
                    )
                found[member] = fields
        return found

    def named(self, name: str) -> tuple[Member, ...]:
        """All that a name of the study stands for; the name alone where it leads nowhere."""
        return self.groups.get(name, (Member(name),))

    def taught(self, place: str, teacher: Any) -> Any:
        """A teacher with the ranker it stands for."""
        if not isinstance(teacher, dict) or not isinstance(teacher.get("ranker"), str):
            return teacher
        names = [member.name for member in self.named(teacher["ranker"])]
        if len(names) > 1:
            raise BadStudy(
                f"{place}: {teacher['ranker']} stands for {len(names)} rankers, and one teaches. "
                f"Name one of them: {listed(names)}."
            )
        return {**teacher, "ranker": names[0]}

    def evaluated(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What is asked of the evaluation: all members are ranked, and systems are compared."""
        found = self._members_in(asked, "rankers")
        baselines = asked.get("baseline")
        baselines = [baselines] if isinstance(baselines, str) else baselines
        if _is_list_of_names(baselines):
            systems = {
                name: dict.fromkeys(system_of(of.name, of.seed) for of in self.named(name))
                for name in baselines
            }
            found["baseline"] = [system for name in baselines for system in systems[name]]
        return found

    def explained(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What is asked of the insides: every member by itself, as each seed's weights are others."""
        found = self._members_in(asked, "rankers")
        for analysis in ANALYSES:
            part = asked.get(analysis.field)
            if not isinstance(part, dict):
                continue
            place = f"explain.{analysis.field}"
            if analysis.has_names:
                found[analysis.field] = {
                    key: self._question(f"{place}.{key}", each, analysis.swept)
                    for key, each in part.items()
                }
            else:
                found[analysis.field] = self._question(place, part, analysis.swept)
            for field in analysis.systems:
                if isinstance(name := part.get(field), str):
                    found[analysis.field][field] = self._one_system(f"{place}.{field}", name)
        return found

    def _one_system(self, place: str, name: str) -> str:
        """The system that a name stands for; BadStudy where it stands for several."""
        systems = list(dict.fromkeys(system_of(of.name, of.seed) for of in self.named(name)))
        if len(systems) > 1:
            raise BadStudy(
                f"{place}: {name} stands for {len(systems)} systems, and one is the baseline. "
                f"Name one of them: {listed(systems)}."
            )
        return systems[0]

    def _question(self, place: str, asked: Any, fields: Sequence[str]) -> Any:
        """What is asked of one analysis, with all members in these fields."""
        if not isinstance(asked, dict):
            return asked
        found = dict(asked)
        for field in fields:
            name, _, inner = field.partition(".")
            if inner:
                found[name] = self._question(f"{place}.{name}", found.get(name), [inner])
            elif isinstance(found.get(name), dict):
                found[name] = self._pairs(f"{place}.{name}", found[name])
            else:
                found = self._members_in(found, name)
        return {name: value for name, value in found.items() if name in asked}

    def _pairs(self, place: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A table of rankers: every member against its counterpart among those that the other name stands for."""
        pairs = {}
        for after, before in asked.items():
            others = self.named(before) if isinstance(before, str) else ()
            for member in self.named(after):
                counterpart = self._counterpart(member, others) if others else before
                if counterpart is None:
                    names = [other.name for other in others]
                    raise BadStudy(
                        f"{place}.{after}: {before} stands for {len(names)} rankers, and {member.name} is compared with "
                        f"one. Name one of them: {listed(names)}."
                    )
                pairs[member.name] = counterpart
        return pairs

    def _counterpart(self, member: Member, others: Sequence[Member]) -> str | None:
        """The one there is, the nearest that the member was tuned from, or the one of its seed; else None."""
        names = [other.name for other in others]
        if len(names) == 1:
            return names[0]
        ancestor = self._start_of(member.name)
        while isinstance(ancestor, str) and ancestor not in names:
            ancestor = self._start_of(ancestor)
        if ancestor is not None:
            return str(ancestor)
        of_its_seed = [other.name for other in others if other.seed == member.seed]
        return of_its_seed[0] if len(of_its_seed) == 1 else None

    def _start_of(self, member: str) -> Any:
        """What a member starts from; None for what leads nowhere."""
        fields = next((of[member] for of in self.made.values() if member in of), None)
        return fields.get("start") if isinstance(fields, dict) else None

    def _members_in(self, asked: Mapping[str, Any], *fields: str) -> dict[str, Any]:
        """The fields that are lists of names, with all that these stand for."""
        found = dict(asked)
        for field in fields:
            names = [asked[field]] if isinstance(asked.get(field), str) else asked.get(field)
            if _is_list_of_names(names):
                found[field] = [member.name for name in names for member in self.named(name)]
        return found

    def _starts_first(self, name: str) -> list[str]:
        """A ranker and those it starts from that are not made yet, the first ancestor first."""
        path: list[str] = []
        here: str | None = name
        while here is not None and here not in self.made:
            if here in path:
                circle = " -> ".join(reversed([*path[path.index(here) :], here]))
                raise BadStudy(
                    f"rankers.{here}: it starts from itself ({circle}). Break the circle."
                )
            path.append(here)
            here = self._written_start(here)
        return path[::-1]

    def _written_start(self, name: str) -> str | None:
        """What of the file a ranker starts from: a member of a sweep stands there by the sweep's name."""
        base = self.written[name]
        start = base.get("start") if isinstance(base, dict) else None
        if not isinstance(start, str):
            return None
        return next(
            (each for each in (start, start.partition(".")[0]) if each in self.written), None
        )

    def _expand(self, name: str) -> None:
        base = self.written[name]
        spec = RANKER_KINDS.get(ranker_kind(base)) if isinstance(base, dict) else None
        if spec is None:
            self._count(name, 1)
            self.made[name] = {name: base}
            return
        _refuse_lists(name, base)
        start = base.get("start")
        starts = self.named(start) if isinstance(start, str) else (Member(""),)
        lists = list(_lists(f"rankers.{name}", base, spec))
        seeds = _seeds(name, base, spec, tuple(dict.fromkeys(start.seed for start in starts)))
        self._count(name, _n_points(starts, lists, seeds))
        base = _without_lists(base, lists)
        members, made = [], {}
        for start, values, seed in _points(starts, lists, seeds):
            own = (Coordinate(name, at.field, _text(value)) for at, value in values)
            coordinates = (*start.coordinates, *own)
            member = Member(_member_name(name, coordinates, seed), coordinates, seed)
            members.append(member)
            made[member.name] = _written(base, start, values, seed)
        self.made[name] = made
        self.groups |= {member.name: (Member(member.name),) for member in members}
        for system, of in groupby(members, key=lambda member: system_of(member.name, member.seed)):
            self.groups[system] = tuple(Member(each.name, (), each.seed) for each in of)
        self.groups[name] = tuple(members)

    def _count(self, name: str, n: int) -> None:
        """BadStudy where a ranker's lists make more rankers than a study can have."""
        self.n_members += n
        if self.n_members > MOST:
            raise BadStudy(
                f"rankers.{name}: with its values and seeds the study has {self.n_members:,} rankers by here, and {MOST:,} are "
                "the most. Write fewer, or several studies."
            )


def _n_points(starts: Sequence[Member], lists: Sequence[Swept], seeds: Sequence[int | None]) -> int:
    """How many members `_points` gives."""
    with_seeds = sum(len(seeds) if start.seed is None else 1 for start in starts)
    return with_seeds * prod(len(at.values) for at in lists)


def _without_lists(base: Mapping[str, Any], lists: Sequence[Swept]) -> dict[str, Any]:
    """A ranker as it is written, nothing in the places of its lists: what every member is a copy of."""
    made = deepcopy({key: value for key, value in base.items() if key != "seeds"})
    for at in lists:
        _put(made, at.keys, None)
    return made


def _put(table: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = value


def _points(
    starts: Sequence[Member], lists: Sequence[Swept], seeds: Sequence[int | None]
) -> Iterator[tuple[Member, list[tuple[Swept, Any]], int | None]]:
    """Every start with every value, the seeds innermost: a system's runs stand side by side."""
    for _, group in groupby(starts, key=lambda start: start.coordinates):
        of_system = list(group)
        for values in product(*(at.values for at in lists)):
            for start in of_system:
                for seed in seeds if start.seed is None else (start.seed,):
                    yield start, list(zip(lists, values, strict=True)), seed


def _written(
    base: Mapping[str, Any], start: Member, values: Sequence[tuple[Swept, Any]], seed: int | None
) -> dict[str, Any]:
    """One member, as it would stand in the file."""
    made = deepcopy(dict(base))
    for at, value in values:
        _put(made, at.keys, value)
    if start.name:
        made["start"] = start.name
    return made if seed is None else {**made, "seed": seed}


def _member_name(name: str, coordinates: Sequence[Coordinate], seed: int | None) -> str:
    """A field that stands in two stages' lists is told apart by the stage that handed it on."""
    fields = [at.field for at in coordinates]
    parts = [
        f"{at.owner}.{at.field}={at.text}"
        if at.owner != name and fields.count(at.field) > 1
        else f"{at.field}={at.text}"
        for at in coordinates
    ]
    return ".".join([name, *parts, *([] if seed is None else [f"seed={seed}"])])


# -- what is written --


def _refuse_lists(name: str, base: Mapping[str, Any]) -> None:
    for field, why in NO_LISTS.items():
        if isinstance(base.get(field), list):
            raise BadStudy(f"rankers.{name}.{field}: a list cannot stand here: {why}.")


def _seeds(
    name: str, base: Mapping[str, Any], spec: type[Spec], handed_on: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """The seeds of a ranker: its own, or those it starts from."""
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


def _lists(place: str, table: Mapping[str, Any], spec: type[Spec]) -> Iterator[Swept]:
    """Every list that stands where one value is wanted; unknown fields are not our business."""
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
    """Where each value of a ranker stands: its keys, itself, its field, the field's dotted name."""
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
    found: list[Any] = []
    for value in given:
        if not isinstance(value, str | int | float):
            raise BadStudy(
                f"{place}: {visible(repr(value)[:60])} is no single value, of which a sweep is made."
            )
        try:
            read = reading.validate_python(value)
        except ValidationError as error:
            wrong = in_words(error.errors(include_url=False)[0], in_rankers=True)
            raise BadStudy(f"{place}: {wrong}") from error
        if not re.fullmatch(VALUE_IN_NAME, _text(read)):
            raise BadStudy(
                f"{place}: {brief(value)} cannot be part of a name, as the values of a list are. "
                "Write a ranker for each."
            )
        if read in found:
            raise BadStudy(f"{place}: {_text(read)} stands in the list twice. Keep one.")
        found.append(read)
    return tuple(found)


def _text(value: Any) -> str:
    """The shortest text of a value: 1e-06, 0.1, 2, true, ranknet."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


# -- what the specs say --


def _typed(field: FieldInfo) -> Any:
    """The field's type with its bounds, to read one value by."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _dotted(table: Mapping[str, Any], spec: type[Spec]) -> list[str]:
    """The dotted names of all fields of a ranker, written or left out; not those of parts left out."""
    found = []
    for name, field in spec.model_fields.items():
        shown = field.alias or name
        written = table.get(shown, table.get(name))
        inner = [each for part in _parts(written, field) for each in _dotted(written, part)]
        found += [shown, *(f"{shown}.{each}" for each in inner)]
    return found


def _parts(value: Any, field: FieldInfo) -> list[type[Spec]]:
    """What a table in a field may be."""
    if not isinstance(value, dict):
        return []
    arms = [a for a in _arms(field.annotation) if isinstance(a, type) and issubclass(a, Spec)]
    fitting = [arm for arm in arms if set(value) <= _names(arm)]
    return fitting[:1] or arms


def _names(spec: type[Spec]) -> set[str]:
    """What its fields are called in a file."""
    return {key for name, field in spec.model_fields.items() for key in (name, field.alias or name)}


def _shortest(name: str, names: Sequence[str]) -> str:
    """The end of a dotted name, as long as it has to be to belong to no other field."""
    parts = name.split(".")
    ends = (".".join(parts[at:]) for at in reversed(range(len(parts))))
    return next(
        (end for end in ends if sum(f".{each}".endswith(f".{end}") for each in names) == 1), name
    )


def _arms(annotation: Any) -> list[Any]:
    """The types that a field may have."""
    if get_origin(annotation) is Annotated:
        return _arms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [arm for each in get_args(annotation) for arm in _arms(each)]
    return [annotation]


def _is_list(arm: Any) -> bool:
    return get_origin(arm) in (tuple, list, set, frozenset)


def _is_scalar(arm: Any) -> bool:
    return arm in (str, int, float, bool) or get_origin(arm) is Literal


def _is_list_of_names(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
