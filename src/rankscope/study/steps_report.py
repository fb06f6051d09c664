"""The step of the report: everything stored, as plain data, to a page."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from rankscope.core.cells import plain_cell
from rankscope.core.formats import read_run
from rankscope.core.records import Run
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.evaluate.seeds import mean_values
from rankscope.report import page
from rankscope.report.sections import StoredResults
from rankscope.store.artifacts import read_json
from rankscope.study.lineages import changed_pairs
from rankscope.study.spec_changes import ChangesSpec
from rankscope.study.spec_rankers import TrainedSpec
from rankscope.study.standing import made_under
from rankscope.study.step import (
    Step,
    change_role,
    collection_role,
    docs_role,
    neurons_role,
    probes_role,
)
from rankscope.study.steps_attribution import NEURONS
from rankscope.study.steps_changes import CHANGE, FORGETTING, HEADS
from rankscope.study.steps_explain import FOUND
from rankscope.study.steps_work import Summary, Work
from rankscope.train.guards import GUARDS


def report(work: Work) -> Summary:
    """The page, its tables and summary.json."""
    page.write(work.out, stored_results(work))
    return {"n_bytes": (work.out / "report.html").stat().st_size}


def stored_results(work: Work) -> StoredResults:
    """Everything the report reads, as plain data."""
    study = work.plan.study.study
    evaluation = read_json(work.folder("evaluate") / "evaluation.json")
    evaluated = work.step.inputs["evaluate"]
    topics = {
        name: read_topics(work.store.open(evaluated.inputs[collection_role(name)].name))
        for name in study.evaluate.over
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
            facts = {key: manifest[key] for key in ("kind", "seconds", "summary")}
            facts["summary"] = _with_notes(step, facts["summary"])
            if found := made_under(step, work.store):
                facts["summary"]["made under"] = found
            steps.append({"name": step.name, **facts})
            for package, version in manifest["versions"].items():
                made_with.setdefault(package, set()).add(version)
    return StoredResults(
        study=study.study,
        study_file=yaml.safe_dump(study.model_dump(mode="json", by_alias=True), sort_keys=False),
        seed=study.seed,
        steps=steps,
        versions={package: ", ".join(sorted(found)) for package, found in made_with.items()},
        evaluation=evaluation,
        per_query=_per_query(work, evaluation),
        training=training,
        queries={
            name: {query.query_id: query.text for query in topic.queries}
            for name, topic in topics.items()
        },
        rankings=_rankings(work, evaluation["results"], topics),
        probes={key: read_json(work.folder(probes_role(key)) / FOUND) for key in study.probes},
        attribution={
            key: read_json(work.folder(neurons_role(key)) / NEURONS) | {"collection": asked.over}
            for key, asked in study.attribution.items()
        },
        changes={key: _changes(work, key, asked) for key, asked in study.changes.items()},
        forgetting=read_json(work.folder("forgetting") / FORGETTING)
        if "forgetting" in work.step.inputs
        else None,
    )


def _changes(work: Work, key: str, asked: ChangesSpec) -> list[Summary]:
    """What moved in every ranker that was looked at, with its heads where they were fitted anew."""
    found = []
    for after in changed_pairs(work.plan.study.study, asked):
        change = read_json(work.folder(change_role("change", key, after)) / CHANGE)
        role = change_role("heads", key, after)
        heads = read_json(work.folder(role) / HEADS) if role in work.step.inputs else None
        found.append(change | {"heads": heads})
    return found


def _per_query(work: Work, evaluation: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Every system's values; those of several seeds are means, under the first one's run."""
    stored: dict[str, dict[str, dict[str, float]]] = {}
    with (work.folder("evaluate") / "per_query.csv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            run, measure, query_id, value = map(plain_cell, row)
            stored.setdefault(run, {}).setdefault(measure, {})[query_id] = float(value)
    return {
        row["run"]: {
            measure: mean_values([stored[of["run"]][measure] for of in row.get("runs", [row])])
            for measure in evaluation["measures"]
        }
        for row in evaluation["results"]
    }


def _with_notes(step: Step, summary: Mapping[str, Any]) -> dict[str, Any]:
    """A step's summary, with what guards saw as notes; not that of guards the study turns off."""
    shown = dict(summary)
    seen: Mapping[str, str] = shown.pop("guards", {})
    if isinstance(step.spec, TrainedSpec):
        levels = step.spec.guards
        loud = [saw for name, saw in seen.items() if levels.get(name, GUARDS[name].level) != "off"]
        shown["notes"] = [*shown.get("notes", ()), *loud]
    return shown


def _rankings(
    work: Work, results: Sequence[Mapping[str, Any]], topics: Mapping[str, Topics]
) -> Callable[[str, str, int], Sequence[Mapping[str, Any]]]:
    """The top of one query's ranking, with texts and judgements, by the path of its run."""
    collection_of = {row["run"]: row["collection"] for row in results}
    relevance = {
        (name, qrel.query_id, qrel.doc_id): qrel.relevance
        for name, topic in topics.items()
        for qrel in topic.qrels
    }
    stored = {name: StoredDocs(work.folder(docs_role(name))) for name in topics}
    runs: dict[str, Run] = {}

    def rankings(run: str, query_id: str, depth: int) -> Sequence[Mapping[str, Any]]:
        if run not in runs:
            runs[run] = read_run(work.store.root / run)
        name = collection_of[run]
        return [
            {
                "rank": rank,
                "doc_id": doc.doc_id,
                "score": doc.score,
                "text": stored[name].text(doc.doc_id),
                "relevance": relevance.get((name, query_id, doc.doc_id)),
            }
            for rank, doc in enumerate(runs[run].rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings
