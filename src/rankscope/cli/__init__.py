"""The commands. This package parses, calls and prints; it does nothing else."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
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
    """The entry point: an error ends a command with one line and no traceback (a bad study file has a line for each mistake).

    Exit codes: 1 for our own errors, 2 for words that are no command, 130 for an interrupted command, 70 for a
    bug of rankscope, whose message says that it is one.
    """
    _open_what_is_closed()
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # file names may have broken characters, and terminals may lack Unicode
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
        if leaving.code == 130:  # typer leaves so on an interrupt, without a message
            _leave(130, INTERRUPTED)
        raise
    except BrokenPipeError:  # `rankscope plan ... | head` is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        words, code = bugs.explained(error)
        _leave(code, words)


def _open_what_is_closed() -> None:
    """Give a process begun without standard output or error (`>&-`) streams that lead nowhere; Python has None for them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the whole process
            setattr(sys, name, nowhere)


def _leave(code: int, *lines: str) -> NoReturn:
    """Print each message on one line, since a library's message may have several, and exit."""
    visible_lines = [visible(" ".join(line.split("\n"))) for line in lines]
    say("\n".join(["rankscope: " + visible_lines[0], *visible_lines[1:]]), err=True)
    sys.exit(code)
