"""Commands that take a study file."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.asking import asked
from rankscope.cli.options import RESULTS, Results, Retry, StudyFile, TableOrJson
from rankscope.cli.program import command
from rankscope.options import TABLE, Revision, Written


@command()
def check(study: StudyFile, output: TableOrJson) -> None:
    """Check a study file and list its mistakes."""
    from rankscope.study import command as studies

    printing.show(output.form, None, studies.check(study.settings()))


@command("plan")
def show_plan(study: StudyFile, output: TableOrJson) -> None:
    """List the steps of a study, stored and missing ones."""
    from rankscope.study import command as studies

    result = studies.show_plan(study.settings(), tell=printing.print_note)
    printing.show(output.form, None, result)


@command()
def status(study: StudyFile, output: TableOrJson) -> None:
    """Show how far a study is: its steps by state, and the last failure."""
    from rankscope.study import command as studies

    result = studies.status(study.settings(), tell=printing.print_note)
    printing.show(output.form, None, result)


@command()
def doctor(study: StudyFile, output: TableOrJson, retry: Retry = False) -> None:
    """Look for problems that would spoil a training.

    Nothing is trained. The exit code is 1 if a guard would stop a training.
    """
    from rankscope.study import command as studies
    from rankscope.terminal import progress

    settings = study.settings(retry=retry)
    result = studies.doctor(settings, progress(), tell=printing.print_note)
    printing.show(output.form, None, result)


@command()
def run(
    study: StudyFile,
    output: TableOrJson,
    retry: Retry = False,
    energy: Annotated[
        bool,
        typer.Option("--energy", help="Measure the energy of each step, for report and card."),
    ] = False,
) -> None:
    """Carry out a study, or continue where it stopped."""
    from rankscope.study import command as studies
    from rankscope.terminal import progress

    settings = study.settings(retry=retry, energy=energy)
    result = studies.run(settings, progress(), tell=printing.print_note)
    printing.show(output.form, None, result)


@command()
def report(study: StudyFile) -> None:
    """Make the report again from stored results."""
    from rankscope.study import command as studies
    from rankscope.terminal import progress

    result = studies.report(study.settings(), progress(), tell=printing.print_note)
    printing.show(TABLE, None, result)


@command()
def schema(out: Written = None) -> None:
    """Write the JSON schema of study files, by which editors complete and explain fields.

    A study file names it in its first line: # yaml-language-server: $schema=study.schema.json
    """
    from rankscope.study.fields import schema as schemas

    printing.show("json", out, schemas.answer())


@command()
def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder to write study.yaml into.", show_default=False)
    ],
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout, a name of `rankscope data`, or an ir_datasets id. Asked for, if left out.",
        ),
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run", help="A run file of your own, to re-rank in place of BM25's; may be repeated."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Which qrels of a folder to test on.")
    ] = "test",
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="A model: folder or hub id. A small one of the hub, if left out."
        ),
    ] = None,
    revision: Revision = None,
) -> None:
    """Write a study file to start from."""
    from rankscope.study.starting import beginning

    named, files = asked(collection, runs)
    settings = beginning.BeginSettings(folder, named, files, split, model, revision)
    printing.show(TABLE, None, beginning.begin(settings))


@command()
def studies(output: TableOrJson) -> None:
    """List the studies that come with rankscope."""
    from rankscope.study.starting import ready_made

    printing.show(output.form, None, ready_made.listed())


@command()
def demo(output: TableOrJson, results: Results = RESULTS, retry: Retry = False) -> None:
    """Run a whole study on a made-up world, in a few minutes."""
    from rankscope.study import command as studies
    from rankscope.terminal import progress

    result = studies.demo(results, progress(), retry=retry, tell=printing.print_note)
    printing.show(output.form, None, result)
