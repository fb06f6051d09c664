"""The page's section on the changes between pairs of rankers."""

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
    """The section, from the stored results."""
    return shown({question.key: _stored(work, question) for question in questions})


def _stored(work: Work, question: Question) -> list[dict[str, Any]]:
    """The changes of every compared ranker, with its refitted heads where there are any."""
    changes = []
    for after in changed_pairs(work.plan.study.study, question):
        change = read_json(work.folder(change_role("change", question.key, after)) / CHANGE)
        role = change_role("heads", question.key, after)
        heads = read_json(work.folder(role) / HEADS) if role in work.step.inputs else None
        changes.append(change | {"heads": heads})
    return changes


def shown(changed: Mapping[str, Sequence[words.StoredChanges]]) -> Section:
    """The section of changes, given by the key of their question."""
    tables = {}
    for key, pairs in changed.items():
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
                key: [_drawn(pair, drawing) for pair in pairs] for key, pairs in changed.items()
            },
            caveat=words.CAVEAT,
            what_fragility_is=cautions.FRAGILITY,
            figure=drawing.figure(),
        )

    return Section("changes", "What fine-tuning changed", "Changes", body, tables, changed)


def _drawn(changes: words.StoredChanges, drawing: Drawing) -> Mapping[str, Any]:
    return {
        "found": changes,
        "map": drawing.chart(charts.change_map(changes)),
        "curves": [
            drawing.chart(charts.likeness(changes, what))
            for what in chart_data.drawn_curves(changes)
        ],
        "table": words.layer_table(changes),
        "modules": words.module_table(changes),
        "heads": words.head_table(changes) if changes["heads"] else None,
        "words": words.sentences(changes),
    }
