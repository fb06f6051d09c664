"""What the guards see of a training stage before its first update, and what it did to rankings.

`before` is what `rankscope run` hears before a training and `rankscope doctor` without one. Every
sentence is about what the stage would be trained with: its data, tokens and weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rankscope.core.records import Run
from rankscope.core.rng import stream
from rankscope.data import leaks
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.samples import Pool, Pools
from rankscope.evaluate.reproduction import order_agreement
from rankscope.models import inputs
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.study.plan import Step, collection_role
from rankscope.study.spec_rankers import BiEncoderSpec, TrainedSpec
from rankscope.study.steps_work import Work
from rankscope.train import guards, movement
from rankscope.train.batches import ListwiseObjective

Finding = tuple[str, str | None]
"""A guard's name and what it saw."""

POOLS_READ = 1000
"""Queries whose negatives are compared with their relevant docs, at most."""
POOLS_TOKENIZED = 200
"""Queries whose docs are counted in tokens, at most."""
TRIAL_QUERIES = 2
"""Queries of the batch that is tried for gradients."""
QUERIES_COMPARED = 200
"""Validation queries whose rankings are compared before and after, at most."""


@dataclass(frozen=True)
class Stage:
    """A stage as it is before its first update."""

    spec: TrainedSpec
    tuned: CrossEncoder
    topics: Topics
    pools: Pools
    stored: StoredDocs
    objective: ListwiseObjective
    planned: Step
    """The step of the plan; what is looked at may be a lighter one."""


def before(work: Work, stage: Stage) -> Iterator[Finding]:
    """What each guard of the first kind sees, in the order of the table."""
    yield "test_queries", _test_queries(work, stage)
    yield "validation_queries", _validation_queries(work, stage)
    yield "relevant_negatives", _relevant_negatives(stage)
    yield "truncated_docs", _truncated_docs(stage)
    yield "special_tokens", _special_tokens(stage)
    yield "prompts", _prompts(work, stage)
    yield "without_gradient", _without_gradient(stage)
    yield "head_frozen", movement.head_frozen(stage.tuned.model)
    trained = (weight for weight in stage.tuned.model.parameters() if weight.requires_grad)
    yield "learning_rate", movement.stuck(trained, stage.spec.learning_rate)


def _test_queries(work: Work, stage: Stage) -> str | None:
    """Of the whole plan's test collections; the evaluation counts the ancestors' queries too."""
    evaluate = next(step for step in work.plan.steps if step.kind == "evaluate")
    found = []
    for name in work.plan.study.study.evaluate.over:
        topics = read_topics(work.store.open(evaluate.inputs[collection_role(name)].name))
        source = f" ({stage.spec.samples.collection})"
        found.append(leaks.shared_queries(f"queries of {name}", topics, source, stage.topics))
    counted = " and ".join(count for count in found if count)
    if not counted:
        return None
    return (
        f"{counted}: what is measured there does not hold for new queries. Train on others (`part` cuts a "
        "collection), or drop it from `evaluate.over`."
    )


def _validation_queries(work: Work, stage: Stage) -> str | None:
    if "validation" not in work.step.inputs:
        return None
    held_out = read_topics(work.folder("validation"))
    counted = leaks.shared_queries("validation queries", held_out, "", stage.topics)
    if counted is None:
        return None
    return (
        f"{counted}: the validation rises with what is learnt by heart. Hold others out (`part`)."
    )


def _relevant_negatives(stage: Stage) -> str | None:
    seen = leaks.relevant_negatives(
        _some(stage.pools.pools, POOLS_READ), stage.topics, stage.stored.text
    )
    if seen.n_queries_with <= guards.RELEVANT_SHARE * seen.n_queries:
        return None
    return (
        f"In {seen.n_queries_with} of {seen.n_queries} queries a negative is a relevant doc ({seen.judged} "
        f"judged relevant for the same words, {seen.same_text} of a relevant doc's text; first: query "
        f"{seen.first}). Take doubles out of the collection, or raise `negatives.skip_top`."
    )


