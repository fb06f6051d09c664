"""Errors of a disk or a folder, in one sentence with a remedy."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from rankscope.core.errors import NotWritable
from rankscope.core.input_files import what_it_is

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NUMPY_WROTE_LESS = re.compile(r"\d+ requested and \d+ written")
REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.EISDIR,
     errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)  # fmt: skip


ANOTHER_FOLDER = "Give a folder that can be written, with --results or --out."


@contextmanager
def explained(path: Path, remedy: str = ANOTHER_FOLDER) -> Iterator[None]:
    """Inside the block, an error of a folder that cannot be written or a full disk becomes one sentence with a remedy."""
    try:
        with explained_full(path):
            yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise NotWritable(f"{path}: cannot be written ({error.strerror}). {remedy}") from error


@contextmanager
def explained_full(path: Path) -> Iterator[None]:
    """Inside the block, an error of a full disk becomes one sentence with a remedy; other errors pass."""
    try:
        yield
    except Exception as error:
        reason = _full(error)
        if reason is None:
            raise
        raise NotWritable(
            f"{path}: cannot be written ({reason}). "
            "Free some space and run again: what was stored before is whole."
        ) from error


def _full(error: Exception) -> str | None:
    """The message of an error about a full disk, from whatever library; None for any other error."""
    if isinstance(error, OSError) and error.errno in FULL:
        return error.strerror or "no space left"
    said = str(error)
    if isinstance(error, SafetensorError) and "I/O error" in said:
        return said
    if isinstance(error, OSError) and error.errno is None and NUMPY_WROTE_LESS.fullmatch(said):
        return f"of the numbers of an array {said}"
    # tokenizers raises no kind of its own
    if type(error) is Exception and any(f"(os error {code})" in said for code in FULL):
        return said
    return None


def require_folder(folder: Path) -> None:
    """Refuse a folder that cannot be listed, or in whose place, or above it, something else stands.

    One that is not there yet is refused only for what stands above it.
    """
    with explained(folder):
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not there.is_dir():
            kind = what_it_is(there.stat().st_mode) if there.exists() else "a link to nowhere"
            raise NotWritable(
                f"{folder}: {there} is {kind} in the place of a folder. Give another folder with --results."
            )
        if not os.access(there, os.R_OK | os.X_OK):
            raise NotWritable(
                f"{folder}: {there} cannot be read. Give a folder that can be, with --results."
            )


def check_place(results: Path) -> None:
    """Refuse, before any work, a folder where nothing can be written; makes nothing."""
    with explained(results):
        there = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "is a file" if there.is_file() else "cannot be written"
        raise NotWritable(
            f"{results}: {there} {reason}. Give a folder that can be written, with --results."
        )
