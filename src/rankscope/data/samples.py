"""Listwise samples: a query and its group of docs, labelled by qrels or a teacher.

The pools decide once which docs may be drawn for a query, and which queries are left out and why. The
draws of every epoch come from a stream named by query and epoch.
So the samples of an epoch are a pure function of (pools, seed, epoch), and a training
that starts again needs no state to find its place.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, Protocol, final

from rankscope.core.errors import BadInput
from rankscope.core.records import ListwiseSample, Qrel, Run
from rankscope.core.rng import stream
from rankscope.data import negatives
from rankscope.data.by_words import ByWords, parted

MissingPositive = Literal["add", "drop", "random_negative"]
TeacherLabels = Literal["ranks", "scores"]
NOT_RETRIEVED = "positive not retrieved"
NOT_RANKED = "not ranked by the first stage"


class Pool(Protocol):
    """The docs that may be drawn for one query."""

    @property
    def query_id(self) -> str:
        """The query whose pool this is."""
        ...

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """All docs that may be drawn."""
        ...

    def draw(self, group_size: int, rng: Random) -> ListwiseSample:
        """One group of at most `group_size` docs."""
        ...


@final
@dataclass(frozen=True)
class QrelPool:
    """A query's relevant docs and its hard negatives."""

    query_id: str
    positives: tuple[str, ...]
    hard_negatives: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Docs ranked among the negatives whose words are those of a relevant doc."""

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """Positives and negatives."""
        return self.positives + self.hard_negatives

    def draw(self, group_size: int, rng: Random) -> ListwiseSample:
        """Exactly one positive (label 1, first) and up to `group_size` - 1 negatives (label 0).

        Without a positive, a random negative takes its place (as in study B's released code).
        """
        positive = rng.choice(self.positives or self.hard_negatives)
        left = [doc_id for doc_id in self.hard_negatives if doc_id != positive]
        others = negatives.drawn(left, group_size - 1, rng)
        return ListwiseSample(self.query_id, (positive, *others), (1.0, *(0.0 for _ in others)))


@final
@dataclass(frozen=True)
class TeacherPool:
    """A query's docs in the order a teacher gives them, best first, with its scores."""

    query_id: str
    doc_ids: tuple[str, ...]
    scores: tuple[float, ...]
    labels: TeacherLabels = "ranks"

    def draw(self, group_size: int, rng: Random) -> ListwiseSample:
        """Up to `group_size` of the docs in the teacher's order, labelled n, n-1, ..., 1, or by its scores.

        (Pezzuti et al. 2025: label = lowest rank - rank + 1). Docs whose scores are
        tied share the best of their ranks: the teacher said nothing of their order. Where all that are
        drawn are tied, a doc with another score takes the place of one: a list of one positive and many
        negatives would mostly be drawn without its positive.
        """
        n = min(group_size, len(self.doc_ids))
        drawn = rng.sample(range(len(self.doc_ids)), k=n)
        if len({self.scores[place] for place in drawn}) == 1:
            others = [i for i, score in enumerate(self.scores) if score != self.scores[drawn[0]]]
            drawn[:1] = [rng.choice(others)]
        kept = sorted(drawn)
        scores = tuple(self.scores[place] for place in kept)
        ranks = tuple(float(n - scores.index(score)) for score in scores)
        return ListwiseSample(
            self.query_id,
            tuple(self.doc_ids[place] for place in kept),
            ranks if self.labels == "ranks" else scores,
        )


@final
@dataclass(frozen=True)
class TextPool:
    """A doc whose crops, or a query whose noisy form, are drawn again in every epoch."""

    query_id: str
    """The doc's id, where it is a doc."""

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """The text belongs to itself."""
        return (self.query_id,)

    def draw(self, group_size: int, rng: Random) -> ListwiseSample:  # noqa: ARG002
        """The text, and a seed for its random crops or noise."""
        return ListwiseSample(self.query_id, self.doc_ids, (1.0,), rng.getrandbits(63))


@dataclass(frozen=True)
class Pools:
    """The pools of all usable queries, sorted by query, and the numbers of the dropped queries by reason."""

    pools: tuple[Pool, ...]
    dropped: Mapping[str, int]
    n_added: int = 0
    """Queries whose positive was not retrieved, and was added."""
    n_mistaken: int = 0
    """Queries that learn from a random negative in their positive's place."""

    def epoch(self, epoch: int, *, group_size: int, seed: int) -> list[ListwiseSample]:
        """One sample per query, drawn for this epoch, in the order of the pools."""
        return [
            pool.draw(group_size, stream(seed, "samples", pool.query_id, epoch))
            for pool in self.pools
        ]


def pools_from_qrels(
    qrels: Sequence[Qrel],
    run: Run,
    *,
    skip_top: int,
    depth: int,
    missing_positive: MissingPositive,
    min_relevance: int = 1,
    margin: negatives.ScoreMargin = negatives.NO_MARGIN,
    by_words: ByWords | None = None,
) -> Pools:
    """Pools for contrastive learning: positives from qrels, hard negatives from a run.

    A doc judged relevant is never a negative, whatever its grade. With `by_words`, neither is a doc that is relevant
    for a duplicate of the query or has the words of a relevant doc, and of duplicates one is a negative. A query none
    of whose positives is in the run's top `depth` gets them added ("add") or is dropped ("drop"), or, as in the
    released code of study B, a random negative takes the positive's place ("random_negative"); each
    case is counted. A query all of whose docs are within the `margin` has no hard negative.
    """
    relevant: dict[str, set[str]] = {qrel.query_id: set() for qrel in qrels}
    positive: dict[str, set[str]] = {qrel.query_id: set() for qrel in qrels}
    for qrel in qrels:
        if qrel.relevance > 0:
            relevant[qrel.query_id].add(qrel.doc_id)
        if qrel.relevance >= min_relevance:
            positive[qrel.query_id].add(qrel.doc_id)
    pools: list[Pool] = []
    dropped: Counter[str] = Counter()
    n_added = n_mistaken = 0
    for query_id in sorted(relevant):
        ranking = run.rankings.get(query_id, [])
        retrieved = positive[query_id] & {doc.doc_id for doc in ranking[:depth]}
        positives = retrieved or (positive[query_id] if missing_positive == "add" else set())
        best = max((d.score for d in ranking[:depth] if d.doc_id in retrieved), default=None)
        ranked = negatives.between(ranking, skip_top, depth)
        unjudged = negatives.without(margin.kept(ranked, best), relevant[query_id])
        hard, left_out = parted(by_words, query_id, unjudged)
        if not positive[query_id]:
            dropped["no relevant doc"] += 1
        elif not ranking:
            dropped[NOT_RANKED] += 1
        elif not positives and missing_positive == "drop":
            dropped[NOT_RETRIEVED] += 1
        elif not hard:
            dropped["no hard negative"] += 1
        else:
            n_added += bool(positives) and not retrieved
            n_mistaken += not positives
            pools.append(QrelPool(query_id, tuple(sorted(positives)), tuple(hard), left_out))
    return replace(_usable(pools, dropped), n_added=n_added, n_mistaken=n_mistaken)


def pools_from_teacher(
    query_ids: Sequence[str],
    teacher: Run,
    *,
    depth: int,
    labels: TeacherLabels = "ranks",
    by_words: ByWords | None = None,
) -> Pools:
    """Pools for distillation: the teacher's order, or its scores, of its top `depth` docs.

    With `by_words`, of duplicate docs the highest is kept: a doc cannot be above itself.
    """
    pools: list[Pool] = []
    dropped: Counter[str] = Counter()
    for query_id in sorted(query_ids):
        ranking = teacher.rankings.get(query_id, [])[:depth]
        if by_words is not None:
            once = set(by_words.distinct(doc.doc_id for doc in ranking))
            ranking = [doc for doc in ranking if doc.doc_id in once]
        if not ranking:
            dropped["not ranked by the teacher"] += 1
        elif len(ranking) == 1:
            dropped["only one doc to rank"] += 1
        elif len({doc.score for doc in ranking}) == 1:
            dropped["all docs tied"] += 1
        else:
            doc_ids = tuple(doc.doc_id for doc in ranking)
            scores = tuple(doc.score for doc in ranking)
            pools.append(TeacherPool(query_id, doc_ids, scores, labels))
    return _usable(pools, dropped)


def pools_of_texts(
    names: Sequence[str], is_empty: Callable[[str], bool], by_words: ByWords | None = None
) -> Pools:
    """A pool for each text, by its id; empty texts are dropped, and with `by_words` all duplicates but the first."""
    filled = [name for name in sorted(names) if not is_empty(name)]
    kept = filled if by_words is None else by_words.distinct(filled)
    dropped = {"no text": len(names) - len(filled), "words of another": len(filled) - len(kept)}
    return _usable([TextPool(name) for name in kept], {why: n for why, n in dropped.items() if n})


def _usable(pools: Sequence[Pool], dropped: Mapping[str, int]) -> Pools:
    if not pools:
        reasons = (
            ", ".join(f"{reason}: {n}" for reason, n in sorted(dropped.items())) or "none given"
        )
        raise BadInput(
            f"No training query is left ({reasons}). "
            "Check that the run or teacher is for the training queries."
        )
    return Pools(tuple(pools), dict(dropped))
