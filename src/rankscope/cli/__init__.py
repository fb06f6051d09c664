"""The commands. This package parses, calls and prints; it does nothing else."""

import os
import stat
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO, cast, final

# isort: off
from rankscope.cli import (
    studies,
    data,
    runs,
    teachers,
    rankers,
    view,
    analyses,
)  # in this order `--help` lists their commands

# isort: on
from rankscope.cli import bugs
from rankscope.cli.printing import say
from rankscope.cli.program import app
from rankscope.core.errors import BadStudy, RankscopeError
from rankscope.core.visible import redacted, visible

INTERRUPTED = "interrupted; the same command goes on where this stopped."
__all__ = ["analyses", "app", "data", "main", "rankers", "runs", "studies", "teachers", "view"]


def main() -> None:
    """The entry point: an error ends a command with one line and no traceback (a bad study file has a line for each mistake).

    Exit codes: 1 for our own errors, 2 for words that are no command, 130 for an interrupted command, 70 for a
    bug of rankscope, whose message says that it is one.
    """
    for name in ("stdout", "stderr"):
        setattr(sys, name, _standard_stream(name))
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
    except Exception as error:
        words, code = bugs.explained(error)
        _leave(code, words)


def _standard_stream(name: str) -> TextIO:
    """Standard output or error as a stream that takes all that is written.

    File names may have broken characters, and terminals may lack Unicode: both are escaped. A process begun without
    the stream (`>&-`), for which Python has None, gets one that leads nowhere, and a pipe may be left by its reader.
    """
    stream = getattr(sys, name)
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, TextIOWrapper):
        return cast("TextIO", stream)
    stream.reconfigure(errors="backslashreplace")
    if stream is not getattr(sys, f"__{name}__") or not _is_pipe(stream.fileno()):
        return stream
    raw = _PipeThatMayClose(stream.fileno(), "w", closefd=False)
    return TextIOWrapper(
        cast("BinaryIO", raw) if stream.write_through else BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _is_pipe(handle: int) -> bool:
    kind = os.fstat(handle).st_mode
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)


@final
class _PipeThatMayClose(FileIO):
    """A pipe whose reader may leave, as `| head` does: what is written then leads nowhere, and the command goes on.

    typer and rich would end it with exit code 1 instead, and Python with 120 where it empties its buffers.
    """

    def write(self, data: Any) -> int:
        """Write bytes; drop them if nobody reads any more."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _leave(code: int, *lines: str) -> NoReturn:
    """Print each message on one line, since a library's message may have several, and exit."""
    visible_lines = [visible(redacted(" ".join(line.split("\n")))) for line in lines]
    say("\n".join(["rankscope: " + visible_lines[0], *visible_lines[1:]]), err=True)
    sys.exit(code)
