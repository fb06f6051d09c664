import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.rng import stream
from rankscope.data.negatives import ScoreMargin, between, drawn, without
from rankscope.data.samples import TeacherLabels, pools_from_qrels, pools_from_teacher

RANKING = [ScoredDoc("q1", f"d{i}", 10.0 - i) for i in range(10)]
RUN = Run.of("r", [*RANKING, *(doc._replace(query_id="q2") for doc in RANKING)])


def test_negatives_skip_the_top_and_the_relevant() -> None:
    docs = between(RANKING, 2, 6)
    assert [doc.doc_id for doc in docs] == ["d2", "d3", "d4", "d5"]
    assert without(docs, {"d3"}) == ["d2", "d4", "d5"]
    assert sorted(drawn(["a", "b"], 5, stream(1, "x"))) == ["a", "b"]


def test_exactly_one_positive_and_no_judged_relevant_negative() -> None:
    """Grades 1 and 2 are relevant; with min_relevance 2 only d4 is a positive, d5 is neither."""
    qrels = [Qrel("q1", "d4", 2), Qrel("q1", "d5", 1), Qrel("q1", "d6", 0)]
    pools = pools_from_qrels(
        qrels, RUN, skip_top=1, depth=8, missing_positive="add", min_relevance=2
    )
    (pool,) = pools.pools
    assert pool.doc_ids == ("d4", "d1", "d2", "d3", "d6", "d7")
    for epoch in range(20):
        (sample,) = pools.epoch(epoch, group_size=4, seed=7)
        assert sample.doc_ids[0] == "d4"
        assert sample.labels == (1.0, 0.0, 0.0, 0.0)
        assert len(set(sample.doc_ids)) == 4
        assert "d5" not in sample.doc_ids


def test_negatives_are_redrawn_per_epoch_from_a_named_stream() -> None:
    pools = pools_from_qrels(
        [Qrel("q1", "d0", 1)], RUN, skip_top=0, depth=10, missing_positive="add"
    )
    epochs = [pools.epoch(epoch, group_size=3, seed=1) for epoch in range(6)]
    assert epochs == [pools.epoch(epoch, group_size=3, seed=1) for epoch in range(6)]
    assert len({sample[0].doc_ids for sample in epochs}) > 1
    other = pools_from_qrels(
        [Qrel("q0", "d1", 1), Qrel("q1", "d0", 1)],
        Run.of("r", [*RANKING, *(doc._replace(query_id="q0") for doc in RANKING)]),
        skip_top=0, depth=10, missing_positive="add",
    )  # fmt: skip
    assert other.epoch(0, group_size=3, seed=1)[1] == epochs[0][0], "one more query moves no draw"


def test_a_positive_that_was_not_retrieved_is_added_or_the_query_dropped() -> None:
    qrels = [Qrel("q1", "far", 1), Qrel("q2", "d1", 1), Qrel("q3", "d1", 0)]
    added = pools_from_qrels(qrels, RUN, skip_top=0, depth=5, missing_positive="add")
    assert [pool.query_id for pool in added.pools] == ["q1", "q2"]
    assert added.epoch(0, group_size=3, seed=0)[0].doc_ids[0] == "far"
    assert (added.dropped, added.n_added) == ({"no relevant doc": 1}, 1)
    both = pools_from_qrels(
        [Qrel("q2", "far", 1), Qrel("q2", "d1", 1)],
        RUN,
        skip_top=0,
        depth=5,
        missing_positive="add",
    )
    assert both.pools[0].doc_ids[:2] == ("d1", "d0"), "where one was retrieved, no other is added"
    dropped = pools_from_qrels(qrels, RUN, skip_top=0, depth=5, missing_positive="drop")
    assert [pool.query_id for pool in dropped.pools] == ["q2"]
    assert dropped.dropped == {"no relevant doc": 1, "positive not retrieved": 1}


def test_a_query_without_negatives_is_dropped_and_an_empty_rest_refused() -> None:
    with pytest.raises(BadInput, match="not ranked by the first stage: 1"):
        pools_from_qrels([Qrel("q9", "d1", 1)], RUN, skip_top=0, depth=5, missing_positive="add")
    all_relevant = [Qrel("q1", f"d{i}", 1) for i in range(5)]
    with pytest.raises(BadInput, match="no hard negative: 1"):
        pools_from_qrels(all_relevant, RUN, skip_top=0, depth=5, missing_positive="add")


def test_a_teachers_order_becomes_labels() -> None:
    """Three docs, best first, are labelled 3, 2, 1; a drawn group keeps the order."""
    teacher = Run.of("t", RANKING[:3])
    pools = pools_from_teacher(["q1", "q5"], teacher, depth=3)
    assert pools.dropped == {"not ranked by the teacher": 1}
    (sample,) = pools.epoch(0, group_size=5, seed=0)
    assert (sample.doc_ids, sample.labels) == (("d0", "d1", "d2"), (3.0, 2.0, 1.0))
    for epoch in range(10):
        (pair,) = pools.epoch(epoch, group_size=2, seed=0)
        assert list(pair.doc_ids) == sorted(pair.doc_ids)
        assert pair.labels == (2.0, 1.0)


