"""Progress and tables on a terminal, and plain lines where the output is no terminal.

All output is a `Text` or made visible, so that a user's `bm25[k1=0.9]` is not read as markup, nor an escape code obeyed.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from rankscope.core.progress import Progress, Task
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
    """A line at most every `SECONDS_BETWEEN_LINES`."""

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        last = time.monotonic()

        def show(n: int, facts: str) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.note(f"{visible(label)}: {done}/{total} {unit}, {facts}")

        yield _Counting(unit, show)

    def note(self, text: str) -> None:
        sys.stderr.write(visible_lines(text) + "\n")
        sys.stderr.flush()


class _Counting:
    """Counts units, and puts the rate and the facts into words."""

    def __init__(self, unit: str, show: Any) -> None:
        self._unit, self._show = unit, show
        self._n, self._started = 0, time.monotonic()

    def advance(self, n: int = 1, **facts: float) -> None:
        self._n += n
        rate = self._n / max(time.monotonic() - self._started, 1e-9)
        words = [f"{name} {value:.4f}" for name, value in facts.items()]
        shown = f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
        self._show(n, ", ".join([f"{shown} {self._unit}/s", *words]))


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: bool = False,
    n_names: int = 0,
) -> None:
    """Print a table of numbers or text on standard output: drawn on a terminal, tab-separated elsewhere.

    Where its first `n_names` columns name its rows, a table too wide for the terminal is drawn as several
    below each other, each with these columns, so that no number is cut.
    """
    columns = [visible(column) for column in columns]
    rows = [[visible(cell) for cell in row] for row in rows]
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    widths = _widths(columns, rows) if n_names else [0] * len(columns)
    for chosen in _parts(widths, n_names, console.width):
        fixed = _fitted(columns, widths, chosen, n_names, console.width) if n_names else {}
        table = Table(title=Text(visible(title)), title_justify="left", header_style="bold")
        for at in chosen:
            justify: Literal["left", "right"] = "left" if text or at == 0 else "right"
            table.add_column(
                Text(columns[at]), justify=justify, width=fixed.get(at), overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(row[at]) for at in chosen))
        console.print(table)


LEAST_NAME = 4
"""A column of names is made no narrower."""


def _fitted(
    columns: Sequence[str], widths: Sequence[int], chosen: Sequence[int], n_names: int, width: int
) -> dict[int, int]:
    """The width of each chosen column in a table that fits: rich would narrow the widest column, and cut the last.

    What is left over goes to heads; what is missing is taken from names, which then have several lines.
    """
    fixed = {at: widths[at] for at in chosen}
    spare = width - 1 - sum(fixed[at] + 3 for at in chosen)  # a rule, two spaces
    for at in chosen:
        taken = max(0, min(spare, len(columns[at]) - fixed[at]))
        fixed[at] += taken
        spare -= taken
    for at in sorted(chosen[:n_names], key=lambda name: -fixed[name]):
        given = max(0, min(-spare, fixed[at] - LEAST_NAME))
        fixed[at] -= given
        spare += given
    return fixed


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column at which no cell and no word of its head is cut."""
    return [
        max(len(text) for text in (*column.split(), *(row[at] for row in rows)))
        for at, column in enumerate(columns)
    ]


def _parts(widths: Sequence[int], n_names: int, width: int) -> list[list[int]]:
    """The columns of each table, as many as fit into the width, and at least one beside the names."""
    names = list(range(n_names))
    parts = [names.copy()]
    for column in range(n_names, len(widths)):
        needed = 1 + sum(widths[name] + 3 for name in (*parts[-1], column))  # a rule, two spaces
        if needed > width and len(parts[-1]) > n_names:
            parts.append(names.copy())
        parts[-1].append(column)
    return parts
