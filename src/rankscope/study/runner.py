"""Carry out a plan: skip what is stored, do what is missing, remember what failed."""

import shutil
import time
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import DamagedArtifact, RankscopeError
from rankscope.core.progress import SILENT, Progress
from rankscope.models.processes import ALONE, Processes
from rankscope.store.artifacts import Status, Store, explained
from rankscope.study.plan import Plan
from rankscope.study.step import VERSIONS, Step
from rankscope.study.steps import STEPS
from rankscope.study.steps_work import Work

SHARED = frozenset({"scratch", "train", "rerank", "encode", "represent"})
"""The kinds of step that several processes carry out together."""


@dataclass(frozen=True)
class CarriedOut:
    """What a run of a study did."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]


def carry_out(
    plan: Plan,
    store: Store,
    *,
    retry: bool = False,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> CarriedOut:
    """Carry out the steps that are missing, in order; the first that fails ends it.

    A damaged result is an error, or with `retry` computed anew. A step that failed or was
    interrupted is taken up again where its checkpoints are. Of several processes the first does
    everything and alone writes; the others take their part in the steps that can be shared.
    """
    done, skipped = [], []
    with store.locked() if processes.is_first else nullcontext():
        for step in plan.steps:
            is_stored = processes.is_first and _stored(step, store, retry=retry, progress=progress)
            if processes.from_first(is_stored):
                skipped.append(step.name)
            else:
                if processes.is_first:
                    _carry_out_step(step, plan, store, progress, processes)
                elif step.kind in SHARED:
                    nowhere = store.folder(step.name) / "written by the first process"
                    STEPS[step.kind](Work(step, plan, store, nowhere, SILENT, processes))
                processes.wait()
                done.append(step.name)
        if processes.is_first:
            _publish(plan.steps[-1], store)
    return CarriedOut(tuple(done), tuple(skipped))


def prepare(
    steps: Iterable[Step],
    plan: Plan,
    store: Store,
    *,
    retry: bool = False,
    progress: Progress = SILENT,
) -> None:
    """Carry out some steps of a plan and what they need, and nothing else; the caller locks."""
    wanted: dict[str, Step] = {}

    def want(step: Step) -> None:
        if step.name in wanted:
            return
        for needed in step.inputs.values():
            want(needed)
        wanted[step.name] = step

    for step in steps:
        want(step)
    for step in wanted.values():
        if not _stored(step, store, retry=retry, progress=progress):
            _carry_out_step(step, plan, store, progress)


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


def _carry_out_step(
    step: Step, plan: Plan, store: Store, progress: Progress, processes: Processes = ALONE
) -> None:
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
            learnt["summary"] = STEPS[step.kind](
                Work(
                    step,
                    plan,
                    store,
                    out,
                    progress,
                    processes if step.kind in SHARED else ALONE,
                )
            )
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
