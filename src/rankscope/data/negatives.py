"""Hard negatives out of a run: skip the top, drop likely positives, draw."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from random import Random
from typing import final

from rankscope.core.records import ScoredDoc


def between(ranking: Sequence[ScoredDoc], skip_top: int, depth: int) -> list[ScoredDoc]:
    """The docs at ranks `skip_top` + 1 to `depth`: the top of a run is full of unjudged positives."""
    return list(ranking[skip_top:depth])


@final
@dataclass(frozen=True)
class ScoreMargin:
    """How far below the query's best positive a doc must score to be a negative; closer ones may be relevant."""

    absolute: float | None = None
    relative: float | None = None
    """As a share of the positive's score, as NV-Retriever has it (Moreira et al. 2024): .05 leaves docs
    of at most 95 % of it."""

    def kept(self, docs: Sequence[ScoredDoc], positive: float | None) -> list[ScoredDoc]:
        """The docs that score so low; all of them where the positive has no score."""
        if positive is None:
            return list(docs)
        limits = [math.inf]
        if self.absolute is not None:
            limits.append(positive - self.absolute)
        if self.relative is not None:
            limits.append(positive - self.relative * abs(positive))
        return [doc for doc in docs if doc.score <= min(limits)]


NO_MARGIN = ScoreMargin()


def without(docs: Sequence[ScoredDoc], relevant: AbstractSet[str]) -> list[str]:
    """The ids of the docs that are not judged relevant."""
    return [doc.doc_id for doc in docs if doc.doc_id not in relevant]


def drawn(doc_ids: Sequence[str], n: int, rng: Random) -> list[str]:
    """`n` of the docs, each at most once, in random order; all of them if there are fewer."""
    return rng.sample(doc_ids, k=min(n, len(doc_ids)))
