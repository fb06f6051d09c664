"""Heads fitted anew on two encoders: what a ranker lost in its encoder, and what only in its head.

Four runs over the same docs: before and after with their own heads, and both with heads that are fitted alike.
The loss is that of the first two; what of it is left between the last two was lost in the encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Qrel, Query, Run
from rankscope.core.rng import stream
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics
from rankscope.evaluate.comparison import Margin, Pair, compared
from rankscope.evaluate.evaluation import plain
from rankscope.evaluate.measures import Measuring
from rankscope.evaluate.verdicts import Judged, Verdict, judged
from rankscope.explain import heads, representations
from rankscope.explain.probing import pairs_of
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve.rerank import reordered
from rankscope.study import probe_examples
from rankscope.study.probe_examples import FEWEST_QUERIES

PAIRS_AT_ONCE = 128
DEPTH_OF_NEGATIVES = 100
BEFORE, AFTER = "before", "after"
BEFORE_ANEW, AFTER_ANEW = "before, head anew", "after, head anew"
COMPARED = {
    "loss": (AFTER, BEFORE),
    "encoder": (AFTER_ANEW, BEFORE_ANEW),
    "head": (AFTER_ANEW, AFTER),
    "recovered": (AFTER_ANEW, BEFORE),
}
"""What each comparison is called, and which run stands against which."""
NO_LOSS, IN_ENCODER, IN_HEAD, UNKNOWN = "no loss", "encoder", "head", "cannot tell"
"""Where a loss lies."""


@dataclass(frozen=True)
class HeadSettings:
    """How heads are fitted anew, and how their runs are compared."""

    candidates: int = 8
    """Docs of an example, the relevant one among them."""
    examples: int = 400
    """Learnt from at most."""
    depth: int = 20
    """Docs of each query that are re-ranked."""
    measure: str = "nDCG@10"
    margin: float = 0.02
    significance_level: float = 0.05
    seed: int = 42


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
    settings: HeadSettings,
    *,
    min_relevance: int = 1,
) -> tuple[Lesson, list[str]]:
    """What heads learn from and then rank, and what was left out; no query that is ranked is learnt from.

    Hard negatives come out of the first `DEPTH_OF_NEGATIVES` ranks of `train_run`.
    """
    learnt, n_shared = probe_examples.without(train, asked)
    learnt, n_lost = probe_examples.with_texts(learnt, docs)
    made = choices_from_qrels(
        learnt.qrels,
        train_run,
        n_docs=settings.candidates,
        depth=DEPTH_OF_NEGATIVES,
        min_relevance=min_relevance,
        seed=settings.seed,
    )
    wanted = {doc_id for choice in made.choices for doc_id in choice.doc_ids}
    wanted |= {doc.doc_id for top in run.rankings.values() for doc in top[: settings.depth]}
    return Lesson(
        made.choices,
        {query.query_id: query.text for query in (*learnt.queries, *asked.queries)},
        dict(zip(sorted(wanted), docs.texts(sorted(wanted)), strict=True)),
        asked.queries,
        run,
    ), probe_examples.notes_on(n_shared, made, Choices((), {}), n_lost=n_lost)


def controlled(
    rankers: Sequence[BiEncoder | CrossEncoder],
    lesson: Lesson,
    own: Sequence[Run],
    qrels: Sequence[Qrel],
    settings: HeadSettings,
    progress: Progress,
) -> dict[str, Any]:
    """Heads fitted anew on the encoders before and after, beside their `own` runs: means, verdicts, conclusion.

    Raises BadInput for bi-encoders, which have no head, and for too few training queries.
    """
    with_heads = scorers(rankers)
    n_learnt = len({choice.query_id for choice in lesson.train})
    if n_learnt < FEWEST_QUERIES:
        raise BadInput(
            f"{n_learnt} training queries have a relevant doc and enough hard negatives; {FEWEST_QUERIES} are "
            "needed, since some choose the penalty. Give another collection to fit heads on."
        )
    anew = [
        refitted_run(scorer, lesson, settings, tag=tag, progress=progress)
        for tag, scorer in zip((BEFORE_ANEW, AFTER_ANEW), with_heads, strict=True)
    ]
    runs = dict(zip((BEFORE, AFTER), own, strict=True)) | {run.tag: run for run, _ in anew}
    n_unconverged = sum(not has_converged for _, has_converged in anew)
    return concluded(runs, qrels, settings, n_unconverged=n_unconverged) | {
        "n_examples": min(len(lesson.train), settings.examples)
    }


def scorers(rankers: Sequence[BiEncoder | CrossEncoder]) -> list[CrossEncoder]:
    """The rankers, all of which have a head; BadInput for bi-encoders."""
    found = [ranker for ranker in rankers if isinstance(ranker, CrossEncoder)]
    if len(found) < len(rankers):
        raise BadInput(
            "A head is fitted anew on cross-encoders: a bi-encoder has none. Leave the control out."
        )
    return found


def refitted_run(
    ranker: CrossEncoder, lesson: Lesson, settings: HeadSettings, *, tag: str, progress: Progress
) -> tuple[Run, bool]:
    """The run's top re-ranked by a head fitted anew on the ranker's encoder; and whether the fit converged."""
    examples = lesson.some(settings.examples, seed=settings.seed)
    learnt = pairs_of(examples)
    tops = {
        query.query_id: [doc.doc_id for doc in lesson.run.rankings[query.query_id]][
            : settings.depth
        ]
        for query in lesson.asked
        if lesson.run.rankings.get(query.query_id)
    }
    asked = [(query_id, doc_id) for query_id, top in tops.items() for doc_id in top]
    texts = [(lesson.queries[q], lesson.docs[d]) for q, d in (*learnt.pairs, *asked)]
    states = _last_states(ranker, texts, tag, progress)
    found = heads.refitted(states, learnt.candidates(examples), seed=settings.seed)
    scores = iter(found.scores[len(learnt.pairs) :].tolist())
    rankings = {
        query_id: reordered(lesson.run.rankings[query_id], [next(scores) for _ in top])
        for query_id, top in tops.items()
    }
    return Run(tag, rankings), found.has_converged


def _last_states(
    ranker: CrossEncoder, pairs: Sequence[tuple[str, str]], tag: str, progress: Progress
) -> Tensor:
    """What the head reads: the last layer's state of the first token, (pairs, width)."""
    parts = []
    with progress.task(f"represent pairs for {tag}", len(pairs), "pairs") as task:
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[start : start + PAIRS_AT_ONCE]
            parts.append(representations.of_pairs(ranker, some)[:, -1])
            task.advance(len(some))
    return torch.cat(parts)


