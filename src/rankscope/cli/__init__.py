"""The commands. Parses, calls, prints; no more."""

import os
import sys
from io import TextIOWrapper
from typing import NoReturn

# isort: off
from rankscope.cli import studies, runs, inside  # in this order `--help` lists their commands

# isort: on
from rankscope.cli import bugs
from rankscope.cli.printing import say
from rankscope.cli.program import EachOnce, app
from rankscope.core.errors import RankscopeError
from rankscope.core.visible import visible

INTERRUPTED = "interrupted; the same command goes on where this stopped."
__all__ = ["app", "inside", "main", "runs", "studies"]

for command in app.registered_commands:
    command.cls = EachOnce


def main() -> None:
    """The entry point: one line for whatever ends a command, and no traceback.

    Exit codes: 1 for our own errors, 2 for words that are no command, 130 where it was interrupted, 70 for a
    bug of ours, which says that it is one.
    """
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # half characters of files' names, terminals without Unicode
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except RankscopeError as error:
        _leave(" ".join([str(error), *getattr(error, "__notes__", ())]), 1)
    except KeyboardInterrupt:
        _leave(INTERRUPTED, 130)
    except SystemExit as leaving:
        if leaving.code == 130:  # typer's own, without a word
            _leave(INTERRUPTED, 130)
        raise
    except BrokenPipeError:  # `rankscope plan ... | head` is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _leave(*bugs.explained(error))


def _leave(words: str, code: int) -> NoReturn:
    """On one line: what a library says may have several."""
    say(f"rankscope: {visible(' '.join(words.split(chr(10))))}", err=True)
    sys.exit(code)
