"""Test queries that are training queries because two `part`s of one split overlap, reported before any work.

Only queries and qrels of collections that share a split are read; of an ir_datasets id, which may have to be
fetched, only the parts are compared. Queries that two splits have in common are left to the guard
`test_queries`, which reads the files that a training would.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from rankscope.core.errors import BadStudy
from rankscope.data.collections import judged_topics
from rankscope.pipeline.kinds import CollectionParams
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, collection_role, learnt_role
from rankscope.train.guards import Level

GUARD = "test_queries"


@dataclass(frozen=True)
class Overlap:
    """Queries of one split that a stage learns and a collection of `evaluate.over` has."""

    stage: str
    level: Level
    """The guard's level: a stop, unless the stage's `guards` give another."""
    counted: str
    """How many of the test's queries, as part of a sentence."""
    test: str
    source: str
    """The collection whose queries the stage learns."""


def overlaps(plan: Plan) -> list[Overlap]:
    """The overlaps of every stage that an evaluated ranker or one of its teachers went through."""
    study = plan.study.study
    evaluate = next(step for step in plan.steps if step.kind == "evaluate")
    taught = dict.fromkeys(
        lesson for ranker in study.evaluated_rankers() for lesson in study.lessons(ranker)
    )

    @cache
    def shared(test: str, source: str) -> str | None:
        tested, learnt = (
            evaluate.inputs[role] for role in (collection_role(test), learnt_role(source))
        )
        return _shared(tested, learnt) if _is_one_split(tested, learnt) else None

    def overlapping() -> Iterator[Overlap]:
        for stage, source in taught:
            spec = study.rankers[stage]
            assert isinstance(spec, TrainedSpec)
            for test in study.evaluate.over:
                counted = shared(test, source)
                if counted:
                    yield Overlap(stage, spec.guards.get(GUARD, "stop"), counted, test, source)

    return list(overlapping())


def refused(plan: Plan) -> list[str]:
    """Overlaps that only warn, a sentence for each two collections; BadStudy for those that stop."""
    known = overlaps(plan)
    stops = _sentences([overlap for overlap in known if overlap.level == "stop"])
    if stops:
        raise BadStudy(". ".join(stops) + ".")
    return _sentences([overlap for overlap in known if overlap.level == "warn"])


def _sentences(known: Sequence[Overlap]) -> list[str]:
    stages: dict[tuple[str, str, str], dict[str, None]] = {}
    for overlap in known:
        key = overlap.counted, overlap.test, overlap.source
        stages.setdefault(key, {})[f"rankers.{overlap.stage.partition('.')[0]}"] = None
    return [
        f"{counted} of {test} are training queries ({source}) of {', '.join(names)}: both are of one split. Give "
        f"`collections.{test}` and `collections.{source}` parts that do not overlap, or set "
        f"`guards: {{{GUARD}: warn}}` there to go on"
        for (counted, test, source), names in stages.items()
    ]


def _is_one_split(tested: Step, learnt: Step) -> bool:
    """Whether queries and qrels are the same."""
    return all(tested.identity[name] == learnt.identity[name] for name in ("digests", "names"))


def _shared(tested: Step, learnt: Step) -> str | None:
    """How many queries of the test are in both, as part of a sentence; None without any."""
    if not _params(tested).source.topic_files():
        return _shared_parts(tested, learnt)
    mine, theirs = _query_ids(tested), _query_ids(learnt)
    n = len(mine & theirs)
    return f"{n} of {len(mine)} queries" if n else None


def _shared_parts(tested: Step, learnt: Step) -> str | None:
    """The share of the test's part that lies in the other; None where `queries` cuts one, as it is unknown."""
    mine, theirs = _params(tested).spec, _params(learnt).spec
    low, high = (pick(mine.part[end], theirs.part[end]) for end, pick in ((0, max), (1, min)))
    if low >= high or mine.queries or theirs.queries:
        return None
    return f"{(high - low) / (mine.part[1] - mine.part[0]):.0%} of the queries"


def _query_ids(step: Step) -> set[str]:
    params = _params(step)
    chosen, seed = params.spec, params.seed or 0
    topics = judged_topics(params.source, part=chosen.part, limit=chosen.queries, seed=seed)
    return {query.query_id for query in topics.queries}


def _params(step: Step) -> CollectionParams:
    assert isinstance(step.params, CollectionParams)
    return step.params
