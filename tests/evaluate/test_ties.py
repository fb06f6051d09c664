"""What ties are worth, by hand."""

import math

import pytest

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
