"""What the systems of a study cost, out of the manifests of their steps."""

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.costs import AnswerCost, SystemCost, together
from rankscope.llm.costs import answer_cost
from rankscope.pipeline.spec.pipeline import ALL_DOCS
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
    manifest, price = work.store.manifest(step.name), study.evaluate.price_per_hour
    n_queries: int = manifest["summary"]["n_queries"]
    if step.kind == "ask":
        return SystemCost(n_queries, *_asked(work, step), price_per_hour=price)
    stages = _trainings(work, study, system)
    lists = {need.name: need for stage in stages for need in stage.inputs.values() if need.kind == "ask"}  # fmt: skip
    taught = [_asked(work, need) for need in lists.values()]
    return SystemCost(
        n_queries,
        manifest["seconds"],
        training=sum(work.store.manifest(s.name)["seconds"] for s in stages) if stages else None,
        lists=together([answers for _, answers in taught]),
        lists_seconds=sum(seconds for seconds, _ in taught),
        price_per_hour=price,
    )


def _asked(work: Work, step: Step) -> tuple[float, AnswerCost]:
    """The seconds of an LLM's answers, one after another, and what they cost."""
    asked = work.store.manifest(step.name)["summary"]["asked"]
    return asked["seconds"], answer_cost(asked, step.spec.prices)


def _trainings(work: Work, study: Study, ranker: str) -> list[Step]:
    """The steps of all stages of a ranker; none where nothing was trained."""
    trained = {step.label: step for step in work.plan.steps if step.kind == "train"}
    return [trained[name] for name in study.lineage(ranker) if name in trained]
