"""BM25 of texts by a collection's statistics: the scores of an index over the same docs, to the bit."""

from pathlib import Path

import numpy as np
import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc
from rankscope.pipeline.first_stages.bm25 import BM25Spec
from rankscope.retrieve import bm25
from rankscope.retrieve.bm25_ranker import Bm25Ranker
from rankscope.retrieve.lexical.weights import K1, B

WORDS = ["cat", "Cats'", "running", "the", "naïve", "日本", "café", "x_y", "U.S.A.", "dog", "3.14"]


def made_up(n_docs: int) -> list[Doc]:
    """Docs of words with and without accents, stop words, and one that is empty."""
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, size=int(rng.integers(1, 30)))) for _ in range(n_docs)]
    return [Doc(f"d{place}", text) for place, text in enumerate([*texts, ""])]


@pytest.mark.parametrize(
    ("k1", "b", "language"), [(0.9, 0.4, "english"), (1.2, 0.75, "french"), (0.5, 0, "none")]
)
def test_scores_are_those_of_the_index_to_the_bit(
    tmp_path: Path, k1: float, b: float, language: str
) -> None:
    docs = made_up(200)
    bm25.build(docs, tmp_path, k1=k1, b=b, language=language)
    index = bm25.Index.load(tmp_path)
    ranker = Bm25Ranker.of(docs, k1=k1, b=b, language=language)
    queries = ["running cats", "the naïve café 日本", "cat cat dog", "horse", ""]
    texts = [doc.text for doc in docs]
    scored = ranker.score_all([(query, texts) for query in queries])
    for query, scores in zip(queries, scored, strict=True):
        assert scores == index.score(query, [doc.doc_id for doc in docs])
    assert max(scored[0]) > 0 == max(scored[3])


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = made_up(50)
    (whole,) = Bm25Ranker.of(docs).score_all([("cat dog", [doc.text for doc in docs])])
    monkeypatch.setattr("rankscope.retrieve.lexical.blocks.BLOCK_CHARACTERS", 100)
    (parts,) = Bm25Ranker.of(docs).score_all([("cat dog", [doc.text for doc in docs])])
    assert parts == whole


def test_docs_without_terms_are_refused() -> None:
    with pytest.raises(BadInput, match="1 doc and not one indexable term"):
        Bm25Ranker.of([Doc("d", "the")])


def test_a_study_s_bm25_has_the_parameters_of_the_library_s() -> None:
    spec = BM25Spec(kind="bm25")
    assert (spec.k1, spec.b) == (K1, B)
