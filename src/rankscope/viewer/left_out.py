"""What each word of a query and of a doc adds to a score: by how much it falls when the word is left out.

The ranker reads the text again without the word, so the number is exact and says nothing of words together: of two words
that say the same, neither may matter alone. (Leave-one-out, or occlusion: Zeiler & Fergus 2014; of words, Li et al. 2016.)
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

MOST_WORDS = 256
"""Words of a text that are left out, one at a time, from its beginning; a ranker reads few more."""
ScoreAll = Callable[[Sequence[tuple[str, Sequence[str]]]], Sequence[Sequence[float]]]
"""(query, docs) of each group to its docs' scores."""


class Word(NamedTuple):
    """A word of a text, as it stands between spaces."""

    text: str
    fall: float | None
    """The score less the score without the word, in the ranker's own scale; None beyond the first `MOST_WORDS`."""


class WordFalls(NamedTuple):
    """A score, and what each word adds to it."""

    score: float
    query: tuple[Word, ...]
    doc: tuple[Word, ...]


def word_falls(score_all: ScoreAll, query: str, doc: str) -> WordFalls:
    """What each word adds to the score of a doc for a query; texts without words have none.

    Words are what stands between spaces, so a word that occurs twice is left out once at each place.
    """
    groups = [
        (query, [doc, *_without_each(doc)]),
        *((shorter, [doc]) for shorter in _without_each(query)),
    ]
    (score, *of_shorter_docs), *of_shorter_queries = score_all(groups)
    return WordFalls(
        score,
        _falls(score, query.split(), [alone for (alone,) in of_shorter_queries]),
        _falls(score, doc.split(), of_shorter_docs),
    )


def _without_each(text: str) -> Iterator[str]:
    """The text without its first word, without its second, and so on.

    With a word goes the space behind it, or before it where it is the last. All other space stays as it is, for some
    tokenizers read two spaces or a line's end otherwise than one space.
    """
    places = [found.span() for found in re.finditer(r"\S+", text)]
    for n, (begin, end) in enumerate(places[:MOST_WORDS]):
        if n + 1 < len(places):
            yield text[:begin] + text[places[n + 1][0] :]
        else:
            yield text[: places[n - 1][1] if n else begin] + text[end:]


def _falls(score: float, words: Sequence[str], shorter: Sequence[float]) -> tuple[Word, ...]:
    falls: list[float | None] = [score - without for without in shorter]
    falls += [None] * (len(words) - len(shorter))
    return tuple(map(Word, words, falls))