def test_a_list_of_one_teaches_nothing() -> None:
    with pytest.raises(BadInput, match="only one doc to rank: 1"):
        pools_from_teacher(["q1"], Run.of("t", RANKING[:1]), depth=5)


def test_tied_docs_share_a_label_and_scores_are_labels_where_asked() -> None:
    """Scores 2, 1, 1, 0: ranks 4, 3, 3, 1 of four docs; by scores, the scores themselves."""
    teacher = Run.of("t", [ScoredDoc("q1", f"d{i}", score) for i, score in enumerate([2, 1, 1, 0])])
    (sample,) = pools_from_teacher(["q1"], teacher, depth=4).epoch(0, group_size=4, seed=0)
    assert (sample.doc_ids, sample.labels) == (("d0", "d2", "d1", "d3"), (4.0, 3.0, 3.0, 1.0))
    pools = pools_from_teacher(["q1"], teacher, depth=4, labels="scores")
    (scored,) = pools.epoch(0, group_size=4, seed=0)
    assert scored == sample._replace(labels=(2, 1, 1, 0))


@pytest.mark.parametrize("labels", ["ranks", "scores"])
def test_a_list_of_one_positive_is_never_drawn_without_it(labels: TeacherLabels) -> None:
    """Of 20 docs 4 are drawn: by chance alone, four draws in five would miss the one that matters."""
    scores = [1.0, *[0.0] * 19]
    teacher = Run.of("t", [ScoredDoc("q1", f"d{i:02d}", score) for i, score in enumerate(scores)])
    pools = pools_from_teacher(["q1"], teacher, depth=20, labels=labels)
    for epoch in range(50):
        (sample,) = pools.epoch(epoch, group_size=4, seed=0)
        assert sample.doc_ids[0] == "d00"
        assert len(set(sample.doc_ids)) == 4
        assert sample.labels == ((1, 0, 0, 0) if labels == "scores" else (4, 3, 3, 3))
    tied = Run.of("t", [ScoredDoc("q2", f"d{i}", 1.0) for i in range(3)])
    both = Run("t", {**teacher.rankings, **tied.rankings})
    assert pools_from_teacher(["q1", "q2"], both, depth=20).dropped == {"all docs tied": 1}


def test_study_bs_defect_a_random_negative_takes_the_place_of_a_positive_not_retrieved() -> None:
    found = pools_from_qrels(
        [Qrel("q1", "nowhere", 1)], RUN, skip_top=0, depth=5, missing_positive="random_negative"
    )
    assert (found.n_mistaken, found.n_added, dict(found.dropped)) == (1, 0, {})
    (pool,) = found.pools
    drawn = [pool.draw(3, stream(1, "draw", n)) for n in range(30)]
    assert {sample.labels for sample in drawn} == {(1.0, 0.0, 0.0)}
    assert all(len(set(sample.doc_ids)) == 3 for sample in drawn)
    assert "nowhere" not in {doc_id for sample in drawn for doc_id in sample.doc_ids}
    assert len({sample.doc_ids[0] for sample in drawn}) > 1


@pytest.mark.parametrize(
    ("margin", "negatives"),
    [
        (ScoreMargin(), ("d0", "d1", "d3", "d4", "d5")),
        (ScoreMargin(absolute=1.5), ("d4", "d5")),
        (ScoreMargin(relative=0.25), ("d4", "d5")),
        (ScoreMargin(absolute=1.0, relative=0.375), ("d5",)),
    ],
)
def test_a_negative_scores_below_the_best_positive_by_a_margin(
    margin: ScoreMargin, negatives: tuple[str, ...]
) -> None:
    """d2 scores 8: with 1.5 below it, d4 (6) and less are left; with 25 % of 8, the same."""
    qrels = [Qrel("q1", "d2", 1), Qrel("q1", "d9", 1)]
    (pool,) = pools_from_qrels(
        qrels, RUN, skip_top=0, depth=6, missing_positive="add", margin=margin
    ).pools
    assert pool.doc_ids == ("d2", *negatives)


def test_a_margin_below_a_negative_score_is_below_it() -> None:
    docs = [ScoredDoc("q", "a", -2.0), ScoredDoc("q", "b", -2.15), ScoredDoc("q", "c", -2.3)]
    assert ScoreMargin(relative=0.1).kept(docs, -2.0) == docs[2:]
    assert ScoreMargin(relative=0.1).kept(docs, None) == docs, (
        "a positive without a score has no margin"
    )


def test_a_query_all_of_whose_docs_are_within_the_margin_is_dropped() -> None:
    qrels = [Qrel("q1", "d0", 1), Qrel("q2", "d1", 1)]
    pools = pools_from_qrels(
        qrels, RUN, skip_top=0, depth=4, missing_positive="add", margin=ScoreMargin(absolute=3.0)
    )
    assert [pool.query_id for pool in pools.pools] == ["q1"]
    assert pools.dropped == {"no hard negative": 1}
