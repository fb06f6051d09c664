"""What the page shows of pairs of rankers, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.changes import chart_data, charts, words
from rankscope.analyses.changes.pairs import changed_pairs
from rankscope.analyses.changes.plan import change_role
from rankscope.analyses.changes.steps import CHANGE, HEADS
from rankscope.pipeline.work import Work
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.report.wording import cautions
from rankscope.store.artifacts import read_json


def section(work: Work, questions: Sequence[Question], queries: Mapping[str, Any]) -> Section:  # noqa: ARG001
    """Of what is stored."""
    return shown({question.key: _stored(work, question) for question in questions})


def _stored(work: Work, question: Question) -> list[dict[str, Any]]:
    """What moved in every ranker that was looked at, with its heads where they were fitted anew."""
    found = []
    for after in changed_pairs(work.plan.study.study, question):
        change = read_json(work.folder(change_role("change", question.key, after)) / CHANGE)
        role = change_role("heads", question.key, after)
        heads = read_json(work.folder(role) / HEADS) if role in work.step.inputs else None
        found.append(change | {"heads": heads})
    return found


def shown(found: Mapping[str, Sequence[words.Found]]) -> Section:
    """By the name of what pairs were looked at over."""
    tables = {}
    for key, pairs in found.items():
        tables[f"changes.{key}.csv"] = plain_csv(*words.full_rows(pairs))
        for pair in pairs:
            name = f"changes.{key}.{pair['after']}"
            tables[f"{name}.tex"] = plain_tex(*words.layer_table(pair))
            if pair["heads"]:
                tables[f"{name}.heads.tex"] = plain_tex(*words.head_table(pair))

    def body(drawing: Drawing) -> Markup:
        return rendered(
            "analyses/changes/section.html.j2",
            changed={
                key: [_drawn(pair, drawing) for pair in pairs] for key, pairs in found.items()
            },
            caveat=words.CAVEAT,
            what_fragility_is=cautions.FRAGILITY,
            figure=drawing.figure(),
        )

    return Section("changes", "What fine-tuning changed", "Changes", body, tables, found)


def _drawn(found: words.Found, drawing: Drawing) -> Mapping[str, Any]:
    return {
        "found": found,
        "map": drawing.chart(charts.change_map(found)),
        "curves": [
            drawing.chart(charts.likeness(found, what)) for what in chart_data.drawn_curves(found)
        ],
        "table": words.layer_table(found),
        "modules": words.module_table(found),
        "heads": words.head_table(found) if found["heads"] else None,
        "words": words.in_words(found),
    }
