"""The stored results of a study, as records from which the page is made.

Nothing is tested or averaged on the way to the page: an earlier step stored every number, and sections only choose
numbers, order them and put them into words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankscope.core.judged.comparisons import JudgedComparison, Place
from rankscope.core.judged.costs import SystemCost
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.section import Section


@dataclass(frozen=True)
class StoredStep:
    """One step of the plan, with its seconds and its summary."""

    name: str
    kind: str
    seconds: float
    summary: Mapping[str, Any]
    made: Mapping[str, Any] = field(default_factory=dict)
    """Date, processor, threads and device, as its manifest has them; empty in one of an earlier version."""


@dataclass(frozen=True)
class StudyTexts:
    """The texts of a study file, without secrets."""

    written: str
    """As its user wrote it."""
    overrides: tuple[str, ...]
    """What was typed over it, each `a.b=value`, in order."""
    resolved: str
    """As it was carried out: overrides applied, sweeps written out, every default named."""


@dataclass(frozen=True)
class StoredDoc:
    """A doc of a ranking, with its text."""

    rank: int
    doc_id: str
    text: str
    relevance: int | None
    """The judged grade; None where the doc is not judged."""


Rankings = Callable[[str, str, int], Sequence[StoredDoc]]
"""(run path, query_id, depth) to docs, best first."""


@dataclass(frozen=True)
class StoredResults:
    """Everything that a report shows, as the steps of a study stored it."""

    study: str
    study_file: StudyTexts | None
    """None for a report without a study."""
    seed: int | None
    """The study's random seed; None for a report without a study."""
    steps: Sequence[StoredStep]
    versions: Mapping[str, str]
    evaluation: EvaluationRecord
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Run path, measure and query_id to value; for several seeds, the first one's path and the mean value."""
    training: Mapping[str, Sequence[Mapping[str, float]]]
    """Ranker to log rows: those with a loss, and those with a validation value."""
    queries: Mapping[str, Mapping[str, str]]
    """Collection and query_id to text."""
    rankings: Rankings
    sections: Sequence[Section] = ()
    """The sections of analyses, in the order of the page."""
    command: str = ""
    """What a person types to have all this again."""
    costs: Mapping[tuple[Place, str], SystemCost] = field(default_factory=dict)
    """What systems cost, by place and name, where it is known."""


def place_name(place: Place | None, evaluation: EvaluationRecord) -> str:
    """A place in words, empty for None; it names the first stage where there are several."""
    if place is None:
        return ""
    if len({other.first_stage for other in evaluation.places}) == 1:
        return place.collection
    return f"{place.collection} from {place.first_stage}"


def main_baselines(system: str, place: Place, evaluation: EvaluationRecord) -> list[str]:
    """The baselines that a system is compared with first: its first stage, then the last baseline of the study.

    A first stage that is itself a baseline has none, because other systems are compared with it already.
    """
    if system == place.first_stage and system in evaluation.baselines:
        return []
    others = set(evaluation.systems) - {system}
    chosen = dict.fromkeys([place.first_stage, *evaluation.baselines[-1:]])
    return [baseline for baseline in chosen if baseline in others]


def is_main(row: JudgedComparison, evaluation: EvaluationRecord) -> bool:
    """Whether a comparison is a main one: on the first measure, with one of the system's main baselines."""
    return (
        row.place is not None
        and row.measure == evaluation.headline
        and row.baseline in main_baselines(row.system, row.place, evaluation)
    )
