"""Questions to a person at a terminal, for what no option gave."""

import sys

import typer

from rankscope.core.errors import BadInput

OPTIONS = "--collection FOLDER (or an ir_datasets id, or a name of `rankscope data`), with --run FILE for runs of your own"


def asked(collection: str | None, runs: list[str] | None) -> tuple[str, list[str]]:
    """The collection and the run files: as given, or asked for. Raises BadInput where nobody can be asked."""
    if collection is not None:
        return collection, runs or []
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadInput(f"What is the study over? Give {OPTIONS}.")
    named: str = typer.prompt(
        "Collection (a folder in BEIR layout, a name of `rankscope data`, or an ir_datasets id)"
    )
    if runs is None:
        written: str = typer.prompt(
            "Run files of your own first stages, separated by spaces (none: BM25)",
            default="",
            show_default=False,
        )
        runs = written.split()
    return named.strip(), runs
