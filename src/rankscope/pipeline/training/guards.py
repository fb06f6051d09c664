"""The guards of a training stage before its first update, and its change of the rankings.

`rankscope run` calls `before` before a training, `rankscope doctor` without one. Every sentence is
about the data, tokens and weights that the stage would be trained with.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from rankscope.core.errors import EmptyBatch
from rankscope.core.records import ListwiseSample, Run
from rankscope.core.rng import stream
from rankscope.core.words import counted, of_number
from rankscope.data import leaks
from rankscope.data.by_words import ByWords
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.samples import Pool, Pools
from rankscope.evaluate.reproduction import kendall_tau
from rankscope.models import inputs
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.pipeline.plans.rankers import RankerParams
from rankscope.pipeline.spec.rankers import BiEncoderSpec
from rankscope.pipeline.spec.samples import NoisyQueriesSpec, SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Step, collection_role, samples_role
from rankscope.pipeline.work import Work
from rankscope.train import guards, movement
from rankscope.train.objectives.anchored import AlignedObjective, MomentumObjective
from rankscope.train.objectives.batches import ListwiseObjective, MixedObjective
from rankscope.train.objectives.in_batch import InBatchObjective

OneObjective = ListwiseObjective | InBatchObjective | MomentumObjective | AlignedObjective
Objective = OneObjective | MixedObjective
Finding = tuple[str, str | None]
"""A guard's name and its finding, if it has one."""

POOLS_READ = 1000
"""Queries whose negatives are compared with their relevant docs, at most."""
POOLS_TOKENIZED = 200
"""Queries whose docs are counted in tokens, at most."""
TRIAL_QUERIES = 2
"""Queries of the batch that tests for gradients."""
TRIAL_DOCS = 8
"""Docs of each query in that batch, at most."""
QUERIES_COMPARED = 200
"""Validation queries whose rankings are compared before and after, at most."""


@dataclass(frozen=True)
class Stage:
    """A stage as it is before its first update."""

    spec: TrainedSpec
    tuned: TrainableRanker
    still: Sequence[Tensor]
    """Weights that stay as they are."""
    learnt: Sequence[tuple[Topics, Pools]]
    """The training queries and the pools of their samples, for each of its losses."""
    objective: Objective
    planned: Step
    """The step of the plan; the guards may read a lighter one."""

    def objectives(self) -> list[OneObjective]:
        """One objective for each of its losses."""
        both = self.objective
        return [both.first, both.second] if isinstance(both, MixedObjective) else [both]

    def queries_of(self) -> dict[str, Topics]:
        """The collections whose queries it learns from."""
        if isinstance(self.spec.samples, NoisyQueriesSpec):
            return {self.spec.samples.collection: self.learnt[0][0]}
        return {spec.collection: topics for (_, spec), (topics, _) in _lessons(self)}


def before(work: Work, stage: Stage) -> Iterator[Finding]:
    """The finding of each guard that looks before a training, in the order of the table."""
    yield "test_queries", _test_queries(work, stage)
    yield "validation_queries", _validation_queries(work, stage)
    if stage.spec.lessons:
        yield "relevant_negatives", _relevant_negatives(work, stage)
        yield "unretrieved_positives", _unretrieved_positives(work, stage)
        yield "truncated_docs", _truncated_docs(stage)
    yield "special_tokens", _special_tokens(stage)
    yield "prompts", _prompts(work, stage)
    yield "without_gradient", _without_gradient(stage)
    yield "head_frozen", movement.head_frozen(stage.tuned.model)
    trained = (weight for weight in stage.tuned.model.parameters() if weight.requires_grad)
    yield "learning_rate", movement.stuck(trained, stage.spec.learning_rate)


def _test_queries(work: Work, stage: Stage) -> str | None:
    """Training queries in the plan's test collections; the evaluation counts the ancestors' queries too."""
    evaluate = next(step for step in work.plan.steps if step.kind == "evaluate")
    told: list[str] = []
    for name in work.plan.study.study.evaluate.over:
        topics = read_topics(work.store.open(evaluate.inputs[collection_role(name)].name))
        told += _shared(f"queries of {name}", topics, stage)
    if not told:
        return None
    return (
        f"{' and '.join(told)}: measures there do not hold for new queries. Train on others "
        "(`part` cuts a collection), or drop it from `evaluate.over`."
    )


def _validation_queries(work: Work, stage: Stage) -> str | None:
    watched = stage.spec.validate_on
    told: list[str] = []
    for name in watched.collections if watched else ():
        topics = read_topics(work.folder(collection_role(name)))
        told += _shared(f"validation queries ({name})", topics, stage)
    if not told:
        return None
    return (
        f"{' and '.join(told)}: the validation rises with queries learnt by heart. Hold others out "
        "(`part`)."
    )


