"""Lexical first stage.

The scorer is bm25s (Lucene's variant, k1 0.9 and b 0.4 as in Anserini); the analyzer is ours, and
equal to Lucene's EnglishAnalyzer with the Porter stemmer: UAX #29 words, possessives stripped,
lower case, 33 stop words, Porter. The analyzer moves the measures more than the scorer does.

Not covered: scripts that UAX #29 breaks by dictionary (Thai, Khmer), and Lucene's one-byte doc
lengths, which move a score by up to 3.5 %.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import final

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Doc, Query, Run, ScoredDoc

STOP_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)
_HAN = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # one token a character
_MARK = "\u0300-\u036f\u200d"  # combining marks stay with their letter
_WORD = rf"(?:(?![{_HAN}])[\w{_MARK}])"
_LETTER = r"[^\W\d_]"
TOKEN = re.compile(
    rf"[{_HAN}]|{_WORD}+(?:(?:(?<={_LETTER})[.:'\u2018\u2019\u00b7\u2027](?={_LETTER})"
    rf"|(?<=\d)[.,;'\u2018\u2019](?=\d)){_WORD}+)*"
)
POSSESSIVE = re.compile(r"['\u2019\uff07][sS]$")
LONGEST_TOKEN = 255  # Lucene cuts longer tokens into pieces of this length


@lru_cache(maxsize=1)
def _porter() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("porter")


def analyzed(text: str) -> list[str]:
    """The terms of a text, as Lucene's English analyzer with the Porter stemmer gives them."""
    words = []
    for token in TOKEN.findall(text):
        for start in range(0, len(token), LONGEST_TOKEN):
            word = POSSESSIVE.sub("", token[start : start + LONGEST_TOKEN]).lower()
            if word and word not in STOP_WORDS:
                words.append(word)
    return [stem if len(word) > 2 else word for word, stem in _stemmed(words)]


def _stemmed(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words, _porter().stemWords(words), strict=True)


@final
class Index:
    """A stored BM25 index, memory-mapped; doc ids in the order of the docs."""

    def __init__(self, scorer: bm25s.BM25, doc_ids: Sequence[str]) -> None:
        self._scorer = scorer
        self._doc_ids = doc_ids

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Open what `build` wrote."""
        scorer = bm25s.BM25.load(folder / "bm25s", mmap=True, load_corpus=False)
        return cls(scorer, json.loads((folder / "doc_ids.json").read_text("utf-8")))

    def rank(self, query: str, depth: int) -> list[tuple[str, float]]:
        """The `depth` best docs that share a term with the query; ties by doc_id, descending."""
        scores = self._scores(query)
        n_matching = int((scores > 0).sum())
        if n_matching == 0:
            return []
        cut = min(depth, n_matching)
        threshold = max(np.partition(scores, -cut)[-cut], np.finfo(scores.dtype).tiny)
        reached = np.flatnonzero(scores >= threshold)
        found = [(self._doc_ids[place], float(scores[place])) for place in reached.tolist()]
        return sorted(found, key=itemgetter(1, 0), reverse=True)[:depth]

    def score(self, query: str, doc_ids: Sequence[str]) -> list[float]:
        """One score per doc, in their order; 0 for a doc that shares no term with the query."""
        scores = self._scores(query)
        return [float(scores[self._places[doc_id]]) for doc_id in doc_ids]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {doc_id: place for place, doc_id in enumerate(self._doc_ids)}

    def _scores(self, query: str) -> NDArray[np.float32]:
        """Of every doc, in the order of the docs."""
        known = [term for term in analyzed(query) if term in self._scorer.vocab_dict]
        if not known:
            return np.zeros(len(self._doc_ids), dtype=np.float32)
        return np.asarray(self._scorer.get_scores(known))


def build(docs: Iterable[Doc], folder: Path, *, k1: float = 0.9, b: float = 0.4) -> int:
    """Index docs into a folder; the number of docs. The docs are read once, one at a time."""
    vocabulary: dict[str, int] = {}
    term_ids: list[list[int]] = []
    doc_ids: list[str] = []
    for doc in docs:
        doc_ids.append(doc.doc_id)
        term_ids.append(
            [vocabulary.setdefault(term, len(vocabulary)) for term in analyzed(doc.text)]
        )
    if not vocabulary:
        raise BadInput(
            f"{len(doc_ids)} docs and not one indexable term in them. Check that the docs' text "
            "is in the field `text`."
        )
    scorer = bm25s.BM25(method="lucene", k1=k1, b=b)
    scorer.index((term_ids, vocabulary), create_empty_token=False, show_progress=False)
    scorer.save(folder / "bm25s", show_progress=False)
    (folder / "doc_ids.json").write_text(json.dumps(doc_ids), "utf-8")
    return len(doc_ids)


def search(
    index: Index, queries: Sequence[Query], *, depth: int, progress: Progress = SILENT
) -> Run:
    """The run of all queries; one without a known term has no ranking."""
    scored = []
    with progress.task("BM25", len(queries), "queries") as task:
        for query in queries:
            scored += [
                ScoredDoc(query.query_id, doc_id, score)
                for doc_id, score in index.rank(query.text, depth)
            ]
            task.advance()
    return Run.of("bm25", scored)
