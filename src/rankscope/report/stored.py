"""What the page is made of: all that a study left, as records.

Nothing is tested or averaged on the way to the page: every number was stored by an earlier step, and sections only
choose, order and word.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.section import Section


@dataclass(frozen=True)
class StoredStep:
    """One step of the plan: how long it took, and what it said of itself."""

    name: str
    kind: str
    seconds: float
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class StoredDoc:
    """A doc of a ranking, with its text."""

    rank: int
    doc_id: str
    text: str
    relevance: int | None
    """None means not judged."""


Rankings = Callable[[str, str, int], Sequence[StoredDoc]]
"""(run path, query_id, depth) to docs, best first."""


@dataclass(frozen=True)
class StoredResults:
    """All that a report shows, as the steps of a study left it."""

    study: str
    study_file: str
    seed: int | None
    """None where nothing was drawn by a study."""
    steps: Sequence[StoredStep]
    versions: Mapping[str, str]
    evaluation: EvaluationRecord
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]]
    """Run path, measure and query_id to value; of several seeds the first's path, and their mean."""
    training: Mapping[str, Sequence[Mapping[str, float]]]
    """Ranker to log rows: those with a loss, and those with a validation value."""
    queries: Mapping[str, Mapping[str, str]]
    """Collection and query_id to text."""
    rankings: Rankings
    sections: Sequence[Section] = ()
    """What analyses add, in the order of the page."""


def place_name(place: Place | None, evaluation: EvaluationRecord) -> str:
    """A place in words, empty for none; the first stage is named where there is more than one."""
    if place is None:
        return ""
    if len({other.first_stage for other in evaluation.places}) == 1:
        return place.collection
    return f"{place.collection} from {place.first_stage}"


def main_baselines(system: str, place: Place, evaluation: EvaluationRecord) -> list[str]:
    """What a system is held against first: its first stage, then the last baseline of the study.

    A first stage that is a baseline itself is not turned round to be compared again.
    """
    if system == place.first_stage and system in evaluation.baselines:
        return []
    others = set(evaluation.systems) - {system}
    chosen = dict.fromkeys([place.first_stage, *evaluation.baselines[-1:]])
    return [baseline for baseline in chosen if baseline in others]
