"""The one reader of CSV tables that people write, so that all are read and refused alike.

Files are in UTF-8, packed or not. The first line names the columns; columns that are not wanted are ignored.

A spreadsheet takes text that begins with `=`, `+`, `-` or `@` for a formula, wherever the file is from: a run
tagged `=HYPERLINK(...)` would act on whoever opens a table of ours. Such text is written with an apostrophe in
front (`safe_cell`), which reading takes off again (`plain_cell`); numbers stay numbers.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.fields import shown
from rankscope.core.lines import read_lines

FORMULA = re.compile(r"'*[\t\r\n ]*[=+\-@]|'*[\t\r]")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?"
NUMBER = re.compile(rf"{_NUMBER}(?: (?:to|±) {_NUMBER})?|[+-]?(?:inf|nan)|-+|\+", re.IGNORECASE)
"""Numbers, their intervals, and what stands for none."""


class TableRow(NamedTuple):
    """The cells of a line by column, stripped of white space, and the line's place for errors."""

    place: str
    cells: dict[str, str]

    def whole(self, column: str) -> int:
        """A cell that is a whole number of 0 or more, in digits."""
        text = self.cells[column]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise self.wrong(column, "a whole number")
        return int(text)

    def number(self, column: str) -> float:
        """A cell that is a finite number."""
        text = self.cells[column]
        try:
            value = math.nan if "_" in text else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(column, "a number")
        return value

    def wrong(self, column: str, what: str) -> BadInput:
        """The error for a cell that is not what it should be."""
        return BadInput(
            f"{self.place}: the {column} {shown(self.cells[column])} is not {what}. Correct it."
        )


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[TableRow]:
    """The lines below the first one that are not blank. BadInput for what is no such table, with its line."""
    at = 1

    def lines() -> Iterator[str]:
        nonlocal at
        for number, line in read_lines(path):
            at = number
            yield line

    table = csv.DictReader(lines())
    try:
        _check_columns(path, columns, list(table.fieldnames or ()))
        for row in table:
            place = f"{path}, line {at}"
            if None in row:
                raise BadInput(
                    f"{place}: more fields than the first line has. Put names with commas into quotes."
                )
            yield TableRow(place, {name: plain_cell((row[name] or "").strip()) for name in columns})
    except csv.Error as error:
        raise BadInput(
            f"{path}, line {at}: not readable as CSV ({error}). Write it again."
        ) from error


def _check_columns(path: Path, columns: Sequence[str], named: Sequence[str]) -> None:
    missing = [column for column in columns if column not in named]
    if missing:
        raise BadInput(
            f"{path}: there is no column {', '.join(missing)}. Give CSV with a first line of {', '.join(columns)}."
        )
    twice = [column for column in columns if named.count(column) > 1]
    if twice:
        raise BadInput(f"{path}: it has several columns {twice[0]}. Keep one.")


# -- cells ---------------------------------------------------------------------------------------


def safe_cell(value: Any) -> Any:
    """A cell as it is written: text that would be a formula with an apostrophe in front, all else as it is."""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def plain_cell(text: str) -> str:
    """What `safe_cell` was given, of text as it is read."""
    if text.startswith("'") and FORMULA.match(text):
        return text[1:]
    return text
