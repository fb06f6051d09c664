"""The commands. Parses, calls, prints; no more."""

import os
import sys

import typer

# isort: off
from rankscope.cli import studies, runs, inside  # in this order `--help` lists their commands

# isort: on
from rankscope.cli.program import app
from rankscope.core.errors import RankscopeError

__all__ = ["app", "inside", "main", "runs", "studies"]


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
