"""Test queries that a ranker was trained on or chosen by, reported before any work.

Queries of one split are compared by their ids; of two, by their words, whatever folders, files and ids are called.
Of local files only queries and qrels are read; of an ir_datasets id, which may have to be fetched, only the parts
of one split are compared. The guard `test_queries` tells the rest, from the files that a training reads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from rankscope.core.errors import BadInput, BadStudy
from rankscope.core.words import counted
from rankscope.data.collections import Topics, judged_topics, n_shared
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.plans.data import CollectionParams
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, collection_role, learnt_role
from rankscope.study.mistakes import place_of
from rankscope.train.guards import Level

GUARD = "test_queries"
OF_ONE_SPLIT = "both are of one split"
OF_THE_SAME_WORDS = "both have queries of the same words, whatever files and ids are called"


ONE_SPLIT_FROM = 0.5
"""The share of a test's queries from which on two files count as one split."""


@dataclass(frozen=True)
class Shared:
    """Queries that two collections have in common."""

    counted: str
    """How many of the test's queries, as part of a sentence."""
    why: str | None
    """Why they count as one split; None where they do not."""


@dataclass(frozen=True)
class Overlap:
    """Queries of a collection of `evaluate.over` that a stage learns."""

    stage: str
    level: Level
    """The guard's level: a stop for one split and a warning for any other, unless the stage's `guards` give another."""
    counted: str
    """How many of the test's queries, as part of a sentence."""
    test: str
    source: str
    """The collection whose queries the stage learns."""
    why: str | None = None
    """Why the two count as one split; None where they do not."""


Comparing = Callable[[Step, Step], Shared | None]
"""Gives what a test has in common with other queries."""


def overlaps(plan: Plan, shared: Comparing | None = None) -> list[Overlap]:
    """The overlaps of every stage that an evaluated ranker or one of its teachers went through."""
    study = plan.study.study
    evaluate = _evaluation(plan)
    taught = dict.fromkeys(
        lesson for ranker in study.evaluated_rankers() for lesson in study.lessons(ranker)
    )
    compared = shared or comparing()

    def overlapping() -> Iterator[Overlap]:
        for stage, source in taught:
            spec = study.rankers[stage]
            assert isinstance(spec, TrainedSpec)
            for test in study.evaluate.over:
                tested, learnt = (
                    evaluate.inputs[role] for role in (collection_role(test), learnt_role(source))
                )
                common = compared(tested, learnt)
                if common:
                    level = spec.guards.get(GUARD, "stop" if common.why else "warn")
                    yield Overlap(stage, level, common.counted, test, source, common.why)

    return list(overlapping())


def chosen_by_tests(plan: Plan, shared: Comparing) -> list[str]:
    """A sentence for each test whose queries chose the update that a ranker keeps, or ended its training."""
    study, evaluate = plan.study.study, _evaluation(plan)
    stages = dict.fromkeys(
        stage for ranker in study.evaluated_rankers() for stage in study.lineage(ranker)
    )
    names: dict[tuple[str, str, str], dict[str, None]] = {}
    for step in plan.steps:
        if step.kind != "train" or step.label not in stages:
            continue
        spec = study.rankers[step.label]
        assert isinstance(spec, TrainedSpec)
        watched = spec.validate_on
        if watched is None or (spec.kept == "last" and watched.patience is None):
            continue
        for validation in watched.collections:
            for test in study.evaluate.over:
                tested, held_out = (
                    evaluate.inputs[collection_role(test)],
                    step.inputs[collection_role(validation)],
                )
                if common := shared(tested, held_out):
                    key = common.counted, test, validation
                    names.setdefault(key, {})[place_of(step.label)] = None
    return [
        f"{counted} of {test} are validation queries ({validation}) of {', '.join(rankers)}: they choose the update "
        "that is kept, or end the training, so measures there are too good. Hold other queries out"
        for (counted, test, validation), rankers in names.items()
    ]


