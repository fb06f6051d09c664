"""Measures of reproducibility, by hand."""

from decimal import Decimal

import pytest
from scipy import stats

from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import Margin
from rankscope.core.records import Run, ScoredDoc
from rankscope.evaluate.reproduction import (
    effect_agreement,
    kendall_tau,
    kendall_tau_union,
    order_agreement,
    published_number,
    rank_biased_overlap_to_depth,
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
    assert rank_biased_overlap_to_depth("ab", "ba", 2) == pytest.approx(0.8 / 1.8)
    assert rank_biased_overlap_to_depth("ab", "ba", 2, persistence=0.5) == pytest.approx(1 / 3)
    assert rank_biased_overlap_to_depth("abc", "abc", 3) == pytest.approx(1.0)
    assert rank_biased_overlap_to_depth("abc", "xyz", 3) == 0.0


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
    with pytest.raises(BadInput, match="needs the same queries in both"):
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


THREE = {"q1": 0.4, "q2": 0.6, "q3": 0.5}
"""Mean .5. Over queries its t interval is .2516 to .7484, which says nothing of the same queries."""


def test_on_the_same_queries_a_published_mean_is_ours_up_to_its_rounding() -> None:
    """.50 may be .495 to .505, 0.500 may be .4995 to .5005."""
    for published in ("0.5", "0.50", "0.500", "0.5000"):
        assert published_number([THREE], Decimal(published)).is_same
    ours = {"q1": 0.4959, "q2": 0.4959}
    for published, is_same in (
        ("0.5", True), ("0.50", True), ("0.496", True), ("0.4959", True),
        ("0.49", False), ("0.497", False), ("0.4960", False), ("0.4958", False),
    ):  # fmt: skip
        found = published_number([ours], Decimal(published))
        assert found.is_same is is_same, published
        assert found.written == published


def test_what_a_sample_of_other_queries_could_give_is_not_reproduced() -> None:
    """Reported: .54 counted as .4796 reproduced, for it lies in the interval over queries."""
    found = published_number([{"q1": 0.4, "q2": 0.5592}], Decimal("0.54"), margin=Margin(0.02))
    assert not found.is_same
    assert found.difference == pytest.approx(-0.0604)
    assert found.times_margin == pytest.approx(3.02)


def test_half_a_unit_off_is_rounding_and_a_float_is_exact() -> None:
    assert published_number([{"q": 0.4795}], Decimal("0.479")).is_same
    assert published_number([{"q": 0.4795}], Decimal("0.480")).is_same
    assert published_number([THREE], 0.5).is_same
    assert not published_number([THREE], 0.5001).is_same


def test_a_share_is_of_the_published_mean() -> None:
    found = published_number([THREE], Decimal("0.40"), margin=Margin(0.05, is_relative=True))
    assert (found.margin, found.times_margin) == pytest.approx((0.02, 5.0))
    assert published_number([THREE], Decimal("0.40")).times_margin is None
    with pytest.raises(BadInput, match="share of a published mean of 0"):
        published_number([THREE], Decimal("0.0"), margin=Margin(0.05, is_relative=True))
    with pytest.raises(BadInput, match="at least 1 query"):
        published_number([{}], 0.5)


def test_several_seeds_say_where_a_published_mean_lies_among_them() -> None:
    """Means .4 .5 .6: sd .1, t(2) = 4.303: .5 +- .1 t / sqrt 3 = .2484, and .1 t sqrt(4 / 3) = .4968."""
    runs = [{"q": mean} for mean in (0.4, 0.5, 0.6)]
    found = published_number(runs, Decimal("0.75"))
    assert found.seeds is not None
    assert found.seeds.means == (0.4, 0.5, 0.6)
    assert found.seeds.interval == pytest.approx((0.2516, 0.7484), abs=1e-4)
    assert found.seeds.one_run_interval == pytest.approx((0.0032, 0.9968), abs=1e-4)
    assert (found.mean, found.is_same) == (pytest.approx(0.5), False)
    assert found.is_inside(found.seeds.interval), ".75 may be .745"
    assert not published_number(runs, Decimal("0.750")).is_inside(found.seeds.interval)
    assert published_number([THREE], 0.5).seeds is None