def _shared(what: str, topics: Topics, stage: Stage) -> Iterator[str]:
    """How many queries of `topics` are among those of each collection that the stage learns from."""
    for collection, others in stage.queries_of().items():
        told = leaks.shared_queries(what, topics, f" ({collection})", others)
        if told:
            yield told


def _lessons(stage: Stage) -> Iterator[tuple[tuple[str, SamplesSpec], tuple[Topics, Pools]]]:
    """Each loss over labelled samples, with its queries and pools."""
    return zip(stage.spec.lessons, stage.learnt, strict=False)


def _relevant_negatives(work: Work, stage: Stage) -> str | None:
    """Relevant docs among the negatives, in the first samples that have any."""
    for place, (topics, pools) in enumerate(stage.learnt):
        stored = StoredDocs(work.folder(samples_role(place, "docs")))
        looked = _some(pools.pools, POOLS_READ)
        seen = leaks.relevant_negatives(looked, topics, partial(_text_or_id, stored))
        if seen.n_queries_with > guards.RELEVANT_SHARE * seen.n_queries:
            return (
                f"In {seen.n_queries_with} of {counted(seen.n_queries, 'query', 'queries')} a relevant doc is ranked among the negatives "
                f"({seen.judged} judged relevant for the same words, {seen.same_text} of a relevant doc's "
                f"text; first: query {seen.first}); they are left out. Take doubles out of the collection, or raise "
                "`negatives.skip_top`."
            )
    return None


def same_words(work: Work, stage: Stage) -> Iterator[str]:
    """Sentences on training queries, and docs, that have the words of another."""
    for place, (topics, _) in enumerate(stage.learnt):
        role = samples_role(place, "docs")
        doc_ids: Sequence[str] = ()
        key: Callable[[str], Hashable] = str
        if role in work.step.inputs:
            stored = StoredDocs(work.folder(role))
            doc_ids, key = stored.doc_ids, stored.key
        by_words = ByWords(topics, key)
        query_ids = [query.query_id for query in topics.queries]
        for what, names, duplicates in (
            ("training queries", query_ids, by_words.twins(query_ids)),
            ("docs", doc_ids, by_words.doubles(doc_ids)),
        ):
            if duplicates:
                yield (
                    f"{len(duplicates)} of {len(names)} {what} {of_number(len(duplicates), 'has', 'have')} the words of another (first: {duplicates[0]}): the "
                    "same under several ids counts as one, so none is a negative of the other"
                )


def _text_or_id(stored: StoredDocs, doc_id: str) -> str:
    """A judged doc may have no text; then it is like no other."""
    return stored.text(doc_id) if doc_id in stored else doc_id


def _unretrieved_positives(work: Work, stage: Stage) -> str | None:
    for place, ((_, spec), (topics, pools)) in enumerate(_lessons(stage)):
        if spec.negatives is None:
            continue
        seen = leaks.retrieved(
            pools,
            topics,
            depth=spec.negatives.depth,
            min_relevance=spec.min_relevance,
            n_docs=len(StoredDocs(work.folder(samples_role(place, "docs")))),
        )
        if seen.above_chance < guards.BETTER_THAN_CHANCE:
            return (
                f"{spec.negatives.first_stage} finds a positive of {seen.n_found} of {counted(seen.n_queries, 'query', 'queries')} "
                f"in its top {spec.negatives.depth}; docs drawn at random would be found for "
                f"{seen.by_chance:.0%}. Check that queries, docs and qrels belong together (ids that were "
                "numbered again?), or use a better first stage."
            )
    return None


def _truncated_docs(stage: Stage) -> str | None:
    pairs = []
    for (_, spec), (_, pools), objective in zip(
        stage.spec.lessons, stage.learnt, stage.objectives(), strict=True
    ):
        for pool in _some(pools.pools, POOLS_TOKENIZED):
            rng = stream(objective.order.seed, "guards", pool.query_id)
            query, docs = objective.texts(pool.draw(spec.group_size, rng))
            pairs += [(query, doc) for doc in docs]
    n_cut = stage.tuned.n_cut(pairs)
    if n_cut <= guards.CUT_SHARE * len(pairs):
        return None
    return f"{n_cut} of {counted(len(pairs), 'doc')} {stage.tuned.cut_at}. Raise `max_length`, or cut the docs into passages."


def _special_tokens(stage: Stage) -> str | None:
    if PAIR not in stage.tuned.sides:
        return None  # a bi-encoder's tokens are its folder's, compared with them as it is loaded
    objective, (_, pools) = stage.objectives()[0], stage.learnt[0]
    query, docs = objective.texts(pools.pools[0].draw(2, stream(objective.order.seed, "guards")))
    missing = inputs.missing_tokens(stage.tuned, query, docs[0])
    if not missing:
        return None
    return (
        f"Special tokens: {', and '.join(missing)}. Set the tokenizer's post-processor and padding token "
        "in the backbone's folder."
    )


