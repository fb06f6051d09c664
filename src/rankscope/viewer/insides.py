"""What a study stored of a ranker's inside: its attributed neurons and its changes, as tables and sentences."""

from collections.abc import Iterator
from typing import NamedTuple

from rankscope.analyses.attribution import words as of_neurons
from rankscope.analyses.attribution.steps import NEURONS
from rankscope.analyses.attribution.stored import StoredAttribution
from rankscope.analyses.changes import words as of_changes
from rankscope.analyses.changes.steps import CHANGE, HEADS
from rankscope.analyses.changes.stored import HeadsControl, PairChanges, StoredChanges
from rankscope.store.artifacts import read_record
from rankscope.viewer.found import FoundStep, FoundStudy


class Inside(NamedTuple):
    """One analysis of a ranker."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    sentences: list[str]


def insides(study: FoundStudy, ranker: FoundStep) -> Iterator[Inside]:
    """The stored analyses that read the ranker."""
    for step in study.steps.values():
        if step.has(NEURONS) and _reads(study, step, ranker):
            found = read_record(StoredAttribution, study.store.open(step.name) / NEURONS)
            table = of_neurons.layer_table(found)
            yield Inside(f"Neurons: {step.label}", *table, of_neurons.sentences(found))
        if step.has(CHANGE) and ranker.name in step.inputs.values():
            changes = read_record(StoredChanges, study.store.open(step.name) / CHANGE)
            pair = PairChanges(changes, _control(study, step), notes=())
            table = of_changes.layer_table(changes)
            yield Inside(f"Changes: {step.label}", *table, of_changes.sentences(pair))


def _reads(study: FoundStudy, step: FoundStep, ranker: FoundStep) -> bool:
    """Whether the step, or one that it compares, read the ranker."""
    inputs = [study.steps[name] for name in step.inputs.values() if name in study.steps]
    return any(ranker.name in each.inputs.values() for each in (step, *inputs))


def _control(study: FoundStudy, change: FoundStep) -> HeadsControl | None:
    """The refitted heads of the same pair, where there are any."""
    for step in study.steps.values():
        if step.has(HEADS) and step.label == change.label:
            return read_record(HeadsControl, study.store.open(step.name) / HEADS)
    return None
