from dataclasses import replace
from itertools import pairwise

from rankscope.core.judged.comparisons import Place
from rankscope.report import queries
from rankscope.report.stored import StoredDoc
from support.made_up_study import ranking, run_of, stored, with_evaluation

DEV = Place("dev", "bm25")


def differing(results, **values):
    """C minus bm25 as the test says, and nothing else compared."""
    runs = {
        run_of("C"): {"nDCG@10": {query: 0.5 + value for query, value in values.items()}},
        run_of("bm25"): {"nDCG@10": dict.fromkeys(values, 0.5)},
    }
    return replace(results, per_query=runs)


PAIR = queries.SystemPair(DEV, "C", "bm25", run_of("C"), run_of("bm25"), run_of("bm25"))


def test_pairs_are_those_compared_with_first_stage_and_last_baseline(results):
    pairs = queries.pairs(results.evaluation)
    assert [(pair.system, pair.baseline) for pair in pairs] == [
        ("plain", "bm25"),
        ("C", "bm25"),
        ("C-D", "bm25"),
        ("C-D", "C"),
    ]
    assert pairs[1] == PAIR


def test_a_first_stage_that_was_not_measured_is_not_read(results):
    kept = {
        key: [
            row
            for row in stored(results)[key]
            if "bm25" not in (row["system"], row.get("baseline"))
        ]
        for key in ("results", "comparisons")
    }
    without = with_evaluation(results, **kept)
    pairs = queries.pairs(without.evaluation)
    assert [(pair.system, pair.baseline, pair.first_stage_run) for pair in pairs] == [
        ("C-D", "C", None)
    ]
    assert queries.reaches(without) == []
    found = queries.cases(queries.differences(pairs[0], without), without)
    assert {
        (case.out_of_reach, case.first_relevant_rank) for case in [*found.wins, *found.losses]
    } == {(False, None)}


def test_differences_pair_by_query_id_and_sort_with_ties_by_query_id(results):
    made_up = differing(results, c=0.1, a=-0.2, b=0.1, d=0.0)
    found = queries.differences(PAIR, made_up)
    assert [row.query_id for row in found.rows] == ["b", "c", "d", "a"]
    assert (found.n_better, found.n_worse) == (2, 1)
    assert (found.rows[3].system_value, found.rows[3].baseline_value) == (0.3, 0.5)


def test_all_queries_are_drawn_each_at_its_place(results):
    found = queries.differences(PAIR, differing(results, a=-0.2, b=0.1))
    assert [(place, row.query_id) for place, row in found.drawn] == [(1, "b"), (2, "a")]
    assert replace(found, rows=()).drawn == ()


def test_of_many_queries_evenly_spaced_ones_are_drawn(results):
    """1000 queries leave 999 / 299 = 3.3 places from one of the 300 to the next."""
    one = queries.differences(PAIR, differing(results, a=0.1)).rows[0]
    rows = tuple(replace(one, query_id=str(place)) for place in range(1, 1001))
    many = queries.Differences(PAIR, "nDCG@10", rows)
    places = [place for place, _ in many.drawn]
    assert (len(places), places[0], places[-1]) == (300, 1, 1000)
    assert {right - left for left, right in pairwise(places)} == {3, 4}
    assert all(row.query_id == str(place) for place, row in many.drawn)
    full = replace(many, rows=rows[:300])
    assert [row for _, row in full.drawn] == list(full.rows)


def test_wins_and_losses_are_the_biggest_and_leave_ties_out(results):
    made_up = differing(
        results,
        a=0.1,
        b=0.3,
        c=0.2,
        d=0.3,
        e=0.05,
        f=0.0,
        g=-0.25,
        h=-0.25,
        i=-0.125,
        j=-0.375,
        k=-0.0625,
    )
    found = queries.cases(queries.differences(PAIR, made_up), made_up)
    assert [case.query.query_id for case in found.wins] == ["b", "d", "c"]
    assert [case.query.query_id for case in found.losses] == ["j", "g", "h"]
    none = differing(results, a=0.0, b=0.0)
    found = queries.cases(queries.differences(PAIR, none), none)
    assert (found.wins, found.losses) == ((), ())