def refused(plan: Plan, shared: Comparing) -> list[str]:
    """Overlaps that only warn, a sentence for each two collections; BadStudy for those that stop."""
    known = overlaps(plan, shared)
    stops = _sentences([overlap for overlap in known if overlap.level == "stop"])
    if stops:
        raise BadStudy(". ".join(stops) + ".")
    return _sentences([overlap for overlap in known if overlap.level == "warn"])


def _sentences(known: Sequence[Overlap]) -> list[str]:
    stages: dict[tuple[str, str, str, str | None, Level], dict[str, None]] = {}
    for overlap in known:
        key = overlap.counted, overlap.test, overlap.source, overlap.why, overlap.level
        stages.setdefault(key, {})[place_of(overlap.stage)] = None
    return [
        f"{counted} of {test} are training queries ({source}) of {', '.join(names)}{f': {why}' if why else ''}. "
        + _remedy(test, source, why, level)
        for (counted, test, source, why, level), names in stages.items()
    ]


def _remedy(test: str, source: str, why: str | None, level: Level) -> str:
    if why == OF_ONE_SPLIT:
        remedy = f"Give `collections.{test}` and `collections.{source}` parts that do not overlap"
    else:
        remedy = "Take these queries out of one of the two"
    if level == "stop":
        return f"{remedy}, or set `guards: {{{GUARD}: warn}}` there to go on"
    return f"{remedy}: measures there do not hold for new queries"


def _evaluation(plan: Plan) -> Step:
    return next(step for step in plan.steps if step.kind == "evaluate")


def comparing() -> Comparing:
    """Compares queries; each collection is read once, and each two are compared once."""

    @cache
    def topics(fingerprint: str) -> Topics:
        params = _params(steps[fingerprint])
        chosen, seed = params.spec, params.seed or 0
        return judged_topics(params.source, part=chosen.part, limit=chosen.queries, seed=seed)

    steps: dict[str, Step] = {}

    def shared(tested: Step, others: Step) -> Shared | None:
        steps.update({step.fingerprint: step for step in (tested, others)})
        return of_two(tested.fingerprint, others.fingerprint)

    @cache
    def of_two(mine_of: str, theirs_of: str) -> Shared | None:
        tested, others = steps[mine_of], steps[theirs_of]
        is_one = _is_one_split(tested, others)
        if not all(_params(step).source.topic_files() for step in (tested, others)):
            return _shared_parts(tested, others) if is_one else None
        try:
            mine, theirs = topics(tested.fingerprint), topics(others.fingerprint)
        except BadInput:
            if is_one:
                raise
            return None  # told where the collection is read for the study
        n = _n_of_ids(mine, theirs) if is_one else n_shared(mine, theirs)
        of = len(mine.queries)
        why = OF_ONE_SPLIT if is_one else OF_THE_SAME_WORDS if n >= ONE_SPLIT_FROM * of else None
        return Shared(f"{n} of {counted(of, 'query', 'queries')}", why) if n else None

    return shared


def _n_of_ids(topics: Topics, others: Topics) -> int:
    known = {query.query_id for query in others.queries}
    return sum(query.query_id in known for query in topics.queries)


def _is_one_split(tested: Step, others: Step) -> bool:
    """Whether queries and qrels are the same."""
    return all(tested.identity[name] == others.identity[name] for name in ("digests", "names"))


def _shared_parts(tested: Step, others: Step) -> Shared | None:
    """The share of the test's part that lies in the other; None where `queries` cuts one, as it is unknown."""
    mine, theirs = _params(tested).spec, _params(others).spec
    low, high = (pick(mine.part[end], theirs.part[end]) for end, pick in ((0, max), (1, min)))
    if low >= high or mine.queries or theirs.queries:
        return None
    share = (high - low) / (mine.part[1] - mine.part[0])
    return Shared(f"{share:.0%} of the queries", OF_ONE_SPLIT)


def _params(step: Step) -> CollectionParams:
    assert isinstance(step.params, CollectionParams)
    return step.params
