"""Measure run files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.core.progress import SILENT, Progress
from rankscope.core.result import Result, Table
from rankscope.core.words import counted
from rankscope.evaluate.evaluation import Evaluation, measure
from rankscope.evaluate.runs import Runs
from rankscope.verbs.judgements import Judgements


@dataclass(frozen=True)
class EvaluateSettings:
    """The runs and measures that are evaluated, and how their values are shown."""

    runs: Runs
    measures: Sequence[str]
    per_query: bool = False
    """Whether every query has a row of its own."""
    processes: int = 1
    command: str = ""
    """The command that made the page, which the page shows."""


def answer(judged: Judgements, settings: EvaluateSettings, progress: Progress = SILENT) -> Result:
    """The runs' means on the judged queries, with notes on missing or unjudged queries and ties."""
    evaluation = measure(
        settings.runs,
        judged.qrels,
        settings.measures,
        relevance_level=judged.relevance_level,
        drop_own_docs=judged.convention.drop_own_docs,
        processes=settings.processes,
        progress=progress,
    )
    columns, rows = means_rows(evaluation, per_query=settings.per_query)
    return Result(
        tables=(
            Table(
                f"{judged.name}, {counted(evaluation.n_queries, 'query', 'queries')}",
                columns,
                rows,
                n_names=2 if settings.per_query else 1,
            ),
        ),
        forms={
            "json": lambda: _json(evaluation),
            "csv": lambda: _csv(evaluation, per_query=settings.per_query),
            "latex": lambda: _latex(columns, rows),
            "html": lambda: _page(evaluation, judged, settings),
            "frame": evaluation.frame,
            "chart": lambda: _chart(evaluation),
        },
        record=evaluation,
        notes=(
            *evaluation.notes,
            *(f"{run.tag}: {note}" for run in evaluation.runs for note in run.notes),
        ),
    )


def _json(evaluation: Evaluation) -> str:
    from rankscope.verbs.compare import as_json

    return json.dumps(as_json(evaluation), allow_nan=False)


def _page(evaluation: Evaluation, judged: Judgements, settings: EvaluateSettings) -> str:
    from rankscope.verbs.page import page_of_means

    return page_of_means(evaluation, judged, settings.runs, command=settings.command)


def _chart(evaluation: Evaluation) -> dict[str, Any]:
    from rankscope.report import charts

    return charts.means(evaluation.means(), evaluation.measures)


def _csv(evaluation: Evaluation, *, per_query: bool) -> str:
    from rankscope.report.tables.as_csv import plain_csv

    return plain_csv(*means_rows(evaluation, per_query=per_query, digits=None))


def _latex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from rankscope.report.tables.as_latex import plain_tex

    return plain_tex(columns, rows)


def means_rows(
    evaluation: Evaluation, *, per_query: bool = False, digits: int | None = 4
) -> tuple[list[str], list[list[str]]]:
    """A row for each run (and query); with digits None, values have full precision."""

    def shown(value: float) -> str:
        return repr(value) if digits is None else f"{value:.{digits}f}"

    rows = []
    for run in evaluation.runs:
        values, means = run.measured.values, run.measured.means()
        if per_query:
            rows += [
                [
                    run.tag,
                    query_id,
                    *(shown(values[measure][query_id]) for measure in evaluation.measures),
                ]
                for query_id in next(iter(values.values()), {})
            ]
        rows.append(
            [
                run.tag,
                *(["all"] if per_query else []),
                *(shown(means[m]) for m in evaluation.measures),
            ]
        )
    return ["run", *(["query"] if per_query else []), *evaluation.measures], rows
