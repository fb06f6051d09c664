from collections.abc import Sequence

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Query, Run, ScoredDoc
from rankscope.retrieve.rerank import reordered, rerank

RUN = Run.of("bm25", [ScoredDoc("q1", f"d{i}", 9.0 - i) for i in range(5)])


class ByLength:
    """Longer docs are better."""

    queries_per_block = 2

    def score_all(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        return [[float(len(doc)) for doc in docs] for _, docs in asked]


def test_the_top_is_reordered_and_the_tail_kept_below() -> None:
    again = reordered(RUN.rankings["q1"], [0.1, 0.3, 0.2])
    assert [doc.doc_id for doc in again] == ["d1", "d2", "d0", "d3", "d4"]
    assert [doc.score for doc in again] == [0.3, 0.2, 0.1, -0.9, -1.9]
    assert reordered(RUN.rankings["q1"], [])[0].doc_id == "d0"


def test_equal_scores_fall_back_to_the_doc_id_not_to_the_first_stage() -> None:
    assert [doc.doc_id for doc in reordered(RUN.rankings["q1"], [1.0] * 5)] == [
        "d4", "d3", "d2", "d1", "d0",
    ]  # fmt: skip


def test_rerank_reads_only_the_top_and_leaves_out_unranked_queries() -> None:
    asked: list[str] = []

    def texts(doc_ids: Sequence[str]) -> list[str]:
        asked.extend(doc_ids)
        return ["x" * int(doc_id[1:]) for doc_id in doc_ids]

    queries = [Query("q1", "a"), Query("q2", "b")]
    run = rerank(ByLength(), queries, RUN, texts=texts, depth=3, tag="longest")
    assert run.tag == "longest"
    assert [doc.doc_id for doc in run.rankings["q1"]] == ["d2", "d1", "d0", "d3", "d4"]
    assert (list(run.rankings), asked) == (["q1"], ["d0", "d1", "d2"])


def test_queries_are_scored_in_the_blocks_that_the_ranker_asks_for() -> None:
    blocks: list[int] = []

    class Counts(ByLength):
        def score_all(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
            blocks.append(len(asked))
            return super().score_all(asked)

    queries = [Query(f"q{n}", "a") for n in range(5)]
    given = Run.of("bm25", [ScoredDoc(q.query_id, f"d{i}", -i) for q in queries for i in range(3)])
    run = rerank(Counts(), queries, given, texts=lambda ids: list(ids), depth=3, tag="t")
    assert (blocks, len(run.rankings)) == ([2, 2, 1], 5)


def test_a_score_that_is_no_number_is_refused() -> None:
    class Broken:
        queries_per_block = 2

        def score_all(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
            return [[1.0, float("nan"), 2.0] for _ in asked]

    with pytest.raises(BadInput, match="The ranker t scores doc d1 for query q1 nan"):
        rerank(Broken(), [Query("q1", "a")], RUN, texts=lambda ids: list(ids), depth=3, tag="t")


def test_a_run_over_other_queries_is_refused() -> None:
    with pytest.raises(BadInput, match="does not rank the one query"):
        rerank(ByLength(), [Query("q9", "a")], RUN, texts=lambda ids: list(ids), depth=3, tag="t")
