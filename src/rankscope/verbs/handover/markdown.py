"""Users' and libraries' words in Markdown: what would be a heading, a link, a tag or a new line is plain text."""

import re
from collections.abc import Sequence

from rankscope.core.visible import visible

SIGNS = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters that mean something in a line; underscores inside a word do not."""
AT_THE_START = re.compile(r"^(\s*)([#+=-]|\d+[.)])(?=\s|$)")
"""What begins a heading, a list or a rule."""


def plain(text: str) -> str:
    """The text on one line, without meaning in Markdown or HTML; blank space at its ends goes."""
    line = SIGNS.sub(lambda sign: f"\\{sign[0]}", visible(text).strip())
    return AT_THE_START.sub(lambda start: f"{start[1]}{_escaped(start[2])}", line)


def _escaped(start: str) -> str:
    """The last sign with a backslash before it."""
    return f"{start[:-1]}\\{start[-1]}"


def code(text: str) -> str:
    """The text as code within a line, whatever backticks it has."""
    line = visible(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    marks, space = "`" * (longest + 1), " " if "`" in line else ""
    return f"{marks}{space}{line}{space}{marks}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already (`plain`, `code`)."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """A cell whose bars end no cell: inside code, too, a table's bars are escaped."""
    return re.sub(r"(?<!\\)\|", r"\\|", text)
