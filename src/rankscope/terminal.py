"""Progress and tables on a terminal, and plain lines where the output is no terminal.

All output is a `Text` or made visible, so that a user's `bm25[k1=0.9]` is not read as markup, nor an escape code obeyed.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any, Literal, NamedTuple, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table as RichTable
from rich.text import Text

from rankscope.core.progress import Progress, Task
from rankscope.core.result import Table
from rankscope.core.visible import visible, visible_lines

SECONDS_BETWEEN_LINES = 10.0


def progress() -> Progress:
    """The progress for standard error: bars on a terminal, lines in a file."""
    console = Console(stderr=True)
    return _OnTerminal(console) if console.is_terminal else _InLines()


class _OnTerminal:
    """Bars of rich with the units done, the rate, facts such as the loss, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            row = bars.add_task(visible(label), total=total, completed=done, facts="")
            yield _Counting(unit, lambda n, facts: bars.update(row, advance=n, facts=facts))

    def note(self, text: str) -> None:
        self._console.print(Text(visible_lines(text)))


class _InLines:
    """A line at most every `SECONDS_BETWEEN_LINES`, with the time left."""

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        started = last = time.monotonic()
        before = done

        def show(n: int, facts: str) -> None:
            nonlocal done, last
            done += n
            now = time.monotonic()
            if now - last >= SECONDS_BETWEEN_LINES:
                last = now
                left = (now - started) / max(1, done - before) * (total - done)
                ends = f", {timedelta(seconds=round(left))} left" if done < total else ""
                self.note(f"{visible(label)}: {done}/{total} {unit}, {facts}{ends}")

        yield _Counting(unit, show)

    def note(self, text: str) -> None:
        sys.stderr.write(visible_lines(text) + "\n")
        sys.stderr.flush()


class _Counting:
    """Counts units, and puts the rate and the facts into words."""

    def __init__(self, unit: str, show: Any) -> None:
        self._unit, self._show = unit, show
        self._n, self._started = 0, time.monotonic()
        self._lock = Lock()  # forward passes in several threads tell what they have done

    def advance(self, n: int = 1, **facts: float) -> None:
        with self._lock:
            self._n += n
            rate = self._n / max(time.monotonic() - self._started, 1e-9)
            words = [f"{name} {value:.4f}" for name, value in facts.items()]
            shown = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
            self._show(n, ", ".join([f"{shown} {self._unit}/s", *words]))


# -- tables ----------------------------------------------------------------------------------------

LEAST_NAME, NAME, LEAST_TEXT = 4, 12, 24
"""A column of names is made no narrower; no narrower than NAME where columns are left out for it; and one of texts."""
ALONE = 3
"""Rows that may have a table of their own each."""


def show_table(table: Table, *, is_wide: bool = False) -> None:
    """Print a table on standard output: drawn on a terminal, tab-separated elsewhere.

    No cell is cut. What is too wide for the terminal, first has names and texts on several lines; then it lacks its
    secondary columns, and says so, unless it `is_wide`; then the first names stand above a table for each; and at last
    it is drawn as several tables below each other, each with the names of its rows.
    """
    shown = table._replace(
        title=visible(table.title),
        columns=[visible(column) for column in table.columns],
        rows=[[visible(cell) for cell in row] for row in table.rows],
    )
    console = Console()
    if not console.is_terminal:
        for row in (shown.columns, *shown.rows):
            sys.stdout.write("\t".join(row) + "\n")
    elif table.is_text:
        _draw(console, shown, [*range(len(shown.columns))], {})
    else:
        _draw_fitted(console, shown, is_wide=is_wide)


def _draw_fitted(console: Console, table: Table, *, is_wide: bool) -> None:
    """Draw a table so that each line fits into the terminal."""
    fitting = _FittedTable(table, console.width)
    layout = fitting.layout(is_wide=is_wide)
    groups: dict[tuple[str, ...], list[Sequence[str]]] = {} if table.rows else {(): []}
    for row in table.rows:
        groups.setdefault(tuple(row[: layout.n_above]), []).append(row)
    title = table.title
    for above, rows in groups.items():
        named = ", ".join(
            f"{name}: {value}" if name else value
            for name, value in zip(table.columns, above, strict=False)
        )
        title = "\n".join(filter(None, [title, named]))
        for part in fitting.parts(layout):
            drawn = table._replace(title=title, rows=rows)
            _draw(console, drawn, part, fitting.widths_in(part))
            title = named
        title = ""
    if layout.left_out:
        names = "; ".join(layout.left_out)
        said = Text(f"Left out at this width: {names}. --wide shows all columns.")
        console.print(said, soft_wrap=True)


