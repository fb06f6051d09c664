"""Carry out a plan: skip stored steps, carry out missing ones, record failures."""

import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rankscope.core.errors import DamagedArtifact, MissingArtifact, RankscopeError
from rankscope.core.progress import SILENT, Progress
from rankscope.models.processes import ALONE, Processes
from rankscope.pipeline.identity import defaults
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.step import Step
from rankscope.pipeline.work import Work
from rankscope.store.artifacts import Status, Store
from rankscope.store.durable import put
from rankscope.store.machine import made_here
from rankscope.store.refusals import explained
from rankscope.study import origin
from rankscope.study.energy import metered
from rankscope.study.origin import notes_on


@dataclass(frozen=True)
class CarriedOut:
    """The steps that a run of a study carried out, and those it skipped."""

    done: tuple[str, ...]
    skipped: tuple[str, ...]


def carry_out(
    plan: Plan,
    store: Store,
    *,
    retry: bool = False,
    energy: bool = False,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> CarriedOut:
    """Carry out the steps that are missing, in order; the first that fails ends it.

    A damaged result is an error, or with `retry` computed again; so is a result whose inputs have
    other bytes now. A step that failed or was interrupted resumes from its checkpoints. Of several
    processes the first does everything and alone writes; the others take their part in the steps that
    can be shared. With `energy`, manifests tell how much the first process took.
    """
    done, skipped = [], []
    with store.locked() if processes.is_first else nullcontext():
        if processes.is_first:
            _claim(plan, store, progress)
        for step in plan.steps:
            is_stored = processes.is_first and _ready(step, store, retry=retry, progress=progress)
            if processes.from_first(is_stored):
                skipped.append(step)
            else:
                if processes.is_first:
                    _carry_out_step(step, plan, store, progress, processes, energy=energy)
                elif step.of.is_shared:
                    nowhere = store.folder(step.name) / "written by the first process"
                    step.of.function()(Work(step, plan, store, nowhere, SILENT, processes))
                processes.wait()
                done.append(step)
        if processes.is_first:
            _publish(plan.steps[-1], store)
            for note in notes_on(skipped, store):
                progress.note(note)
    return CarriedOut(tuple(step.name for step in done), tuple(step.name for step in skipped))


def _claim(plan: Plan, store: Store, progress: Progress) -> None:
    """Refuse a folder with another study file's results, before anything is written into it."""
    note = origin.check(plan, store)
    if note is not None:
        progress.note(note)
    origin.claim(plan, store)


def prepare(
    steps: Iterable[Step],
    plan: Plan,
    store: Store,
    *,
    retry: bool = False,
    progress: Progress = SILENT,
) -> None:
    """Carry out some steps of a plan and the steps they need, and no others; the caller locks."""
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
        if not _ready(step, store, retry=retry, progress=progress):
            _carry_out_step(step, plan, store, progress)


@final
class _TasksAlone:
    """A watcher that is shown how far the work is, and told nothing when it is done: a command says that itself."""

    def __init__(self, progress: Progress) -> None:
        self.task = progress.task

    def note(self, text: str) -> None:
        """Nothing is told."""


def report_again(plan: Plan, store: Store, *, progress: Progress = SILENT) -> Path:
    """Make the report again from stored results, and nothing else; its path.

    The stored report, and the published one, stay until the new one is whole.
    """
    *before, report = plan.steps
    with store.locked():
        note = origin.check(plan, store)
        for step in before:
            store.open(step.name)
            moved = store.moved(step.name, step.needs)
            if moved:
                raise MissingArtifact(
                    f"{store.folder(step.name)}: it rests on other bytes of {', '.join(moved)} than are "
                    "there now. Use `rankscope run`, which makes it again."
                )
        for said in (*filter(None, [note]), *notes_on(before, store)):
            progress.note(said)
        origin.claim(plan, store)
        _carry_out_step(report, plan, store, _TasksAlone(progress), replaces=True)
        _publish(report, store)
    return store.root / "report.html"


def _ready(step: Step, store: Store, *, retry: bool, progress: Progress) -> bool:
    """Whether a step is stored and undamaged; if not, its work folder is made ready to begin or to resume."""
    status = store.status(step.name, step.needs)
    if status is Status.DONE:
        return True
    if status is Status.DAMAGED:
        if not retry:
            store.open(step.name)  # says which file
        progress.note(f"{step.name} is damaged: computing it again")
        store.forget(step.name)
    if status is Status.STALE:
        moved = ", ".join(store.moved(step.name, step.needs))
        progress.note(
            f"{step.name} rests on other bytes of {moved} than are there now: computing it again"
        )
        store.forget(step.name)
    if step.of.is_resumed:
        for note in store.begin(step.name, _contents(step, store)):
            progress.note(note)
    return False


def _contents(step: Step, store: Store) -> dict[str, str | None]:
    """The sums of the files of a step's inputs, by role."""
    return {role: store.content(name) for role, name in step.needs.items()}


def _carry_out_step(
    step: Step,
    plan: Plan,
    store: Store,
    progress: Progress,
    processes: Processes = ALONE,
    *,
    replaces: bool = False,
    energy: bool = False,
) -> None:
    facts = {
        "name": step.name,
        "kind": step.kind,
        "version": step.of.version,
        "params": step.identity,
        "defaults": defaults(type(step.params), step.kind),
        "inputs": step.needs,
        "rests_on": _contents(step, store),
    }
    try:
        with store.writing(step.name, facts, replaces=replaces) as (out, learnt):
            shared = processes if step.of.is_shared else ALONE
            with metered(energy, progress.note) as took:
                started = time.monotonic()
                learnt["summary"] = step.of.function()(
                    Work(step, plan, store, out, progress, shared)
                )
                learnt["seconds"] = round(time.monotonic() - started, 3)
            learnt["made"] = made_here(_device()) | took
    except Exception as error:
        store.record_error(step.name, traceback.format_exc())
        if isinstance(error, RankscopeError) and not isinstance(error, DamagedArtifact):
            error.add_note(f"(in step {step.name})")
        raise
    progress.note(f"{step.kind} {step.label}: {learnt['seconds']:.1f} s")


def _device() -> str:
    """The device that rankers run on; the processor where this process has loaded no torch."""
    if "torch" not in sys.modules:
        return "cpu"
    from rankscope.models.opening import device

    return str(device())


def _publish(report: Step, store: Store) -> None:
    """Publish the report in the results folder; files that only the one before had are removed."""
    folder = store.open(report.name)
    made = _shown(report.name, store)
    before = origin.published(store)
    with explained(store.root):
        put({folder / name: store.root / name for name in made})
        for name in _shown(before, store) - made if before else ():
            (store.root / name).unlink(missing_ok=True)
    origin.published(store, report.name)


def _shown(report: str, store: Store) -> set[str]:
    """The files of a report that are published."""
    try:
        files = store.manifest(report)["files"]
    except DamagedArtifact:
        return set()
    return {n for n in files if n in {"report.html", "summary.json"} or n.startswith("tables/")}
