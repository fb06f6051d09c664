"""Progress and tables on a terminal; plain lines where the output is none."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from rankscope.core.progress import Progress, Task
from rankscope.report.sections import VERDICTS

SECONDS_BETWEEN_LINES = 10.0


def progress() -> Progress:
    """What suits standard error: bars on a terminal, lines in a file."""
    console = Console(stderr=True)
    return _OnTerminal(console) if console.is_terminal else _InLines()


class _OnTerminal:
    """Rich bars: done of all, rate, facts such as the loss, time left."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._console, transient=True) as bars:
            row = bars.add_task(label, total=total, completed=done, facts="")
            yield _Counting(unit, lambda n, facts: bars.update(row, advance=n, facts=facts))

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)


class _InLines:
    """A line now and then."""

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Task]:
        last = time.monotonic()

        def show(n: int, facts: str) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.note(f"{label}: {done}/{total} {unit}, {facts}")

        yield _Counting(unit, show)

    def note(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _Counting:
    """Counts units, and words the rate and the facts."""

    def __init__(self, unit: str, show: Any) -> None:
        self._unit, self._show = unit, show
        self._n, self._started = 0, time.monotonic()

    def advance(self, n: int = 1, **facts: float) -> None:
        self._n += n
        rate = self._n / max(time.monotonic() - self._started, 1e-9)
        words = [f"{name} {value:.4f}" for name, value in facts.items()]
        self._show(n, ", ".join([f"{rate:.1f} {self._unit}/s", *words]))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output: drawn on a terminal, tab-separated elsewhere."""
    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def results_rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a study's outcome: a row per system, means and verdicts."""
    measures = summary["measures"]
    baselines = list(dict.fromkeys(row["baseline"] for row in summary["comparisons"]))
    verdicts = {
        (row["collection"], row["first_stage"], row["system"], row["baseline"]): row["verdict"]
        for row in summary["comparisons"]
        if row["measure"] == measures[0]
    }
    rows = []
    for result in summary["results"]:
        place = (result["collection"], result["first_stage"], result["system"])
        marks = [
            f"{VERDICTS[verdict].symbol} {verdict}"
            if (verdict := verdicts.get((*place, base)))
            else "-"
            for base in baselines
        ]
        means = [f"{result['means'][measure]:.4f}" for measure in measures]
        rows.append([result["system"], f"{place[0]} / {place[1]}", *means, *marks])
    heads = [f"against {base}" for base in baselines]
    return ["system", "collection / first stage", *measures, *heads], rows
