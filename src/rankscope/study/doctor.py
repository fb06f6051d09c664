"""The guards' findings on every training stage of a study, without a training.

The guards look at an untrained stage with substitutes, each named in a note: for a start that is not
trained yet, the ranker its lineage begins with; for a teacher that has not ranked yet, the candidates
it would rank; for a `scratch` backbone, the same before its pre-training.
"""

from dataclasses import dataclass, replace

from rankscope.core.progress import SILENT, Progress
from rankscope.pipeline.identity import identity
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.plans.rankers import ScratchParams
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, collection_role
from rankscope.pipeline.steps.train import stage
from rankscope.pipeline.training import guards
from rankscope.pipeline.work import Work
from rankscope.store.artifacts import Status, Store
from rankscope.store.files import temporary_folder
from rankscope.study.overlaps import GUARD, overlaps
from rankscope.study.runner import prepare
from rankscope.train.guards import GUARDS, Level
from rankscope.train.movement import frozen


@dataclass(frozen=True)
class Seen:
    """One guard's finding on one stage, and its level: what follows when the stage is trained."""

    ranker: str
    guard: str
    level: Level
    finding: str | None


@dataclass(frozen=True)
class Diagnosis:
    """The findings of all guards that look before a training, and notes on the substitutes they looked at."""

    seen: tuple[Seen, ...]
    notes: tuple[str, ...]

    def fired(self, level: Level) -> list[Seen]:
        """The guards of a level that found something."""
        return [seen for seen in self.seen if seen.finding is not None and seen.level == level]


def doctor(
    plan: Plan, store: Store, *, retry: bool = False, progress: Progress = SILENT
) -> Diagnosis:
    """Look at every trained ranker of the plan; missing data and first rankers are made first."""
    trained = [step for step in plan.steps if step.kind == "train"]
    lightened = [(step, *_light(step, store)) for step in trained]
    stages = [entry for entry in lightened if _needs(entry[1], store) is None]
    evaluate = next(step for step in plan.steps if step.kind == "evaluate")
    tests = [evaluate.inputs[collection_role(name)] for name in plan.study.study.evaluate.over]
    needed = [needed for _, light, _ in stages for needed in light.inputs.values()]
    seen: list[Seen] = []
    same: list[str] = []
    with store.locked():
        if stages:
            prepare([*tests, *needed], plan, store, retry=retry, progress=progress)
        for planned, light, _ in stages:
            findings, duplicates = _examined(planned, light, plan, store)
            seen, same = [*seen, *findings], [*same, *duplicates]
    notes = dict.fromkeys(note for _, _, notes in stages for note in notes)
    left = [(planned.label, _needs(light, store)) for planned, light, _ in lightened]
    more = [
        f"{label}: not looked at: it needs the run of {untrained}, which is not trained yet"
        for label, untrained in left
        if untrained is not None
    ]
    return Diagnosis(tuple(seen), (*notes, *more, *dict.fromkeys(same)))


def _examined(planned: Step, light: Step, plan: Plan, store: Store) -> tuple[list[Seen], list[str]]:
    """The guards' findings on a stage, and sentences on duplicates among its queries and docs."""
    assert isinstance(planned.spec, TrainedSpec)
    levels = {name: guard.level for name, guard in GUARDS.items()} | planned.spec.guards
    for overlap in overlaps(plan):
        if overlap.stage == planned.label:
            levels[GUARD] = overlap.level
    with temporary_folder() as nowhere:
        work = Work(light, plan, store, nowhere, SILENT)
        made = replace(stage(work), planned=planned)
        with frozen(made.still):
            seen = [
                Seen(planned.label, name, levels[name], finding)
                for name, finding in guards.before(work, made)
            ]
        same = [f"{planned.label}: {sentence}" for sentence in guards.same_words(work, made)]
    return seen, same


def _light(step: Step, store: Store) -> tuple[Step, list[str]]:
    """The stage with substitutes for inputs that need a training or a teacher's ranking, and notes on them."""
    inputs, notes = dict(step.inputs), []
    start = first = step.inputs["start"]
    if not _is_there(start, store):
        while first.kind == "train":
            first = first.inputs["start"]
        if first is not start:
            notes.append(
                f"{step.label}: looked at with {first.label}; {start.label} is not trained yet"
            )
        inputs["start"], untrained = _untrained(first, store)
        if untrained:
            notes.append(f"{step.label}: looked at with {first.label} before its pre-training")
    for role, teacher in step.inputs.items():
        if teacher.kind in ("rerank", "ask") and not _is_there(teacher, store):
            inputs[role] = teacher.inputs["run"]
            notes.append(
                f"{step.label}: looked at with its teacher's candidates, which are not ranked yet"
            )
    return replace(step, inputs=inputs), notes


def _needs(step: Step, store: Store) -> str | None:
    """A ranker that must be trained before the step's inputs are there; None if there is none."""
    for needed in step.inputs.values():
        if _is_there(needed, store):
            continue
        untrained = needed.label if needed.kind == "train" else _needs(needed, store)
        if untrained is not None:
            return untrained
    return None


def _untrained(ranker: Step, store: Store) -> tuple[Step, bool]:
    """The ranker, on an untrained scratch backbone if the pre-trained is not stored; True if pre-training is left out."""
    backbone = ranker.inputs.get("backbone")
    if backbone is None or _is_there(backbone, store):
        return ranker, False
    params = backbone.params
    assert isinstance(params, ScratchParams)
    few = replace(params, spec=params.spec.model_copy(update={"updates": 0}))
    bare = replace(backbone, params=few, identity=identity(few, backbone.kind, digest=str))
    return replace(ranker, inputs={**ranker.inputs, "backbone": bare}), params.spec.updates > 0


def _is_there(step: Step, store: Store) -> bool:
    return store.status(step.name) is Status.DONE
