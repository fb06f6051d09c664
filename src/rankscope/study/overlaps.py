"""Test queries that are training queries because two `part`s of one split overlap, told before any work.

Only queries and qrels of collections that share a split are read; of an ir_datasets id, which may have to be
fetched, only the parts are held against each other. Queries that two splits have in common are the guard
`test_queries`' to find, which reads what a training would.
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
    """Queries that a stage learns and a collection of `evaluate.over` asks, out of one split."""

    stage: str
    level: Level
    """What follows: a stop, where the stage's `guards` do not say otherwise."""
    counted: str
    """How many of the test's queries."""
    test: str
    source: str
    """The collection that the stage learns."""


def overlaps(plan: Plan) -> list[Overlap]:
    """Of every stage that an evaluated ranker or one of its teachers went through."""
    study = plan.study.study
    evaluate = next(step for step in plan.steps if step.kind == "evaluate")
    taught = dict.fromkeys(
        lesson for ranker in study.evaluated_rankers() for lesson in study.lessons(ranker)
    )

    @cache
    def shared(test: str, source: str) -> str | None:
        asked, learnt = (
            evaluate.inputs[role] for role in (collection_role(test), learnt_role(source))
        )
        return _shared(asked, learnt) if _is_one_split(asked, learnt) else None

    def found() -> Iterator[Overlap]:
        for stage, source in taught:
            spec = study.rankers[stage]
            assert isinstance(spec, TrainedSpec)
            for test in study.evaluate.over:
                counted = shared(test, source)
                if counted:
                    yield Overlap(stage, spec.guards.get(GUARD, "stop"), counted, test, source)

    return list(found())


def refused(plan: Plan) -> list[str]:
    """What overlaps and only warns, a sentence for each two collections; BadStudy for what stops."""
    found = overlaps(plan)
    stops = _in_words([each for each in found if each.level == "stop"])
    if stops:
        raise BadStudy(". ".join(stops) + ".")
    return _in_words([each for each in found if each.level == "warn"])


def _in_words(found: Sequence[Overlap]) -> list[str]:
    stages: dict[tuple[str, str, str], dict[str, None]] = {}
    for each in found:
        key = each.counted, each.test, each.source
        stages.setdefault(key, {})[f"rankers.{each.stage.partition('.')[0]}"] = None
    return [
        f"{counted} of {test} are training queries ({source}) of {', '.join(names)}: both are of one split. Give "
        f"`collections.{test}` and `collections.{source}` parts that do not overlap, or set "
        f"`guards: {{{GUARD}: warn}}` there to go on"
        for (counted, test, source), names in stages.items()
    ]


def _is_one_split(asked: Step, learnt: Step) -> bool:
    """Whether queries and qrels are the same."""
    return all(asked.identity[name] == learnt.identity[name] for name in ("digests", "names"))


def _shared(asked: Step, learnt: Step) -> str | None:
    """How many queries of the test are in both, in words."""
    if not _params(asked).source.topic_files():
        return _shared_parts(asked, learnt)
    mine, theirs = _query_ids(asked), _query_ids(learnt)
    n = len(mine & theirs)
    return f"{n} of {len(mine)} queries" if n else None


def _shared_parts(asked: Step, learnt: Step) -> str | None:
    """The share of the test's part that lies in the other; where `queries` cuts one, nothing is known."""
    mine, theirs = _params(asked).spec, _params(learnt).spec
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
