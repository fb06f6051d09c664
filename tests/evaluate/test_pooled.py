"""Verdicts over several tests: by hand, against statsmodels, and what may not change them."""

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.judged.margins import Margin
from rankscope.core.judged.plain import as_plain
from rankscope.evaluate.over_tests.mean import Pooled, heterogeneity, over_tests
from rankscope.evaluate.over_tests.pooled import Cell, judged, over_all_tests, pooled, recorded
from rankscope.evaluate.over_tests.published_cells import PublishedCell, pooled_published
from rankscope.evaluate.pairs.comparison import MeasuredPair
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import SeedError

pytestmark = pytest.mark.usefixtures("frozen_garbage")


def runs(table: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(map(str, range(table.shape[1])), row, strict=True)) for row in table.tolist()]


def cell(test: str, system: np.ndarray, baseline: np.ndarray, first_stage: str = "bm25", **of) -> Cell:  # fmt: skip
    return Cell(
        test,
        first_stage,
        "mine",
        "theirs",
        "nDCG@10",
        MeasuredPair(runs(system), runs(baseline), **of),
    )


def differing(by: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """One run each of two systems."""
    baseline = np.full((1, len(by)), 0.5)
    return baseline + by, baseline


def drawn(seed: int, *sizes: int, seeds: int = 1) -> list[Cell]:
    rng = np.random.default_rng(seed)
    return [
        cell(f"t{at}", rng.normal(0.52, 0.1, (seeds, n)), rng.normal(0.5, 0.1, (seeds, n)))
        for at, n in enumerate(sizes)
    ]


def one(cells: list[Cell]) -> Pooled:
    (found,) = pooled(cells)
    return found


def test_by_hand() -> None:
    """Effects .02, .04 and .06: the mean .04, its error .02 / sqrt 3, t on 2 degrees of freedom."""
    spread = [-0.015, 0.015] * 20
    found = one(
        [
            cell(f"t{effect}", *differing([effect + x for x in spread]))
            for effect in (0.02, 0.04, 0.06)
        ]
    )
    assert found.difference == pytest.approx(0.04)
    assert found.standard_error == pytest.approx(0.02 / 3**0.5)
    assert found.degrees_of_freedom == 2
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.04 / (0.02 / 3**0.5), 2))
    assert found.interval[0] == pytest.approx(0.04 - 4.302653 * 0.02 / 3**0.5, abs=1e-6)
    assert [effect.n_queries for effect in found.effects] == [40, 40, 40]
    assert found.effects[0].standard_error == pytest.approx(np.std(spread, ddof=1) / 40**0.5)


def test_tests_of_equal_errors_are_statsmodels_hartung_knapp() -> None:
    effects, variances = np.array([0.01, 0.05, 0.02, 0.07]), np.full(4, 1e-4)
    ours, theirs = (
        over_tests(effects[None], variances[None]),
        combine_effects(effects, variances, method_re="dl"),
    )
    assert ours.mean[0] == pytest.approx(theirs.mean_effect_re)
    assert ours.variance[0] == pytest.approx(theirs.var_hksj_re)
    assert heterogeneity(effects, variances) == pytest.approx((theirs.tau2**0.5, theirs.i2))


def test_tests_that_agree_by_chance_are_no_surer_than_their_queries() -> None:
    effects, variances = np.array([[0.02, 0.02, 0.02]]), np.array([[1e-4, 4e-4, 1e-4]])
    assert over_tests(effects, variances).variance[0] == pytest.approx(6e-4 / 9)
    assert heterogeneity(effects[0], variances[0]) == (0.0, 0.0)


def test_a_test_of_many_queries_counts_as_one() -> None:
    """The large one says +.1; the mean over three is what three say, and its error theirs."""
    rng = np.random.default_rng(3)
    sizes, shifts = (5000, 40, 40), (0.1, -0.05, -0.05)
    found = one(
        [
            cell(f"t{at}", *differing(list(rng.normal(shift, 0.02, n))))
            for at, (n, shift) in enumerate(zip(sizes, shifts, strict=True))
        ]
    )
    effects = [effect.difference for effect in found.effects]
    assert found.difference == pytest.approx(np.mean(effects))
    assert found.standard_error == pytest.approx(np.std(effects, ddof=1) / 3**0.5)
    assert found.p_value > 0.5


