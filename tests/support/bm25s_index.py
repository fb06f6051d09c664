"""The witness of BM25: bm25s over the terms of the exact analyzer, and brute force over its scores."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import bm25s
import numpy as np

from rankscope.core.records import Doc
from rankscope.retrieve.analyzer import analyzed

Postings = dict[str, list[tuple[int, bytes]]]
"""Term to its docs, in order, with the bytes of their weights."""


def built(
    docs: Iterable[Doc], *, k1: float = 0.9, b: float = 0.4, language: str = "english"
) -> bm25s.BM25:
    """bm25s' own index."""
    vocabulary: dict[str, int] = {}
    numbers = [
        [vocabulary.setdefault(term, len(vocabulary)) for term in analyzed(doc.text, language)]
        for doc in docs
    ]
    scorer = bm25s.BM25(method="lucene", k1=k1, b=b)
    scorer.index((numbers, vocabulary), create_empty_token=False, show_progress=False)
    return scorer


def opened(folder: Path) -> bm25s.BM25:
    """An index of ours as bm25s reads it."""
    return bm25s.BM25.load(folder / "bm25s", mmap=True, load_corpus=False)


def postings(scorer: bm25s.BM25) -> Postings:
    """All postings, so that indexes whose terms are numbered otherwise are equal."""
    starts, docs, weights = (
        np.asarray(scorer.scores[name]) for name in ("indptr", "indices", "data")
    )
    assert (starts.dtype, docs.dtype, weights.dtype) == (np.int64, np.int32, np.float32)
    return {
        term: [
            (doc, weight.tobytes())
            for doc, weight in zip(
                docs[starts[number] : starts[number + 1]].tolist(),
                weights[starts[number] : starts[number + 1]],
                strict=True,
            )
        ]
        for term, number in scorer.vocab_dict.items()
    }


def ranked(
    scorer: bm25s.BM25, doc_ids: Sequence[str], query: str, depth: int, *, language: str = "english"
) -> list[tuple[str, float]]:
    """All docs sorted by bm25s' scores and then by id, both descending, and cut."""
    known = [term for term in analyzed(query, language) if term in scorer.vocab_dict]
    if not known:
        return []
    scored = zip(scorer.get_scores(known).tolist(), doc_ids, strict=True)
    best = sorted((pair for pair in scored if pair[0] > 0), reverse=True)
    return [(doc_id, score) for score, doc_id in best[:depth]]
