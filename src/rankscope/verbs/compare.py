"""Compare run files: verdicts over a family of comparisons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankscope.core.errors import choose
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.core.judged.margins import Margin
from rankscope.core.result import Result, Table
from rankscope.core.words import counted
from rankscope.evaluate import comparing
from rankscope.evaluate.comparing import Compared, letter
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.evaluate.runs import Runs
from rankscope.report.tables.columns import SharedTerms, left_out_first, on_terminal
from rankscope.report.wording import cautions
from rankscope.report.wording import costs as wording
from rankscope.report.wording.verdicts import (
    AS_PUBLISHED_TESTS,
    CORRECTIONS,
    SOUND_TESTS,
    WITHOUT_MARGIN,
    interval_name,
)
from rankscope.verbs import page, run_metadata
from rankscope.verbs.judgements import Judgements

LINES_OF_UNSEEN = 8
"""The most comparisons that have a line of their own."""


@dataclass(frozen=True)
class CompareSettings:
    """The runs and measures that are compared, and how the family of comparisons is judged."""

    runs: Runs
    measures: Sequence[str]
    baselines: Sequence[str] = ()
    """The systems that all are compared with; all pairs are compared, if empty."""
    margins: Mapping[str, str | float | Margin] = field(default_factory=dict)
    terms: comparing.ComparisonTerms = field(default_factory=comparing.ComparisonTerms)
    first_stage: str | None = None
    """The system whose docs the others re-rank, for the page."""
    processes: int = 1
    command: str = ""
    """The command that made the page, which the page shows."""


def answer(judged: Judgements, settings: CompareSettings) -> Result:
    """Differences, intervals and verdicts of every pair and measure. Raises UnknownChoice for unknown systems."""
    compared = comparing.compare(
        settings.runs,
        judged.qrels,
        settings.measures,
        baseline=settings.baselines or None,
        margin=settings.margins,
        relevance_level=judged.relevance_level,
        drop_own_docs=judged.convention.drop_own_docs,
        processes=settings.processes,
        **settings.terms,
    )
    first_stage, evaluation = settings.first_stage, compared.evaluation
    if first_stage is not None:
        choose(evaluation.systems(), first_stage, what="first stage")
    record = page.record(compared, judged, first_stage=first_stage)
    costs = run_metadata.costs_of(settings.runs, record.places[0])
    return Result(
        tables=(
            Table(
                f"{judged.name}, {counted(evaluation.n_queries, 'query', 'queries')}",
                *systems_rows(compared),
                n_names=2,
            ),
            comparison_table(compared),
            *_cost_tables(record, costs),
        ),
        lines=(caption(compared), *unseen(compared), *_cost_lines(record, costs)),
        forms={
            "json": lambda: json.dumps(as_json(evaluation, compared, costs), allow_nan=False),
            "csv": lambda: page.comparisons_csv(compared, judged),
            "latex": lambda: page.latex(compared, judged),
            "html": lambda: page.page(
                compared,
                judged,
                settings.runs,
                command=settings.command,
                first_stage=first_stage,
                costs=costs,
            ),
            "frame": compared.frame,
            "chart": lambda: _chart(compared, judged),
        },
        record=compared,
        notes=(
            *evaluation.notes,
            *compared.notes,
            *page.seed_notes(compared),
            *(
                f"{run.tag}: {note}"
                for run in evaluation.runs
                for note in run.notes_beside_verdicts
            ),
        ),
    )


def _chart(compared: Compared, judged: Judgements) -> dict[str, Any]:
    """The forest plot of each measure, the headline measure first."""
    from rankscope.report import charts, forests

    drawn = forests.forests(page.record(compared, judged))
    return charts.below_each_other([charts.forest(forest) for forest in drawn])


def _cost_tables(record: EvaluationRecord, costs: wording.Costs) -> Iterator[Table]:
    """The table of costs, where an LLM is among the systems."""
    place = wording.costed_place(record, costs)
    if place is not None:
        yield Table("what a query costs", *wording.rows(record, costs, place), n_names=1)


def _cost_lines(record: EvaluationRecord, costs: wording.Costs) -> Iterator[str]:
    """A sentence for each ranker beside an LLM."""
    for pair in wording.pairs(record, costs):
        yield pair.sentence.replace("\u00a0", " ")
    if wording.costed_place(record, costs) is not None:
        yield wording.CAPTION


# -- on a terminal ---------------------------------------------------------------------------------


def systems_rows(compared: Compared) -> tuple[list[str], list[list[str]]]:
    """A row for each system with its means and the letters of the systems it is better than."""
    evaluation = compared.evaluation
    letters = {measure: compared.letters(measure) for measure in evaluation.measures}
    rows = []
    for place, (name, means) in enumerate(evaluation.means().items()):
        cells = [
            f"{means[measure]:.4f} {letters[measure][name]}".rstrip()
            for measure in evaluation.measures
        ]
        rows.append([letter(place), name, *cells])
    return ["", "system", *evaluation.measures], rows


def comparison_table(compared: Compared) -> Table:
    """A row for each comparison."""
    terms = SharedTerms(compared.significance_level, compared.correction)
    columns, rows = on_terminal([row.record() for row in compared.rows], terms)
    return Table("", columns, rows, n_names=2, secondary=left_out_first(terms))


def caption(compared: Compared) -> str:
    """The caption of the tables: what their numbers mean."""
    margins = {str(row.judged.comparison.margin) for row in compared.rows} - {"None"}
    corrected = CORRECTIONS[compared.correction]
    stated = (
        f"equivalent: TOST against the margin ({', '.join(sorted(margins))}), corrected together with them"
        if margins
        else f"no margin was stated, so no pair can be shown equivalent{WITHOUT_MARGIN}"
    )
    alone = (
        ""
        if compared.correction == "none"
        else " Intervals are of one comparison alone, uncorrected."
    )
    is_sound = compared.tests == "sound"
    needed = " Queries needed: to show a difference as large as the margin." if margins else ""
    return (
        f"Letters: better than these. {SOUND_TESTS if is_sound else AS_PUBLISHED_TESTS}, {corrected}, "
        f"{counted(compared.family_size, 'comparison')}, level {compared.significance_level:g}; {stated}.{alone}\n"
        f"{f'{cautions.FRAGILITY} ' if is_sound else ''}Detectable: the minimum detectable effect (80 % power at "
        f"the level left for one comparison).{needed} “Cannot tell” is not “equal”."
    )


def unseen(compared: Compared) -> list[str]:
    """A line for each comparison in which nearly all queries have one difference, up to `LINES_OF_UNSEEN` lines."""
    lines = [
        f"{row.measure}, {row.system} - {row.baseline}: {sentence}".replace("\u00a0", " ")
        for row in compared.rows
        if (sentence := cautions.unseen(row.record().judged))
    ]
    if len(lines) <= LINES_OF_UNSEEN:
        return lines
    more = f"{len(lines) - LINES_OF_UNSEEN} more like these: --json has their numbers."
    return [*lines[:LINES_OF_UNSEEN], more]


# -- as JSON ---------------------------------------------------------------------------------------


def as_json(
    evaluation: Evaluation, compared: Compared | None = None, costs: wording.Costs | None = None
) -> dict[str, Any]:
    """Runs with means and per-query values, comparisons, and costs by system where they are known, as plain values."""
    terms = (
        None
        if compared is None
        else {
            "significance_level": compared.significance_level,
            "correction": compared.correction,
            "family_size": compared.family_size,
            "baselines": list(compared.baselines),
            "intervals": interval_name(compared.significance_level, compared.correction).replace(
                "\u00a0", " "
            ),
        }
    )
    return {
        "n_queries": evaluation.n_queries,
        "measures": list(evaluation.measures),
        "terms": terms,
        "notes": [*evaluation.notes, *(compared.notes if compared else ())],
        "runs": [_run_as_json(run) for run in evaluation.runs],
        "costs": {
            system: run_metadata.cost_told(cost) for (_, system), cost in (costs or {}).items()
        },
        "comparisons": [row.plain() for row in compared.rows] if compared else [],
        "seeds": {
            system: {measure: dict(vars(split)) for measure, split in of_system.items()}
            for system, of_system in (compared.seeds if compared else {}).items()
        },
    }


def _run_as_json(run: EvaluatedRun) -> dict[str, Any]:
    values = run.measured.values
    query_ids = next(iter(values.values()), {})
    return {
        "tag": run.tag,
        "system": run.system,
        "path": run.path,
        "means": run.measured.means(),
        "missing_queries": list(run.measured.missing_queries),
        "unjudged_queries": list(run.measured.unjudged_queries),
        "ties": None if run.ties is None else run.ties.summary(),
        "notes": list(run.notes),
        "per_query": {
            query_id: {measure: values[measure][query_id] for measure in values}
            for query_id in query_ids
        },
    }
