"""What every ranker can do: score(query, docs). The protocol, no code."""

from collections.abc import Sequence
from typing import Protocol


class Ranker(Protocol):
    """Anything that scores docs for a query; higher is better."""

    def score(self, query: str, docs: Sequence[str]) -> list[float]:
        """One score per doc, in their order; the same alone and among others."""
        ...
