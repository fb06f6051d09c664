"""Published means from a CSV file to verdicts over tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.result import Result, Table, json_of
from rankscope.core.tables import TableRow, read_rows
from rankscope.evaluate import pooled
from rankscope.evaluate.evaluation import as_margin
from rankscope.evaluate.published_cells import PublishedCell, pooled_published
from rankscope.report.pooled import TWO_TESTS, row_of, table
from rankscope.report.sections import interval_name

COLUMNS = PublishedCell._fields

MEANING = (
    "The means say nothing of single queries. So a test counts as one number, whatever its size, and the interval is that "
    "of the tests' spread: it speaks of the systems on average over tests like these, not of any one test, and of "
    "these runs, not of other training seeds. “Cannot tell” is not “equal”."
)


@dataclass(frozen=True)
class PoolSettings:
    """How published means are compared."""

    baseline: str
    margins: Mapping[str, str]
    correction: str = "holm"
    significance_level: float = 0.05
    family_size: int | None = None


def pool(path: Path, settings: PoolSettings) -> dict[str, Any]:
    """Every system of the file against the baseline over its tests, as plain values."""
    found = pooled_published(
        read_cells(path),
        baseline=settings.baseline,
        margins={measure: as_margin(written) for measure, written in settings.margins.items()},
        significance_level=settings.significance_level,
    )
    judged = pooled.judged(
        found,
        significance_level=settings.significance_level,
        correction=settings.correction,
        family_size=settings.family_size,
    )
    rows = [pooled.plain(each) for each in judged]
    few = [TWO_TESTS] if any(row["n_tests"] == 2 for row in rows) else []
    return {"pooled": rows, "notes": [MEANING, *few, *_unequal(rows)]}


def answer(path: Path, settings: PoolSettings) -> Result:
    """The same, as tables and as JSON."""
    found = pool(path, settings)
    name = interval_name(settings.significance_level, settings.correction).replace("\u00a0", " ")
    rows = table([row_of(row) for row in found["pooled"]], interval=name)
    return Result(
        tables=(Table("Over all tests", *rows, n_names=3),),
        forms={"json": lambda: json_of(found)},
        notes=tuple(found["notes"]),
        are_notes_in_json=True,
    )


def _unequal(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who was compared on fewer tests or from fewer first stages than others."""
    of_row = {
        f"{row['system']} ({row['measure']})": {(c["test"], c["first_stage"]) for c in row["cells"]}
        for row in rows
    }
    most = max(map(len, of_row.values()), default=0)
    fewer = [name for name, cells in of_row.items() if len(cells) < most]
    return [f"Compared on fewer cells than the others: {', '.join(fewer)}."] if fewer else []


def read_cells(path: Path) -> list[PublishedCell]:
    """Means as CSV with the columns test, first_stage, system, measure, mean; others are left out."""
    cells = [_cell(row) for row in read_rows(path, COLUMNS)]
    if not cells:
        raise BadInput(f"{path}: there are no means below the first line. Give one a line.")
    return cells


def _cell(row: TableRow) -> PublishedCell:
    empty = [column for column in ("test", "system", "measure") if not row.cells[column]]
    if empty:
        raise BadInput(f"{row.place}: {empty[0]} is empty. Name it.")
    row.number("mean")
    test, first_stage, system, measure, mean = (row.cells[name] for name in COLUMNS)
    return PublishedCell(test, first_stage, system, measure, Decimal(mean))
