"""The lines of text files, and their columns where white space parts them.

Columns are split as trec_eval splits them, and a line that begins with `#` is a comment, as in trec_eval 10 (there may
be a head of `ir_metadata`). A line that does not fit is named by file and number.
"""

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.fields import shown
from rankscope.core.input_files import ENDINGS, opened


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1, unpacked where it is packed."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            text = _ended(path, number, line).decode()
            if text.strip():
                yield number, text


def read_bytes(path: Path) -> bytes:
    """A whole file, unpacked where it is packed."""
    with opened(path) as file:
        return file.read()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, gzipped where the name ends in `.gz` (same data, same bytes: no time inside)."""
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _ended(path: Path, number: int, line: bytes) -> bytes:
    """A line without its end; the first line also without UTF-8's byte order mark."""
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    elif line.startswith(codecs.BOM_UTF8):
        raise BadInput(
            f"{path}, line {number}: a byte order mark begins it, as where files were joined, and would be part of "
            "its first word. Take it out."
        )
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in line and b"\r" in line.rstrip():
        raise BadInput(
            f"{path}, line {number}: a carriage return stands inside it. End lines with a "
            "newline, with or without a carriage return before it."
        )
    return line


def rows(path: Path, n_columns: int) -> Iterator[tuple[int, list[bytes], bytes]]:
    """(number, columns, line) of every line that is neither blank nor a comment.

    Split at ASCII white space, as C does: a doc id may hold any other character. Where tabs part the
    columns a space parts none: one inside the first `n_columns` is refused.
    """
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            whole = _ended(path, number, line)
            columns = whole.split()
            if columns and not whole.startswith(b"#"):
                if b"\t" in whole and b" " in whole:
                    _refuse_spaces(path, number, whole, n_columns)
                yield number, columns, whole


def _refuse_spaces(path: Path, number: int, line: bytes, n_columns: int) -> None:
    """BadInput where tabs part a line's columns and a space stands inside one of them."""
    parts = line.strip().split(b"\t")
    if len(parts[0].split()) >= n_columns:
        return  # the tabs come after the columns
    for part in parts[:n_columns]:
        if len(part.split()) > 1:
            raise BadInput(
                f"{path}, line {number}: its columns are parted by tabs, and "
                f"{shown(part.strip().decode(errors='replace'))} has a space inside. Ids have none: rename it, or part "
                "all columns by the same."
            )


def decoded(path: Path, number: int, column: bytes) -> str:
    """A column as text. BadInput, naming the line, for what is no UTF-8 or holds a NUL."""
    if b"\0" in column:
        raise BadInput(
            f"{path}, line {number}: an id holds a NUL, where trec_eval ends it. Take the NUL out, or "
            "convert the file to UTF-8."
        )
    try:
        return column.decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}, line {number}: not readable as UTF-8 text ({error}). Convert it."
        ) from error


def stem(path: Path) -> str:
    """A file's name without folders and endings, which is the tag of a run without one."""
    name = path.name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name.rsplit(".", 1)[0] or name
