"""What the page shows of rankers' neurons."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.attribution import charts, examples, words
from rankscope.analyses.attribution.plan import neurons_role
from rankscope.analyses.attribution.steps import NEURONS
from rankscope.pipeline.work import Work
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Link, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_json

Queries = Mapping[str, Mapping[str, str]]
"""Collection and query_id to text."""


def section(work: Work, questions: Sequence[Question], queries: Queries) -> Section:
    """Of what is stored."""
    return shown(
        {
            question.key: read_json(work.folder(neurons_role(question.key)) / NEURONS)
            | {"collection": question.spec.over}
            for question in questions
        },
        queries,
    )


def shown(found: Mapping[str, words.Found], queries: Queries) -> Section:
    """By the name of what attribution was over."""
    tables = {}
    for key, each in found.items():
        tables[f"attribution.{key}.csv"] = plain_csv(*words.full_rows(each))
        tables[f"attribution.{key}.tex"] = plain_tex(*words.layer_table(each))

    def body(drawing: Drawing) -> Markup:
        return rendered(
            "analyses/attribution/section.html.j2",
            attributed={key: _drawn(key, each, queries, drawing) for key, each in found.items()},
            significant=words.significant,
            figure=drawing.figure(),
        )

    def links(collection: str, systems: Sequence[str], query_id: str) -> Sequence[Link]:
        return examples.links(found, collection, systems, query_id)

    return Section(
        "attribution",
        "Through which neurons",
        "Neurons",
        body,
        tables,
        found,
        more="Through which neurons",
        links=links,
    )


def _drawn(key: str, found: words.Found, queries: Queries, drawing: Drawing) -> Mapping[str, Any]:
    return {
        "found": found,
        "is_published": words.is_published(found),
        "thresholds": words.thresholds(found),
        "words": words.in_words(found),
        "sides": [_maps(found, side, drawing) for side in words.all_sides(found)],
        "concentration": [
            (title, drawing.chart(spec)) for title, spec in charts.concentrations(found)
        ],
        "ablation": [
            (title, drawing.chart(charts.ablation(each["ablation"], title)))
            for title, each in words.named(found)
            if each["ablation"]
        ],
        "table": words.layer_table(found),
        "comparisons": words.comparison_table(found),
        "overlaps": words.overlap_table(found),
        "examples": examples.examples(key, found, queries.get(found.get("collection", ""), {})),
    }


def _maps(found: words.Found, side: str, drawing: Drawing) -> Mapping[str, Any]:
    """The heat maps of one side, and the differences, each kind on one scale."""
    return {
        "maps": [(name, drawing.chart(spec)) for name, spec in charts.heat_maps(found, side)],
        "differences": [
            (names, drawing.chart(spec)) for names, spec in charts.difference_maps(found, side)
        ],
        "name": words.SIDES[side],
    }
