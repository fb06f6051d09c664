"""Heads fitted anew on two encoders: what a ranker lost in its encoder, and what only in its head.

Four runs over the same docs: before and after with their own heads, and both with heads that are fitted alike.
The loss is that of the first two; what of it is left between the last two was lost in the encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.changes.plan import HeadsParams
from rankscope.analyses.examples import FEWEST_QUERIES
from rankscope.core.errors import BadInput
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import as_margin
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Qrel, Query, Run
from rankscope.core.rng import stream
from rankscope.data.by_words import ByWords
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics
from rankscope.evaluate.measures import Measuring, span
from rankscope.evaluate.pairs.comparison import Pair, compared
from rankscope.evaluate.pairs.verdicts import judged, recorded
from rankscope.explain import heads, representations
from rankscope.explain.heads import Refitted
from rankscope.explain.probing import pairs_of
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.retrieve.rerank import reordered

DEPTH_OF_NEGATIVES = 100
BEFORE, AFTER = "before", "after"
BEFORE_ANEW, AFTER_ANEW = "before, head anew", "after, head anew"
COMPARED = {
    "loss": (AFTER, BEFORE),
    "encoder": (AFTER_ANEW, BEFORE_ANEW),
    "head": (AFTER_ANEW, AFTER),
    "control": (BEFORE_ANEW, BEFORE),
}
"""What each comparison is called, and which run stands against which."""
NO_LOSS, IN_ENCODER, IN_HEAD, UNKNOWN = "no loss", "encoder", "head", "cannot tell"
TOO_WEAK = "heads too weak"
"""Where a loss lies."""


@dataclass(frozen=True)
class Lesson:
    """What a head learns from, and what it then ranks."""

    train: Sequence[Choice]
    queries: Mapping[str, str]
    """Texts, of training and test queries."""
    docs: Mapping[str, str]
    asked: Sequence[Query]
    run: Run
    """Whose top is re-ranked."""

    def some(self, n: int, *, seed: int) -> list[Choice]:
        """So many of the training examples at most, drawn."""
        drawn = list(self.train)
        stream(seed, "examples of a head").shuffle(drawn)
        return sorted(drawn[:n])


def lesson(
    train: Topics,
    train_run: Run,
    asked: Topics,
    run: Run,
    docs: StoredDocs,
    params: HeadsParams,
) -> tuple[Lesson, list[str]]:
    """What heads learn from and then rank, and what was left out; no query that is ranked is learnt from.

    Hard negatives come out of the first `DEPTH_OF_NEGATIVES` ranks of `train_run`.
    """
    learnt, n_shared = examples.without(train, asked)
    learnt, n_lost = examples.with_texts(learnt, docs)
    made = choices_from_qrels(
        learnt.qrels,
        train_run,
        n_docs=params.spec.candidates,
        depth=DEPTH_OF_NEGATIVES,
        min_relevance=params.train_relevance_level,
        seed=params.seed,
        by_words=ByWords(learnt, docs.key),
    )
    wanted = {doc_id for choice in made.choices for doc_id in choice.doc_ids}
    wanted |= {doc.doc_id for top in run.rankings.values() for doc in top[: params.depth]}
    return Lesson(
        made.choices,
        {query.query_id: query.text for query in (*learnt.queries, *asked.queries)},
        dict(zip(sorted(wanted), docs.texts(sorted(wanted)), strict=True)),
        asked.queries,
        run,
    ), examples.notes_on(n_shared, made, Choices((), {}), n_lost=n_lost)


def controlled(
    rankers: Sequence[TrainableRanker],
    lesson: Lesson,
    own: Sequence[Run],
    qrels: Sequence[Qrel],
    params: HeadsParams,
    progress: Progress,
) -> dict[str, Any]:
    """Heads fitted anew on the encoders before and after, beside their `own` runs: means, verdicts, conclusion.

    Raises BadInput for bi-encoders, which have no head, and for too few training queries.
    """
    check_heads(rankers)
    examples = [
        lesson.some(params.spec.examples, seed=params.seed + n) for n in range(params.spec.fits)
    ]
    n_learnt = min(len({choice.query_id for choice in some}) for some in examples)
    if n_learnt < FEWEST_QUERIES:
        raise BadInput(
            f"{n_learnt} training queries have a relevant doc and enough hard negatives among the examples; "
            f"{FEWEST_QUERIES} are needed, since some choose the penalty. Ask for more examples, or give another "
            "collection to fit heads on."
        )
    runs = {name: [run] for name, run in zip((BEFORE, AFTER), own, strict=True)}
    fitted: list[Refitted] = []
    for name, scorer in zip((BEFORE_ANEW, AFTER_ANEW), rankers, strict=True):
        anew = refitted_runs(scorer, lesson, examples, params, tag=name, progress=progress)
        runs[name] = [run for run, _ in anew]
        fitted += [fit for _, fit in anew]
    return concluded(runs, qrels, params) | {
        "n_examples": len(examples[0]),
        "n_fits": params.spec.fits,
        "n_unconverged": sum(not fit.has_converged for fit in fitted),
        "penalties": [fit.penalty for fit in fitted],
    }


def check_heads(rankers: Sequence[TrainableRanker]) -> None:
    """BadInput for bi-encoders, which have no head."""
    if any(PAIR not in ranker.sides for ranker in rankers):
        raise BadInput(
            "A head is fitted anew on cross-encoders: a bi-encoder has none. Leave the control out."
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
    """The run's top re-ranked by heads fitted anew on the ranker's encoder, one to each set of examples."""
    learnt = pairs_of([choice for some in examples for choice in some])
    tops = {
        query.query_id: [doc.doc_id for doc in lesson.run.rankings[query.query_id]][: params.depth]
        for query in lesson.asked
        if lesson.run.rankings.get(query.query_id)
    }
    asked = [(query_id, doc_id) for query_id, top in tops.items() for doc_id in top]
    texts = [(lesson.queries[q], lesson.docs[d]) for q, d in (*learnt.pairs, *asked)]
    states = representations.in_parts(
        texts,
        lambda some: representations.of_texts(ranker, some, PAIR)[:, -1],
        task=f"represent pairs for {tag}",
        progress=progress,
    )
    made = []
    for n, some in enumerate(examples):
        fit = heads.refitted(states, learnt.candidates(some), seed=params.seed + n)
        scores = iter(fit.scores[len(learnt.pairs) :].tolist())
        rankings = {
            query_id: reordered(lesson.run.rankings[query_id], [next(scores) for _ in top])
            for query_id, top in tops.items()
        }
        made.append((Run(tag, rankings), fit))
    return made


def concluded(
    runs: Mapping[str, Sequence[Run]], qrels: Sequence[Qrel], params: HeadsParams
) -> dict[str, Any]:
    """Means and verdicts, and where the loss lies; `runs` by `BEFORE`, `AFTER` and anew, a run a head."""
    measuring, margin = Measuring(qrels, (params.measure,)), as_margin(params.margin)
    values = {
        name: [measuring.of(run).values[params.measure] for run in of] for name, of in runs.items()
    }
    pairs = [
        Pair(values[system], values[baseline], margin, span=span(params.measure))
        for system, baseline in COMPARED.values()
    ]
    level = params.significance_level
    rows = judged(
        compared(pairs, significance_level=level),
        significance_level=level,
        correction=params.correction,
    )
    by_name = dict(zip(COMPARED, rows, strict=True))
    return {
        "measure": params.measure,
        "margin": str(margin),
        "n_queries": len(measuring.query_ids),
        "means": {name: fmean(fmean(each.values()) for each in of) for name, of in values.items()},
        "comparisons": {name: as_plain(recorded(row)) for name, row in by_name.items()},
        "conclusion": conclusion({name: row.verdict for name, row in by_name.items()}),
    }


def conclusion(verdicts: Mapping[str, Verdict]) -> str:
    """Where a loss lies, by the verdict of each of `COMPARED`.

    Where new heads rank worse than the old one on the encoder before, they have learnt too little to tell. Else
    it lies in the encoder, if new heads leave the one after behind; and in the head, if they do not (equivalent
    or better), beat the old one on the encoder after, and are shown to be as good as the old one on that before.
    """
    if verdicts["loss"] is not Verdict.WORSE:
        return NO_LOSS
    if verdicts["control"] is Verdict.WORSE:
        return TOO_WEAK
    if verdicts["encoder"] is Verdict.WORSE:
        return IN_ENCODER
    is_as_good = Verdict.CANNOT_TELL not in (verdicts["encoder"], verdicts["control"])
    return IN_HEAD if is_as_good and verdicts["head"] is Verdict.BETTER else UNKNOWN
