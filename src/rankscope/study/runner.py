"""Carry out a plan: skip what is stored, do what is missing, remember what failed."""

import shutil
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import DamagedArtifact, RankscopeError
from rankscope.core.progress import SILENT, Progress
from rankscope.store.artifacts import Status, Store, explained
from rankscope.study.plan import VERSIONS, Plan, Step
from rankscope.study.steps import STEPS
from rankscope.study.steps_work import Work


@dataclass(frozen=True)
class CarriedOut:
    """What a run of a study did."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]


def carry_out(
    plan: Plan, store: Store, *, retry: bool = False, progress: Progress = SILENT
) -> CarriedOut:
    """Carry out the steps that are missing, in order; the first that fails ends it.

    A damaged result is an error, or with `retry` computed anew. A step that failed or was
    interrupted is taken up again where its checkpoints are.
    """
    with store.locked():
        carried_out = _carry_out(plan.steps, plan, store, retry=retry, progress=progress)
        _publish(plan.steps[-1], store)
    return carried_out


def prepare(
    steps: Iterable[Step],
    plan: Plan,
    store: Store,
    *,
    retry: bool = False,
    progress: Progress = SILENT,
) -> CarriedOut:
    """Carry out some steps of a plan and what they need, and nothing else."""
    wanted: dict[str, Step] = {}

    def want(step: Step) -> None:
        for needed in step.inputs.values():
            want(needed)
        wanted[step.name] = step

    for step in steps:
        want(step)
    with store.locked():
        return _carry_out(wanted.values(), plan, store, retry=retry, progress=progress)


def _carry_out(
    steps: Iterable[Step], plan: Plan, store: Store, *, retry: bool, progress: Progress
) -> CarriedOut:
    done, skipped = [], []
    for step in steps:
        if _stored(step, store, retry=retry, progress=progress):
            skipped.append(step.name)
        else:
            _carry_out_step(step, plan, store, progress)
            done.append(step.name)
    return CarriedOut(tuple(done), tuple(skipped))


def report_again(plan: Plan, store: Store) -> Path:
    """Make the report anew from stored results, and nothing else; its path."""
    *before, report = plan.steps
    with store.locked():
        for step in before:
            store.open(step.name)
        store.forget(report.name)
        _carry_out_step(report, plan, store, SILENT)
        _publish(report, store)
    return store.root / "report.html"


def _stored(step: Step, store: Store, *, retry: bool, progress: Progress) -> bool:
    if store.status(step.name) is Status.DAMAGED:
        if not retry:
            store.open(step.name)  # says which file
        progress.note(f"{step.name} is damaged: computing it anew")
        store.forget(step.name)
    return store.status(step.name) is Status.DONE


def _carry_out_step(step: Step, plan: Plan, store: Store, progress: Progress) -> None:
    facts = {
        "name": step.name,
        "kind": step.kind,
        "version": VERSIONS[step.kind],
        "params": step.params,
        "inputs": {role: other.name for role, other in step.inputs.items()},
    }
    started = time.monotonic()
    try:
        with store.writing(step.name, facts) as (out, learnt):
            learnt["summary"] = STEPS[step.kind](Work(step, plan, store, out, progress))
            learnt["seconds"] = round(time.monotonic() - started, 3)
    except Exception as error:
        store.record_error(step.name, traceback.format_exc())
        if isinstance(error, RankscopeError) and not isinstance(error, DamagedArtifact):
            error.add_note(f"(in step {step.name})")
        raise
    progress.note(f"{step.kind} {step.label}: {learnt['seconds']:.1f} s")


def _publish(report: Step, store: Store) -> None:
    """Put the report where a person looks for it."""
    folder = store.open(report.name)
    with explained(store.root):
        for name in ("report.html", "summary.json"):
            shutil.copyfile(folder / name, store.root / name)
        shutil.copytree(folder / "tables", store.root / "tables", dirs_exist_ok=True)