def test_three_first_stages_of_a_test_are_no_three_tests() -> None:
    """Twelve cells whose first stages agree say what four do; the mean over them is the tests' effect."""
    four = drawn(1, 30, 40, 50, 60)
    twelve = [
        each._replace(first_stage=name) for each in four for name in ("bm25", "colbert", "splade")
    ]
    alone, together = one(four), one(twelve)
    for name in ("difference", "standard_error", "p_value", "interval", "tau"):
        assert getattr(together, name) == pytest.approx(getattr(alone, name)), name
    assert recorded(judged([together])[0]).n_first_stages == 3
    assert len(recorded(judged([together])[0]).cells) == 12


def test_first_stages_are_clustered_by_query() -> None:
    """What one first stage wins on a query and another loses there is no difference on it."""
    by = np.tile([0.3, -0.3], 20)
    cells = [
        cell(test, *differing(list(sign * by + 0.01)), first_stage=name)
        for test in ("a", "b")
        for name, sign in (("bm25", 1), ("colbert", -1))
    ]
    found = one(cells)
    assert found.difference == pytest.approx(0.01)
    assert found.effects[0].cells == pytest.approx({"bm25": 0.01, "colbert": 0.01})
    assert found.effects[0].standard_error == pytest.approx(1 / 40)  # nothing was seen to vary


def test_one_test_is_not_pooled() -> None:
    (alone,) = drawn(1, 30)
    assert pooled([alone, alone._replace(first_stage="colbert")]) == []


def test_two_tests_show_hardly_anything() -> None:
    """A difference twenty times its queries' error, on both."""
    cells = [
        cell(test, *differing(list(np.linspace(0.09, 0.11, 100) + more)))
        for test, more in (("a", 0.0), ("b", 0.02))
    ]
    found = one(cells)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(2 * stats.t.sf(11, 1))
    assert judged([found])[0].verdict == "cannot tell"


# -- seeds ---------------------------------------------------------------------------------------


def shifted(shifts: list[float], n_tests: int, *, order: list[int] | None = None, **of) -> list[Cell]:  # fmt: skip
    """What a seed does on all tests alike, to the baseline in another order; queries do not vary by seed."""
    rng = np.random.default_rng(5)
    shift = np.array(shifts)[:, None]
    cells = []
    for at in range(n_tests):
        values = rng.normal(0.5, 0.05, (1, 80))
        base = values + rng.normal(0, 0.01, values.shape) + shift[order or [1, 0, 2]]
        cells.append(cell(f"t{at}", values + shift, base, **of))
    return cells


def test_seeds_are_shared_by_all_tests() -> None:
    """Their part of the error is that of three seeds of two systems, however many tests there are."""
    for n_tests in (2, 4, 16):
        found, without = one(shifted([-0.05, 0.0, 0.05], n_tests)), one(shifted([0.0] * 3, n_tests))
        added = found.standard_error**2 - without.standard_error**2
        assert added == pytest.approx(2 * 0.05**2 / 3, rel=1e-3)
        assert found.difference == pytest.approx(without.difference)
    assert found.degrees_of_freedom == pytest.approx(4, abs=0.1)  # of 16 tests: the seeds' alone


def test_what_a_line_of_seeds_shares_cancels() -> None:
    same = [0, 1, 2]
    apart = one(shifted([-0.05, 0.0, 0.05], 4, order=same))
    paired = one(shifted([-0.05, 0.0, 0.05], 4, order=same, kinship=Kinship.ONE_STAGE))
    assert apart.standard_error > 0.03
    assert paired.standard_error < 0.01


def test_seeds_are_pooled_over_the_systems_of_a_measure() -> None:
    """Beside a system whose seeds lie apart, those that happen to agree are no surer."""
    calm = shifted([0.0, 0.01, -0.01], 3)
    loud = [each._replace(system="other") for each in shifted([-0.03, 0.0, 0.03], 3)]
    alone, (beside, _) = one(calm), pooled([*calm, *loud])
    assert beside.standard_error > alone.standard_error