def concluded(
    runs: Mapping[str, Run], qrels: Sequence[Qrel], settings: HeadSettings, *, n_unconverged: int
) -> dict[str, Any]:
    """The four runs' means and verdicts, and where the loss lies; runs by `BEFORE`, `AFTER` and anew."""
    measuring = Measuring(qrels, (settings.measure,))
    values = {name: [measuring.of(run).values[settings.measure]] for name, run in runs.items()}
    pairs = [
        Pair(values[system], values[baseline], Margin(settings.margin))
        for system, baseline in COMPARED.values()
    ]
    rows = judged(
        compared(pairs, significance_level=settings.significance_level),
        significance_level=settings.significance_level,
    )
    by_name = dict(zip(COMPARED, rows, strict=True))
    return {
        "measure": settings.measure,
        "margin": settings.margin,
        "n_queries": len(measuring.query_ids),
        "means": {name: sum(of[0].values()) / len(of[0]) for name, of in values.items()},
        "comparisons": {name: plain(row) for name, row in by_name.items()},
        "conclusion": conclusion(by_name),
        "n_unconverged": n_unconverged,
    }


def conclusion(rows: Mapping[str, Judged]) -> str:
    """Where a loss lies; unknown where the encoders can neither be told apart nor shown to be equivalent."""
    if rows["loss"].verdict is not Verdict.WORSE:
        return NO_LOSS
    of_encoder = rows["encoder"].verdict
    if of_encoder is Verdict.WORSE:
        return IN_ENCODER
    return UNKNOWN if of_encoder is Verdict.CANNOT_TELL else IN_HEAD
