import math
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc, Query
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.evaluate.measuring import measured
from rankscope.retrieve import bm25


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cats' toys aren't the dog's", ["cat", "toi", "aren't", "dog"]),
        ("U.S.A. 3.14 1,000 a:b wi-fi x_y", ["u.s.a", "3.14", "1,000", "a:b", "wi", "fi", "x_y"]),
        ("Running relational IS at", ["run", "relat"]),
        ("naïve café \u65e5\u672c", ["naïv", "café", "\u65e5", "\u672c"]),
        ("", []),
        ("a" * 300, ["a" * 255, "a" * 45]),
    ],
)
def test_the_analyzer_does_as_lucene_does(text: str, terms: list[str]) -> None:
    assert bm25.analyzed(text) == terms


def test_a_score_by_hand(tmp_path: Path) -> None:
    """Lucene's BM25, N = 2 docs, `cat` in one of them, tf 2, length 3, mean length 2.

    idf = ln(1 + (N - n + .5) / (n + .5)) = ln 2; tf part = 2 / (2 + .9 (1 - .4 + .4 * 3 / 2)).
    """
    bm25.build([Doc("d1", "cat cat dog"), Doc("d2", "bird")], tmp_path)
    ((doc_id, score),) = bm25.Index.load(tmp_path).rank("cat", 10)
    assert doc_id == "d1"
    assert score == pytest.approx(math.log(2) * 2 / (2 + 0.9 * (1 - 0.4 + 0.4 * 3 / 2)), rel=1e-6)


def test_only_docs_with_a_term_are_ranked_and_ties_go_by_doc_id(tmp_path: Path) -> None:
    docs = [Doc(doc_id, "cat") for doc_id in ("c", "a", "b")] + [Doc("z", "dog")]
    assert bm25.build(docs, tmp_path) == 4
    index = bm25.Index.load(tmp_path)
    assert [doc_id for doc_id, _ in index.rank("cat", 10)] == ["c", "b", "a"]
    assert [doc_id for doc_id, _ in index.rank("cat", 2)] == ["c", "b"]
    assert index.rank("horse", 10) == index.rank("the", 10) == []
    run = bm25.search(index, [Query("q1", "dog"), Query("q2", "horse")], depth=3)
    assert list(run.rankings) == ["q1"]


def test_docs_without_terms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not one indexable term"):
        bm25.build([Doc("d", "the")], tmp_path)


def test_anserinis_numbers_on_scifact(real_data: Path, tmp_path: Path) -> None:
    """Anserini: nDCG@10 0.6789, R@100 0.9253 (title and text, Porter, k1 0.9, b 0.4)."""
    source = beir_folder(real_data / "scifact", "test")
    bm25.build(source.docs(), tmp_path)
    topics = judged_topics(source)
    run = bm25.search(bm25.Index.load(tmp_path), topics.queries, depth=100)
    means = measured(run, topics.qrels, ["nDCG@10", "R@100"]).means()
    assert means["nDCG@10"] == pytest.approx(0.6789, abs=0.005)
    assert means["R@100"] == pytest.approx(0.9253, abs=0.005)
