"""The report: one self-contained HTML file made from sections and a template, with tables and a summary beside it.

The page fetches nothing: scripts, styles, charts and data are inside it, and its content
security policy makes a browser refuse anything else. The same results give the same bytes.
"""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import vl_convert
from markupsafe import Markup

from rankscope.core.judged.comparisons import Place
from rankscope.report import (
    charts,
    claims,
    findings,
    forests,
    pooled,
    queries,
    steps,
    summary,
    systems,
)
from rankscope.report.means import means
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing
from rankscope.report.stored import StoredResults, place_name
from rankscope.report.tables import browser, knowledge
from rankscope.report.tables.as_csv import comparisons_csv, means_csv, plain_csv, seeds_csv
from rankscope.report.tables.as_latex import comparisons_tex, means_tex, plain_tex
from rankscope.report.tables.columns import on_page, terms_of
from rankscope.report.wording import costs, methods, opening, provenance
from rankscope.report.wording.verdicts import VERDICTS, interval
from rankscope.store.cache import cached_text, keep_text


def write(folder: Path, results: StoredResults, *, runs_at: str = "") -> None:
    """Write report.html, summary.json and tables/ into `folder`, with tables of seeds and analyses where there are any.

    `runs_at` is the relative path from the page to the folder that run paths start from, such as `../../`.
    """
    tables, evaluation = folder / "tables", results.evaluation
    tables.mkdir()
    more = {tables / "seeds.csv": seeds_csv(evaluation)} if evaluation.has_seeds else {}
    for section in results.sections:
        more |= {tables / name: text for name, text in section.tables.items()}
    if evaluation.pooled:
        more[tables / "pooled.csv"] = plain_csv(*pooled.full_rows(evaluation.pooled))
        more[tables / "pooled.tex"] = plain_tex(*pooled.table(evaluation.pooled))
    if known := knowledge.bases(results):
        more[tables / "cloze.csv"] = plain_csv(knowledge.COLUMNS, list(knowledge.rows(known)))
    for path, text in {
        **more,
        folder / "report.html": html(results, runs_at=runs_at),
        folder / "summary.json": summary.as_json(results),
        tables / "means.csv": means_csv(evaluation),
        tables / "means.tex": means_tex(evaluation),
        tables / "comparisons.csv": comparisons_csv(evaluation),
        tables / "comparisons.tex": comparisons_tex(evaluation),
    }.items():
        path.write_text(text, encoding="utf-8", newline="\n")


def html(results: StoredResults, *, runs_at: str = "") -> str:
    """The page as HTML."""
    with charts.unchecked_parts():
        return _html(results, runs_at=runs_at)


def _html(results: StoredResults, *, runs_at: str) -> str:
    drawing, evaluation = Drawing(), results.evaluation
    terms = terms_of(evaluation)
    pairs = queries.pairs(evaluation)
    made = systems.systems(results)
    is_trained = any(row.seconds and row.mean is not None for row in made)
    priced = costs.costed_place(evaluation, results.costs)
    shown = [queries.differences(pair, results) for pair in pairs[: queries.MAX_PAIRS]]
    return str(
        rendered(
            "report/templates/report.html.j2",
            results=results,
            drawing=drawing,
            opening=opening.opening(evaluation),
            headlines=findings.headlines(evaluation),
            systems=made,
            cost=drawing.chart(charts.cost(made, evaluation.headline)) if is_trained else None,
            costs=None if priced is None else _costs(results, priced, drawing),
            claims=claims.claims(evaluation),
            tally=findings.tally(evaluation),
            means=means(evaluation),
            interval=interval(evaluation),
            comparisons=evaluation.comparisons,
            columns=[(name, column, terms.heading(column)) for name, column in on_page(terms)],
            unseen=findings.unseen(evaluation),
            methods=methods.methods(
                evaluation,
                has_sections=bool(results.sections),
                has_steps=bool(results.steps),
            ),
            n_without_interval=sum(
                not row.judged.interval.is_known for row in evaluation.comparisons
            ),
            over_tests=evaluation.pooled,
            forests=[
                (forest, drawing.chart(charts.forest(forest)))
                for forest in forests.forests(evaluation)
            ],
            differences=[
                (pair_differences, drawing.chart(charts.query_differences(pair_differences)))
                for pair_differences in shown
            ],
            bases=knowledge.bases(results),
            trainings=[_curves(training, drawing) for training in steps.trainings(results)],
            cases=[queries.cases(pair_differences, results) for pair_differences in shown],
            reaches=queries.reaches(results),
            browser=browser.browser(results),
            n_browsed=browser.N_DOCS,
            provenance=provenance.provenance(results),
            citation=provenance.citation(),
            n_left_out=len(pairs) - len(shown),
            n_drawn=queries.MAX_DRAWN,
            is_thinned=any(
                len(pair_differences.rows) > queries.MAX_DRAWN for pair_differences in shown
            ),
            steps=steps.step_rows(results),
            place=lambda place: place_name(place, evaluation),
            run_link=lambda run: runs_at + quote(run),
            bundle=Markup(_bundle()),  # noqa: S704 - our own dependency's script, not data
            verdicts=VERDICTS,
        )
    )


class _Costs(NamedTuple):
    """The page's section on what a query costs."""

    place: Place
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    pairs: Sequence[costs.CostedPair]
    chart: str
    unit: str
    caption: str


def _costs(results: StoredResults, place: Place, drawing: Drawing) -> _Costs:
    evaluation = results.evaluation
    unit, points = costs.points(evaluation, results.costs, place)
    chart = drawing.chart(charts.query_cost(points, evaluation.headline, unit))
    columns, rows = costs.rows(evaluation, results.costs, place)
    told = costs.pairs(evaluation, results.costs)
    return _Costs(place, columns, rows, told, chart, unit.lower(), costs.CAPTION)


def _curves(
    training: steps.RankerTraining, drawing: Drawing
) -> tuple[steps.RankerTraining, str | None, str | None]:
    loss = drawing.chart(charts.loss_curve(training)) if training.loss else None
    validation = drawing.chart(charts.validation_curve(training)) if training.validation else None
    return training, loss, validation


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which defines `vegaEmbed` for the page.

    It takes seconds to make, so it is kept in the cache for each version of vl_convert.
    """
    name = f"vega-{version('vl-convert-python')}"
    script = cached_text(name)
    if script is None:
        script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
        keep_text(name, script)
    return script
