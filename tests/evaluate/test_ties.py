"""What ties are worth, by hand."""

import math

import pytest

import rankscope
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.evaluate.measuring import Measuring
from rankscope.evaluate.ties import Ties, ties


def found(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]], *measures: str, **how: int
) -> Ties | None:
    measuring = Measuring(
        (Qrel(q, d, g) for q, of in qrels.items() for d, g in of.items()), measures
    )
    of_run = Run.of("r", (ScoredDoc(q, d, s) for q, docs in run.items() for d, s in docs.items()))
    return ties(of_run, measuring, measuring.of(of_run), **how)


def test_one_relevant_doc_among_three_tied_behind_one() -> None:
    """Ranks 2, 3 or 4: RR is 1/2 at best, 1/4 at worst and (1/2 + 1/3 + 1/4) / 3 = 13/36 on average."""
    run = {"q": {"top": 9.0, "a": 1.0, "b": 1.0, "c": 1.0}}
    of = found({"q": {"b": 1}}, run, "RR", "P@2", n_orders=2000)
    assert of is not None
    assert of.best == {"RR": 1 / 2, "P@2": 1 / 2}
    assert of.worst == {"RR": 1 / 4, "P@2": 0.0}
    assert of.expected == pytest.approx({"RR": 13 / 36, "P@2": 1 / 6}, abs=0.015)
    assert (of.share, of.n_queries, of.n_orders) == (2 / 3, 1, 2000)


def test_unjudged_docs_stand_below_judged_ones_at_best_and_above_at_worst() -> None:
    """Grades 2, 0, none and -1 at one score: the relevant doc has rank 1 or 4, Judged@2 is 1 or 1/2."""
    run = {"q": dict.fromkeys(("good", "bad", "worse", "unknown"), 1.0)}
    of = found({"q": {"good": 2, "bad": 0, "worse": -1}}, run, "nDCG@4", "Judged@2")
    assert of is not None
    assert of.best == pytest.approx({"nDCG@4": 1.0, "Judged@2": 1.0})
    assert of.worst == pytest.approx({"nDCG@4": 1 / math.log2(5), "Judged@2": 0.5})


def test_only_tied_queries_differ_and_all_judged_ones_count() -> None:
    """q1 is 1/2 or 1, q2 is 1, q3 is not ranked: 1.5/3 and 2/3. q0 is tied, but not judged."""
    qrels = {query: {"a": 1} for query in ("q1", "q2", "q3")}
    tied = {"a": 1.0, "b": 1.0}
    of = found(qrels, {"q0": tied, "q1": tied, "q2": {"a": 2.0, "b": 1.0}}, "RR")
    assert of is not None
    assert (of.worst["RR"], of.best["RR"]) == pytest.approx((0.5, 2 / 3))
    assert of.n_queries == 1


def test_without_a_tie_there_is_no_report() -> None:
    assert found({"q": {"a": 1}}, {"q": {"a": 2.0, "b": 1.0}}, "RR") is None
    assert found({"q": {"a": 1}}, {"q": {"a": 1.0}, "q0": {"a": 1.0, "b": 1.0}}, "RR") is None


def test_the_random_orders_are_those_of_the_seed() -> None:
    run = {"q": {f"d{n}": 1.0 for n in range(30)}}
    first, again, other = (found({"q": {"d7": 1}}, run, "RR", seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


# -- notes -----------------------------------------------------------------------------------------


def test_a_note_is_on_means_that_other_orders_change_and_on_no_other() -> None:
    """Tied at ranks 2 and 3: P@3 counts both in any order, and RR is 1/2 or 1/3."""
    run = {"q": {"top": 9.0, "a": 1.0, "b": 1.0}}
    of = found({"q": {"b": 1}}, run, "P@3", "RR")
    assert of is not None
    assert of.note() == (
        f"50 % of neighbours are tied, in 1 query: RR is 0.3333 to 0.5000 by their order, {of.expected['RR']:.4f} expected"
    )
    none = found({"q": {"b": 1}}, run, "P@3")
    assert none is not None
    assert none.note() is None
    assert none.summary().keys() == {"share", "n_queries", "worst", "best", "expected", "n_orders"}


QRELS = {f"q{n}": {"d": 1} for n in range(40)}


def ranked(*scores: float) -> dict[str, dict[str, float]]:
    """The relevant doc beside one other, which has a score of 1, in each query."""
    return {f"q{n}": {"d": score, "x": 1.0} for n, score in enumerate(scores)}


def notes_of(**runs: dict[str, dict[str, float]]) -> list[str]:
    compared = rankscope.compare(runs, QRELS, ["RR"], baseline="base", resamples=0)
    return [note for note in compared.notes if "tied docs" in note]


def test_a_verdict_that_ties_could_change_is_noted() -> None:
    """x is above d in all queries of the baseline; of the tied system d stands below x ("d" < "x") or above it."""
    below, tied = ranked(*[0.5] * 30, *[2.0] * 10), ranked(*[1.0] * 30, *[2.0] * 10)
    assert notes_of(base=below, tied=tied) == [
        "RR, tied - base: cannot tell as tied docs stand, and better in other orders of them"
    ]


def test_ties_that_change_no_verdict_are_not_noted() -> None:
    """One tied query of 40, where the system is ahead in 30 others, and ties of docs that nobody judged."""
    base = ranked(*[0.5] * 40)
    ahead = ranked(1.0, *[2.0] * 30, *[0.5] * 9)
    assert notes_of(base=base, ahead=ahead) == []
    unjudged = {query: {"d": 0.5, "x": 1.0, "y": 1.0} for query in QRELS}
    assert notes_of(base=base, ahead=ahead, same=unjudged) == []


def test_as_published_tests_are_judged_again_likewise() -> None:
    below, tied = ranked(*[0.5] * 30, *[2.0] * 10), ranked(*[1.0] * 30, *[2.0] * 10)
    runs = {"base": below, "tied": tied}
    compared = rankscope.compare(runs, QRELS, ["RR"], baseline="base", tests="as_published")
    assert any("as tied docs stand, and better in other orders" in note for note in compared.notes)


def test_many_such_verdicts_are_counted() -> None:
    below, tied = ranked(*[0.5] * 30, *[2.0] * 10), ranked(*[1.0] * 30, *[2.0] * 10)
    runs = {"base": below} | {f"tied{n}": tied for n in range(6)}
    compared = rankscope.compare(runs, QRELS, ["RR"], baseline="base", resamples=0)
    told = [note for note in compared.notes if "tied docs" in note]
    assert len(told) == 5
    assert told[-1] == "2 more verdicts could be another in other orders of tied docs"
