"""The page's section on rankers' neurons."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.attribution import charts, examples, words
from rankscope.analyses.attribution.plan import neurons_role
from rankscope.analyses.attribution.steps import NEURONS
from rankscope.analyses.attribution.stored import StoredAttribution
from rankscope.core.judged.plain import as_stored
from rankscope.pipeline.work import Work
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Link, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_record

Queries = Mapping[str, Mapping[str, str]]
"""Collection and query_id to text."""


def section(work: Work, questions: Sequence[Question], queries: Queries) -> Section:
    """The section, from the stored results."""
    return shown(
        {
            question.key: replace(_stored(work, question.key), collection=question.spec.over)
            for question in questions
        },
        queries,
    )


def _stored(work: Work, key: str) -> StoredAttribution:
    path = work.folder(neurons_role(key)) / NEURONS
    return read_record(StoredAttribution, path)


def shown(results: Mapping[str, StoredAttribution], queries: Queries) -> Section:
    """The section of attribution results, given by the key of their question."""
    tables = {}
    for key, key_results in results.items():
        tables[f"attribution.{key}.csv"] = plain_csv(*words.full_rows(key_results))
        tables[f"attribution.{key}.tex"] = plain_tex(*words.layer_table(key_results))

    def body(drawing: Drawing) -> Markup:
        return rendered(
            "analyses/attribution/section.html.j2",
            attributed={
                key: _drawn(key, key_results, queries, drawing)
                for key, key_results in results.items()
            },
            significant=words.significant,
            figure=drawing.figure(),
        )

    def links(collection: str, systems: Sequence[str], query_id: str) -> Sequence[Link]:
        return examples.links(results, collection, systems, query_id)

    return Section(
        "attribution",
        "Through which neurons",
        "Neurons",
        body,
        tables,
        {
            key: as_stored(replace(key_results, collection=None))
            | {"collection": key_results.collection}
            for key, key_results in results.items()
        },
        more="Through which neurons",
        links=links,
    )


def _drawn(
    key: str, results: StoredAttribution, queries: Queries, drawing: Drawing
) -> Mapping[str, Any]:
    return {
        "found": results,
        "is_published": words.is_published(results),
        "thresholds": words.thresholds(results),
        "words": words.sentences(results),
        "sides": [_maps(results, side, drawing) for side in words.all_sides(results)],
        "concentration": [
            (title, drawing.chart(spec)) for title, spec in charts.concentrations(results)
        ],
        "ablation": [
            (title, drawing.chart(charts.ablation(side_results.ablation, title)))
            for title, side_results in words.named(results)
            if side_results.ablation
        ],
        "table": words.layer_table(results),
        "comparisons": words.comparison_table(results),
        "overlaps": words.overlap_table(results),
        "examples": examples.examples(key, results, queries.get(results.collection or "", {})),
    }


def _maps(results: StoredAttribution, side: str, drawing: Drawing) -> Mapping[str, Any]:
    """The heat maps of one side, and the differences, each kind on one scale."""
    return {
        "maps": [(name, drawing.chart(spec)) for name, spec in charts.heat_maps(results, side)],
        "differences": [
            (names, drawing.chart(spec)) for names, spec in charts.difference_maps(results, side)
        ],
        "name": words.SIDES[side],
    }