def _prompts(work: Work, stage: Stage) -> str | None:
    """Unused prompts of the model a stage's lineage begins with, and of the bi-encoders that teach it."""
    first = _first(stage.planned.inputs["start"])
    names = _left_out(work, first)
    folder = _given_folder(first)
    if folder is not None and PAIR in stage.tuned.sides and not stage.tuned.prompt_of(PAIR):
        names = sorted(inputs.prompts_in(folder))
    unused = [f"{first.label} comes with prompts ({', '.join(names)})"] if names else []
    for place in range(len(stage.spec.lessons)):
        teacher = stage.planned.inputs[samples_role(place, "run")].inputs.get("ranker")
        names = _left_out(work, _first(teacher)) if teacher else []
        if teacher and names:
            unused.append(f"the teacher {teacher.label} has prompts ({', '.join(names)})")
    if not unused:
        return None
    return (
        f"{' and '.join(unused)} that are not used. Write them into the texts, name them `query` and `document` "
        "in the model's config_sentence_transformers.json, or give a bi-encoder `prefixes`."
    )


def _first(ranker: Step) -> Step:
    """The first ranker of a lineage."""
    while ranker.kind == "train":
        ranker = ranker.inputs["start"]
    return ranker


def _given_folder(ranker: Step) -> Path | None:
    """The folder of a ranker's model before any stage, if it is no hub's."""
    assert isinstance(ranker.params, RankerParams)
    weights = ranker.params.weights
    return None if weights is None else weights.location.folder


def _left_out(work: Work, first: Step) -> list[str]:
    """The names of the prompts of a ready bi-encoder that neither its queries nor its docs get."""
    chosen = first.spec
    if not isinstance(chosen, BiEncoderSpec) or chosen.backbone is not None:
        return []
    folder = _given_folder(first) or work.store.folder(first.name) / "model"
    given = {"query": chosen.prefixes.query, "document": chosen.prefixes.doc}
    own = {side: text for side, text in given.items() if text}
    return list(inputs.left_out(inputs.prompts_in(folder) | own))


def _without_gradient(stage: Stage) -> str | None:
    """One batch of few queries, forward and backward; the model is left as it was."""
    model = stage.tuned.model
    objective: Any = stage.objectives()[0]
    training = model.training
    model.eval()
    try:
        few = [_shortened(sample) for sample in objective.batches(0)[0][:TRIAL_QUERIES]]
        objective.shares([few])  # EmptyBatch if they have no loss
        loss = objective.outcome(model, objective.prepared(few)).loss
        if loss.requires_grad:
            loss.backward()
        return movement.without_gradient(model)
    except EmptyBatch:
        return None  # so few docs may all be tied; that says nothing of the weights
    finally:
        model.zero_grad(set_to_none=True)
        model.train(training)


def _shortened(sample: ListwiseSample) -> ListwiseSample:
    """The first docs and the last, between which labels differ most: they fit where a group may not."""
    n, half = len(sample.doc_ids), TRIAL_DOCS // 2
    kept = [place for place in range(n) if place < half or place >= n - half]
    return sample._replace(
        doc_ids=tuple(sample.doc_ids[place] for place in kept),
        labels=tuple(sample.labels[place] for place in kept),
    )


def _some(pools: Sequence[Pool], n: int) -> Sequence[Pool]:
    """At most `n` of the pools, evenly spaced."""
    return pools[:: -(-len(pools) // n)]


def ranking_change(begun: Sequence[Run], ended: Sequence[Run]) -> dict[str, float]:
    """How much a stage changed scores and rankings: means over docs and queries; {} without any."""
    moved, same, taus = [], [], []
    for old, new in zip(begun, ended, strict=True):
        for query_id, after in new.rankings.items():
            before = old.rankings[query_id]
            scores = {doc.doc_id: doc.score for doc in before}
            moved += [abs(doc.score - scores[doc.doc_id]) for doc in after]
            orders = [doc.doc_id for doc in before], [doc.doc_id for doc in after]
            same.append(orders[0] == orders[1])
            taus.append(kendall_tau(*orders))
    if not taus:
        return {}
    return {
        "n_queries": len(taus),
        "score_change": fmean(moved),
        "kendall_tau": fmean(taus),
        "same_order_share": fmean(same),
    }


def rankings_unchanged(change: Mapping[str, float]) -> str | None:
    """A finding if the stage left the rankings of the validation queries as they were."""
    if not change or change["same_order_share"] < guards.UNCHANGED_SHARE:
        return None
    return (
        f"The stage left the rankings of {change['same_order_share']:.0%} of "
        f"{counted(int(change['n_queries']), 'validation query', 'validation queries')} in their order (mean score change {change['score_change']:.1e}): it is the ranker it started "
        "from. Raise `learning_rate` or `max_updates`."
    )
