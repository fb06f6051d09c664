"""How few queries carry a verdict."""

import warnings

import numpy as np
import pytest
from scipy import stats

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import Margin
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.evaluate.pairs.fragility import _replacements, _smallest
from rankscope.evaluate.pairs.verdicts import Judged, judged


def run(values: np.ndarray) -> Values:
    return {f"q{at:04d}": float(value) for at, value in enumerate(values)}


def verdict_of(
    differences: np.ndarray, margin: float | None = None, *, others: int = 0, span: float | None = 1.0
) -> Judged:  # fmt: skip
    zeros = run(np.zeros(len(differences)))
    stated = None if margin is None else Margin(margin)
    pair = MeasuredPair([run(differences)], [zeros], stated, span=span)
    nothing = MeasuredPair(
        [run(np.tile([0.3, -0.3], len(differences))[: len(differences)])], [zeros]
    )
    return judged(compared([pair, *[nothing] * others]))[0]


def smallest(differences: np.ndarray, verdict: Verdict, worst: float) -> int:
    """By trying: how many of the largest differences must be replaced by the worst."""
    order = np.argsort(-np.sign(-worst) * differences)
    for n in range(1, len(differences) + 1):
        changed = differences.copy()
        changed[order[:n]] = worst
        if verdict_of(changed).verdict is not verdict:
            return n
    raise AssertionError("no number of queries is enough")


def test_one_query_carries_a_small_gain_in_all() -> None:
    """43 queries that gain .05 (sd .02): with one loss of 1 the gain is no longer shown."""
    differences = np.random.default_rng(1).normal(0.05, 0.02, 43)
    found = verdict_of(differences)
    assert (found.verdict, found.fragility) == (Verdict.BETTER, 1)
    assert smallest(differences, Verdict.BETTER, -1.0) == 1


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_smallest_number_that_takes_the_verdict_away(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.12, 0.2, 200)
    found = verdict_of(differences)
    assert found.verdict is Verdict.BETTER
    assert found.fragility is not None
    assert 2 < found.fragility <= smallest(differences, Verdict.BETTER, -1.0)
    turned = verdict_of(-differences)
    assert (turned.verdict, turned.fragility) == (Verdict.WORSE, found.fragility)


def test_of_equivalent_it_is_the_smaller_of_both_sides() -> None:
    """Nearer to the upper margin: fewer gains than losses are needed."""
    differences = np.random.default_rng(3).normal(0.009, 0.04, 2000)
    found = verdict_of(differences, 0.02)
    assert found.verdict is Verdict.EQUIVALENT
    assert found.fragility is not None
    lower = verdict_of(differences - 0.009, 0.02).fragility
    assert lower is not None
    assert found.fragility < lower
    order = np.argsort(differences)
    changed = differences.copy()
    changed[order[: found.fragility]] = 1.0
    assert verdict_of(changed, 0.02).verdict is not Verdict.EQUIVALENT


def test_beside_more_comparisons_a_verdict_is_more_fragile() -> None:
    differences = np.random.default_rng(5).normal(0.1, 0.2, 300)
    alone, beside = verdict_of(differences), verdict_of(differences, others=50)
    assert alone.verdict is beside.verdict is Verdict.BETTER
    assert alone.fragility is not None
    assert beside.fragility is not None
    assert beside.fragility < alone.fragility


def test_cannot_tell_and_measures_without_bounds_have_none() -> None:
    differences = np.random.default_rng(6).normal(0.1, 0.2, 300)
    assert verdict_of(differences - differences.mean()).fragility is None
    unbounded = verdict_of(differences, span=None)
    assert (unbounded.verdict, unbounded.fragility) == (Verdict.BETTER, None)


def test_in_a_measure_of_a_wider_range_a_query_weighs_more() -> None:
    differences = np.random.default_rng(7).normal(0.12, 0.2, 200)
    wide, narrow = verdict_of(differences, span=5.0).fragility, verdict_of(differences).fragility
    assert wide is not None
    assert narrow is not None
    assert wide < narrow


@pytest.mark.parametrize("kind", ["normal", "few values", "none", "skewed", "all the same"])
def test_queries_are_replaced_in_the_order_that_lowers_t_fastest(kind: str) -> None:
    """Against trying every remaining query at every step; equal differences in the order of the sample."""
    rng = np.random.default_rng(7)
    for n in (1, 2, 3, 9, 40):
        differences = {
            "normal": rng.normal(0.05, 0.3, n),
            "few values": rng.choice([0, 0.5, -0.5, 1, -1], n, p=[0.5, 0.2, 0.1, 0.1, 0.1]),
            "none": np.zeros(n),
            "skewed": rng.exponential(0.2, n) * rng.choice([1, -1], n, p=[0.8, 0.2]),
            "all the same": np.full(n, 0.3),
        }[kind]
        for bound in (0.0, 0.02, -0.02):
            values, worst = differences - bound, -1.0 - bound
            found = [*_replacements(values, worst)]
            assert [place for place, _ in found] == by_trying_all(values, worst)
            replaced = values.copy()
            for place, t in found:
                replaced[place] = worst
                if n > 1 and replaced.std() > 1e-9:
                    assert t == pytest.approx(stats.ttest_1samp(replaced, 0).statistic)


def by_trying_all(values: np.ndarray, worst: float) -> list[int]:
    left, order = list(range(len(values))), list[int]()
    total, squares = values.sum(), (values**2).sum()
    while left:
        sums, of_squares = total - values + worst, squares - values**2 + worst**2
        like_t = sums * np.abs(sums) / of_squares
        place = min(left, key=lambda at: (like_t[at], at))
        left.remove(place)
        order.append(place)
        total, squares = sums[place], of_squares[place]
    return order


def test_the_smallest_number_is_found_from_any_guess() -> None:
    for most in range(1, 12):
        for smallest_one in range(1, most + 2):
            for guess in range(1, most + 1):
                found = _smallest(lambda n, at=smallest_one: n >= at, guess=guess, most=most)
                assert found == (None if smallest_one > most else smallest_one)


def test_thousands_of_queries_are_judged_without_a_warning() -> None:
    """Worse by a tenth: the chance that no query is unseen is a power beyond the largest float."""
    differences = np.random.default_rng(3).normal(-0.1, 0.2, 6_980)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verdict_of(differences).verdict is Verdict.WORSE


@pytest.mark.parametrize(("n", "margin"), [(50, 0.2), (200, 0.05)])
def test_equal_runs_are_as_fragile_as_trying_says(n: int, margin: float) -> None:
    """Replaced ones fall at 2, stand at 3 and 4, and fall from 5 on: the smallest number counts."""
    assert verdict_of(np.zeros(n), margin).fragility == 2
