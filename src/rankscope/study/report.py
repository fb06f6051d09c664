"""The step of the report: a page from everything stored, as plain data."""

import csv
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

import yaml
from markupsafe import Markup

from rankscope.analyses.analysis import Analysis, Question
from rankscope.core.formats import read_run
from rankscope.core.judged.evaluation import EVALUATION, EvaluationRecord, SystemResult
from rankscope.core.progress import Advance
from rankscope.core.records import Run
from rankscope.core.tables import plain_cell
from rankscope.core.visible import without_secrets
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.evaluate.seeds.variance import mean_values
from rankscope.pipeline.spec.rankers import ScratchSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import (
    Step,
    collection_role,
    docs_role,
)
from rankscope.pipeline.work import Summary, Work
from rankscope.report import page
from rankscope.report.section import Drawing, Section
from rankscope.report.stored import Rankings, StoredDoc, StoredResults, StoredStep, StudyTexts
from rankscope.store.artifacts import read_record
from rankscope.study.costs import costs
from rankscope.study.origin import made_under
from rankscope.study.plan import ReportParams
from rankscope.study.starting.ready_made import as_typed
from rankscope.study.study import Study
from rankscope.train.guards import GUARDS


def report(work: Work) -> Summary:
    """Write the page, its tables and summary.json."""
    results = stored_results(work)
    with work.progress.task("report", 1 + len(results.sections), "parts of the page") as task:
        told = tuple(_told(section, task.advance) for section in results.sections)
        page.write(work.out, replace(results, sections=told))
        task.advance()
    return {"n_bytes": (work.out / "report.html").stat().st_size}


def _told(section: Section, told: Advance) -> Section:
    """The section, whose body tells that one more part is drawn."""

    def body(drawing: Drawing) -> Markup:
        drawn = section.body(drawing)
        told(1)
        return drawn

    return replace(section, body=body)


def stored_results(work: Work) -> StoredResults:
    """Everything that the report reads, as plain data."""
    study, params = work.plan.study.study, work.params(ReportParams)
    stored = work.folder("evaluate") / EVALUATION
    evaluation = read_record(EvaluationRecord, stored)
    evaluated = work.step.inputs["evaluate"]
    topics = {
        name: read_topics(work.store.open(evaluated.inputs[collection_role(name)].name))
        for name in study.evaluate.over
    }
    queries = {
        name: {query.query_id: query.text for query in topic.queries}
        for name, topic in topics.items()
    }
    training = {}
    for step in work.step.inputs.values():
        if step.kind == "train":
            lines = (work.store.open(step.name) / "log.jsonl").read_text("utf-8").splitlines()
            training[step.label] = [json.loads(line) for line in lines]
    steps = []
    made_with: dict[str, set[str]] = {}
    for step in work.plan.steps:
        if step is not work.step:
            manifest = work.store.manifest(step.name)
            summary = _with_notes(step, manifest["summary"])
            if step.kind == "train":
                summary["learning_rate"] = step.spec.learning_rate
                summary["n_pairs"] = step.spec.pairs_per_update * summary["updates"]
            if changes := made_under(step, work.store):
                summary["made under"] = changes
            stored_step = StoredStep(
                step.name, manifest["kind"], manifest["seconds"], summary, manifest.get("made", {})
            )
            steps.append(stored_step)
            for package, version in manifest["versions"].items():
                made_with.setdefault(package, set()).add(version)
    return StoredResults(
        study=study.study,
        study_file=_texts(work),
        seed=study.seed,
        steps=steps,
        versions={package: ", ".join(sorted(used)) for package, used in made_with.items()},
        evaluation=evaluation,
        per_query=_per_query(work, evaluation),
        training=training,
        queries=queries,
        rankings=_rankings(work, evaluation.results, topics),
        sections=_sections(work, queries),
        command=shlex.join(["rankscope", "run", as_typed(work.plan.study.file), *params.overrides]),
        costs=costs(work),
    )


def _texts(work: Work) -> StudyTexts:
    params = work.params(ReportParams)
    values = work.plan.study.study.model_dump(mode="json", by_alias=True)
    resolved = without_secrets(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    return StudyTexts(params.written, params.overrides, resolved)


def _sections(work: Work, queries: Mapping[str, Mapping[str, str]]) -> tuple[Section, ...]:
    """The page's sections of the analyses that the study asks for."""
    study = work.plan.study.study
    assert isinstance(study, Study)
    by_analysis: dict[Analysis, list[Question]] = {}
    for analysis, question in study.questions():
        by_analysis.setdefault(analysis, []).append(question)
    return tuple(
        resolve_name(analysis.section)(work, questions, queries)
        for analysis, questions in by_analysis.items()
    )


def _per_query(work: Work, evaluation: EvaluationRecord) -> dict[str, dict[str, dict[str, float]]]:
    """Every system's values; those of several seeds are means, under the first one's run."""
    stored: dict[str, dict[str, dict[str, float]]] = {}
    with (work.folder("evaluate") / "per_query.csv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            run, measure, query_id, value = map(plain_cell, row)
            stored.setdefault(run, {}).setdefault(measure, {})[query_id] = float(value)
    return {
        result.run: {
            measure: mean_values([stored[seed.run][measure] for seed in result.seeds])
            for measure in evaluation.measures
        }
        for result in evaluation.results
    }


def _with_notes(step: Step, summary: Mapping[str, Any]) -> dict[str, Any]:
    """A step's summary, with the guards' findings as notes, except those of guards that the study turns off."""
    shown = dict(summary)
    seen: Mapping[str, str] = shown.pop("guards", {})
    if isinstance(step.spec, TrainedSpec | ScratchSpec):
        levels = step.spec.guards
        loud = [saw for name, saw in seen.items() if levels.get(name, GUARDS[name].level) != "off"]
        shown["notes"] = [*shown.get("notes", ()), *loud]
    return shown


def _rankings(
    work: Work, results: Sequence[SystemResult], topics: Mapping[str, Topics]
) -> Rankings:
    """The top of one query's ranking, with texts and judgements, by the path of its run."""
    collection_of = {result.run: result.place.collection for result in results}
    relevance = {
        (name, qrel.query_id, qrel.doc_id): qrel.relevance
        for name, topic in topics.items()
        for qrel in topic.qrels
    }
    stored = {name: StoredDocs(work.folder(docs_role(name))) for name in topics}
    runs: dict[str, Run] = {}

    def rankings(run: str, query_id: str, depth: int) -> Sequence[StoredDoc]:
        if run not in runs:
            runs[run] = read_run(work.store.root / run)
        name = collection_of[run]
        return [
            StoredDoc(
                rank,
                doc.doc_id,
                stored[name].text(doc.doc_id),
                relevance.get((name, query_id, doc.doc_id)),
            )
            for rank, doc in enumerate(runs[run].rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings
