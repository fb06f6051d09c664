"""`rs.load("bm25", collection)`: a ranker that scores and ranks any texts by a collection's statistics."""

from pathlib import Path
from typing import Any

import pytest

import rankscope as rs
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.study.demo import write_demo


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo")).parent / "world"


@pytest.fixture(scope="module")
def c(world: Path) -> Any:
    return rs.collection(world)


def test_its_scores_are_those_of_a_search(c: Any) -> None:
    run, bm25 = rs.search("bm25", c, depth=20), rs.load("bm25", c)
    assert repr(bm25) == f"BM25 bm25 over {c.name}"
    for query_id, ranking in [*run.rankings.items()][:50]:
        pairs = [(c.queries[query_id], c.docs[doc.doc_id]) for doc in ranking]
        assert bm25.score(pairs) == [doc.score for doc in ranking]
    query_id, ranking = next(iter(run.rankings.items()))
    hits = bm25.rank(c.queries[query_id], {doc.doc_id: c.docs[doc.doc_id] for doc in ranking})
    assert [hit.doc_id for hit in hits] == [doc.doc_id for doc in ranking]
    assert rs.rerank(bm25, c, run, depth=20).rankings == run.rankings
    assert rs.search(bm25, c, depth=20) == run
    assert bm25.notes == ()


def test_its_statistics_are_those_of_its_collection(c: Any, world: Path, tmp_path: Path) -> None:
    bm25 = rs.load("BM25", c, name="mine", language="none")
    assert bm25.score([("qwxz vbnm", "qwxz vbnm")]) == [0.0]
    assert rs.search(bm25, rs.collection(world, split="train"), depth=5).tag == "mine"
    other = write_demo(tmp_path).parent / "world"
    with pytest.raises(BadInput, match="mine has the statistics of .* is searched by its own"):
        rs.search(bm25, rs.collection(other))
    with pytest.raises(BadInput, match="was loaded for the language none, and german"):
        rs.search(bm25, c, language="german")


def test_what_bm25_has_not(c: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no collection is given"):
        rs.load("bm25")
    with pytest.raises(BadInput, match=r"The collection is 'world', .*rs.collection\('world'\)"):
        rs.load("bm25", "world")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="revision: for models, and bm25 is none"):
        rs.load("bm25", c, revision="main")
    with pytest.raises(UnknownChoice, match="Unknown language 'klingon'"):
        rs.load("bm25", c, language="klingon")
    with pytest.raises(BadInput, match="a collection is for bm25"):
        rs.load("folder", c)
    bm25, run = rs.load("bm25", c), rs.search("bm25", c, depth=5)
    with pytest.raises(BadInput, match="no layers"):
        rs.rerank(bm25, c, run, precision="bfloat16")
    for verb in (
        lambda: rs.tune(bm25, c, negatives=run, loss="ranknet", results=tmp_path),
        lambda: rs.diff(bm25, bm25, c),
        lambda: rs.probe([bm25], c),
        lambda: rs.attribute([bm25], c),
    ):
        with pytest.raises(BadInput, match="bm25: BM25, which has no weights to train"):
            verb()
