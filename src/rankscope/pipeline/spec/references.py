"""References in a study, each of which must name an entry of a table."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rankscope.pipeline.spec.pipeline import Pipeline


class Reference(NamedTuple):
    """A place of the study that names something, and the table where it must stand."""

    place: str
    name: str
    table: Mapping[str, Any]
    what: str


def to_collection(study: Pipeline, place: str, name: str) -> Reference:
    """A reference to one of `collections`."""
    return Reference(place, name, study.collections, "collection")


def to_first_stage(study: Pipeline, place: str, name: str) -> Reference:
    """A reference to one of `first_stages`."""
    return Reference(place, name, study.first_stages, "first stage")


def to_ranker(study: Pipeline, place: str, name: str) -> Reference:
    """A reference to one of `rankers`."""
    return Reference(place, name, study.rankers, "ranker")


def to_evaluated(study: Pipeline, place: str, name: str) -> Reference:
    """A reference to a system that is evaluated."""
    others = (*study.evaluate.first_stages, *study.evaluate.teachers)
    evaluated = {**study.systems(), **dict.fromkeys(others)}
    return Reference(place, name, evaluated, "evaluated system")
