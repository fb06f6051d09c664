from typing import get_args

import pytest

from rankscope.core.records import Qrel, Query, Run, ScoredDoc
from rankscope.data import leaks
from rankscope.data.collections import Topics
from rankscope.data.samples import MissingPositive, QrelPool, TeacherPool, pools_from_qrels

TEXTS = {"d1": "A red cat.", "d2": "a  RED cat.", "d3": "a dog", "d4": "a bird"}
TOPICS = Topics(
    [Query("q1", "what cat"), Query("q2", "What  Cat"), Query("q3", "what dog")],
    [Qrel("q1", "d1", 1), Qrel("q2", "d4", 2), Qrel("q3", "d3", 1), Qrel("q3", "d1", 0)],
)


def test_shared_queries_are_counted_by_their_words() -> None:
    learnt = Topics([Query("x", "WHAT cat")], [])
    assert leaks.shared_queries("test queries", TOPICS, " (train)", learnt) == (
        "2 of 3 test queries are training queries (train)"
    )
    assert leaks.shared_queries("test queries", TOPICS, "", Topics([Query("y", "a")], [])) is None


def test_relevant_negatives_by_judgement_of_the_same_words_and_by_text() -> None:
    """d4 is relevant for q2, which asks what q1 asks; d2 says what d1 says; d1 is judged 0 for q3."""
    pools = [
        QrelPool("q1", ("d1",), ("d4", "d2", "d3")),
        QrelPool("q3", ("d3",), ("d1", "d2")),
        TeacherPool("q1", ("d4", "d1"), (2.0, 1.0)),
    ]
    found = leaks.relevant_negatives(pools, TOPICS, TEXTS.__getitem__)
    assert found == leaks.RelevantNegatives(2, 1, judged=1, same_text=1, first="q1, doc d4")
    clean = leaks.relevant_negatives(pools[1:], TOPICS, TEXTS.__getitem__)
    assert (clean.n_queries, clean.n_queries_with) == (1, 0)


@pytest.mark.parametrize("missing", get_args(MissingPositive))
def test_how_often_positives_are_retrieved_by_hand(missing: str) -> None:
    """Of three queries one finds its positive in the top 2 of 4 docs; by chance half of them do."""
    rankings = {
        "q1": ["d1", "d2", "d4"], "q2": ["d1", "d2", "d4"], "q3": ["d2", "d1", "d3"],
    }  # fmt: skip
    run = Run.of("r", [ScoredDoc(q, d, -i) for q, ds in rankings.items() for i, d in enumerate(ds)])
    pools = pools_from_qrels(TOPICS.qrels, run, skip_top=0, depth=2, missing_positive=missing)  # type: ignore[arg-type]
    found = leaks.retrieved(pools, TOPICS, depth=2, min_relevance=1, n_docs=4)
    assert found == leaks.Retrieved(3, 1, by_chance=0.5)
    assert found.above_chance == pytest.approx((1 / 3 - 1 / 2) / (1 / 2))
    assert leaks.retrieved(pools, TOPICS, depth=9, min_relevance=1, n_docs=4).above_chance == 1


@pytest.mark.parametrize("missing", get_args(MissingPositive))
def test_a_query_the_run_does_not_rank_is_neither_found_nor_missed(missing: str) -> None:
    run = Run.of("r", [ScoredDoc("q2", d, -i) for i, d in enumerate(["d1", "d2", "d3"])])
    pools = pools_from_qrels(
        [*TOPICS.qrels, Qrel("q9", "d2", 1)],
        Run.of("r", [*run.rankings["q2"], ScoredDoc("q9", "d2", 1.0), ScoredDoc("q9", "d1", 0.5)]),
        skip_top=0, depth=3, missing_positive=missing,  # type: ignore[arg-type]
    )  # fmt: skip
    assert pools.dropped["not ranked by the first stage"] == 2
    topics = Topics(TOPICS.queries, [*TOPICS.qrels, Qrel("q9", "d2", 1)])
    found = leaks.retrieved(pools, topics, depth=3, min_relevance=1, n_docs=4)
    assert (found.n_queries, found.n_found) == (2, 1), "q9 finds its positive, q2 does not"
