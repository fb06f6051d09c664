"""Means and comparisons as CSV, in full precision."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rankscope.core.judged.evaluation import EvaluationRecord, SystemResult
from rankscope.core.tables import safe_cell
from rankscope.report.tables.columns import in_csv
from rankscope.report.wording.verdicts import interval

MEAN_COLUMNS = (
    "collection", "first_stage", "system", "measure", "mean", "n_seeds", "seed_sd", "n_queries", "n_missing",
    "tied_share", "run",
)  # fmt: skip

SEED_COLUMNS = (
    "collection", "first_stage", "system", "ranker", "measure", "mean", "n_missing", "tied_share", "run",
)  # fmt: skip

NAME_COLUMNS = ("collection", "first_stage", "measure", "system", "baseline")
"""The columns that name a comparison."""

INTERVALS = "intervals"
"""The column with the name of the intervals before it."""


def means_csv(evaluation: EvaluationRecord) -> str:
    """The means, one a line."""
    rows = (
        {
            **_names(result),
            "measure": measure,
            "mean": mean,
            "n_seeds": len(result.seeds),
            "seed_sd": result.seed_sd.get(measure),
            "n_queries": result.n_queries,
            "n_missing": len(result.missing_queries),
            "tied_share": result.tied_share,
            "run": "; ".join(seed.run for seed in result.seeds),
        }
        for result in evaluation.results
        for measure, mean in result.means.items()
    )
    return as_csv(MEAN_COLUMNS, rows)


def seeds_csv(evaluation: EvaluationRecord) -> str:
    """The means of single seeds, one a line."""
    rows = (
        {
            **_names(result),
            "ranker": seed.name,
            "measure": measure,
            "mean": mean,
            "n_missing": len(seed.missing_queries),
            "tied_share": seed.tied_share,
            "run": seed.run,
        }
        for result in evaluation.results
        for seed in result.runs
        for measure, mean in seed.means.items()
    )
    return as_csv(SEED_COLUMNS, rows)


def _names(result: SystemResult) -> dict[str, str]:
    place = result.place
    return {
        "collection": place.collection, "first_stage": place.first_stage, "system": result.system,
    }  # fmt: skip


def comparisons_csv(evaluation: EvaluationRecord) -> str:
    """The comparisons, one a line; a field is empty where nothing was tested."""
    intervals = interval(evaluation).replace("\u00a0", " ")
    rows = (
        {
            "collection": row.place.collection if row.place else "",
            "first_stage": row.place.first_stage if row.place else "",
            "measure": row.measure,
            "system": row.system,
            "baseline": row.baseline,
            INTERVALS: intervals,
            **{column.name: column.value(row.judged) for column in in_csv() if column.value},
        }
        for row in evaluation.comparisons
    )
    return as_csv(comparison_columns(), rows)


def comparison_columns() -> list[str]:
    """The columns of a comparison: its names, its statistics, and behind the intervals their name."""
    names = [*NAME_COLUMNS, *(column.name for column in in_csv())]
    names.insert(names.index("effect_high") + 1, INTERVALS)
    return names


def plain_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as CSV."""
    return as_csv(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, in which no cell is a formula that a spreadsheet would run."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writerow({name: safe_cell(name) for name in columns})
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()
