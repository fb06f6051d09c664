"""Choices for probes: a query, one of its relevant docs, and hard negatives that no probed model chose.

One choice for every judged-relevant doc of a query. Negatives come out of a run, in one way for training
and test; a doc that is judged relevant is never one. The choices of fewer docs are the first of the same:
what differs between N = 2 and N = 5 is N.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.core.errors import BadInput
from rankscope.core.records import Choice, Qrel, Run
from rankscope.core.rng import stream
from rankscope.core.words import counted
from rankscope.data import negatives
from rankscope.data.by_words import ByWords, parted


@dataclass(frozen=True)
class Choices:
    """The choices over a collection, and the relevant docs that gave none, by reason."""

    choices: tuple[Choice, ...]
    dropped: Mapping[str, int]


def choices_from_qrels(
    qrels: Sequence[Qrel],
    run: Run,
    *,
    n_docs: int,
    depth: int,
    skip_top: int = 0,
    min_relevance: int = 1,
    seed: int,
    by_words: ByWords | None = None,
) -> Choices:
    """A choice of `n_docs` docs for every doc judged at least `min_relevance`, sorted by query and doc.

    Negatives are drawn without replacement from ranks `skip_top` + 1 to `depth` of the run. With `by_words`, docs
    that have the words of a relevant doc, or of another negative, are left out. A query with fewer than
    `n_docs` - 1 negatives gives no choice.
    """
    relevant: dict[str, set[str]] = {}
    positive: dict[str, set[str]] = {}
    for qrel in qrels:
        if qrel.relevance > 0:
            relevant.setdefault(qrel.query_id, set()).add(qrel.doc_id)
        if qrel.relevance >= min_relevance:
            positive.setdefault(qrel.query_id, set()).add(qrel.doc_id)
    made: list[Choice] = []
    dropped: Counter[str] = Counter()
    for query_id in sorted(positive):
        ranked = negatives.between(run.rankings.get(query_id, []), skip_top, depth)
        unjudged = negatives.without(ranked, relevant[query_id])
        hard, _ = parted(by_words, query_id, unjudged)
        if len(hard) < n_docs - 1:
            dropped["relevant docs with fewer hard negatives than asked for"] += len(
                positive[query_id]
            )
            continue
        for doc_id in sorted(positive[query_id]):
            rng = stream(seed, "choices", query_id, doc_id)
            made.append(Choice(query_id, (doc_id, *negatives.drawn(hard, n_docs - 1, rng))))
    if not made:
        raise BadInput(
            f"No query has a relevant doc and {counted(n_docs - 1, 'hard negative')} at ranks {skip_top + 1} to {depth} "
            "of the run. Check that the run is for these queries, or take a deeper one."
        )
    return Choices(tuple(made), dict(dropped))
