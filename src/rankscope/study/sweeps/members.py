"""The members of sweeps, written out: a ranker for each value of its lists, and for each seed.

Plain values in, plain values out, before anything is validated: what comes out could have been
written by hand, so nobody after this knows of sweeps. Members are called by their values, the seed
last (`C-D.learning_rate=1e-06.seed=1`); without the seed that is the name of their system, since runs
that differ in nothing else are one.

A ranker that starts from a swept one has a member for each of its members and takes over what they are
called by. Several lists are crossed. Seeds are not: a stage goes on with the seed it starts from.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby, product
from math import prod
from typing import Any, NamedTuple, TypeGuard, final

from rankscope.analyses.table import imported
from rankscope.core.errors import BadStudy, listed
from rankscope.pipeline.spec.rankers import RANKER_KINDS, ranker_kind, system_of
from rankscope.study.sweeps.lists import MOST, Swept, lists_in, refuse_lists, seeds_of, text_of


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
        for analysis in imported():
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
        refuse_lists(name, base)
        start = base.get("start")
        starts = self.named(start) if isinstance(start, str) else (Member(""),)
        lists = list(lists_in(f"rankers.{name}", base, spec))
        seeds = seeds_of(name, base, spec, tuple(dict.fromkeys(start.seed for start in starts)))
        self._count(name, _n_points(starts, lists, seeds))
        base = _without_lists(base, lists)
        members, made = [], {}
        for start, values, seed in _points(starts, lists, seeds):
            own = (Coordinate(name, at.field, text_of(value)) for at, value in values)
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


def _is_list_of_names(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
