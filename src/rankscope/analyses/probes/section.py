"""What the page shows of probes."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.probes import charts, words
from rankscope.analyses.probes.plan import probes_role
from rankscope.analyses.probes.steps import FOUND
from rankscope.pipeline.work import Work
from rankscope.report.charts import Spec
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_json


def section(work: Work, questions: Sequence[Question], queries: Mapping[str, Any]) -> Section:  # noqa: ARG001
    """Of what is stored."""
    keys = [question.key for question in questions]
    return shown({key: read_json(work.folder(probes_role(key)) / FOUND) for key in keys})


def shown(found: Mapping[str, words.Found]) -> Section:
    """By the name of what the probes were over."""
    tables = {}
    for key, each in found.items():
        tables[f"probes.{key}.csv"] = plain_csv(*words.full_rows(each))
        for n in words.ns(each):
            tables[f"probes.{key}.{n}.tex"] = plain_tex(*words.layer_table(each, n))

    def body(drawing: Drawing) -> Markup:
        probed = {key: _drawn(each, drawing) for key, each in found.items()}
        template = "analyses/probes/section.html.j2"
        return rendered(template, probed=probed, figure=drawing.figure())

    return Section("probes", "What each layer knows", "Layers", body, tables, found)


def _drawn(found: words.Found, drawing: Drawing) -> Mapping[str, Any]:
    ns = words.ns(found)
    return {
        "found": found,
        "ns": ns,
        "compared": [(n, drawing.chart(_compared_layers(found, n))) for n in ns],
        "rankers": [
            (curve, drawing.chart(charts.layers_of_probes(curve)))
            for curve in words.curves(found, max(ns))
        ],
        "tables": [words.layer_table(found, n) for n in ns],
        "words": words.in_words(found),
        "has_published": bool(found.get("published")),
    }


def _compared_layers(found: words.Found, n: int) -> Spec:
    return charts.layers_of_rankers(
        words.compared_curves(found, n),
        words.published_curves(found, n),
        chance=1 / n,
        first_stage=words.first_stage(found, n),
    )
