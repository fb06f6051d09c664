"""Lexical first stage.

The scorer is bm25s (Lucene's variant, k1 0.9 and b 0.4 as in Anserini); the analyzer is ours
(`retrieve.analyzer`), and for English equal to Lucene's EnglishAnalyzer with the Porter stemmer. The
analyzer changes the measures more than the scorer does.

Not covered: Lucene's one-byte doc lengths, which move a score by up to 3.5 %.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import final

import bm25s
import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Doc, Query, Run, ScoredDoc
from rankscope.retrieve.analyzer import ENGLISH, analyzed, needs_dictionary

ANALYZER = "analyzer.json"


@final
class Index:
    """A stored BM25 index, memory-mapped; doc ids in the order of the docs."""

    def __init__(
        self, scorer: bm25s.BM25, doc_ids: Sequence[str], *, language: str, n_unparted: int = 0
    ) -> None:
        self._scorer = scorer
        self._doc_ids = doc_ids
        self._language = language
        self._n_unparted = n_unparted

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Open what `build` wrote."""
        scorer = bm25s.BM25.load(folder / "bm25s", mmap=True, load_corpus=False)
        doc_ids = json.loads((folder / "doc_ids.json").read_text("utf-8"))
        return cls(scorer, doc_ids, **json.loads((folder / ANALYZER).read_text("utf-8")))

    @property
    def notes(self) -> list[str]:
        """Notes on its results: words that only a dictionary can part."""
        if not self._n_unparted:
            return []
        return [
            f"{self._n_unparted} of {len(self._doc_ids)} docs have words in Thai, Lao, Khmer, Burmese or their kin, which "
            "only a dictionary can part: a run between spaces is one word, and BM25 finds it whole or not at all. Part "
            "the words of docs and queries by spaces beforehand, or search with a bi-encoder"
        ]

    def rank(self, query: str, depth: int) -> list[tuple[str, float]]:
        """The `depth` best docs that share a term with the query; ties by doc_id, descending."""
        scores = self._scores(query)
        n_matching = int((scores > 0).sum())
        if n_matching == 0:
            return []
        cut = min(depth, n_matching)
        threshold = max(np.partition(scores, -cut)[-cut], np.finfo(scores.dtype).tiny)
        reached = np.flatnonzero(scores >= threshold)
        ranked = [(self._doc_ids[place], float(scores[place])) for place in reached.tolist()]
        return sorted(ranked, key=itemgetter(1, 0), reverse=True)[:depth]

    def score(self, query: str, doc_ids: Sequence[str]) -> list[float]:
        """One score per doc, in their order; 0 for a doc that shares no term with the query."""
        scores = self._scores(query)
        return [float(scores[self._places[doc_id]]) for doc_id in doc_ids]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {doc_id: place for place, doc_id in enumerate(self._doc_ids)}

    def _scores(self, query: str) -> NDArray[np.float32]:
        """The score of every doc, in the order of the docs."""
        known = [
            term for term in analyzed(query, self._language) if term in self._scorer.vocab_dict
        ]
        if not known:
            return np.zeros(len(self._doc_ids), dtype=np.float32)
        return np.asarray(self._scorer.get_scores(known))


def build(
    docs: Iterable[Doc],
    folder: Path,
    *,
    k1: float = 0.9,
    b: float = 0.4,
    language: str = ENGLISH,
) -> int:
    """Index docs into a folder; the number of docs. The docs are read once, one at a time.

    `language` is one of `analyzer.LANGUAGES`; queries are read in the same.
    """
    n_unparted = 0
    vocabulary: dict[str, int] = {}
    term_ids: list[list[int]] = []
    doc_ids: list[str] = []
    for doc in docs:
        doc_ids.append(doc.doc_id)
        terms = analyzed(doc.text, language)
        term_ids.append([vocabulary.setdefault(term, len(vocabulary)) for term in terms])
        n_unparted += needs_dictionary(doc.text)
    if not vocabulary:
        raise BadInput(
            f"{len(doc_ids)} docs and not one indexable term in them. Check that the docs' text "
            "is in the field `text`."
        )
    scorer = bm25s.BM25(method="lucene", k1=k1, b=b)
    scorer.index((term_ids, vocabulary), create_empty_token=False, show_progress=False)
    scorer.save(folder / "bm25s", show_progress=False)
    (folder / "doc_ids.json").write_text(json.dumps(doc_ids), "utf-8")
    (folder / ANALYZER).write_text(
        json.dumps({"language": language, "n_unparted": n_unparted}), "utf-8"
    )
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
