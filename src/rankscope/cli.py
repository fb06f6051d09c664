"""The commands. Parses, calls, prints; no more."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankscope.core.errors import BadInput, RankscopeError

if TYPE_CHECKING:
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
    digests = Digests(store.root / "sources.json")
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
    from rankscope.store.artifacts import read_json
    from rankscope.study.runner import carry_out
    from rankscope.terminal import progress, results_rows, show_table

    outcome = carry_out(planned, store, retry=retry, progress=progress())
    summary = read_json(store.root / "summary.json")
    if as_json:
        steps = {"done": list(outcome.done), "skipped": list(outcome.skipped)}
        _print_json(steps | {"summary": summary})
        return
    measure = summary["measures"][0]
    show_table(f"{planned.study.study.study}, verdicts on {measure}", *results_rows(summary))
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
    from rankscope.models.location import located
    from rankscope.study import verbs
    from rankscope.terminal import progress

    source = verbs.source(collection, split)
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
    from rankscope.models.location import located
    from rankscope.study import verbs
    from rankscope.terminal import progress

    source = verbs.source(collection, split)
    where = located(model, revision=revision)
    written = verbs.rerank(where, source, run_file, depth=depth, out=out, progress=progress())
    typer.echo(f"{out}: {len(written.rankings)} queries by {written.tag}.")


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
