"""The commands that take a study file: check it, plan it, carry it out, and print the results."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankscope.core.errors import BadInput, BadStudy, MissingArtifact
from rankscope.core.judged.evaluation import EVALUATION, EvaluationRecord
from rankscope.core.progress import SILENT, Progress, Tell
from rankscope.core.result import Result, Rows, Table, json_of
from rankscope.core.words import counted, of_number
from rankscope.models.processes import joined
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.report import pooled
from rankscope.report.summary import Summary, read
from rankscope.report.wording.verdicts import marked
from rankscope.store.artifacts import Status, Store, read_json, read_record
from rankscope.store.fingerprint import Digests
from rankscope.store.refusals import check_place, explained, require_folder
from rankscope.study import energy as metering
from rankscope.study import load, origin, overlaps
from rankscope.study.plan import plan

if TYPE_CHECKING:
    from rankscope.study.doctor import Diagnosis
    from rankscope.study.runner import CarriedOut


@dataclass(frozen=True)
class StudySettings:
    """A study file, overrides of its values, and the folder of its results."""

    file: Path
    overrides: Sequence[str] = ()
    results: Path = Path("results")
    retry: bool = False
    """Whether damaged results are computed again."""
    energy: bool = False
    """Whether the energy of the steps that are carried out is measured."""


def planned(settings: StudySettings, tell: Tell) -> tuple[Plan, Store]:
    """The study's steps, and the folder of its results."""
    loaded = load.load(settings.file, settings.overrides)
    store = Store(settings.results / loaded.study.study)
    with explained(settings.results):
        digests = Digests(store.root / "sources.json" if _is_first_process() else None)
    steps = plan(loaded, digests.of)
    digests.remember()
    for note in digests.notes:
        tell(note)
    return steps, store


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


# -- check ----------------------------------------------------------------------------------------


def check(settings: StudySettings) -> Result:
    """Check that the study has no mistakes and its files are there; BadStudy or BadInput names what is wrong."""
    steps = plan(load.load(settings.file, settings.overrides), _present)
    check_place(settings.results)
    study, shared = steps.study.study, overlaps.comparing()
    notes = [
        *overlaps.refused(steps, shared),
        *overlaps.chosen_by_tests(steps, shared),
        *study.evaluate.claims_without_margin(),
    ]
    facts = {"study": study.study, "n_steps": len(steps.steps), "notes": notes}
    return Result(
        lines=(f"{study.study}: {counted(len(steps.steps), 'step')}, no mistakes.",),
        forms={"json": lambda: json_of(facts)},
        notes=tuple(notes),
        are_notes_in_json=True,
    )


def _present(path: Path) -> str:
    if not path.exists():
        raise BadInput(f"{path}: there is no such file. Give the path of one that exists.")
    if not path.is_file():
        raise BadInput(f"{path}: this is no file that can be read twice. Give the path of one.")
    return str(path)


# -- plan and status --------------------------------------------------------------------------------


def show_plan(settings: StudySettings, tell: Tell) -> Result:
    """Every step, and whether it is stored."""
    return _states(*planned(settings, tell))


def status(settings: StudySettings, tell: Tell) -> Result:
    """Every step, whether it is stored, and why steps failed."""
    plan, store = planned(settings, tell)
    return _states(plan, store, failures=tuple(_failures(plan, store)))


def _states(plan: Plan, store: Store, *, failures: tuple[str, ...] = ()) -> Result:
    require_folder(store.root / "steps")
    states = {step.name: store.status(step.name, step.needs).value for step in plan.steps}
    notes = _notes_on(plan, store, is_reported=states[plan.steps[-1].name] == "done")
    rows = [[step.kind, step.label, step.fingerprint, states[step.name]] for step in plan.steps]
    counts = ", ".join(f"{n} {state}" for state, n in sorted(Counter(states.values()).items()))
    facts = {"results": str(store.root), "steps": states, "notes": notes}
    return Result(
        tables=(Table(str(store.root), ["kind", "step", "fingerprint", "state"], rows, n_names=2),),
        lines=(f"{counted(len(rows), 'step')}: {counts}", *failures),
        forms={"json": lambda: json_of(facts)},
        notes=tuple(notes),
        are_notes_in_json=True,
    )


