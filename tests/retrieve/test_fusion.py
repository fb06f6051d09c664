import pytest

from rankscope.core.records import Run, ScoredDoc
from rankscope.retrieve import fusion


def run(tag: str, **rankings: dict[str, float]) -> Run:
    return Run.of(
        tag, [ScoredDoc(q, d, s) for q, docs in rankings.items() for d, s in docs.items()]
    )


ONE = run("one", q={"a": 9.0, "b": 5.0, "c": 1.0})
TWO = run("two", q={"b": 0.2, "d": 0.1}, r={"a": 1.0})


def scores(found: Run, query_id: str = "q") -> dict[str, float]:
    return {doc.doc_id: doc.score for doc in found.rankings[query_id]}


def test_reciprocal_ranks_by_hand() -> None:
    """k 60: b is second and first, 1/62 + 1/61; a first, 1/61; d second, 1/62; c third, 1/63."""
    found = fusion.by_rank([ONE, TWO], k=60, tag="f")
    assert scores(found) == pytest.approx(
        {"b": 1 / 62 + 1 / 61, "a": 1 / 61, "d": 1 / 62, "c": 1 / 63}
    )
    assert list(scores(found)) == ["b", "a", "d", "c"]
    assert scores(found, "r") == pytest.approx({"a": 1 / 61})


def test_scores_are_brought_to_one_range_for_each_query() -> None:
    """ONE gives a 1, b 1/2, c 0 and TWO b 1, d 0, each half; r's one doc has no range."""
    found = fusion.by_score([ONE, TWO], tag="f")
    assert scores(found) == pytest.approx({"b": 0.75, "a": 0.5, "c": 0.0, "d": 0.0})
    assert scores(found, "r") == {"a": 0.5}


def test_scores_times_a_number_plus_another_change_nothing() -> None:
    moved = run("m", q={d.doc_id: 3 * d.score - 7 for d in ONE.rankings["q"]})
    assert scores(fusion.by_score([moved, TWO], tag="f")) == pytest.approx(
        scores(fusion.by_score([ONE, TWO], tag="f"))
    )
