"""The members of sweeps, written out: a ranker for each value of its lists, and for each seed.

Plain values in, plain values out, before anything is validated: the result could have been
written by hand, so no later module knows of sweeps. Members are named after their values, the seed
last (`C-D.learning_rate=1e-06.seed=1`); without the seed that is the name of their system, since runs
that differ in nothing else are one.

A ranker that starts from a swept one has a member for each of its members and takes over their values
in its name. Several lists are crossed. Seeds are not: a stage goes on with the seed it starts from.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby, product
from math import prod
from typing import Any, NamedTuple, TypeGuard, final

from rankscope.analyses.table import imported
from rankscope.core.errors import BadStudy, listed
from rankscope.core.words import counted
from rankscope.pipeline.spec.rankers import RANKER_KINDS, ranker_kind, system_of
from rankscope.study.sweeps.lists import MOST, Swept, lists_in, refuse_lists, seeds_of, text_of


class Coordinate(NamedTuple):
    """One value of a sweep: the ranker whose list it is from, its field, and its text."""

    owner: str
    field: str
    text: str


class Member(NamedTuple):
    """One ranker of a sweep, and the values that a ranker takes over that starts from it."""

    name: str
    coordinates: tuple[Coordinate, ...] = ()
    seed: int | None = None


def expand(values: Mapping[str, Any]) -> dict[str, Any]:
    """The study with every sweep written out; BadStudy where a list cannot be one.

    Other mistakes are left as they are, for the specs to report.
    """
    if not isinstance(values.get("rankers"), dict):
        return dict(values)
    expansion = _Expansion(values["rankers"])
    renamed = {"rankers": expansion.rankers()}
    if isinstance(values.get("teachers"), dict):
        renamed["teachers"] = {
            name: expansion.taught(f"teachers.{name}.ranker", teacher)
            for name, teacher in values["teachers"].items()
        }
    if isinstance(values.get("evaluate"), dict):
        renamed["evaluate"] = expansion.evaluated(values["evaluate"])
    if isinstance(values.get("explain"), dict):
        renamed["explain"] = expansion.explained(values["explain"])
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
            for ranker in self._starts_first(name):
                try:
                    self._expand(ranker)
                except BadStudy as error:
                    mistakes += error.args
                    self.made[ranker] = {
                        ranker: written[ranker]
                    }  # rankers that start from it are checked too
            if self.n_members > MOST:
                break
        if mistakes:
            raise BadStudy(*mistakes)

    def rankers(self) -> dict[str, Any]:
        """All members, in the order of the file."""
        members: dict[str, Any] = {}
        for name in self.written:
            for member, fields in self.made[name].items():
                if member in members or (member != name and member in self.written):
                    raise BadStudy(
                        f"rankers.{member}: the values of {member.partition('.')[0]} make a ranker of "
                        "this name too. Rename one."
                    )
                members[member] = fields
        return members

    def named(self, name: str) -> tuple[Member, ...]:
        """All members that a name of the study stands for; the name alone where it is unknown."""
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

    def evaluated(self, evaluation: Mapping[str, Any]) -> dict[str, Any]:
        """The evaluation with members for names: all members are ranked, and systems are compared."""
        expanded = self._members_in(evaluation, "rankers")
        baselines = evaluation.get("baseline")
        baselines = [baselines] if isinstance(baselines, str) else baselines
        if _is_list_of_names(baselines):
            systems = {
                name: dict.fromkeys(
                    system_of(member.name, member.seed) for member in self.named(name)
                )
                for name in baselines
            }
            expanded["baseline"] = [system for name in baselines for system in systems[name]]
        return expanded

    def explained(self, explain: Mapping[str, Any]) -> dict[str, Any]:
        """The analyses with members for names: every member by itself, as each seed has other weights."""
        expanded = self._members_in(explain, "rankers")
        for analysis in imported():
            part = explain.get(analysis.field)
            if not isinstance(part, dict):
                continue
            place = f"explain.{analysis.field}"
            if analysis.has_names:
                expanded[analysis.field] = {
                    key: self._question(f"{place}.{key}", spec, analysis.swept)
                    for key, spec in part.items()
                }
            else:
                expanded[analysis.field] = self._question(place, part, analysis.swept)
            for field in analysis.systems:
                if isinstance(name := part.get(field), str):
                    expanded[analysis.field][field] = self._one_system(f"{place}.{field}", name)
        return expanded

    def _one_system(self, place: str, name: str) -> str:
        """The system that a name stands for; BadStudy where it stands for several."""
        systems = list(
            dict.fromkeys(system_of(member.name, member.seed) for member in self.named(name))
        )
        if len(systems) > 1:
            raise BadStudy(
                f"{place}: {name} stands for {len(systems)} systems, and one is the baseline. "
                f"Name one of them: {listed(systems)}."
            )
        return systems[0]

    def _question(self, place: str, question: Any, fields: Sequence[str]) -> Any:
        """The question to one analysis, with all members in these fields."""
        if not isinstance(question, dict):
            return question
        expanded = dict(question)
        for field in fields:
            name, _, inner = field.partition(".")
            if inner:
                expanded[name] = self._question(f"{place}.{name}", expanded.get(name), [inner])
            elif isinstance(expanded.get(name), dict):
                expanded[name] = self._pairs(f"{place}.{name}", expanded[name])
            else:
                expanded = self._members_in(expanded, name)
        return {name: value for name, value in expanded.items() if name in question}

    def _pairs(self, place: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """A table of rankers: every member against its counterpart among those that the other name stands for."""
        pairs = {}
        for after, before in table.items():
            others = self.named(before) if isinstance(before, str) else ()
            for member in self.named(after):
                counterpart = self._counterpart(member, others) if others else before
                if counterpart is None:
                    names = [other.name for other in others]
                    raise BadStudy(
                        f"{place}.{after}: {before} stands for {counted(len(names), 'ranker')}, and {member.name} is compared with "
                        f"one. Name one of them: {listed(names)}."
                    )
                pairs[member.name] = counterpart
        return pairs

    def _counterpart(self, member: Member, others: Sequence[Member]) -> str | None:
        """The only one, the nearest that the member was tuned from, or the one of its seed; None without any of them."""
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
        """The ranker that a member starts from; None for an unknown name."""
        fields = next(
            (members[member] for members in self.made.values() if member in members), None
        )
        return fields.get("start") if isinstance(fields, dict) else None

    def _members_in(self, table: Mapping[str, Any], *fields: str) -> dict[str, Any]:
        """The fields that are lists of names, with all members that the names stand for."""
        expanded = dict(table)
        for field in fields:
            names = [table[field]] if isinstance(table.get(field), str) else table.get(field)
            if _is_list_of_names(names):
                expanded[field] = [member.name for name in names for member in self.named(name)]
        return expanded

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
        """The ranker in the file that a ranker starts from: for a member of a sweep, the sweep."""
        base = self.written[name]
        start = base.get("start") if isinstance(base, dict) else None
        if not isinstance(start, str):
            return None
        return next(
            (known for known in (start, start.partition(".")[0]) if known in self.written), None
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
        for system, runs in groupby(
            members, key=lambda member: system_of(member.name, member.seed)
        ):
            self.groups[system] = tuple(Member(run.name, (), run.seed) for run in runs)
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
    """The number of members that `_points` gives."""
    with_seeds = sum(len(seeds) if start.seed is None else 1 for start in starts)
    return with_seeds * prod(len(at.values) for at in lists)


def _without_lists(base: Mapping[str, Any], lists: Sequence[Swept]) -> dict[str, Any]:
    """A ranker as it is written, with None in the places of its lists; every member is a copy of it."""
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
    """The name of a member; a field in two stages' lists is preceded by the stage whose list it is."""
    fields = [at.field for at in coordinates]
    parts = [
        f"{at.owner}.{at.field}={at.text}"
        if at.owner != name and fields.count(at.field) > 1
        else f"{at.field}={at.text}"
        for at in coordinates
    ]
    return ".".join([name, *parts, *([] if seed is None else [f"seed={seed}"])])


def _is_list_of_names(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
