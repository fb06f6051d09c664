"""The page's section on probes."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from rankscope.analyses.analysis import Question
from rankscope.analyses.probes import charts, words
from rankscope.analyses.probes.plan import probes_role
from rankscope.analyses.probes.steps import FOUND
from rankscope.analyses.probes.stored import StoredProbes
from rankscope.core.judged.plain import as_stored
from rankscope.pipeline.work import Work
from rankscope.report.charts import Spec
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing, Section
from rankscope.report.tables.as_csv import plain_csv
from rankscope.report.tables.as_latex import plain_tex
from rankscope.store.artifacts import read_record


def section(work: Work, questions: Sequence[Question], queries: Mapping[str, Any]) -> Section:  # noqa: ARG001
    """The section, from the stored results."""
    return shown({question.key: _stored(work, question.key) for question in questions})


def _stored(work: Work, key: str) -> StoredProbes:
    path = work.folder(probes_role(key)) / FOUND
    return read_record(StoredProbes, path)


def shown(results: Mapping[str, StoredProbes]) -> Section:
    """The section of probes, given by the key of their question."""
    tables = {}
    for key, key_results in results.items():
        tables[f"probes.{key}.csv"] = plain_csv(*words.full_rows(key_results))
        for n in words.ns(key_results):
            tables[f"probes.{key}.{n}.tex"] = plain_tex(*words.layer_table(key_results, n))

    def body(drawing: Drawing) -> Markup:
        probed = {key: _drawn(key_results, drawing) for key, key_results in results.items()}
        template = "analyses/probes/section.html.j2"
        return rendered(template, probed=probed, figure=drawing.figure())

    data = {key: as_stored(key_results) for key, key_results in results.items()}
    return Section("probes", "What each layer knows", "Layers", body, tables, data)


def _drawn(results: StoredProbes, drawing: Drawing) -> Mapping[str, Any]:
    ns = words.ns(results)
    return {
        "found": results,
        "ns": ns,
        "compared": [(n, drawing.chart(_compared_layers(results, n))) for n in ns],
        "rankers": [
            (curve, drawing.chart(charts.layers_of_probes(curve)))
            for curve in words.curves(results, max(ns))
        ],
        "tables": [words.layer_table(results, n) for n in ns],
        "words": words.sentences(results),
        "has_published": bool(results.published),
    }


def _compared_layers(results: StoredProbes, n: int) -> Spec:
    return charts.layers_of_rankers(
        words.compared_curves(results, n),
        words.published_curves(results, n),
        chance=1 / n,
        first_stage=words.first_stage(results, n),
    )
