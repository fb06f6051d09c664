"""Rankers and first stages that depend on one another: no circle, and no chain that is too long to carry out."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from rankscope.core.errors import BadStudy
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import LLMTeacherSpec, RankerTeacherSpec
from rankscope.study.mistakes import place_of
from rankscope.study.study import Study

LONGEST = 50
"""Rankers and first stages that depend on one another, at most."""


class Node(NamedTuple):
    """A ranker or a first stage."""

    table: str
    name: str


Graph = Mapping[Node, Sequence[Node]]
"""Each node with the nodes it is made with."""


def nothing_rests_on_itself(study: Study) -> None:
    """BadStudy where a ranker or first stage depends, directly or not, on itself, or on too long a chain."""
    graph = _graph(study)
    order, circle = _in_order(graph)
    if circle:
        raise BadStudy(_circle_sentence(study, circle))
    depths: dict[Node, int] = {}
    for node in order:
        depths[node] = 1 + max((depths[needed] for needed in graph[node]), default=0)
        if depths[node] > LONGEST:
            raise BadStudy(
                f"{node.table}.{node.name}: it rests on {depths[node] - 1} rankers and first stages one after another; "
                f"{LONGEST - 1} are the most. Start from a ranker that is stored, as a model folder."
            )


def _graph(study: Study) -> dict[Node, list[Node]]:
    rankers = {Node("rankers", name): list(_needs(study, name)) for name in study.rankers}
    first_stages = {
        Node("first_stages", name): [
            Node(needed.table, needed.name)
            for needed in spec.needs
            if needed.table != "collections"
        ]
        for name, spec in study.first_stages.items()
    }
    return {**rankers, **first_stages}


def _needs(study: Study, name: str) -> Iterator[Node]:
    """The nodes a ranker is made with: the start first."""
    spec = study.rankers[name]
    if not isinstance(spec, TrainedSpec):
        return
    yield Node("rankers", spec.start)
    if spec.validate_on:
        yield Node("first_stages", spec.validate_on.first_stage)
    for _, samples in spec.lessons:
        teacher = study.teachers.get(samples.labels)
        if isinstance(teacher, RankerTeacherSpec):
            yield Node("rankers", teacher.ranker)
        if isinstance(teacher, RankerTeacherSpec | LLMTeacherSpec):
            yield Node("first_stages", teacher.shown)
        if samples.negatives:
            yield Node("first_stages", samples.negatives.first_stage)
            if samples.negatives.rescored_by:
                yield Node("rankers", samples.negatives.rescored_by)


def _in_order(graph: Graph) -> tuple[list[Node], list[Node]]:
    """All nodes, each after those it needs; and a circle, from a node back to itself, if there is one."""
    order: dict[Node, None] = {}
    for first in graph:
        if first in order:
            continue
        path = {first: iter(graph[first])}
        while path:
            node = next(reversed(path))
            needed = next(path[node], None)
            if needed is None:
                path.popitem()
                order[node] = None
            elif needed in path:
                way = list(path)
                return list(order), [*way[way.index(needed) :], needed]
            elif needed not in order:
                path[needed] = iter(graph[needed])
    return list(order), []


def _circle_sentence(study: Study, circle: Sequence[Node]) -> str:
    searched = [at for at, node in enumerate(circle[:-1]) if node.table == "first_stages"]
    taught = [
        at
        for at, (node, needed) in enumerate(pairwise(circle))
        if getattr(study.rankers.get(node.name), "start", None) != needed.name
    ]
    if searched:
        names = _from(circle, searched[0], table="first_stages")
        return f"first_stages.{names[0]}: it needs its own run ({' -> '.join(names)}). Break the circle."
    if taught:
        names = _from(circle, taught[0], table="rankers")
        return f"{place_of(names[0])}: its teacher learns from it ({' -> '.join(names)}). Break the circle."
    names = [node.name for node in reversed(circle)]
    return f"{place_of(names[0])}: it starts from itself ({' -> '.join(names)}). Break the circle."


def _from(circle: Sequence[Node], at: int, *, table: str) -> list[str]:
    """The names of one table on the circle, from the node at a place back to it."""
    turned = [*circle[at:-1], *circle[: at + 1]]
    return [node.name for node in turned if node.table == table]
