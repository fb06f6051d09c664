"""Commands that take a study file."""

from rankscope.cli import printing
from rankscope.cli.options import RESULTS, Results, Retry, StudyFile, TableOrJson
from rankscope.cli.program import command
from rankscope.options import TABLE


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
def run(study: StudyFile, output: TableOrJson, retry: Retry = False) -> None:
    """Carry out a study, or continue where it stopped."""
    from rankscope.study import command as studies
    from rankscope.terminal import progress

    settings = study.settings(retry=retry)
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
