"""The answer of a verb in a notebook: what the command prints, and the same as a data frame, a chart, LaTeX or a page."""

import json
from collections.abc import Iterator
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, final

from rankscope.core.errors import BadInput, NotWritable
from rankscope.core.result import Result, Table
from rankscope.core.visible import visible, visible_lines
from rankscope.store.files import write_text

MOST_LINES = 20
"""Lines of an answer's `repr`."""
WIDTH = 520
"""Pixels of a chart in a notebook."""
FORMS = {
    "frame": "frame",
    "plot": "chart",
    "latex": "latex",
    "csv": "csv",
    "json": "json",
    "page": "html",
}
"""Methods of an answer, and the form of the result that each needs."""


@final
class ShownResult:
    """What a verb answers: tables and sentences, shown where a notebook shows values.

    `record` has the numbers themselves, with all digits. `frame()`, `plot()`, `latex()`, `csv()`, `json()` and `page()`
    give other forms of the same; an answer that has no such form leaves the method out of `dir` and raises BadInput.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    @property
    def record(self) -> Any:
        """The numbers themselves: an Evaluation, a Compared, or the stored record of an analysis."""
        return self._result.record

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, as the command prints them."""
        return self._result.tables

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences below the tables."""
        return self._result.lines

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know beside them."""
        return self._result.notes

    def frame(self) -> Any:
        """The numbers as a pandas DataFrame, with all digits."""
        return self._form("frame")

    def plot(self) -> Any:
        """The numbers as an altair chart, which a notebook draws."""
        import altair as alt

        chart = json.loads(json.dumps(self._form("chart")))  # lists, where it has tuples
        sized = [{"width": WIDTH, **panel} for panel in chart.get("vconcat", [])]
        return alt.Chart.from_dict({**chart, **({"vconcat": sized} if sized else {"width": WIDTH})})

    def latex(self) -> str:
        """The tables as LaTeX (booktabs)."""
        return str(self._form("latex"))

    def csv(self) -> str:
        """Every number as CSV."""
        return str(self._form("csv"))

    def json(self) -> str:
        """Every number as JSON."""
        return str(self._form("json"))

    def page(self, path: str | PathLike[str]) -> Path:
        """Write one HTML page that needs nothing else, and give its path back. Raises NotWritable for a folder."""
        out = Path(path)
        if out.is_dir():
            raise NotWritable(f"{out}: a folder. Give the path of a file: {out / 'report.html'}.")
        write_text(out, str(self._form("html")), "Give the path of a file that can be written.")
        return out

    def _form(self, name: str) -> Any:
        if name not in self._result.forms:
            methods = [method for method, form in FORMS.items() if form in self._result.forms]
            raise BadInput(
                f"This answer has no {name}. It has: {', '.join(methods) or 'its text alone'}."
            )
        return self._result.forms[name]()

    def __dir__(self) -> list[str]:
        missing = {method for method, form in FORMS.items() if form not in self._result.forms}
        return sorted({*super().__dir__()} - missing)

    def __repr__(self) -> str:
        lines = [*_lines(self._result)]
        if len(lines) > MOST_LINES:
            left_out = len(lines) - MOST_LINES + 1
            lines = [*lines[: MOST_LINES - 1], f"... {left_out} lines more"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        tables = "".join(_html(table) for table in self._result.tables)
        sentences = "".join(f"<p>{_escaped(line)}</p>" for line in self._result.lines)
        notes = "".join(f"<p><small>Note: {_escaped(note)}</small></p>" for note in self.notes)
        return f"{tables}{sentences}{notes}"


def _lines(result: Result) -> Iterator[str]:
    for table in result.tables:
        if table.title:
            yield visible(table.title)
        rows = [[visible(cell) for cell in row] for row in (table.columns, *table.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  ".join(
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
    for line in result.lines:
        yield from visible_lines(line).splitlines()
    for note in result.notes:
        yield f"Note: {visible_lines(note)}"


def _html(table: Table) -> str:
    head = "".join(f"<th>{_escaped(column)}</th>" for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_escaped(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    caption = f"<caption>{_escaped(table.title)}</caption>" if table.title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _escaped(text: str) -> str:
    return escape(visible_lines(text)).replace("\n", "<br>")
