"""The commands. Parses, calls, prints; no more."""

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from rankscope.core.errors import BadInput, RankscopeError

if TYPE_CHECKING:
    from rankscope.data.conventions import Convention
    from rankscope.store.artifacts import Store
    from rankscope.study.plan import Plan

app = typer.Typer(
    name="rankscope",
    help="Fine-tune neural rankers in stages, and measure what each stage is worth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to the study file, such as seed=7 or rankers.C.max_updates=100."),
]
Results = Annotated[Path, typer.Option("--results", help="Where results are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Retry = Annotated[bool, typer.Option("--retry", help="Compute damaged results anew.")]
Collection = Annotated[
    str, typer.Option("--collection", help="A folder in BEIR layout, or an ir_datasets id.")
]
Split = Annotated[str, typer.Option("--split", help="Which qrels of a folder.")]
Depth = Annotated[int, typer.Option("--depth", min=1, help="Docs for each query.")]
Revision = Annotated[str | None, typer.Option("--revision", help="Of a hub's model.")]
Out = Annotated[Path, typer.Option("--out", help="The run file to write (.gz packs it).")]


def _version(wanted: bool) -> None:
    if wanted:
        from rankscope import __version__

        typer.echo(f"rankscope {__version__}")
        raise typer.Exit


@app.callback()
def _all_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


def _planned(
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
    return planned, store


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


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
    from rankscope.study.plan import plan

    def present(path: Path) -> str:
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file. Give the path of one that exists.")
        return str(path)

    planned = plan(load(study, overrides or ()), present)
    check_place(results)
    if as_json:
        _print_json({"study": planned.study.study.study, "n_steps": len(planned.steps)})
    else:
        typer.echo(f"{planned.study.study.study}: {len(planned.steps)} steps, no mistakes.")


@app.command("plan")
def show_plan(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """List the steps of a study: what is stored and what is missing."""
    planned, store = _planned(study, overrides, results)
    _show_steps(planned, store, as_json=as_json)


@app.command()
def status(
    study: StudyFile,
    overrides: Overrides = None,
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Say how far a study is: steps by state, and what failed last."""
    planned, store = _planned(study, overrides, results)
    _show_steps(planned, store, as_json=as_json)
    if as_json:
        return
    for step in planned.steps:
        if store.error_file(step.name).exists() and not store.folder(step.name).exists():
            last = store.error_file(step.name).read_text("utf-8").strip().splitlines()[-1]
            typer.echo(f"{step.name} failed: {last}")


def _show_steps(planned: "Plan", store: "Store", *, as_json: bool) -> None:
    from collections import Counter

    from rankscope.terminal import show_table

    states = {step.name: store.status(step.name).value for step in planned.steps}
    if as_json:
        _print_json({"results": str(store.root), "steps": states})
        return
    rows = [[step.kind, step.label, step.fingerprint, states[step.name]] for step in planned.steps]
    show_table(str(store.root), ["kind", "step", "fingerprint", "state"], rows)
    counts = ", ".join(f"{n} {state}" for state, n in sorted(Counter(states.values()).items()))
    typer.echo(f"{len(rows)} steps: {counts}")


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
    planned, store = _planned(study, overrides, results)
    from rankscope.study.doctor import doctor as examined
    from rankscope.terminal import diagnosis_rows, progress, show_table

    found = examined(planned, store, retry=retry, progress=progress())
    stops, warnings = found.fired("stop"), found.fired("warn")
    if as_json:
        _print_json(asdict(found) | {"n_stops": len(stops), "n_warnings": len(warnings)})
    else:
        if stops or warnings:
            show_table(planned.study.study.study, *diagnosis_rows(found), text=True)
        rankers = dict.fromkeys(seen.ranker for seen in found.seen)
        counts = f"{len(stops)} would stop, {len(warnings)} would warn"
        typer.echo(f"{len(rankers)} trained rankers, {len(found.seen)} looks: {counts}.")
        _print_notes(list(found.notes))
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
    planned, store = _planned(study, overrides, results)
    _carry_out(planned, store, retry=retry, as_json=as_json)


def _carry_out(planned: "Plan", store: "Store", *, retry: bool, as_json: bool) -> None:
    from rankscope.core.progress import SILENT
    from rankscope.models.processes import joined
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
    summary = read_json(store.root / "summary.json")
    if as_json:
        steps = {"done": list(outcome.done), "skipped": list(outcome.skipped)}
        _print_json(steps | {"summary": summary})
        return
    measure = summary["measures"][0]
    show_table(f"{planned.study.study.study}, verdicts on {measure}", *results_rows(summary))
    for claim in summary["claims"]:
        typer.echo(f"Claim {claim['outcome']}: {claim['claim']}")
    for note in summary["notes"]:
        typer.echo(f"Note: {note}")
    typer.echo(f"{len(outcome.done)} steps done, {len(outcome.skipped)} were stored.")
    typer.echo(f"Report: {store.root / 'report.html'}")


@app.command()
def report(
    study: StudyFile, overrides: Overrides = None, results: Results = Path("results")
) -> None:
    """Make the report anew from stored results."""
    planned, store = _planned(study, overrides, results)
    from rankscope.study.runner import report_again

    typer.echo(f"Report: {report_again(planned, store)}")


@app.command()
def demo(results: Results = Path("results"), retry: Retry = False, as_json: AsJson = False) -> None:
    """Run a whole study on a made-up world, in minutes."""
    from rankscope.study.demo import write_demo

    study_file = write_demo(results / "demo")
    planned, store = _planned(study_file, None, results)
    _carry_out(planned, store, retry=retry, as_json=as_json)
    if not as_json:
        typer.echo(f"Study file to start from: {study_file}")


@app.command()
def search(
    model: Annotated[str, typer.Argument(help="bm25, or a bi-encoder: folder or hub id.")],
    collection: Collection,
    out: Out,
    split: Split = "test",
    depth: Depth = 100,
    revision: Revision = None,
) -> None:
    """Search a collection for its judged queries and write the run."""
    from rankscope.data import collections
    from rankscope.models.location import located
    from rankscope.study import verbs
    from rankscope.terminal import progress

    source = collections.source(collection, split)
    where = None if model == "bm25" else located(model, revision=revision)
    written = verbs.search(where, source, depth=depth, out=out, progress=progress())
    typer.echo(f"{out}: {len(written.rankings)} queries by {written.tag}.")


@app.command()
def rerank(
    model: Annotated[str, typer.Argument(help="A cross-encoder or bi-encoder: folder or hub id.")],
    collection: Collection,
    run_file: Annotated[Path, typer.Option("--run", help="The run to re-rank.")],
    out: Out,
    split: Split = "test",
    depth: Depth = 100,
    revision: Revision = None,
) -> None:
    """Re-rank the top of a run; the docs below keep their order."""
    from rankscope.data import collections
    from rankscope.models.location import located
    from rankscope.study import verbs
    from rankscope.terminal import progress

    source = collections.source(collection, split)
    where = located(model, revision=revision)
    written = verbs.rerank(where, source, run_file, depth=depth, out=out, progress=progress())
    typer.echo(f"{out}: {len(written.rankings)} queries by {written.tag}.")


# -- run files -------------------------------------------------------------------------------------

RunFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Run files, in any form; NAME=RUN names a system, NAME=RUN,RUN gives the runs of its "
        "training seeds.",
        show_default=False,
    ),
]
QrelsOption = Annotated[
    str,
    typer.Option("--qrels", help="A qrels file, a folder in BEIR layout, or an ir_datasets id."),
]
Level = Annotated[
    int | None,
    typer.Option(
        "--relevance-level",
        min=1,
        help="Lowest grade that counts as relevant in binary measures whose names do not say; 2 for TREC's "
        "passage tracks by their ids, else 1.",
    ),
]
DropOwn = Annotated[
    bool | None,
    typer.Option(
        "--drop-own-docs/--keep-own-docs",
        help="Whether docs with their query's id are left out; ArguAna and Quora by their ids: yes.",
    ),
]
Written = Annotated[
    Path | None, typer.Option("--out", help="Write to this file, not to the terminal.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print a LaTeX table (booktabs).")]
AsHtml = Annotated[bool, typer.Option("--html", help="Print a self-contained page; use --out.")]


class _Reading(TypedDict):
    relevance_level: int | None
    drop_own_docs: bool


def _reading(level: int | None, drop: bool | None, usual: "Convention") -> _Reading:
    """What the user said, else what the field does on this collection."""
    usual_level = usual.relevance_level if usual.relevance_level > 1 else None
    return {
        "relevance_level": level or usual_level,
        "drop_own_docs": usual.drop_own_docs if drop is None else drop,
    }


def _print_text(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    from rankscope.store.files import write_text

    write_text(out, text)
    typer.echo(f"{out}: written.")


@app.command()
def evaluate(
    runs: RunFiles,
    qrels: QrelsOption,
    split: Split = "test",
    measures: Annotated[
        str, typer.Option("--measures", help="Names of ir_measures, separated by spaces.")
    ] = "nDCG@10 RR@10 AP R@100 Judged@10",
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    per_query: Annotated[
        bool, typer.Option("--per-query", help="A row for each query, not only the means.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    as_html: AsHtml = False,
    out: Written = None,
) -> None:
    """Measure run files against judgements; count ties, missing and unjudged queries."""
    from rankscope import terminal
    from rankscope.evaluate.evaluation import measure
    from rankscope.study import run_files

    form = _form(out, json=as_json, csv=as_csv, latex=as_latex, html=as_html)
    judged = run_files.judged(qrels, split)
    reading = _reading(relevance_level, drop_own_docs, judged.convention)
    judged = judged.read_as(**reading)
    found = measure(
        run_files.named_runs(runs),
        judged.qrels,
        measures.split(),
        processes=run_files.processes(runs),
        **reading,
    )
    columns, rows = terminal.means_rows(found, per_query=per_query)
    if form == "json":
        _print_text(json.dumps(run_files.as_json(found), allow_nan=False), out)
    elif form == "html":
        _print_text(run_files.page_of_means(found, judged, command=_command()), out)
    elif form == "csv":
        full = terminal.means_rows(found, per_query=per_query, digits=None)
        from rankscope.report.page import plain_csv

        _print_text(plain_csv(*full), out)
    elif form == "latex":
        from rankscope.report.page import plain_tex

        _print_text(plain_tex(columns, rows), out)
    else:
        terminal.show_table(f"{judged.name}, {found.n_queries} queries", columns, rows)
    _print_notes(
        [*found.notes, *(f"{run.tag}: {note}" for run in found.runs for note in run.notes)]
    )


def _form(out: Path | None, **asked: bool) -> str:
    """The one form that is asked for; a table, which is for the terminal only, where none is."""
    forms = [name for name, wanted in asked.items() if wanted]
    if len(forms) > 1:
        raise BadInput(f"One form at a time: --{' or --'.join(forms)}, not both.")
    if out is not None and not forms:
        raise BadInput(f"{out}: in which form? Give --{', --'.join(asked)} beside --out.")
    return forms[0] if forms else "table"


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        typer.echo(f"Note: {note}", err=True)


def _command() -> str:
    return shlex.join(["rankscope", *sys.argv[1:]])


@app.command()
def compare(
    runs: RunFiles,
    qrels: QrelsOption,
    split: Split = "test",
    measures: Annotated[
        str, typer.Option("--measures", help="Names of ir_measures, separated by spaces.")
    ] = "nDCG@10",
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline", help="A system all are compared with; may be repeated. Else all pairs."
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="The difference below which two systems are equivalent: nDCG@10=0.02, or nDCG@10=5% of the "
            "baseline's mean; may be repeated.",
        ),
    ] = None,
    correction: Annotated[
        str, typer.Option("--correction", help="holm, benjamini_hochberg, bonferroni or none.")
    ] = "holm",
    level: Annotated[
        float,
        typer.Option("--level", min=1e-6, max=0.5, help="Significance level of the whole family."),
    ] = 0.05,
    family_size: Annotated[
        int | None,
        typer.Option(
            "--family-size", min=1, help="Comparisons declared beforehand, if more than are made."
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups", help="File of `query_id group`: queries that may depend on each other."
        ),
    ] = None,
    tests: Annotated[
        str, typer.Option("--tests", help="sound, or as_published (study B's, uncorrected).")
    ] = "sound",
    resamples: Annotated[
        int,
        typer.Option("--resamples", min=0, help="Of bootstrap and randomisation test; 0: neither."),
    ] = 9_999,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resamples.")] = 0,
    first_stage: Annotated[
        str | None,
        typer.Option(
            "--first-stage", help="The system whose docs the others re-rank, for the page."
        ),
    ] = None,
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    as_html: AsHtml = False,
    out: Written = None,
) -> None:
    """Compare run files: differences, intervals, tests over the whole family, and verdicts."""
    from rankscope import terminal
    from rankscope.core.errors import choose
    from rankscope.evaluate import evaluation
    from rankscope.study import run_files

    form = _form(out, json=as_json, csv=as_csv, latex=as_latex, html=as_html)
    judged = run_files.judged(qrels, split)
    terms: evaluation.Terms = {
        "correction": correction,
        "significance_level": level,
        "tests": tests,
        "resamples": resamples,
        "seed": seed,
    }
    reading = _reading(relevance_level, drop_own_docs, judged.convention)
    judged = judged.read_as(**reading)
    if family_size is not None:
        terms["family_size"] = family_size
    if groups is not None:
        terms["groups"] = run_files.read_groups(groups)
    found = evaluation.compare(
        run_files.named_runs(runs),
        judged.qrels,
        measures.split(),
        baseline=baseline or None,
        margin=run_files.table_of_margins(margin or ()),
        processes=run_files.processes(runs),
        **terms,
        **reading,
    )
    if first_stage is not None:
        choose(found.evaluation.systems(), first_stage, what="first stage")
    measured = found.evaluation
    if form == "json":
        _print_text(json.dumps(run_files.as_json(measured, found), allow_nan=False), out)
    elif form == "html":
        page = run_files.page(found, judged, command=_command(), first_stage=first_stage)
        _print_text(page, out)
    elif form == "csv":
        _print_text(run_files.comparisons_csv(found, judged), out)
    elif form == "latex":
        _print_text(run_files.latex(found, judged), out)
    else:
        title = f"{judged.name}, {measured.n_queries} queries"
        terminal.show_table(title, *terminal.systems_rows(found))
        terminal.show_table("", *terminal.comparison_rows(found))
        typer.echo(terminal.caption(found))
    notes = [f"{run.tag}: {note}" for run in measured.runs for note in run.notes]
    _print_notes([*measured.notes, *found.notes, *run_files.seed_notes(found), *notes])


@app.command()
def reproduce(
    run: Annotated[Path, typer.Argument(help="The run that reproduces.", show_default=False)],
    qrels: QrelsOption,
    split: Split = "test",
    original: Annotated[
        Path | None, typer.Option("--original", help="The run that it reproduces.")
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option("--published", help="A published mean, nDCG@10=0.7234; may be repeated."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", help="This study's run of the baseline, for the gain."),
    ] = None,
    original_baseline: Annotated[
        Path | None, typer.Option("--original-baseline", help="The original's run of the baseline.")
    ] = None,
    measures: Annotated[
        str, typer.Option("--measures", help="Names of ir_measures, separated by spaces.")
    ] = "nDCG@10",
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="Docs whose order is compared.")
    ] = 100,
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    as_json: AsJson = False,
) -> None:
    """Hold a run against the one it reproduces, or against published means."""
    from rankscope import terminal
    from rankscope.study import run_files

    if (baseline is None) != (original_baseline is None):
        raise BadInput(
            "A gain needs both runs of the baseline: --baseline and --original-baseline."
        )
    baselines = (baseline, original_baseline) if baseline and original_baseline else None
    judged = run_files.judged(qrels, split)
    judged = judged.read_as(**_reading(relevance_level, drop_own_docs, judged.convention))
    found = run_files.reproduce(
        run,
        judged,
        measures.split(),
        original=original,
        baselines=baselines,
        published=run_files.table_of_numbers(published or ()),
        depth=depth,
    )
    if as_json:
        _print_json(run_files.reproduced_as_json(found))
    else:
        terminal.show_table("", *terminal.reproduction_rows(found))
    _print_notes(list(found.notes))


@app.command()
def convert(
    run: Annotated[Path, typer.Argument(help="A run file, in any form.", show_default=False)],
    out: Out,
    tag: Annotated[str | None, typer.Option("--tag", help="The run's tag; else its own.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata", help="YAML that becomes the head of the file, as ir_metadata has it."
        ),
    ] = None,
) -> None:
    """Write a run as canonical TREC: sorted, ranks from 1, no ties."""
    from rankscope.study import run_files

    written, notes = run_files.convert(run, out, tag=tag, metadata=metadata)
    typer.echo(f"{out}: {len(written.rankings)} queries by {written.tag}.")
    _print_notes(notes)


@app.command()
def teacher(
    file: Annotated[Path, typer.Argument(help="The teacher's file.", show_default=False)],
    out: Out,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="The docs it was shown, in their order: a run, or RankGPT's JSON lines. Needed where the "
            "file holds an LLM's answers; else for the report.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="permutations, run, kd, flag_embedding, tevatron or dpr; else by what the file holds.",
        ),
    ] = None,
    malformed: Annotated[
        str,
        typer.Option(
            "--malformed",
            help="An answer that is no order of the docs shown: repair (as RankGPT) or drop (as study B).",
        ),
    ] = "repair",
    window: Annotated[
        int,
        typer.Option(
            "--window", min=1, help="Docs shown at once, where the answers do not say which."
        ),
    ] = 20,
    step: Annotated[
        int, typer.Option("--step", min=1, help="Docs by which such a window moves up.")
    ] = 10,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout or an ir_datasets id: looks texts up, and checks ids.",
        ),
    ] = None,
    qrels: Annotated[
        str | None,
        typer.Option(
            "--qrels", help="Judgements the order is held against: a file, a folder or an id."
        ),
    ] = None,
    split: Split = "test",
    tag: Annotated[
        str | None, typer.Option("--tag", help="The run's tag; else its own, else the file's name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a run of a teacher's file, and say how good the teacher is."""
    from rankscope import terminal
    from rankscope.data import collections
    from rankscope.study import run_files, teacher_files

    asked = teacher_files.Asked(
        kind=form,
        candidates=candidates,
        collection=None if collection is None else collections.source(collection, split),
        malformed=teacher_files.known_malformed(malformed),
        window=window,
        step=step,
        tag=tag,
    )
    judged = None if qrels is None else run_files.judged(qrels, split).qrels
    run, found = teacher_files.to_run(file, out, asked, judged)
    notes = found.pop("notes", [])
    if as_json:
        _print_json(found | {"notes": notes})
    else:
        terminal.show_table(f"{file.name}", *terminal.teacher_rows(found))
        typer.echo(f"{out}: {len(run.rankings)} queries by {run.tag}.")
    _print_notes(notes)


# -- inside a model --------------------------------------------------------------------------------

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Rankers of one kind: folders or hub ids; NAME=MODEL names one.",
    ),
]
PoolingOfBare = Annotated[
    str | None, typer.Option("--pooling", help="Of bare encoders: cls, mean or last.")
]
BaselineModels = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline", help="A model all are compared with; may be repeated. Else the first."
    ),
]


@app.command()
def probe(
    models: Models,
    collection: Collection,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection",
            help="Whose queries the probes are trained on, if others'; same docs.",
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels the probes are trained on.")
    ] = "train",
    split: Split = "test",
    pooling: PoolingOfBare = None,
    baseline: BaselineModels = None,
    at_random: Annotated[
        bool,
        typer.Option("--random", help="Also the first model's architecture with random weights."),
    ] = False,
    mlp: Annotated[
        bool, typer.Option("--mlp", help="Also a small MLP, as an upper bound.")
    ] = False,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Study A's linear probe and test, with a control."),
    ] = False,
    candidates: Annotated[
        str, typer.Option("--candidates", help="Docs among which the relevant one is to be found.")
    ] = "2 3 4 5",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of every probe.")] = 3,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the bilinear form.")] = 32,
    depth: Depth = 100,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", help="The difference in accuracy below which layers are equivalent."
        ),
    ] = 0.02,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Probe what each layer of rankers knows of relevance, with controls and verdicts."""
    from rankscope import terminal
    from rankscope.core.rng import seed_for
    from rankscope.data import collections
    from rankscope.report import probes as words
    from rankscope.report.page import plain_csv, plain_tex
    from rankscope.study import probe_examples, probing
    from rankscope.study.plan import AT_RANDOM

    form = _form(out, json=as_json, csv=as_csv, latex=as_latex)
    settings = probe_examples.Settings(
        ns=probe_examples.numbers(candidates),
        seeds=probe_examples.seeds_of(seeds, as_published=as_published),
        rank=rank,
        with_mlp=mlp,
        as_published=as_published,
        depth=depth,
        margin=margin,
    )
    train = collections.source(train_collection or collection, train_split)
    rankers = probe_examples.opened(models, revision=revision, pooling=pooling)
    if at_random:
        rankers[AT_RANDOM] = next(iter(rankers.values())).at_random(
            seed=seed_for(1, "random weights")
        )
    bars = terminal.progress()
    given = probe_examples.examples(train, collections.source(collection, split), settings, bars)
    found = probing.as_json(
        probing.probe(
            rankers, given, settings, baselines=baseline or [next(iter(rankers))], progress=bars
        )
    )
    n = max(settings.ns)
    if form == "json":
        _print_text(json.dumps({**found, "in_words": words.in_words(found)}, allow_nan=False), out)
    elif form == "csv":
        _print_text(plain_csv(*words.full_rows(found)), out)
    elif form == "latex":
        _print_text(plain_tex(*words.layer_table(found, n)), out)
    else:
        terminal.show_table(
            f"{len(given.test)} examples, {n} docs each", *words.layer_table(found, n)
        )
        for sentence in words.in_words(found):
            typer.echo(sentence)
    _print_notes(list(found["notes"]))


@app.command()
def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE",
            help="A ranker: a folder or hub id; NAME=MODEL names it.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="AFTER", help="One of the same lineage, as tuned from it.", show_default=False
        ),
    ],
    collection: Collection,
    split: Split = "test",
    pooling: PoolingOfBare = None,
    queries: Annotated[
        int, typer.Option("--queries", min=2, help="Judged queries drawn at most.")
    ] = 100,
    depth: Annotated[
        int, typer.Option("--depth", min=2, help="Docs of BM25 that both re-rank.")
    ] = 20,
    texts: Annotated[
        int,
        typer.Option(
            "--texts", min=20, help="States compared at most: of queries and docs, or pairs."
        ),
    ] = 500,
    neighbours: Annotated[
        int, typer.Option("--neighbours", min=1, help="Nearest texts that may be shared.")
    ] = 10,
    heads: Annotated[
        bool,
        typer.Option("--heads", help="Also fit heads anew on both encoders: who lost what."),
    ] = False,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection", help="Whose queries heads are fitted on, if others'; same docs."
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels heads are fitted on.")
    ] = "train",
    measure: Annotated[
        str, typer.Option("--measure", help="Of the heads' runs; a name of ir_measures.")
    ] = "nDCG@10",
    margin: Annotated[
        float,
        typer.Option("--margin", help="The difference in it below which two are equivalent."),
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 42,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Show what moved between two rankers, layer by layer: weights, states, neighbours, rankings."""
    from rankscope import terminal
    from rankscope.data import collections
    from rankscope.evaluate.measures import computable
    from rankscope.report import changes as words
    from rankscope.report.page import plain_csv, plain_tex
    from rankscope.study import diff as verbs
    from rankscope.study.changes import Settings
    from rankscope.study.heads import HeadSettings

    form = _form(out, json=as_json, csv=as_csv, latex=as_latex)
    computable(measure)
    settings = Settings(depth=depth, texts=texts, neighbours=neighbours, seed=seed)
    source = collections.source(collection, split)
    anew = None
    if heads:
        train = collections.source(train_collection or collection, train_split)
        terms = HeadSettings(depth=depth, measure=measure, margin=margin, seed=seed)
        anew = verbs.Heads(train, terms)
    pair = verbs.opened([before, after], revision=revision, pooling=pooling)
    found = verbs.diff(
        pair,
        source,
        settings,
        queries=queries,
        name=collection,
        heads=anew,
        progress=terminal.progress(),
    )
    if form == "json":
        told = [*words.in_words(found), words.CAVEAT]
        _print_text(json.dumps({**found, "in_words": told}, allow_nan=False), out)
    elif form == "csv":
        _print_text(plain_csv(*words.full_rows([found])), out)
    elif form == "latex":
        _print_text(plain_tex(*words.layer_table(found)), out)
    else:
        title = f"{found['after']} against {found['before']}, {collection}"
        terminal.show_table(title, *words.layer_table(found))
        if found["heads"]:
            terminal.show_table(found["heads"]["measure"], *words.head_table(found))
        for sentence in (*words.in_words(found), words.CAVEAT):
            typer.echo(sentence)
    _print_notes(found["heads"]["notes"] if found["heads"] else [])


