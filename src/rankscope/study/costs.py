"""What the systems of a study cost, out of the manifests of their steps."""

from collections.abc import Iterator, Mapping
from typing import Any

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.costs import SystemCost, together
from rankscope.llm.costs import answer_cost
from rankscope.pipeline.spec.pipeline import ALL_DOCS
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, run_role
from rankscope.pipeline.work import Work
from rankscope.study.study import Study


def costs(work: Work) -> dict[tuple[Place, str], SystemCost]:
    """What every system took to re-rank, by its place; empty for a study that asks no LLM. `work` is that of the report."""
    study, evaluated = work.plan.study.study, work.step.inputs["evaluate"]
    assert isinstance(study, Study)
    found: dict[tuple[Place, str], SystemCost] = {}
    for collection in study.evaluate.over if study.evaluate.teachers else ():
        for where, systems in study.groups(collection).items():
            if where == ALL_DOCS:
                continue
            for system, runs in systems.items():
                step = evaluated.inputs[run_role(collection, where, runs[0])]
                if step.kind in ("rerank", "ask"):
                    found[Place(collection, where), system] = _cost(work, study, step, runs[0])
    return found


def _cost(work: Work, study: Study, step: Step, system: str) -> SystemCost:
    """What a system of one run, or the first run of several, took."""
    manifest = work.store.manifest(step.name)
    summary, price = manifest["summary"], study.evaluate.price_per_hour
    if step.kind == "ask":
        return SystemCost(
            summary["n_queries"],
            _seconds(summary),
            answer_cost(summary, step.spec.prices),
            price_per_hour=price,
        )
    lists = [(answer_cost(store, spec.prices), _seconds(store)) for store, spec in _lists(work, study, system)]  # fmt: skip
    return SystemCost(
        summary["n_queries"],
        manifest["seconds"],
        training=_training(work, study, system),
        lists=together([answers for answers, _ in lists]),
        lists_seconds=sum(seconds for _, seconds in lists),
        price_per_hour=price,
    )


def _seconds(summary: Mapping[str, Any]) -> float:
    """Of all requests, one after another."""
    seconds: float = summary["asked"]["seconds"]
    return seconds


def _training(work: Work, study: Study, ranker: str) -> float | None:
    """Seconds of all stages of a ranker; None where nothing was trained."""
    stages = [n for n in study.lineage(ranker) if isinstance(study.rankers[n], TrainedSpec)]
    trained = {step.label: step for step in work.plan.steps if step.kind == "train"}
    seconds = [work.store.manifest(trained[name].name)["seconds"] for name in stages]
    return sum(seconds) if seconds else None


def _lists(work: Work, study: Study, ranker: str) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """The summary and spec of each step of asking whose lists a ranker, or its ancestors, learnt from."""
    wanted = {
        f"{samples.labels}.{samples.collection}"
        for name in study.lineage(ranker)
        if isinstance(spec := study.rankers[name], TrainedSpec)
        for _, samples in spec.lessons
    }
    for step in work.plan.steps:
        if step.kind == "ask" and step.label in wanted:
            yield work.store.manifest(step.name)["summary"], step.spec