def _draw(console: Console, table: Table, chosen: Sequence[int], widths: Mapping[int, int]) -> None:
    drawn = RichTable(title=Text(table.title), title_justify="left", header_style="bold")
    for at in chosen:
        is_left = table.is_text or at < max(1, table.n_names) or table.columns[at] in table.texts
        justify: Literal["left", "right"] = "left" if is_left else "right"
        drawn.add_column(
            Text(table.columns[at]), justify=justify, width=widths.get(at), overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(Text(row[at]) for at in chosen))
    console.print(drawn)


class _ShownColumns(NamedTuple):
    """What of a table is drawn where."""

    columns: Sequence[int]
    n_above: int
    """Names that stand above a table for each of their values, not in it."""
    left_out: Sequence[str]


@final
class _FittedTable:
    """How a table fits into a terminal's width."""

    def __init__(self, table: Table, width: int) -> None:
        self._table, self._width = table, width
        self._widths = [
            max(
                (len(text) for text in (*column.split(), *(row[at] for row in table.rows))),
                default=1,
            )
            for at, column in enumerate(table.columns)
        ]
        """The width of each column at which no cell and no word of its head is cut."""

    def layout(self, *, is_wide: bool) -> _ShownColumns:
        """The columns that fit, or the best that can be had."""
        table, every = self._table, range(len(self._table.columns))
        secondary = [] if is_wide else [name for name in table.secondary if name in table.columns]
        for n_less in range(len(secondary) + 1):
            columns = [at for at in every if table.columns[at] not in secondary[:n_less]]
            if self._least(columns) <= self._width:
                return _ShownColumns(columns, 0, secondary[:n_less])
        for n_above in range(1, table.n_names):
            names = {tuple(row[:n_above]) for row in table.rows}
            if len(names) > ALONE and len(names) == len(table.rows):
                break  # so many tables of one row would be no table
            if self._least(columns[n_above:]) <= self._width:
                return _ShownColumns(columns[n_above:], n_above, secondary)
        return _ShownColumns(columns, 0, secondary)

    def parts(self, layout: _ShownColumns) -> list[list[int]]:
        """The columns of each table, as many as fit into the width, and at least one beside the names."""
        names = [at for at in layout.columns if at < self._table.n_names]
        parts = [names.copy()]
        for column in layout.columns[len(names) :]:
            if self._least([*parts[-1], column]) > self._width and len(parts[-1]) > len(names):
                parts.append(names.copy())
            parts[-1].append(column)
        return parts

    def widths_in(self, part: Sequence[int]) -> dict[int, int]:
        """The width of each column of a part: rich would narrow the widest column, and cut the last.

        What is left over goes to heads; what is missing is taken from texts and names, which then have several lines.
        """
        fixed = {at: self._widths[at] for at in part}
        spare = self._width - 1 - sum(fixed[at] + 3 for at in part)  # a rule, two spaces
        for at in part:
            taken = max(0, min(spare, len(self._table.columns[at]) - fixed[at]))
            fixed[at] += taken
            spare -= taken
        for at in sorted(part, key=lambda column: -fixed[column]):
            given = max(0, min(-spare, fixed[at] - self._narrowest(at, LEAST_NAME)))
            fixed[at] -= given
            spare += given
        return fixed

    def _least(self, columns: Sequence[int]) -> int:
        """The least width of these columns, names at a width at which they are still read easily."""
        return 1 + sum(self._narrowest(at, NAME) + 3 for at in columns)

    def _narrowest(self, at: int, name: int) -> int:
        """The least width of a column: of numbers the longest one's, of names and texts less."""
        if at < self._table.n_names:
            return min(self._widths[at], name)
        is_text = self._table.columns[at] in self._table.texts
        return min(self._widths[at], LEAST_TEXT) if is_text else self._widths[at]
