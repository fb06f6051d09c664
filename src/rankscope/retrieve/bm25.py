"""Lexical first stage.

Weights are Lucene's variant of BM25 (k1 0.9 and b 0.4 as in Anserini), to the bit as bm25s computes them; the analyzer
is ours (`retrieve.analyzer`), and for English equal to Lucene's EnglishAnalyzer with the Porter stemmer. The
analyzer changes the measures more than the scorer does. `lexical` has the parts of the index, one idea a file:

    docs -> blocks -> words by their bytes -> terms by keys -> postings -> merged, weighted, stored
    query -> terms -> their postings added up -> cut

Not covered: Lucene's one-byte doc lengths, which move a score by up to 3.5 %.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Columns, Doc, Query, Rankings, Run
from rankscope.core.words import counted, of_number
from rankscope.retrieve.analyzer import ENGLISH, analyzed
from rankscope.retrieve.lexical import cut, ids, stored
from rankscope.retrieve.lexical.blocks import blocks
from rankscope.retrieve.lexical.merge import doc_frequencies, stripes
from rankscope.retrieve.lexical.postings import Spill, sorted_postings
from rankscope.retrieve.lexical.terms import Occurrences, Vocabulary
from rankscope.retrieve.lexical.weights import K1, B, idfs, length_parts, weights

ANALYZER, POSTINGS, DOC_IDS = "analyzer.json", "bm25s", "bm25_ids"


@final
class Index:
    """A stored BM25 index, memory-mapped; doc ids in the order of the docs. For one thread at a time."""

    def __init__(
        self,
        postings: stored.Opened,
        doc_ids: ids.StoredIds,
        *,
        language: str,
        n_unparted: int = 0,
    ) -> None:
        self._postings = postings
        self._doc_ids = doc_ids
        self._language = language
        self._n_unparted = n_unparted
        self._scores = np.zeros(cut.padded_length(len(doc_ids)), dtype=np.float32)

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Open what `build` wrote."""
        settings = json.loads((folder / ANALYZER).read_text("utf-8"))
        return cls(stored.opened(folder / POSTINGS), ids.StoredIds(folder / DOC_IDS), **settings)

    @property
    def notes(self) -> list[str]:
        """Notes on its results: words that only a dictionary can part."""
        if not self._n_unparted:
            return []
        return [
            f"{self._n_unparted} of {counted(len(self._doc_ids), 'doc')} {of_number(self._n_unparted, 'has', 'have')} words in Thai, Lao, Khmer, Burmese or their kin, which "
            "only a dictionary can part: a run between spaces is one word, and BM25 finds it whole or not at all. Part "
            "the words of docs and queries by spaces beforehand, or search with a bi-encoder"
        ]

    def rank(self, query: str, depth: int) -> list[tuple[str, float]]:
        """The `depth` best docs that share a term with the query; ties by doc_id, descending."""
        doc_ids, scores = self.columns(query, depth)
        return list(zip(doc_ids, np.asarray(scores).tolist(), strict=True))

    def columns(self, query: str, depth: int) -> Columns:
        """The same ranking as columns."""
        places, scores = self.top(query, depth)
        return Columns(self._doc_ids.at(places), scores)

    def top(self, query: str, depth: int) -> cut.Top:
        """The same ranking by docs' places in the collection."""
        return self.top_of_terms(self._terms(query), depth)

    def top_of_terms(self, terms: Iterable[str], depth: int) -> cut.Top:
        """The ranking for a query's terms, as its analysis gives them."""
        return cut.top(self._scored(terms), self._id_ranks, depth)

    def _terms(self, query: str) -> list[str]:
        return analyzed(query, self._language)

    @cached_property
    def _id_ranks(self) -> cut.IdRanks:
        return cut.IdRanks.of(self._doc_ids.ranks)

    def score(self, query: str, doc_ids: Sequence[str]) -> list[float]:
        """One score per doc, in their order; 0 for a doc that shares no term with the query."""
        places = [self._places[doc_id] for doc_id in doc_ids]
        scores: list[float] = self._scored(self._terms(query))[places].tolist()
        return scores

    @cached_property
    def _places(self) -> dict[str, int]:
        every = self._doc_ids.at(np.arange(len(self._doc_ids)))
        return {doc_id: place for place, doc_id in enumerate(every)}

    def _scored(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """The score of every doc, in the order of the docs, until the next query is scored.

        Weights are added in the order of the terms, as bm25s adds them: sums of floats depend on it.
        """
        numbers, starts, docs, weights_ = self._postings
        self._scores.fill(0)
        for term in terms:
            number = numbers.get(term)
            if number is not None:
                of_term = slice(starts[number], starts[number + 1])
                np.add.at(self._scores, docs[of_term], weights_[of_term])
        return self._scores


def build(
    docs: Iterable[Doc],
    folder: Path,
    *,
    k1: float = K1,
    b: float = B,
    language: str = ENGLISH,
) -> int:
    """Index docs into a folder; the number of docs. The docs are read once, one at a time.

    `language` is one of `analyzer.LANGUAGES`; queries are read in the same. Memory holds ids, lengths and vocabulary;
    the disk holds the postings. Raises BadInput for docs without a term, and for a doc id that stands twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = Vocabulary(language)
    with TemporaryFile(dir=folder) as file:
        spill = Spill(file)
        collected = _collected(docs, vocabulary, spill)
        if not vocabulary.numbers:
            raise BadInput(
                f"{counted(len(collected.doc_ids), 'doc')} and not one indexable term in them. Check that the docs' text "
                "is in the field `text`."
            )
        dfs = doc_frequencies(spill, len(vocabulary.numbers))
        lengths = collected.lengths
        mean = int(lengths.sum()) / len(lengths)
        parts = _weighted(spill, dfs, length_parts(lengths, mean=mean, k1=k1, b=b))
        stored.write(
            folder / POSTINGS,
            vocabulary.numbers,
            dfs,
            parts,
            settings=stored.Settings(k1, b, len(collected.doc_ids)),
        )
    ids.write(folder / DOC_IDS, collected.doc_ids)
    settings = {"language": language, "n_unparted": collected.n_unparted}
    (folder / ANALYZER).write_text(json.dumps(settings), "utf-8")
    return len(collected.doc_ids)


class _Collected(NamedTuple):
    """What is kept of the docs beside their postings, in their order."""

    doc_ids: list[str]
    lengths: NDArray[np.int64]
    """Terms of each."""
    n_unparted: int


def _lay_aside(spill: Spill, occurrences: Occurrences) -> None:
    """Sort the postings of a block, and put them to the disk."""
    spill.add(sorted_postings(occurrences))


def _collected(docs: Iterable[Doc], vocabulary: Vocabulary, spill: Spill) -> _Collected:
    """Read all docs; their postings go to the disk, sorted by a thread while the next block is read."""
    doc_ids: list[str] = []
    lengths = [np.zeros(0, dtype=np.int64)]
    n_unparted = 0
    with ThreadPoolExecutor(1) as aside:
        laid_aside: Future[None] | None = None
        for block in blocks(docs):
            occurrences = vocabulary.occurrences(block)
            if laid_aside is not None:
                laid_aside.result()  # one block waits at most
            laid_aside = aside.submit(_lay_aside, spill, occurrences)
            places = occurrences.docs - block.first_doc
            lengths.append(np.bincount(places, minlength=len(block.doc_ids)))
            doc_ids += block.doc_ids
            n_unparted += block.n_unparted
        if laid_aside is not None:
            laid_aside.result()
    return _Collected(doc_ids, np.concatenate(lengths), n_unparted)


def _weighted(
    spill: Spill, dfs: NDArray[np.int64], parts: NDArray[np.float64]
) -> Iterator[stored.Weighted]:
    """All postings with their weights; `parts` is what each doc's length adds to the denominator."""
    term_idfs = idfs(dfs, len(parts))
    for stripe in stripes(spill, dfs):
        of_terms = slice(stripe.start, stripe.end)
        idf = np.repeat(term_idfs[of_terms], dfs[of_terms])
        yield stored.Weighted(stripe.docs, weights(stripe.tfs, parts[stripe.docs], idf))


def search(
    index: Index, queries: Sequence[Query], *, depth: int, progress: Progress = SILENT
) -> Run:
    """The run of all queries; one without a known term has no ranking. BadInput for an id of two queries."""
    rankings: dict[str, Columns] = {}
    with progress.task("BM25", len(queries), "queries") as task:
        for query_id, text in queries:
            if query_id in rankings:
                raise BadInput(
                    f"The query id {query_id!r} stands twice among the queries. Keep one."
                )
            columns = index.columns(text, depth)
            if columns.doc_ids:
                rankings[query_id] = columns
            task.advance()
    return Run("bm25", Rankings(rankings))