def test_a_case_shows_both_tops_and_where_the_other_had_each_doc(results):
    made_up = differing(results, q03=0.1)
    (case,) = queries.cases(queries.differences(PAIR, made_up), made_up).wins
    assert [doc.rank for doc in case.system] == [1, 2, 3, 4, 5]
    theirs = {doc.doc_id: doc.rank for doc in ranking(run_of("bm25"), "q03", 1000)}
    assert [doc.other_rank for doc in case.system] == [theirs[doc.doc_id] for doc in case.system]
    assert all(len(doc.text) <= 242 for doc in case.system)
    assert not case.out_of_reach


def test_a_doc_the_other_did_not_rank_has_no_other_rank(results):
    def apart(run, query_id, depth):
        return [replace(doc, doc_id=f"{run}{doc.doc_id}") for doc in ranking(run, query_id, depth)]

    made_up = replace(differing(results, q03=0.1), rankings=apart)
    (case,) = queries.cases(queries.differences(PAIR, made_up), made_up).wins
    assert {doc.other_rank for doc in case.system} == {None}


def case_of(results, system, baseline, grades):
    """The one case of a query whose rankings are these docs; the baseline is the first stage too."""
    tops = {run_of("C"): system, run_of("bm25"): baseline}

    def rankings(run, query_id, depth):
        return [
            StoredDoc(rank, doc, doc, grades.get(doc))
            for rank, doc in enumerate(tops[run][:depth], start=1)
        ]

    made_up = replace(differing(results, a=0.1), rankings=rankings)
    (case,) = queries.cases(queries.differences(PAIR, made_up), made_up).wins
    return case


def test_moves_are_of_judged_docs_that_moved_the_most_relevant_first_and_then_the_furthest(results):
    """u is unjudged, s stays, k and j are in no top five; e fell by 2 and b rose by 1."""
    case = case_of(results, "uasbcdkej", "eascbdkju", {**dict.fromkeys("asbdkje", 1), "c": 3})
    assert [(move.doc_id, move.baseline_rank, move.system_rank) for move in case.moves] == [
        ("c", 4, 5),
        ("e", 1, 8),
        ("b", 5, 4),
    ]
    assert [move.relevance for move in case.moves] == [3, 1, 1]


def test_a_doc_that_was_not_ranked_moves_from_below_the_last(results):
    """Of three docs a side: n comes in at 3 from below 3, so by 1; o leaves 1, by 3."""
    case = case_of(results, "pqn", "opq", dict.fromkeys("nopq", 0))
    assert [(move.doc_id, move.baseline_rank, move.system_rank) for move in case.moves] == [
        ("o", 1, None),
        ("n", None, 3),
        ("p", 2, 1),
        ("q", 3, 2),
    ]


def test_no_more_moves_than_can_be_read(results):
    case = case_of(results, "abcdef", "fedcba", dict.fromkeys("abcdef", 1))
    assert [move.doc_id for move in case.moves] == ["a", "f", "b", "e"]


def test_rankings_that_agree_have_no_moves(results):
    assert case_of(results, "abc", "abc", dict.fromkeys("abc", 1)).moves == ()


def test_a_case_says_where_the_first_stage_had_its_first_relevant_doc(results):
    """b is judged not relevant, c is unjudged, d is relevant and third."""
    case = case_of(results, "dbc", "bcd", {"b": 0, "d": 2})
    assert (case.first_relevant_rank, case.out_of_reach) == (3, False)
    case = case_of(results, "bc", "cb", {"b": 0})
    assert (case.first_relevant_rank, case.out_of_reach) == (None, True)


def test_a_query_without_a_relevant_candidate_is_out_of_reach(results):
    """In the made-up study only q00 has no relevant doc."""
    (reach,) = queries.reaches(results)
    assert (reach.place, reach.n_queries, reach.out_of_reach, reach.depth) == (
        DEV,
        40,
        ("q00",),
        20,
    )
    made_up = differing(results, q00=0.1, q03=0.05)
    found = queries.cases(queries.differences(PAIR, made_up), made_up)
    assert [(case.query.query_id, case.out_of_reach) for case in found.wins] == [
        ("q00", True),
        ("q03", False),
    ]


def test_rankings_are_not_all_read_for_a_large_collection(results, monkeypatch):
    monkeypatch.setattr(queries, "MAX_READ", 39)
    assert queries.reaches(results) == []
