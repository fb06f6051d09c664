"""Judge systems over several tests, from published means in a CSV file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.judged.margins import as_margin
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import as_plain
from rankscope.core.result import Result, Table, json_of
from rankscope.core.tables import TableRow, read_rows
from rankscope.evaluate.measure_names import name_of
from rankscope.evaluate.over_tests import pooled
from rankscope.evaluate.over_tests.published_cells import PublishedCell, pooled_published
from rankscope.report.pooled import TWO_TESTS, table
from rankscope.report.wording.verdicts import interval_name

COLUMNS = PublishedCell._fields

MEANING = (
    "The means have no values for single queries. So a test counts as one number, whatever its size, and the interval is "
    "that of the tests' spread: it holds for the systems' average over tests like these, not for any one test, and for "
    "these runs, not for other training seeds. Tests are taken as independent: where one has queries of another (DL-Hard has "
    "those of DL 2019 and 2020), the verdicts are too bold, so leave one of them out. “Cannot tell” is not “equal”."
)


@dataclass(frozen=True)
class PoolSettings:
    """How published means are compared."""

    baseline: str
    margins: Mapping[str, str]
    correction: str = "holm"
    significance_level: float = 0.05
    family_size: int | None = None


@dataclass(frozen=True)
class PooledMeans:
    """The comparisons of published means over their tests, with notes for their reader."""

    pooled: tuple[JudgedOverTests, ...]
    notes: tuple[str, ...]


def pool(path: Path, settings: PoolSettings) -> PooledMeans:
    """Compare every system of the file with the baseline over its tests."""
    comparisons = pooled_published(
        read_cells(path),
        baseline=settings.baseline,
        margins={
            _measure(written): as_margin(margin) for written, margin in settings.margins.items()
        },
        significance_level=settings.significance_level,
    )
    judged = pooled.judged(
        comparisons,
        significance_level=settings.significance_level,
        correction=settings.correction,
        family_size=settings.family_size,
    )
    rows = tuple(pooled.recorded(row) for row in judged)
    few = [TWO_TESTS] if any(row.n_tests == 2 for row in rows) else []
    return PooledMeans(rows, (MEANING, *few, *_unequal(rows)))


def answer(path: Path, settings: PoolSettings) -> Result:
    """The comparisons as a table and as JSON."""
    pooled_means = pool(path, settings)
    name = interval_name(settings.significance_level, settings.correction).replace("\u00a0", " ")
    rows = table(pooled_means.pooled, interval=name)
    return Result(
        tables=(Table("Over all tests", *rows, n_names=3),),
        forms={"json": lambda: json_of(as_plain(pooled_means))},
        notes=pooled_means.notes,
        are_notes_in_json=True,
    )


def _unequal(rows: Sequence[JudgedOverTests]) -> list[str]:
    """A note on systems that were compared on fewer tests or first stages than others."""
    cells_of_row = {
        f"{row.system} ({row.measure})": {(cell.test, cell.first_stage) for cell in row.cells}
        for row in rows
    }
    largest = max(map(len, cells_of_row.values()), default=0)
    fewer = [name for name, cells in cells_of_row.items() if len(cells) < largest]
    return [f"Compared on fewer cells than the others: {', '.join(fewer)}."] if fewer else []


def read_cells(path: Path) -> list[PublishedCell]:
    """Means from a CSV file with the columns test, first_stage, system, measure, mean; other columns are not read."""
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
    return PublishedCell(test, first_stage, system, _measure(measure), Decimal(mean))


def _measure(written: str) -> str:
    """ir_measures' name of a measure, or the publication's own where that names none: it is a label here."""
    try:
        return name_of(written)
    except UnknownChoice:
        return written
