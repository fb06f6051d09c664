"""The message for an error that is none of ours: it names the bug, its place, and where to report it."""

import errno
import os
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import rankscope
from rankscope.core.visible import redacted, visible_lines

SOFTWARE = 70
"""The exit code of a bug, as sysexits.h has it."""
SHOWN = "RANKSCOPE_TRACEBACK"
"""The variable that puts the traceback on standard error."""
TRACKERS = ("issues", "bug tracker", "tracker", "repository", "source", "homepage")
"""The names under which a package may give the address for bug reports, the best first."""
PACKAGE = Path(rankscope.__file__).parent


def explained(error: Exception) -> tuple[str, int]:
    """A message for an unexpected error, and the exit code."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "there is not enough memory. Use fewer queries or docs at once, shorter texts or a smaller model, "
            f"or a machine with more. {_traceback_of(error)}",
            1,
        )
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        full = " Free some space." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{place}the system refuses it ({error.strerror}).{full} {_traceback_of(error)}", 1
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing and missing.partition(".")[0] != PACKAGE.name:
        package = missing.partition(".")[0].replace("_", "-")
        return (
            f"this needs the package {package}, which is not installed. Install it: pip install {package}.",
            1,
        )
    what = f"{type(error).__name__} ({first_line(error)})" if str(error) else type(error).__name__
    return (
        f"this is a bug of rankscope, not a mistake of yours: {what} at {_place(error)}. "
        f"{_traceback_of(error)} Report it with that {_where_to()}.",
        SOFTWARE,
    )


def first_line(error: Exception) -> str:
    """The first line of an error's message, cut after 200 characters."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return line if len(line) <= 200 else f"{line[:200]}…"


def _place(error: Exception) -> str:
    """The innermost line of rankscope's code in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    if not (ours or frames):
        return "an unknown place"
    last = (ours or frames)[-1]
    name = Path(last.filename)
    shown = name.relative_to(PACKAGE.parent) if ours else name
    return f"{shown.as_posix()}, line {last.lineno}"


def _traceback_of(error: Exception) -> str:
    """Write the traceback to a file, or to standard error where the user wishes it, and say where it is."""
    text = redacted("".join(traceback.format_exception(error)))
    name = None if os.environ.get(SHOWN) else _kept(text)
    if name is not None:
        return f"The traceback is in {name}."
    sys.stderr.write(visible_lines(text))
    return "The traceback is above."


def _kept(text: str) -> str | None:
    """Write the traceback to a file and return its name; None where the disk has no room for it."""
    typed = [redacted(word) for word in sys.argv]
    head = f"{typed}\nrankscope {rankscope.__version__}, Python {sys.version}\n\n"
    try:
        handle, name = tempfile.mkstemp(prefix="rankscope-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + text)
    except OSError:
        return None
    return name


def _where_to() -> str:
    """The address for bug reports from the package's metadata (project.urls), or words where it has none."""
    try:
        lines = metadata("rankscope").get_all("Project-URL") or []
    except PackageNotFoundError:
        lines = []
    links = {
        name.strip().lower(): link.strip()
        for name, _, link in (line.partition(",") for line in lines)
    }
    address = next((links[name] for name in TRACKERS if name in links), None)
    return f"at {address}" if address else "to whoever you have this copy of rankscope from"