@app.command()
def attribute(
    models: Models,
    collection: Collection,
    split: Split = "test",
    pooling: PoolingOfBare = None,
    baseline: BaselineModels = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Study A's target and sums, with warnings.")
    ] = False,
    path: Annotated[
        str,
        typer.Option("--path", help="What is scaled from 0: activations, or the weights."),
    ] = "activations",
    nodes: Annotated[
        int, typer.Option("--nodes", min=1, help="Places of the path where gradients are taken.")
    ] = 8,
    examples: Annotated[
        int, typer.Option("--examples", min=2, help="Queries, each with two docs.")
    ] = 100,
    ablate: Annotated[
        bool,
        typer.Option(help="Also switch neurons off, to check the attributions."),
    ] = True,
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="Of an example's largest value; above it is active."),
    ] = 0.1,
    depth: Depth = 100,
    memory: Annotated[
        float, typer.Option("--memory", min=0.01, help="Gigabytes for gradients.")
    ] = 2.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 42,
    revision: Revision = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    out: Written = None,
) -> None:
    """Show through which neurons rankers prefer a relevant doc, with what the numbers miss."""
    from rankscope import terminal
    from rankscope.core.errors import choose
    from rankscope.data import collections
    from rankscope.report import attribution as words
    from rankscope.report.page import plain_csv, plain_tex
    from rankscope.study import attribution, probe_examples

    form = _form(out, json=as_json, csv=as_csv, latex=as_latex)
    settings = attribution.Settings(
        as_published=as_published,
        path=choose(attribution.PATHS, path, what="path"),
        nodes=nodes,
        examples=examples,
        depth=depth,
        threshold=threshold,
        ablate=ablate,
        memory=int(memory * 1e9),
        seed=seed,
    )
    source = collections.source(collection, split)
    rankers = probe_examples.opened(models, revision=revision, pooling=pooling)
    found = attribution.attribute(
        rankers,
        source,
        settings,
        baselines=baseline or [next(iter(rankers))],
        progress=terminal.progress(),
    )
    if form == "json":
        _print_text(json.dumps({**found, "in_words": words.in_words(found)}, allow_nan=False), out)
    elif form == "csv":
        _print_text(plain_csv(*words.full_rows(found)), out)
    elif form == "latex":
        _print_text(plain_tex(*words.layer_table(found)), out)
    else:
        terminal.show_table(f"{found['n_examples']} examples", *words.layer_table(found))
        for sentence in words.in_words(found):
            typer.echo(sentence)
    _print_notes(list(found["notes"]))


def main() -> None:
    """The entry point: our own errors end in one line and exit code 1, others keep their traceback."""
    try:
        app()
    except RankscopeError as error:
        typer.echo(" ".join([f"rankscope: {error}", *getattr(error, "__notes__", ())]), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("rankscope: interrupted; the same command goes on where this stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `rankscope plan ... | head` is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
