"""Cells of CSV that a spreadsheet shows and does not carry out.

A spreadsheet takes text that begins with `=`, `+`, `-` or `@` for a formula, wherever the file is from: a run
tagged `=HYPERLINK(...)` would act on whoever opens the table. Such text gets an apostrophe in front, which
`plain_cell` takes off again; numbers stay numbers.
"""

import re
from typing import Any

FORMULA = re.compile(r"'*[\t\r\n ]*[=+\-@]|'*[\t\r]")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?"
NUMBER = re.compile(rf"{_NUMBER}(?: (?:to|±) {_NUMBER})?|[+-]?(?:inf|nan)|-+|\+", re.IGNORECASE)
"""Numbers, their intervals, and what stands for none."""


def safe_cell(value: Any) -> Any:
    """A cell as it is written: text that would be a formula with an apostrophe in front, all else as it is."""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def plain_cell(text: str) -> str:
    """The text that `safe_cell` was given, from the cell as it is read."""
    if text.startswith("'") and FORMULA.match(text):
        return text[1:]
    return text
