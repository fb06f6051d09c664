"""The page's section on the changes between pairs of rankers."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.changes import chart_data, charts, words
from rankscope.analyses.changes.pairs import changed_pairs
from rankscope.analyses.changes.plan import change_role
from rankscope.analyses.changes.steps import CHANGE, HEADS
from rankscope.analyses.changes.stored import HeadsControl, PairChanges, StoredChanges
from rankscope.core.judged.plain import as_stored
from rankscope.pipeline.work import Work
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_record


def section(work: Work, questions: Sequence[Question], queries: Mapping[str, Any]) -> Section:  # noqa: ARG001
    """The section, from the stored results."""
    return shown({question.key: _stored(work, question) for question in questions})


def _stored(work: Work, question: Question) -> list[PairChanges]:
    """The changes of every compared ranker, with its refitted heads where there are any."""
    afters = changed_pairs(work.plan.study.study, question)
    return [_pair(work, question.key, after) for after in afters]


def _pair(work: Work, key: str, after: str) -> PairChanges:
    change = work.folder(change_role("change", key, after)) / CHANGE
    changes = read_record(StoredChanges, change)
    role = change_role("heads", key, after)
    if role not in work.step.inputs:
        return PairChanges(changes, None, notes=())
    heads = work.folder(role) / HEADS
    control = read_record(HeadsControl, heads)
    return PairChanges(changes, control, notes=())


def shown(changed: Mapping[str, Sequence[PairChanges]]) -> Section:
    """The section of changes, given by the key of their question."""
    tables = {}
    for key, pairs in changed.items():
        tables[f"changes.{key}.csv"] = plain_csv(*words.full_rows(pairs))
        for pair in pairs:
            name = f"changes.{key}.{pair.changes.after}"
            tables[f"{name}.tex"] = plain_tex(*words.layer_table(pair.changes))
            if pair.heads:
                tables[f"{name}.heads.tex"] = plain_tex(*words.head_table(pair.changes, pair.heads))

    def body(drawing: Drawing) -> Markup:
        return rendered(
            "analyses/changes/section.html.j2",
            changed={
                key: [_drawn(pair, drawing) for pair in pairs] for key, pairs in changed.items()
            },
            caveat=words.CAVEAT,
            figure=drawing.figure(),
        )

    data = {key: [_data(pair) for pair in pairs] for key, pairs in changed.items()}
    return Section("changes", "What fine-tuning changed", "Changes", body, tables, data)


def _data(pair: PairChanges) -> dict[str, Any]:
    """The two stored results, each in the order of its file."""
    changes: dict[str, Any] = as_stored(pair.changes)
    return changes | {"heads": pair.heads and as_stored(pair.heads)}


def _drawn(pair: PairChanges, drawing: Drawing) -> Mapping[str, Any]:
    changes = pair.changes
    return {
        "found": pair,
        "map": drawing.chart(charts.change_map(changes)),
        "curves": [
            drawing.chart(charts.likeness(changes, what))
            for what in chart_data.drawn_curves(changes)
        ],
        "table": words.layer_table(changes),
        "modules": words.module_table(changes),
        "heads": words.head_table(changes, pair.heads) if pair.heads else None,
        "words": words.sentences(pair),
    }
