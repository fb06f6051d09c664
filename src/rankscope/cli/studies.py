"""Commands that take a study file."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankscope.cli.options import (
    AsJson,
    Overrides,
    Results,
    Retry,
    StudyFile,
)
from rankscope.cli.printing import print_json, print_notes, say
from rankscope.cli.program import app
from rankscope.core.errors import BadInput

if TYPE_CHECKING:
    from rankscope.pipeline.planner import Plan
    from rankscope.store.artifacts import Store


def _plan_of(
    study_file: Path, overrides: list[str] | None, results: Path
) -> tuple["Plan", "Store"]:
    from rankscope.store.artifacts import Store
    from rankscope.store.fingerprint import Digests
    from rankscope.study.load import load
    from rankscope.study.plan import plan

    loaded = load(study_file, overrides or ())
    store = Store(results / loaded.study.study)
    is_first = os.environ.get("RANK", "0") == "0"
    digests = Digests(store.root / "sources.json" if is_first else None)
    planned = plan(loaded, digests.of)
    digests.remember()
    print_notes(digests.notes)
    return planned, store


@app.command()
def check(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say what, if anything, is wrong with a study file."""
    from rankscope.store.artifacts import check_place
    from rankscope.study.load import load
    from rankscope.study.overlaps import refused
    from rankscope.study.plan import plan

    def present(path: Path) -> str:
        if not path.exists():
            raise BadInput(f"{path}: there is no such file. Give the path of one that exists.")
        if not path.is_file():
            raise BadInput(f"{path}: this is no file that can be read twice. Give the path of one.")
        return str(path)

    planned = plan(load(study, overrides or ()), present)
    check_place(results)
    asked = planned.study.study
    notes = [*refused(planned), *asked.evaluate.claims_without_margin()]
    if as_json:
        print_json({"study": asked.study, "n_steps": len(planned.steps), "notes": notes})
    else:
        say(f"{asked.study}: {len(planned.steps)} steps, no mistakes.")
        print_notes(notes)


