"""What the guards see of every training stage of a study, without a training.

A stage that is yet to be trained is looked at with what is there: where the ranker it starts from is
not trained yet, with the one its lineage begins with; where a teacher has not ranked yet, with the
candidates it would rank; with a `scratch` backbone before its pre-training. Each is said.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.progress import SILENT, Progress
from rankscope.pipeline.identity import identity
from rankscope.pipeline.kinds import ScratchParams
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, collection_role
from rankscope.pipeline.steps.train import stage
from rankscope.pipeline.training import guards
from rankscope.pipeline.work import Work
from rankscope.store.artifacts import Status, Store
from rankscope.study.overlaps import GUARD, overlaps
from rankscope.study.runner import prepare
from rankscope.train.guards import GUARDS, Level
from rankscope.train.movement import frozen


@dataclass(frozen=True)
class Seen:
    """What one guard saw of one stage, and what follows when it is trained."""

    ranker: str
    guard: str
    level: Level
    finding: str | None


@dataclass(frozen=True)
class Diagnosis:
    """What all guards of the first kind saw, and what they looked at in another thing's stead."""

    seen: tuple[Seen, ...]
    notes: tuple[str, ...]

    def fired(self, level: Level) -> list[Seen]:
        """Those of a level that saw something."""
        return [seen for seen in self.seen if seen.finding is not None and seen.level == level]


def doctor(
    plan: Plan, store: Store, *, retry: bool = False, progress: Progress = SILENT
) -> Diagnosis:
    """Look at every trained ranker of the plan; data and first rankers are made ready where missing."""
    trained = [step for step in plan.steps if step.kind == "train"]
    lightened = [(step, *_light(step, store)) for step in trained]
    stages = [each for each in lightened if _needs(each[1], store) is None]
    evaluate = next(step for step in plan.steps if step.kind == "evaluate")
    tests = [evaluate.inputs[collection_role(name)] for name in plan.study.study.evaluate.over]
    needed = [needed for _, light, _ in stages for needed in light.inputs.values()]
    seen: list[Seen] = []
    same: list[str] = []
    with store.locked():
        if stages:
            prepare([*tests, *needed], plan, store, retry=retry, progress=progress)
        for planned, light, _ in stages:
            found, told = _examined(planned, light, plan, store)
            seen, same = [*seen, *found], [*same, *told]
    notes = dict.fromkeys(note for _, _, notes in stages for note in notes)
    left = [(planned.label, _needs(light, store)) for planned, light, _ in lightened]
    more = [
        f"{label}: not looked at: it needs what {untrained} finds, which is not trained yet"
        for label, untrained in left
        if untrained is not None
    ]
    return Diagnosis(tuple(seen), (*notes, *more, *dict.fromkeys(same)))


def _examined(planned: Step, light: Step, plan: Plan, store: Store) -> tuple[list[Seen], list[str]]:
    """What the guards see of a stage, and what of its queries and docs is the same."""
    assert isinstance(planned.spec, TrainedSpec)
    levels = {name: guard.level for name, guard in GUARDS.items()} | planned.spec.guards
    for each in overlaps(plan):
        if each.stage == planned.label:
            levels[GUARD] = each.level
    with TemporaryDirectory() as nowhere:
        work = Work(light, plan, store, Path(nowhere), SILENT)
        made = replace(stage(work), planned=planned)
        with frozen(made.still):
            seen = [
                Seen(planned.label, name, levels[name], finding)
                for name, finding in guards.before(work, made)
            ]
        same = [f"{planned.label}: {told}" for told in guards.same_words(work, made)]
    return seen, same


def _light(step: Step, store: Store) -> tuple[Step, list[str]]:
    """The stage with nothing before it that takes a training or a ranking by a teacher."""
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
        if teacher.kind == "rerank" and not _is_there(teacher, store):
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
        found = needed.label if needed.kind == "train" else _needs(needed, store)
        if found is not None:
            return found
    return None


def _untrained(ranker: Step, store: Store) -> tuple[Step, bool]:
    """The ranker, on a scratch backbone without pre-training where the pre-trained is not there."""
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
