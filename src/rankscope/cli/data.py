"""Commands over public collections."""

from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.options import TableOrJson
from rankscope.cli.program import command


@command()
def data(
    output: TableOrJson,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[fetch NAME...]",
            help="Collections to fetch into the cache; without these words, all are listed.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Fetch again what is in the cache already.")
    ] = False,
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror",
            envvar="RANKSCOPE_MIRROR",
            help="Address of a server that has each file under its host and path.",
        ),
    ] = None,
) -> None:
    """List public collections, or fetch them for studies to read."""
    from rankscope.terminal import progress
    from rankscope.verbs.public import data as public

    settings = public.DataSettings(words or (), again=again, mirror=mirror)
    printing.show(output.form, None, public.answer(settings, progress()))
