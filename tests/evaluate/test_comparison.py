import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rankscope.core.errors import BadInput
from rankscope.evaluate.comparison import Comparison, compared, holm
from rankscope.evaluate.verdicts import Verdict, judged, pairs

SYSTEM = {"q1": 0.5, "q2": 0.7, "q3": 0.9, "q4": 0.5}
BASELINE = {"q1": 0.4, "q2": 0.4, "q3": 0.8, "q4": 0.4}


def test_a_comparison_by_hand() -> None:
    """Differences .1 .3 .1 .1: mean .15, sd .1, t = .15 / (.1 / 2) = 3 with 3 degrees of freedom."""
    found = compared(SYSTEM, dict(reversed(BASELINE.items())), margin=0.5)
    assert found.difference == pytest.approx(0.15)
    assert found.sd == pytest.approx(0.1)
    assert found.effect_size == pytest.approx(1.5)
    assert found.p_value == pytest.approx(2 * stats.t.sf(3, 3))
    half = stats.t.ppf(0.975, 3) * 0.05
    assert found.interval == pytest.approx((0.15 - half, 0.15 + half))
    assert found.equivalence_p == pytest.approx(stats.t.sf((0.5 - 0.15) / 0.05, 3))


def test_swapping_the_two_flips_the_sign_and_nothing_else() -> None:
    there, back = compared(SYSTEM, BASELINE, margin=0.2), compared(BASELINE, SYSTEM, margin=0.2)
    assert back.difference == pytest.approx(-there.difference)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    assert (back.p_value, back.equivalence_p) == pytest.approx((there.p_value, there.equivalence_p))


def test_differences_without_spread() -> None:
    same = compared(SYSTEM, SYSTEM, margin=0.01)
    assert (same.difference, same.p_value, same.equivalence_p, same.effect_size) == (0, 1, 0, None)
    shifted = compared({q: v + 0.25 for q, v in BASELINE.items()}, BASELINE, margin=0.1)
    assert (shifted.p_value, shifted.equivalence_p) == (0, 1)
    assert compared(SYSTEM, SYSTEM).equivalence_p is None


def test_runs_over_different_queries_are_refused() -> None:
    with pytest.raises(BadInput, match=r"1 stand in one of them \(first: q4\)"):
        compared(SYSTEM, {q: v for q, v in BASELINE.items() if q != "q4"})
    with pytest.raises(BadInput, match="at least 2"):
        compared({"q": 1.0}, {"q": 0.0})


def test_holm_is_statsmodels_and_none_does_not_count() -> None:
    """.01 .04 .03 -> .03, max(.06, .04) = .06, .06."""
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    values = list(np.random.default_rng(0).uniform(size=9))
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert holm([None]) == [None]


def made(difference: float, p: float, q: float | None) -> Comparison:
    return Comparison(50, difference, (0.0, 0.0), 0.1, 0.1, p, q)


@pytest.mark.parametrize(
    ("difference", "p", "q", "verdict"),
    [
        (0.1, 0.001, 0.9, Verdict.BETTER),
        (-0.1, 0.001, None, Verdict.WORSE),
        (0.001, 0.5, 0.001, Verdict.EQUIVALENT),
        (0.005, 0.001, 0.001, Verdict.EQUIVALENT),
        (0.1, 0.2, 0.4, Verdict.CANNOT_TELL),
        (0.0, 0.9, None, Verdict.CANNOT_TELL),
    ],
)
def test_the_four_verdicts(difference: float, p: float, q: float | None, verdict: Verdict) -> None:
    (found,) = judged([made(difference, p, q)])
    assert found.verdict is verdict


def test_the_family_is_corrected_together() -> None:
    """p = .03 alone is significant; beside another of .03 it is .06."""
    assert judged([made(0.1, 0.03, None)])[0].verdict is Verdict.BETTER
    both = judged([made(0.1, 0.03, None), made(0.1, 0.03, None)])
    assert {each.verdict for each in both} == {Verdict.CANNOT_TELL}
    assert both[0].corrected_p == pytest.approx(0.06)


def test_the_smallest_detectable_difference_has_its_power() -> None:
    """Simulated: of normal differences with that mean and sd, about 80 % are significant at 5 %."""
    (found,) = judged([made(0.0, 0.5, None)])
    assert found.smallest_detectable is not None
    draws = np.random.default_rng(1).normal(found.smallest_detectable, 0.1, size=(4000, 50))
    assert np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05) == pytest.approx(
        0.8, abs=0.02
    )
    assert judged([compared(SYSTEM, SYSTEM)])[0].smallest_detectable is None


def test_no_difference_is_found_at_most_as_often_as_the_level_says() -> None:
    """400 families of five true nulls over 40 queries: a false verdict in at most 5 % of them."""
    rng, false = np.random.default_rng(2), 0
    for _ in range(400):
        family = []
        for _ in range(5):
            a, b = rng.normal(size=(2, 40))
            family.append(compared(*({str(i): v for i, v in enumerate(x)} for x in (a, b))))
        false += any(each.verdict is not Verdict.CANNOT_TELL for each in judged(family))
    assert false / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_pairs_hold_every_two_systems_once() -> None:
    assert pairs(["bm25", "plain", "C"], ["bm25", "C", "gone"]) == [
        ("plain", "bm25"), ("C", "bm25"), ("plain", "C"),
    ]  # fmt: skip
