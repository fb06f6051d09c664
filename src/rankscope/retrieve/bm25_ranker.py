"""BM25 of any text, by the statistics of a collection: how many docs a term stands in, and how long docs are.

The scores are those of an index over the same docs (`retrieve.bm25`), to the bit: the same analyzer, the same formula,
and weights added in the order of the query's terms. A text need not be in the collection.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc
from rankscope.core.words import counted
from rankscope.retrieve.analyzer import ENGLISH, analyzed
from rankscope.retrieve.lexical.blocks import blocks
from rankscope.retrieve.lexical.postings import sorted_postings
from rankscope.retrieve.lexical.terms import Vocabulary
from rankscope.retrieve.lexical.weights import K1, B, idfs, length_parts, weights


@final
class Bm25Ranker:
    """Scores texts for queries as an index over the collection would; `of` reads the collection's docs once."""

    queries_per_block = 64
    texts_per_batch: int | None = None
    joiner = None
    left_out: tuple[str, ...] = ()
    prompts_used = "no text gets a prompt"

    def __init__(
        self,
        terms: Mapping[str, int],
        of_terms: NDArray[np.float32],
        *,
        mean_length: float,
        k1: float,
        b: float,
        language: str,
    ) -> None:
        self._numbers, self._idfs, self._mean_length = terms, of_terms, mean_length
        self._k1, self._b, self.language = k1, b, language

    @classmethod
    def of(
        cls, docs: Iterable[Doc], *, k1: float = K1, b: float = B, language: str = ENGLISH
    ) -> "Bm25Ranker":
        """A ranker by the statistics of these docs, read one at a time. Raises BadInput for docs without a term."""
        vocabulary = Vocabulary(language)
        dfs = np.zeros(0, dtype=np.int64)
        n_docs = n_terms = 0
        for block in blocks(docs):
            occurrences = vocabulary.occurrences(block)
            of_block = sorted_postings(occurrences)
            dfs = np.pad(dfs, (0, len(vocabulary.numbers) - len(dfs)))
            dfs[of_block.run_terms] += of_block.run_lengths
            n_docs += len(block.doc_ids)
            n_terms += len(occurrences.terms)
        if not vocabulary.numbers:
            raise BadInput(
                f"{counted(n_docs, 'doc')} and not one indexable term in them. Check that the docs' text is in the "
                "field `text`."
            )
        return cls(
            vocabulary.numbers,
            idfs(dfs, n_docs),
            mean_length=n_terms / n_docs,
            k1=k1,
            b=b,
            language=language,
        )

    def score_all(self, groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """For each (query, docs) one score per doc, in their order; 0 for a doc that shares no term with the query."""
        return [self._scores(query, docs).tolist() for query, docs in groups]

    def _scores(self, query: str, docs: Sequence[str]) -> NDArray[np.float32]:
        of_docs = [Counter(analyzed(doc, self.language)) for doc in docs]
        lengths = np.array([terms.total() for terms in of_docs], dtype=np.int64)
        parts = length_parts(lengths, mean=self._mean_length, k1=self._k1, b=self._b)
        scores = np.zeros(len(docs), dtype=np.float32)
        for term in analyzed(query, self.language):
            number = self._numbers.get(term)
            if number is not None:
                tfs = np.array([terms[term] for terms in of_docs], dtype=np.int64)
                there = tfs > 0
                idf = self._idfs[number : number + 1]
                scores[there] += weights(tfs[there], parts[there], idf)
        return scores