def _truncated_docs(stage: Stage) -> str | None:
    pairs = []
    for pool in _some(stage.pools.pools, POOLS_TOKENIZED):
        rng = stream(stage.objective.seed, "guards", pool.query_id)
        query, docs = stage.objective.texts(pool.draw(stage.spec.samples.group_size, rng))
        pairs += [(query, doc) for doc in docs]
    n_cut = inputs.n_cut(stage.tuned, pairs)
    if n_cut <= guards.CUT_SHARE * len(pairs):
        return None
    return (
        f"{n_cut} of {len(pairs)} docs are cut at {stage.tuned.max_length} tokens (query and doc together). "
        "Raise `max_length`, or cut the docs into passages."
    )


def _special_tokens(stage: Stage) -> str | None:
    sample = stage.pools.pools[0].draw(2, stream(stage.objective.seed, "guards"))
    query, docs = stage.objective.texts(sample)
    missing = inputs.missing_tokens(stage.tuned, query, docs[0])
    if not missing:
        return None
    return (
        f"Special tokens: {', and '.join(missing)}. Set the tokenizer's post-processor and padding token "
        "in the backbone's folder."
    )


def _prompts(work: Work, stage: Stage) -> str | None:
    """Of the model a stage's lineage begins with, and of the bi-encoder that teaches it."""
    first, found = stage.planned.inputs["start"], []
    while first.kind == "train":
        first = first.inputs["start"]
    if first.location is not None and first.location.folder is not None:
        names = inputs.unused_prompts(first.location.folder, frozenset())
        found += [f"{first.label} comes with prompts ({', '.join(names)})"] if names else []
    teacher = stage.planned.inputs.get("teacher")
    model = teacher.inputs.get("ranker") if teacher else None
    if model is not None and isinstance(model.spec, BiEncoderSpec):
        folder = (model.location.folder if model.location else None) or (
            work.store.folder(model.name) / "model"
        )
        names = inputs.unused_prompts(folder, inputs.QUERY_PROMPTS)
        found += [f"the teacher {model.label} has prompts ({', '.join(names)})"] if names else []
    if not found:
        return None
    return (
        f"{' and '.join(found)} that are not used. Write them into the texts, or name them `query` and "
        "`document` in the model's config_sentence_transformers.json."
    )


def _without_gradient(stage: Stage) -> str | None:
    """One batch of few queries, forward and backward; the model is left as it was."""
    model, objective = stage.tuned.model, stage.objective
    training = model.training
    model.eval()
    try:
        loss = objective.outcome(model, objective.batches(0)[0][:TRIAL_QUERIES]).loss
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        return movement.without_gradient(model)
    finally:
        model.zero_grad(set_to_none=True)
        model.train(training)


def _some(pools: Sequence[Pool], n: int) -> Sequence[Pool]:
    """At most `n` of the pools, evenly spaced."""
    return pools[:: -(-len(pools) // n)]


def ranking_change(start: Run, tuned: Run, *, depth: int) -> dict[str, Any]:
    """What a stage did to scores and rankings, as means over queries: from the start's to its own."""
    agreement = order_agreement(tuned, start, depth=depth)
    old = {
        (doc.query_id, doc.doc_id): doc.score
        for ranking in start.rankings.values()
        for doc in ranking
    }
    moved = [
        abs(doc.score - old[doc.query_id, doc.doc_id])
        for ranking in tuned.rankings.values()
        for doc in ranking[:depth]
    ]
    same = [
        [doc.doc_id for doc in ranking] == [doc.doc_id for doc in start.rankings[query_id]]
        for query_id, ranking in tuned.rankings.items()
    ]
    return {
        "n_queries": agreement.n_queries,
        "score_change": fmean(moved),
        "kendall_tau": agreement.kendall_tau,
        "rank_biased_overlap": agreement.rank_biased_overlap,
        "same_order_share": fmean(same),
    }


def rankings_unchanged(change: dict[str, Any]) -> str | None:
    """A stage after which the validation queries are ranked as before."""
    if change["same_order_share"] < guards.UNCHANGED_SHARE:
        return None
    return (
        f"The stage left the rankings of {change['same_order_share']:.0%} of {change['n_queries']} validation "
        f"queries in their order (mean score change {change['score_change']:.1e}): it is the ranker it started "
        "from. Raise `learning_rate` or `max_updates`."
    )
