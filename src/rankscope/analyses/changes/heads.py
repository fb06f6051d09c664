"""Heads refitted on two encoders: which part of a loss lies in the encoder, and which only in the head.

There are four runs over the same docs: before and after with their own heads, and both with refitted heads. The
first two show the loss; the part of it that remains between the last two was lost in the encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rankscope.analyses import examples
from rankscope.analyses.changes.plan import HeadsParams
from rankscope.analyses.changes.stored import Conclusion, HeadComparisons, HeadsControl
from rankscope.analyses.examples import FEWEST_QUERIES
from rankscope.core.errors import BadInput
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import as_margin
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Qrel, Query, Run
from rankscope.core.rng import stream
from rankscope.core.words import counted
from rankscope.data.by_words import ByWords
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics
from rankscope.evaluate.measures import span
from rankscope.evaluate.measuring import Measuring
from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.evaluate.pairs.verdicts import judged, recorded
from rankscope.explain import heads, representations
from rankscope.explain.heads import Refitted
from rankscope.explain.probing import pairs_of
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.retrieve.rerank import reordered

DEPTH_OF_NEGATIVES = 100
BEFORE, AFTER = "before", "after"
BEFORE_REFITTED, AFTER_REFITTED = "before, refitted head", "after, refitted head"
COMPARED = {
    "loss": (AFTER, BEFORE),
    "encoder": (AFTER_REFITTED, BEFORE_REFITTED),
    "head": (AFTER_REFITTED, AFTER),
    "control": (BEFORE_REFITTED, BEFORE),
}
"""Comparison to its two runs: the system and the baseline."""


@dataclass(frozen=True)
class Lesson:
    """The examples that a head learns from, and the queries and docs that it then ranks."""

    train: Sequence[Choice]
    queries: Mapping[str, str]
    """The texts of training and test queries."""
    docs: Mapping[str, str]
    ranked: Sequence[Query]
    run: Run
    """The run whose top is re-ranked."""
    notes: Sequence[str]
    """What was left out of the examples."""

    def some(self, n: int, *, seed: int) -> list[Choice]:
        """At most n of the training examples, drawn by the seed."""
        shuffled = list(self.train)
        stream(seed, "examples of a head").shuffle(shuffled)
        return sorted(shuffled[:n])


def lesson(
    train: Topics,
    train_run: Run,
    topics: Topics,
    run: Run,
    docs: StoredDocs,
    params: HeadsParams,
) -> Lesson:
    """The lesson for heads, which learn from no query that they rank.

    Hard negatives come from the first `DEPTH_OF_NEGATIVES` ranks of `train_run`.
    """
    train_topics, n_shared = examples.without(train, topics)
    train_topics, n_lost = examples.with_texts(train_topics, docs)
    examples_made = choices_from_qrels(
        train_topics.qrels,
        train_run,
        n_docs=params.spec.candidates,
        depth=DEPTH_OF_NEGATIVES,
        min_relevance=params.train_relevance_level,
        seed=params.seed,
        by_words=ByWords(train_topics, docs.key),
    )
    doc_ids = {doc_id for choice in examples_made.choices for doc_id in choice.doc_ids}
    doc_ids |= {doc.doc_id for top in run.rankings.values() for doc in top[: params.depth]}
    return Lesson(
        examples_made.choices,
        {query.query_id: query.text for query in (*train_topics.queries, *topics.queries)},
        dict(zip(sorted(doc_ids), docs.texts(sorted(doc_ids)), strict=True)),
        topics.queries,
        run,
        examples.notes_on(n_shared, examples_made, Choices((), {}), n_lost=n_lost),
    )


def controlled(
    rankers: Sequence[TrainableRanker],
    lesson: Lesson,
    own: Sequence[Run],
    qrels: Sequence[Qrel],
    params: HeadsParams,
    progress: Progress,
) -> HeadsControl:
    """Heads refitted on both encoders, compared with the `own` runs of before and after: means, verdicts, conclusion.

    Raises BadInput for bi-encoders, which have no head, and for too few training queries.
    """
    check_heads(rankers)
    examples = _examples_of_fits(lesson, params)
    runs = {name: [run] for name, run in zip((BEFORE, AFTER), own, strict=True)}
    fits: list[Refitted] = []
    for name, scorer in zip((BEFORE_REFITTED, AFTER_REFITTED), rankers, strict=True):
        run_fits = refitted_runs(scorer, lesson, examples, params, tag=name, progress=progress)
        runs[name] = [run for run, _ in run_fits]
        fits += [fit for _, fit in run_fits]
    measuring = Measuring(qrels, (params.measure,))
    values = {
        name: [measuring.of(run).values[params.measure] for run in seed_runs]
        for name, seed_runs in runs.items()
    }
    comparisons = _comparisons(values, params)
    verdicts = {name: row.verdict for name, row in comparisons.by_name.items()}
    return HeadsControl(
        measure=params.measure,
        margin=str(as_margin(params.margin)),
        n_queries=len(measuring.query_ids),
        means={
            name: fmean(fmean(query_values.values()) for query_values in seed_runs)
            for name, seed_runs in values.items()
        },
        comparisons=comparisons,
        conclusion=conclusion(verdicts),
        n_examples=len(examples[0]),
        n_fits=params.spec.fits,
        n_unconverged=sum(not fit.has_converged for fit in fits),
        penalties=tuple(fit.penalty for fit in fits),
        notes=tuple(lesson.notes),
    )


def _examples_of_fits(lesson: Lesson, params: HeadsParams) -> list[list[Choice]]:
    """The examples of each fit. Raises BadInput where they are of too few queries."""
    examples = [
        lesson.some(params.spec.examples, seed=params.seed + n) for n in range(params.spec.fits)
    ]
    n_learnt = min(len({choice.query_id for choice in fit_examples}) for fit_examples in examples)
    if n_learnt < FEWEST_QUERIES:
        raise BadInput(
            f"{counted(n_learnt, 'training query has', 'training queries have')} a relevant doc and enough hard negatives among the examples; "
            f"{FEWEST_QUERIES} are needed, since some choose the penalty. Ask for more examples, or give another "
            "collection to fit heads on."
        )
    return examples


def check_heads(rankers: Sequence[TrainableRanker]) -> None:
    """Raises BadInput for bi-encoders, which have no head."""
    if any(PAIR not in ranker.sides for ranker in rankers):
        raise BadInput(
            "Heads are refitted on cross-encoders only: a bi-encoder has no head. Leave the control out."
        )


def refitted_runs(
    ranker: TrainableRanker,
    lesson: Lesson,
    examples: Sequence[Sequence[Choice]],
    params: HeadsParams,
    *,
    tag: str,
    progress: Progress,
) -> list[tuple[Run, Refitted]]:
    """The run's top re-ranked by heads refitted on the ranker's encoder, one for each set of examples."""
    train_pairs = pairs_of([choice for subset in examples for choice in subset])
    tops = {
        query.query_id: [doc.doc_id for doc in lesson.run.rankings[query.query_id]][: params.depth]
        for query in lesson.ranked
        if lesson.run.rankings.get(query.query_id)
    }
    ranked_pairs = [(query_id, doc_id) for query_id, top in tops.items() for doc_id in top]
    texts = [(lesson.queries[q], lesson.docs[d]) for q, d in (*train_pairs.pairs, *ranked_pairs)]
    states = representations.in_parts(
        texts,
        lambda subset: representations.of_texts(ranker, subset, PAIR)[:, -1],
        task=f"represent pairs for {tag}",
        progress=progress,
    )
    runs = []
    for n, subset in enumerate(examples):
        fit = heads.refitted(states, train_pairs.candidates(subset), seed=params.seed + n)
        scores = iter(fit.scores[len(train_pairs.pairs) :].tolist())
        rankings = {
            query_id: reordered(lesson.run.rankings[query_id], [next(scores) for _ in top])
            for query_id, top in tops.items()
        }
        runs.append((Run(tag, rankings), fit))
    return runs


def _comparisons(
    values: Mapping[str, Sequence[Mapping[str, float]]], params: HeadsParams
) -> HeadComparisons:
    """The verdict on each two of `COMPARED`, from the queries' values of each head of each run."""
    margin, level = as_margin(params.margin), params.significance_level
    pairs = [
        MeasuredPair(values[system], values[baseline], margin, span=span(params.measure))
        for system, baseline in COMPARED.values()
    ]
    rows = judged(
        compared(pairs, significance_level=level),
        significance_level=level,
        correction=params.correction,
    )
    return HeadComparisons(
        **{name: recorded(row) for name, row in zip(COMPARED, rows, strict=True)}
    )


def conclusion(verdicts: Mapping[str, Verdict]) -> Conclusion:
    """Where a loss lies, by the verdict of each of `COMPARED`.

    If refitted heads rank worse than the own head on the encoder before, they learnt too little, and the control
    decides nothing. If they do not, the loss lies in the encoder where refitted heads still rank worse on the
    encoder after than on that before. It lies in the head where they rank equivalently or better there, rank
    better than the own head on the encoder after, and are shown to be as good as the own head on that before.
    """
    if verdicts["loss"] is not Verdict.WORSE:
        return Conclusion.NO_LOSS
    if verdicts["control"] is Verdict.WORSE:
        return Conclusion.TOO_WEAK
    if verdicts["encoder"] is Verdict.WORSE:
        return Conclusion.IN_ENCODER
    is_as_good = Verdict.CANNOT_TELL not in (verdicts["encoder"], verdicts["control"])
    if is_as_good and verdicts["head"] is Verdict.BETTER:
        return Conclusion.IN_HEAD
    return Conclusion.CANNOT_TELL