def test_runs_without_seeds_beside_it_leave_a_pool_as_it_is() -> None:
    """Only a second pool of seeds makes false findings come apart, so only that one averages the tail."""
    tables = [np.random.default_rng(at).normal(0.5, 0.1, (3, 60)) for at in range(14)]
    seeded = [
        cell(test, tables[2 * at + turn], tables[12 + turn])._replace(system=f"system {at}")
        for at in range(6)
        for turn, test in enumerate("ab")
    ]
    unseeded = [each._replace(measure="RR") for each in drawn(9, 50, 60)]
    another = [each._replace(measure="RR") for each in drawn(9, 50, 60, seeds=3)]
    alone, beside, both = (pooled([*seeded, *more])[0] for more in ([], unseeded, another))
    assert beside.p_value == alone.p_value
    assert both.p_value > alone.p_value


def test_many_tests_as_one_have_the_plain_mean_of_their_means() -> None:
    tables = [np.random.default_rng(at).random((3, n)) for at, n in enumerate((10, 500, 43))]
    expected = np.mean([table.mean(axis=1) for table in tables], axis=0)
    assert over_all_tests(tuple(tables)).mean(axis=1) == pytest.approx(expected)


def test_seeds_alone_decide_the_degrees_of_freedom_where_they_are_all_the_error() -> None:
    found = over_tests(
        np.array([[0.0, 1e-6, 2e-6]]), np.full((1, 3), 1e-12), SeedError.of(np.ones(1), np.zeros(1), np.array([4.0]), is_averaged=np.zeros(1, dtype=bool))
    )  # fmt: skip
    assert found.tail.degrees_of_freedom[0] == pytest.approx(4)


# -- margins -------------------------------------------------------------------------------------


def test_equivalence_is_tost_on_the_same_t() -> None:
    cells = [each._replace(pair=each.pair._replace(margin=Margin(0.1))) for each in drawn(2, 60, 70, 80)]  # fmt: skip
    found = one(cells)
    inside = stats.t.sf((0.1 - abs(found.difference)) / found.standard_error, 2)
    assert found.equivalence_p == pytest.approx(inside)
    assert found.beyond_margin_p == 1.0


def test_a_share_counts_the_baselines_own_error() -> None:
    """Of a baseline of one value it is that share of it; of one that varies it is less sure."""
    rng = np.random.default_rng(8)
    by = [list(rng.normal(0.01, 0.02, 50)) for _ in range(4)]

    def found(margin: Margin, spread: float) -> Pooled:
        cells = []
        for at, each in enumerate(by):
            baseline = 0.5 + spread * np.random.default_rng(at).standard_normal((1, 50))
            baseline += 0.5 - baseline.mean() + spread * (at - 1.5)
            cells.append(cell(f"t{at}", baseline + each, baseline, margin=margin))
        return one(cells)

    share, absolute = Margin(0.1, is_relative=True), Margin(0.05)
    assert found(share, 0.0).equivalence_p == pytest.approx(found(absolute, 0.0).equivalence_p)
    assert found(share, 0.0).absolute_margin == pytest.approx(0.05)
    assert found(share, 0.1).equivalence_p > found(absolute, 0.1).equivalence_p


def test_few_equal_queries_are_not_equivalent_and_many_are() -> None:
    for n, verdict in ((20, "cannot tell"), (2000, "equivalent")):
        cells = [cell(f"t{at}", *differing([0.0] * n), margin=Margin(0.02)) for at in range(4)]
        assert judged(pooled(cells))[0].verdict == verdict


def test_without_bounds_equal_queries_show_nothing() -> None:
    cells = [cell(f"t{at}", *differing([0.1] * 50), margin=Margin(0.2), span=None) for at in "ab"]
    (found,) = judged(pooled(cells))
    assert (found.verdict, found.pooled.p_value) == ("cannot tell", 1.0)
    told = as_plain(recorded(found))
    assert told["interval"] == [None, None]
    assert told["standard_error"] is told["tests"][0]["standard_error"] is None