def _failures(plan: Plan, store: Store) -> Iterator[str]:
    """The last line of each failed step's traceback."""
    for step in plan.steps:
        if store.error_file(step.name).is_file() and not os.path.lexists(store.folder(step.name)):
            said = store.error_file(step.name).read_text("utf-8", errors="replace").strip()
            yield f"{step.name} failed: {said.rpartition(chr(10))[2] or 'no reason was recorded'}"


def _notes_on(plan: Plan, store: Store, *, is_reported: bool) -> list[str]:
    """Notes on results and a page of another study or plan in the folder, and on stored steps."""
    try:
        whose = origin.check(plan, store)
    except BadStudy as error:
        whose = str(error)
    published, mine = origin.published(store), plan.steps[-1].name
    if whose is None and is_reported and published not in {None, mine}:
        whose = (
            f"{store.root / 'report.html'}, its tables and summary are those of {published}, of another form of "
            f"this study; `rankscope report` puts those of {mine} there"
        )
    return [*filter(None, [whose]), *origin.notes_on(plan.steps, store)]


# -- doctor ---------------------------------------------------------------------------------------


def doctor(settings: StudySettings, progress: Progress, tell: Tell) -> Result:
    """The guards' findings on every stage before it is trained; exit code 1 where one would stop it."""
    plan, store = planned(settings, tell)
    _require_precision(plan, store)
    from rankscope.study.doctor import doctor as examined

    diagnosis = examined(plan, store, retry=settings.retry, progress=progress)
    stops, warnings = diagnosis.fired("stop"), diagnosis.fired("warn")
    title, counts = plan.study.study.study, {"n_stops": len(stops), "n_warnings": len(warnings)}
    rankers = dict.fromkeys(seen.ranker for seen in diagnosis.seen)
    return Result(
        tables=(Table(title, *diagnosis_rows(diagnosis), is_text=True),)
        if stops or warnings
        else (),
        lines=(
            f"{counted(len(rankers), 'trained ranker')}, {counted(len(diagnosis.seen), 'look')}: {len(stops)} would stop, "
            f"{len(warnings)} would warn.",
        ),
        forms={"json": lambda: json_of(asdict(diagnosis) | counts)},
        notes=diagnosis.notes,
        are_notes_in_json=True,
        exit_code=1 if stops else 0,
    )


def diagnosis_rows(diagnosis: "Diagnosis") -> Rows:
    """Columns and rows of the guards' findings: those that would stop a training first."""
    fired = [*diagnosis.fired("stop"), *diagnosis.fired("warn")]
    rows = [[seen.ranker, seen.guard, seen.level, str(seen.finding)] for seen in fired]
    return ["ranker", "guard", "level", "what it saw"], rows


# -- run, report and demo -------------------------------------------------------------------------


def run(settings: StudySettings, progress: Progress, tell: Tell) -> Result | None:
    """Carry out the missing steps; None in all processes but the first."""
    plan, store = planned(settings, tell)
    if settings.energy:
        metering.require()
    _require_precision(plan, store)
    shared = overlaps.comparing()
    overlaps.refused(plan, shared)
    for note in overlaps.chosen_by_tests(plan, shared):
        if _is_first_process():
            tell(note)
    return _carried_out(plan, store, progress, retry=settings.retry, energy=settings.energy)


def _require_precision(plan: Plan, store: Store) -> None:
    """Refuse a precision that is slower on this device, before anything is trained."""
    missing = (step.params for step in plan.steps if store.status(step.name) is not Status.DONE)
    asked = {params.precision for params in missing if isinstance(params, RerankParams)}
    for precision in sorted(asked - {"float32"}):
        from rankscope.models.opening import require_precision

        require_precision(precision)


def demo(results: Path, progress: Progress, tell: Tell, *, retry: bool) -> Result | None:
    """Carry out the embedded study, whose file a user can start from."""
    from rankscope.study.demo import write_demo

    file = write_demo(results / "demo")
    plan, store = planned(StudySettings(file, results=results), tell)
    result = _carried_out(plan, store, progress, retry=retry)
    return result and replace(result, lines=(*result.lines, f"Study file to start from: {file}"))


def report(settings: StudySettings, progress: Progress, tell: Tell) -> Result:
    """Make the report again from the stored results; its path."""
    plan, store = planned(settings, tell)
    require_folder(store.root / "steps")
    from rankscope.study.runner import report_again

    return Result(lines=(f"Report: {report_again(plan, store, progress=progress)}",))


