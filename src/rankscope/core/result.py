"""The answer of a command: tables and sentences for a terminal, the same as JSON, CSV or LaTeX, and notes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Rows = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A table's columns, and its rows with a cell for each."""


class Table(NamedTuple):
    """A table as a terminal shows it; every row has a cell for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_names: int = 0
    """The first so many columns name the row, and stand in every part of a table too wide for the terminal."""
    is_text: bool = False
    """Whether its cells are sentences, aligned at the left; else they are numbers."""
    secondary: Sequence[str] = ()
    """Columns that a narrow terminal leaves out, the least needed first; `--wide` shows them."""
    texts: Sequence[str] = ()
    """Columns of words, which may stand on several lines."""


@dataclass(frozen=True)
class Result:
    """What a command answers, in every form that it has: only the form that is asked for is written."""

    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    """Sentences below the tables."""
    forms: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """What gives it in each of its other forms: json, csv, latex, html as text; frame, a pandas DataFrame; chart, a
    Vega-Lite specification."""
    record: Any = None
    """The numbers themselves, as the package's own record."""
    notes: tuple[str, ...] = ()
    """What a reader should know beside it, whatever the form."""
    are_notes_in_json: bool = False
    """Whether the notes stand in its JSON alone, where that is the form."""
    exit_code: int = 0


def json_of(value: Any) -> str:
    """A value as indented JSON, for a script or a reader."""
    return json.dumps(value, indent=1, allow_nan=False)
