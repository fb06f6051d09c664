"""Measures of reproducibility, by hand."""

from decimal import Decimal

import pytest
from scipy import stats

from rankscope.core.errors import BadInput
from rankscope.core.records import Run, ScoredDoc
from rankscope.evaluate.reproduction import (
    effect_agreement,
    kendall_tau,
    kendall_tau_union,
    order_agreement,
    published_number,
    rank_biased_overlap,
    value_agreement,
)


def run(**rankings: str) -> Run:
    """Queries and their docs, one letter each, best first."""
    return Run(
        "r",
        {
            q: [ScoredDoc(q, d, -float(at)) for at, d in enumerate(docs)]
            for q, docs in rankings.items()
        },
    )


def test_kendalls_tau_union_compares_places_in_the_sorted_union() -> None:
    """bca and bad: the union abcd gives 1 2 0 and 1 0 3. Pairs: (+, -), (-, +), (-, +): tau = -1."""
    assert kendall_tau_union("bca", "bad") == pytest.approx(-1.0)
    assert kendall_tau_union("abc", "abc") == pytest.approx(1.0)
    assert kendall_tau_union("abcd", "ab") == pytest.approx(1.0)


def test_kendalls_tau_takes_what_one_leaves_out_as_last() -> None:
    """abc against bad: places of a b c d are 1 2 3 4 and 2 1 4 3; 4 of 6 pairs agree: tau = 1/3."""
    assert kendall_tau("abc", "bad") == pytest.approx(1 / 3)
    assert kendall_tau("abcd", "dcba") == pytest.approx(-1.0)
    assert kendall_tau("xyz", "yxw") == kendall_tau("abc", "bad")


def test_one_doc_agrees_or_does_not() -> None:
    assert (kendall_tau("a", "a"), kendall_tau_union("a", "a")) == (1.0, 1.0)
    assert kendall_tau_union("a", "b") == 0.0


def test_rank_biased_overlap_to_a_depth() -> None:
    """ab and ba: overlaps 0 and 2/2, weights 1 and p; p / (1 + p) = .8 / 1.8 at depth 2."""
    assert rank_biased_overlap("ab", "ba", 2) == pytest.approx(0.8 / 1.8)
    assert rank_biased_overlap("ab", "ba", 2, persistence=0.5) == pytest.approx(1 / 3)
    assert rank_biased_overlap("abc", "abc", 3) == pytest.approx(1.0)
    assert rank_biased_overlap("abc", "xyz", 3) == 0.0


def test_two_runs_agree_as_the_mean_over_shared_queries_says() -> None:
    """q1 is the same, q2 is turned round; only one of them ranks q3, and q4 is empty in both."""
    found = order_agreement(run(q1="ab", q2="ab", q3="a", q4=""), run(q1="ab", q2="ba", q4=""))
    assert (found.n_queries, found.overlap, found.kendall_tau) == (2, 1.0, pytest.approx(0.0))
    shallow = order_agreement(run(q1="abx"), run(q1="bay"), depth=1)
    assert (shallow.overlap, shallow.rank_biased_overlap, shallow.depth) == (0.0, 0.0, 1)
    with pytest.raises(BadInput, match="rank no query in common"):
        order_agreement(run(q1="a", q2=""), run(q2="a"))


def test_values_agree_by_hand() -> None:
    """Differences .3, -.1, .1: sqrt(.11 / 3), and t = .1 / (.2 / sqrt 3) with 2 degrees of freedom."""
    ours = {"q1": 0.5, "q2": 0.4, "q3": 0.9}
    found = value_agreement(ours, {"q3": 0.8, "q2": 0.5, "q1": 0.2})
    assert found.root_mean_square_error == pytest.approx((0.11 / 3) ** 0.5)
    assert (found.mean, found.original_mean) == pytest.approx((0.6, 0.5))
    assert found.p_value == pytest.approx(2 * stats.t.sf(3**0.5 / 2, 2))
    assert value_agreement(ours, ours).p_value == 1.0
    with pytest.raises(BadInput, match="over the same queries"):
        value_agreement(ours, {"q1": 0.2, "q2": 0.5})


def test_effects_by_hand() -> None:
    """Gains .1 on .4 and .2 on .5: the ratio is 1/2, and 2/5 - 1/4 = .15 of relative gain is missing."""
    base, original_base = {"a": 0.3, "b": 0.5}, {"a": 0.4, "b": 0.6}
    ours, original = {"a": 0.4, "b": 0.6}, {"a": 0.7, "b": 0.7}
    found = effect_agreement(ours, base, original, original_base)
    assert found.effect_ratio == pytest.approx(0.5)
    assert found.delta_relative_improvement == pytest.approx(0.15)
    same = effect_agreement(original, original_base, original, original_base)
    assert (same.effect_ratio, same.delta_relative_improvement) == pytest.approx((1.0, 0.0))
    with pytest.raises(BadInput, match="no effect to reproduce"):
        effect_agreement(ours, base, original, original)


def test_a_published_mean_and_the_interval_by_hand() -> None:
    """.4 .5 .6: mean .5, standard error .1 / sqrt 3, t(2) = 4.303: .5 +- .2484."""
    values = {"q1": 0.4, "q2": 0.6, "q3": 0.5}
    found = published_number(values, 0.7)
    assert found.interval == pytest.approx((0.2516, 0.7484), abs=1e-4)
    assert found.is_inside
    assert not published_number(values, 0.7491).is_inside


def test_digits_a_published_mean_does_not_have_are_forgiven() -> None:
    """.75 may be anything from .745, which is inside .7484; .76 and .7500 may be nothing that is."""
    values = {"q1": 0.4, "q2": 0.6, "q3": 0.5}
    assert published_number(values, Decimal("0.75")).is_inside
    for exact in (Decimal("0.76"), Decimal("0.7500"), 0.75):
        assert not published_number(values, exact).is_inside
    with pytest.raises(BadInput, match="at least 2 queries"):
        published_number({"q": 0.5}, 0.5)