def results(settings: StudySettings, tell: Tell) -> Result:
    """The stored results of a study that has been run; MissingArtifact before that."""
    plan, store = planned(settings, tell)
    *_, report_step = plan.steps
    if store.status(report_step.name, report_step.needs) is not Status.DONE:
        raise MissingArtifact(
            f"{store.root}: this study has no results yet, or they are of an earlier form of it. Run it first."
        )
    folder = store.open(report_step.name)
    evaluation = read_record(
        EvaluationRecord, store.open(report_step.inputs["evaluate"].name) / EVALUATION
    )

    def text(*names: str) -> str:
        return "\n".join((folder / name).read_text("utf-8") for name in names)

    summary = read(read_json(folder / "summary.json"), where=str(folder / "summary.json"))
    return Result(
        tables=tuple(_verdict_tables(plan.study.study.study, summary)),
        lines=tuple(_verdict_lines(summary)),
        forms={
            "json": lambda: text("summary.json"),
            "csv": lambda: text("tables/means.csv"),
            "latex": lambda: text("tables/means.tex", "tables/comparisons.tex"),
            "html": lambda: text("report.html"),
            "frame": lambda: _frame(folder / "tables" / "means.csv"),
            "chart": lambda: _chart(evaluation),
        },
        record=evaluation,
    )


def _frame(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)


def _chart(evaluation: EvaluationRecord) -> dict[str, Any]:
    from rankscope.report import charts, forests

    return charts.below_each_other([charts.forest(each) for each in forests.forests(evaluation)])


def _carried_out(
    plan: Plan, store: Store, progress: Progress, *, retry: bool, energy: bool = False
) -> Result | None:
    from rankscope.study.runner import carry_out

    processes = joined()
    outcome = carry_out(
        plan,
        store,
        retry=retry,
        energy=energy,
        processes=processes,
        progress=progress if processes.is_first else SILENT,
    )
    if not processes.is_first:
        return None
    path = store.root / "summary.json"
    stored = read_json(path)
    summary = read(stored, where=str(path))
    steps = {"done": list(outcome.done), "skipped": list(outcome.skipped)}
    return Result(
        tables=tuple(_verdict_tables(plan.study.study.study, summary)),
        lines=(*_verdict_lines(summary), *_ends(outcome, store)),
        forms={"json": lambda: json_of(steps | {"summary": stored})},
    )


def _verdict_tables(study: str, summary: Summary) -> Iterator[Table]:
    yield Table(f"{study}, verdicts on {summary.measures[0]}", *results_rows(summary), n_names=2)
    if summary.pooled:
        table = pooled.table(summary.pooled, interval=summary.intervals)
        yield Table("Over all tests", *table, n_names=3, secondary=pooled.LEFT_OUT_FIRST)


def _verdict_lines(summary: Summary) -> Iterator[str]:
    for claim in summary.claims:
        over_tests = claim.pooled_outcome and f" (over all tests: {claim.pooled_outcome})"
        yield f"Claim {claim.outcome}{over_tests}: {claim.claim}"
    for note in summary.notes:
        yield f"Note: {note}"


def _ends(outcome: "CarriedOut", store: Store) -> Iterator[str]:
    yield f"{counted(len(outcome.done), 'step')} done, {len(outcome.skipped)} {of_number(len(outcome.skipped), 'was', 'were')} stored."
    yield f"Report: {store.root / 'report.html'}"


def results_rows(summary: Summary) -> Rows:
    """Columns and rows of a study's outcome: a row per system, means (± over seeds) and verdicts."""
    has_seeds = any(result.runs for result in summary.results)
    measures = summary.measures
    baselines = list(dict.fromkeys(row.baseline for row in summary.comparisons))
    verdicts = {
        (row.place, row.system, row.baseline): row.judged.verdict
        for row in summary.comparisons
        if row.measure == measures[0]
    }
    rows = []
    for result in summary.results:
        of_baselines = [verdicts.get((result.place, result.system, base)) for base in baselines]
        marks = [marked(verdict) if verdict else "-" for verdict in of_baselines]
        spread = result.seed_sd
        means = [
            f"{result.means[measure]:.4f}" + (f" ± {spread[measure]:.4f}" if spread else "")
            for measure in measures
        ]
        seeds = [str(len(result.seeds))] if has_seeds else []
        where = f"{result.place.collection} / {result.place.first_stage}"
        rows.append([result.system, where, *seeds, *means, *marks])
    heads = [f"against {base}" for base in baselines]
    seeds = ["seeds"] if has_seeds else []
    return ["system", "collection / first stage", *seeds, *measures, *heads], rows
