"""Two random crops of a doc, as query and doc that belong together (Izacard et al. 2022, Contriever).

Words stand for the paper's tokens, so that every tokenizer crops alike.
"""

from dataclasses import dataclass
from random import Random
from typing import final


@final
@dataclass(frozen=True)
class Cropping:
    """How crops are drawn: both lengths are shares of the doc's words."""

    shortest: float
    longest: float
    deletion: float
    """The chance of each word of a crop to be left out."""

    def pair(self, text: str, rng: Random) -> tuple[str, str]:
        """Two crops, drawn independently of each other; of a single word, that word twice."""
        words = text.split()
        return self._crop(words, rng), self._crop(words, rng)

    def _crop(self, words: list[str], rng: Random) -> str:
        n = max(1, round(rng.uniform(self.shortest, self.longest) * len(words)))
        start = rng.randint(0, len(words) - n)
        crop = words[start : start + n]
        kept = [word for word in crop if rng.random() >= self.deletion]
        return " ".join(kept or crop[:1])