def test_pooled_differences_are_a_family() -> None:
    cells = drawn(4, 50, 60, 70, 80)
    others = [each._replace(system=f"system {at}") for at in range(5) for each in cells]
    alone, together = judged(pooled(cells)), judged(pooled([*cells, *others]))
    assert together[0].corrected_p == pytest.approx(min(1, 6 * alone[0].corrected_p))
    assert judged(pooled(cells), family_size=6)[0].corrected_p == together[0].corrected_p


# -- published means -----------------------------------------------------------------------------


def published(*means: tuple[str, str, str, str]) -> list[PublishedCell]:
    return [PublishedCell(t, f, s, "nDCG@10", Decimal(mean)) for t, f, s, mean in means]


ELECTRA = """0.7236 0.6759 0.3829 0.4203 0.7537 0.7337 0.4022 0.4844 0.7376 0.7391 0.4022 0.4828
0.7304 0.6822 0.3841 0.4208 0.7632 0.7585 0.4104 0.4855 0.7482 0.7577 0.4116 0.4842"""


def study_b() -> list[PublishedCell]:
    """ELECTRA, C and D to C, nDCG@10: 3 first stages, 4 tests each."""
    places = [
        (test, stage)
        for stage in ("bm25", "colbert", "contriever")
        for test in ("dl19", "dl20", "dlhard", "dev")
    ]
    return [
        *published(
            *(
                (*place, system, mean)
                for system, line in zip(("C", "D-C"), ELECTRA.splitlines(), strict=True)
                for place, mean in zip(places, line.split(), strict=True)
            )
        )
    ]


def test_study_bs_twelve_cells_are_four_tests() -> None:
    """All twelve above 0: a t test over twelve would show it, over four tests it is not shown."""
    (found,) = pooled_published(study_b(), baseline="C", margins={"nDCG@10": Margin(0.02)})
    cells = [value for effect in found.effects for value in effect.cells.values()]
    assert min(cells) > 0
    assert stats.ttest_1samp(cells, 0).pvalue < 0.01
    effects = [effect.difference for effect in found.effects]
    assert found.difference == pytest.approx(0.0082, abs=5e-5)
    assert found.p_value == pytest.approx(stats.ttest_1samp(effects, 0).pvalue, rel=1e-3)
    assert found.p_value > 0.05
    assert found.tau is found.i_squared is found.effects[0].n_queries is None


def test_what_rounding_took_away_is_no_equality() -> None:
    """Means of two digits that are the same may differ by .01."""
    cells = published(
        *((test, "", system, "0.51") for test in ("a", "b", "c") for system in ("C", "D"))
    )
    (found,) = pooled_published(cells, baseline="C", margins={"nDCG@10": Margin(0.005)})
    assert found.standard_error == pytest.approx((2 * 0.005**2 / 3 / 3) ** 0.5)
    assert judged([found])[0].verdict == "cannot tell"


def test_a_share_of_published_means() -> None:
    cells = published(
        ("a", "", "C", "0.50"), ("a", "", "D", "0.51"), ("b", "", "C", "0.70"), ("b", "", "D", "0.73")
    )  # fmt: skip
    (found,) = pooled_published(
        cells, baseline="C", margins={"nDCG@10": Margin(0.1, is_relative=True)}
    )
    assert found.absolute_margin == pytest.approx(0.06)
    # differences of .01 and .03 on baselines of .5 and .7: .06 and .10 above a loss of a tenth, the less sure side
    assert found.equivalence_p == pytest.approx(stats.t.sf(0.08 / 0.02, 1))


@pytest.mark.parametrize(
    ("cells", "baseline", "words"),
    [
        (published(("a", "x", "C", "0.5"), ("a", "y", "D", "0.6")), "C", "share 0 tests of nDCG@10"),
        (published(("a", "x", "C", "0.5"), ("a", "x", "D", "0.6")), "C", "share 1 test of nDCG@10"),
        (published(("a", "x", "C", "0.5"), ("a", "x", "C", "0.6")), "C", "two means of nDCG@10 on a"),
        (published(("a", "x", "C", "0.5")), "C", "nothing to compare with 'C'"),
        (published(("a", "x", "C", "0.5")), "c", "Unknown baseline 'c'"),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_is_told(cells, baseline: str, words: str) -> None:
    with pytest.raises((BadInput, UnknownChoice), match=words):
        pooled_published(cells, baseline=baseline, margins={})