@app.command("plan")
def show_plan(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """List the steps of a study: what is stored and what is missing."""
    planned, store = _plan_of(study, overrides, results)
    _show_steps(planned, store, as_json=as_json)


@app.command()
def status(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say how far a study is: steps by state, and what failed last."""
    planned, store = _plan_of(study, overrides, results)
    _show_steps(planned, store, as_json=as_json)
    if as_json:
        return
    for step in planned.steps:
        if store.error_file(step.name).exists() and not store.folder(step.name).exists():
            said = store.error_file(step.name).read_text("utf-8", errors="replace").strip()
            say(f"{step.name} failed: {said.rpartition(chr(10))[2] or 'no reason was recorded'}")


def _show_steps(planned: "Plan", store: "Store", *, as_json: bool) -> None:
    from collections import Counter

    from rankscope.terminal import show_table

    states = {step.name: store.status(step.name, step.needs).value for step in planned.steps}
    notes = _notes_on(planned, store, is_reported=states[planned.steps[-1].name] == "done")
    if as_json:
        print_json({"results": str(store.root), "steps": states, "notes": notes})
        return
    rows = [[step.kind, step.label, step.fingerprint, states[step.name]] for step in planned.steps]
    show_table(str(store.root), ["kind", "step", "fingerprint", "state"], rows)
    counts = ", ".join(f"{n} {state}" for state, n in sorted(Counter(states.values()).items()))
    say(f"{len(rows)} steps: {counts}")
    print_notes(notes)


def _notes_on(planned: "Plan", store: "Store", *, is_reported: bool) -> list[str]:
    """Whose results and whose page the folder has, if others', and what must be known of stored steps."""
    from rankscope.core.errors import BadStudy
    from rankscope.study import origin
    from rankscope.study.standing import notes_on

    try:
        whose = origin.check(planned, store)
    except BadStudy as error:
        whose = str(error)
    published, mine = origin.published(store), planned.steps[-1].name
    if whose is None and is_reported and published not in {None, mine}:
        whose = (
            f"{store.root / 'report.html'}, its tables and summary are those of {published}, of another form of "
            f"this study; `rankscope report` puts those of {mine} there"
        )
    return [*filter(None, [whose]), *notes_on(planned.steps, store)]


@app.command()
def doctor(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    retry: Retry = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would make a training go wrong.

    Nothing is trained. The exit code is 1 if a guard would stop a training.
    """
    planned, store = _plan_of(study, overrides, results)
    from rankscope.study.doctor import doctor as examined
    from rankscope.terminal import diagnosis_rows, progress, show_table

    found = examined(planned, store, retry=retry, progress=progress())
    stops, warnings = found.fired("stop"), found.fired("warn")
    if as_json:
        print_json(asdict(found) | {"n_stops": len(stops), "n_warnings": len(warnings)})
    else:
        if stops or warnings:
            show_table(planned.study.study.study, *diagnosis_rows(found), text=True)
        rankers = dict.fromkeys(seen.ranker for seen in found.seen)
        counts = f"{len(stops)} would stop, {len(warnings)} would warn"
        say(f"{len(rankers)} trained rankers, {len(found.seen)} looks: {counts}.")
        print_notes(list(found.notes))
    if stops:
        raise typer.Exit(1)


@app.command()
def run(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    retry: Retry = False,
    as_json: AsJson = False,
) -> None:
    """Carry out a study, or go on where it stopped."""
    from rankscope.study.overlaps import refused

    planned, store = _plan_of(study, overrides, results)
    refused(planned)
    _carry_out(planned, store, retry=retry, as_json=as_json)


def _carry_out(planned: "Plan", store: "Store", *, retry: bool, as_json: bool) -> None:
    from rankscope.core.progress import SILENT
    from rankscope.models.processes import joined
    from rankscope.report.pooled import table
    from rankscope.report.summary import read
    from rankscope.store.artifacts import read_json
    from rankscope.study.runner import carry_out
    from rankscope.terminal import progress, results_rows, show_table

    processes = joined()
    outcome = carry_out(
        planned,
        store,
        retry=retry,
        processes=processes,
        progress=progress() if processes.is_first else SILENT,
    )
    if not processes.is_first:
        return
    path = store.root / "summary.json"
    stored = read_json(path)
    if as_json:
        steps = {"done": list(outcome.done), "skipped": list(outcome.skipped)}
        print_json(steps | {"summary": stored})
        return
    summary = read(stored, where=str(path))
    measure = summary.measures[0]
    show_table(f"{planned.study.study.study}, verdicts on {measure}", *results_rows(summary))
    if summary.pooled:
        rows = table(summary.pooled, interval=summary.intervals)
        show_table("Over all tests", *rows, n_names=3)
    for claim in summary.claims:
        over_tests = claim.pooled_outcome and f" (over all tests: {claim.pooled_outcome})"
        say(f"Claim {claim.outcome}{over_tests}: {claim.claim}")
    for note in summary.notes:
        say(f"Note: {note}")
    say(f"{len(outcome.done)} steps done, {len(outcome.skipped)} were stored.")
    say(f"Report: {store.root / 'report.html'}")


@app.command()
def report(
    study: StudyFile, overrides: Overrides = None, results: Results = Path("results")
) -> None:
    """Make the report anew from stored results."""
    planned, store = _plan_of(study, overrides, results)
    from rankscope.study.runner import report_again
    from rankscope.terminal import progress

    say(f"Report: {report_again(planned, store, progress=progress())}")


@app.command()
def demo(results: Results = Path("results"), retry: Retry = False, as_json: AsJson = False) -> None:
    """Run a whole study on a made-up world, in minutes."""
    from rankscope.study.demo import write_demo

    study_file = write_demo(results / "demo")
    planned, store = _plan_of(study_file, None, results)
    _carry_out(planned, store, retry=retry, as_json=as_json)
    if not as_json:
        say(f"Study file to start from: {study_file}")
