"""What every ranker can do: score_all([(query, docs), ...]). The protocol, no code."""

from collections.abc import Sequence
from typing import Any, Protocol


class Ranker(Protocol):
    """Anything that scores docs for queries; higher is better."""

    queries_per_block: int
    """Queries to give `score_all` at once where there are many."""

    def score_all(self, asked: Sequence[tuple[Any, Sequence[Any]]]) -> list[list[float]]:
        """For each (query, docs) one score per doc, in their order; the same alone and among others.

        Queries and docs are texts; a ranker may take what else stands for a text, such as its tokens.
        """
        ...
