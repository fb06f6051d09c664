"""The commands. Parses, calls, prints; no more."""

import os
import sys
from io import TextIOWrapper
from typing import NoReturn

# isort: off
from rankscope.cli import studies, runs, analyses  # in this order `--help` lists their commands

# isort: on
from rankscope.cli import bugs
from rankscope.cli.printing import say
from rankscope.cli.program import app
from rankscope.core.errors import BadStudy, RankscopeError
from rankscope.core.visible import visible

INTERRUPTED = "interrupted; the same command goes on where this stopped."
__all__ = ["analyses", "app", "main", "runs", "studies"]


def main() -> None:
    """The entry point: one line for whatever ends a command (of a study file, one for each mistake), and no traceback.

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
        *before, last = error.args if isinstance(error, BadStudy) else (str(error),)
        _leave(1, *before, " ".join([last, *getattr(error, "__notes__", ())]))
    except KeyboardInterrupt:
        _leave(130, INTERRUPTED)
    except SystemExit as leaving:
        if leaving.code == 130:  # typer's own, without a word
            _leave(130, INTERRUPTED)
        raise
    except BrokenPipeError:  # `rankscope plan ... | head` is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        words, code = bugs.explained(error)
        _leave(code, words)


def _leave(code: int, *lines: str) -> NoReturn:
    """Each on one line: what a library says may have several."""
    told = [visible(" ".join(line.split("\n"))) for line in lines]
    say("\n".join(["rankscope: " + told[0], *told[1:]]), err=True)
    sys.exit(code)
