import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import Margin
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.comparing import compare
from rankscope.evaluate.pairs.comparison import Comparison, MeasuredPair, compared
from rankscope.evaluate.pairs.correction import corrected
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.pairs.verdicts import judged, pairs
from rankscope.evaluate.seeds.kinship import Kinship

SYSTEM = {"q1": 0.5, "q2": 0.7, "q3": 1.0, "q4": 0.4}
BASELINE = {"q1": 0.4, "q2": 0.4, "q3": 0.8, "q4": 0.4}


def one(system: Values, baseline: Values, margin: float | None = None, **how: object) -> Comparison:
    pair = MeasuredPair([system], [baseline], None if margin is None else Margin(margin))
    return compared([pair], **how)[0]  # type: ignore[arg-type]


def drawn(seed: int, n: int = 40) -> tuple[Values, Values]:
    rng = np.random.default_rng(seed)
    ease = rng.beta(2, 2, n)
    a, b = (np.clip(ease + rng.normal(shift, 0.1, n), 0, 1) for shift in (0.03, 0.0))
    ids = [f"q{number:04d}" for number in range(n)]
    return dict(zip(ids, a.tolist(), strict=True)), dict(zip(ids, b.tolist(), strict=True))


def mirrored(system: Values, baseline: Values) -> Values:
    """The system with differences as far above .01 as below: no skewness, so that t alone decides."""
    queries = sorted(system)
    half = len(queries) // 2
    ahead = [system[query] - baseline[query] for query in queries[:half]]
    turned = [0.02 - difference for difference in ahead]
    return {
        query: baseline[query] + difference
        for query, difference in zip(queries, [*ahead, *turned], strict=True)
    }


def arrays(*runs: Values) -> list[np.ndarray]:
    return [np.array([run[query] for query in sorted(run)]) for run in runs]


def test_a_comparison_by_hand() -> None:
    """Differences .1 .3 .2 0: mean .15, sd sqrt(.05 / 3), t = .15 / (sd / 2); no skewness, so t alone."""
    found = one(SYSTEM, dict(reversed(BASELINE.items())), 0.5)
    sd = (0.05 / 3) ** 0.5
    error = sd / 2
    assert found.difference == pytest.approx(0.15)
    assert (found.system_mean, found.baseline_mean) == pytest.approx((0.65, 0.5))
    assert found.sd == pytest.approx(sd)
    assert found.effect_size == pytest.approx(0.15 / sd)
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.15 / error, 3))
    half = stats.t.ppf(0.975, 3) * error
    assert found.interval == pytest.approx((0.15 - half, 0.15 + half))
    assert found.equivalence_p == pytest.approx(stats.t.sf((0.5 - 0.15) / error, 3))
    assert found.non_inferiority_p == pytest.approx(stats.t.sf((0.5 + 0.15) / error, 3))
    assert found.beyond_margin_p == 1.0
    assert found.n_differing == 3


def test_the_tests_are_scipys_and_statsmodels() -> None:
    a, b = drawn(1)
    a = mirrored(a, b)
    found = one(a, b, 0.05)
    x, y = arrays(a, b)
    assert found.p_value == pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-9)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(x - y).pvalue, rel=1e-9)
    assert found.equivalence_p == pytest.approx(ttost_paired(x, y, -0.05, 0.05)[0], rel=1e-9)
    interval = stats.ttest_rel(x, y).confidence_interval(0.95)
    assert found.interval == pytest.approx(tuple(interval), rel=1e-9)


def test_the_bootstrap_is_scipys_draw_for_draw_and_the_randomisation_test_up_to_the_draws() -> None:
    a, b = drawn(2)
    found = one(a, b, resampling=Resampling(n=20_000, seed=1))
    x, y = arrays(a, b)
    theirs = stats.bootstrap((x - y,), np.mean, n_resamples=20_000, method="BCa", rng=1)
    assert found.bootstrap_interval == pytest.approx(tuple(theirs.confidence_interval), rel=1e-9)
    flips = stats.permutation_test(
        (x, y), lambda u, v: np.mean(u - v), permutation_type="samples", n_resamples=20_000, rng=1
    )
    assert found.randomisation_p == pytest.approx(flips.pvalue, abs=0.012)


def test_the_bootstrap_of_a_measure_of_steps_is_scipys_too() -> None:
    """Of 0/1 values many resampled means equal the observed one, but for the last bit."""
    for n, seed in ((43, 1), (50, 2), (60, 5)):
        rng = np.random.default_rng(seed)
        x, y = (rng.random((2, n)) < np.array([[0.6], [0.45]])).astype(float)
        ids = [f"q{at:03d}" for at in range(n)]
        a, b = (dict(zip(ids, of.tolist(), strict=True)) for of in (x, y))
        found = one(a, b, resampling=Resampling(n=20_000, seed=seed))
        theirs = stats.bootstrap((x - y,), np.mean, n_resamples=20_000, method="BCa", rng=seed)
        assert found.bootstrap_interval == pytest.approx(
            tuple(theirs.confidence_interval), abs=1e-9
        )


def test_a_skewed_difference_moves_both_intervals() -> None:
    """Most queries differ by nothing, some by much: BCa and Hall reach further up than t, down no less."""
    values = {f"q{n}": 1.0 if n < 6 else 0.0 for n in range(50)}
    found = one(values, dict.fromkeys(values, 0.0), resampling=Resampling())
    (low, high), mean = found.bootstrap_interval, found.difference  # type: ignore[misc]
    assert high - mean > 1.3 * (mean - low)
    assert found.interval[1] - mean > 1.3 * (mean - found.interval[0]), "Hall's end"
    assert mean - found.interval[0] == pytest.approx(stats.t.ppf(0.975, 49) * found.standard_error)


def test_the_same_seed_gives_the_same_resamples() -> None:
    a, b = drawn(3)
    first, again = (one(a, b, resampling=Resampling(n=500, seed=7)) for _ in range(2))
    assert first == again
    other = one(a, b, resampling=Resampling(n=500, seed=8))
    assert other.bootstrap_interval != first.bootstrap_interval


def test_groups_give_the_cluster_robust_test_of_statsmodels() -> None:
    a, b = drawn(4, n=60)
    groups = {query: f"g{int(query[1:]) // 5}" for query in a}
    found = one(a, b, 0.05, groups=groups, resampling=Resampling(n=2000))
    x, y = arrays(a, b)
    error = found.standard_error
    labels = np.array([int(groups[query][1:]) for query in sorted(a)])
    fitted = sm.OLS(x - y, np.ones(60)).fit(
        cov_type="cluster", cov_kwds={"groups": labels}, use_t=True
    )
    assert found.standard_error == pytest.approx(float(fitted.bse[0]), rel=1e-9)
    assert found.p_value >= float(fitted.pvalues[0]) - 1e-9, "Hall's is larger or the same"
    assert 2 * stats.t.sf(found.difference / error, 11) == pytest.approx(
        float(fitted.pvalues[0]), rel=1e-9
    )
    assert (found.n_queries, found.n_groups, found.wilcoxon_p) == (60, 12, None)
    alone = {query: query for query in a}
    assert one(a, b, groups=alone).p_value == pytest.approx(one(a, b).p_value, rel=1e-9)


def test_queries_that_stand_ten_times_over_show_no_more_than_once() -> None:
    """Without groups ten copies of each query would shrink the p-value; with them they do not."""
    a, b = drawn(5, n=20)
    many_a = {f"{query}x{copy}": value for query, value in a.items() for copy in range(10)}
    many_b = {f"{query}x{copy}": value for query, value in b.items() for copy in range(10)}
    groups = {query: query.split("x")[0] for query in many_a}
    once = one(a, b, resampling=Resampling(n=4000))
    grouped = one(many_a, many_b, groups=groups, resampling=Resampling(n=4000))
    assert grouped.p_value == pytest.approx(once.p_value, rel=1e-9)
    assert grouped.interval == pytest.approx(once.interval)
    assert grouped.bootstrap_interval == pytest.approx(once.bootstrap_interval)
    assert grouped.randomisation_p == once.randomisation_p
    assert one(many_a, many_b).p_value < once.p_value


def test_a_query_without_a_group_and_one_group_for_all_are_refused() -> None:
    with pytest.raises(BadInput, match="1 of 4 judged queries has no group"):
        one(SYSTEM, BASELINE, groups={"q1": "a", "q2": "a", "q3": "b"})
    with pytest.raises(BadInput, match="in one group"):
        one(SYSTEM, BASELINE, groups=dict.fromkeys(SYSTEM, "a"))


def test_a_relative_margin_counts_the_baselines_own_error() -> None:
    """At 10 % of the baseline: paired t-tests of a - .9 b above 0 and of 1.1 b - a above 0."""
    a, b = drawn(6)
    (found,) = compared([MeasuredPair([a], [b], Margin(0.1, is_relative=True))])
    x, y = arrays(a, b)
    lower, upper = (largest_p(differences) for differences in (x - 0.9 * y, 1.1 * y - x))
    assert found.non_inferiority_p == pytest.approx(lower, rel=1e-9)
    assert found.equivalence_p == pytest.approx(max(lower, upper), rel=1e-9)
    assert found.absolute_margin == pytest.approx(0.1 * y.mean())


def largest_p(differences: np.ndarray) -> float:
    """One-sided, that the mean is above 0: the larger of t's and Hall's, written out."""
    n = len(differences)
    t = float(stats.ttest_1samp(differences, 0).statistic)
    skewness = float(((differences - differences.mean()) ** 3).mean()) / differences.std(ddof=1) ** 3 / n**0.5  # fmt: skip
    hall = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
    return float(max(stats.t.sf(t, n - 1), stats.t.sf(hall, n - 1)))


def test_the_effect_sizes_interval_holds_its_noncentral_t() -> None:
    """At its ends, the observed t has probability .975 and .025 (Steiger and Fouladi 1997)."""
    a, b = drawn(7)
    found = one(a, b)
    assert found.effect_size is not None
    assert found.effect_interval is not None
    t = found.effect_size * 40**0.5
    ends = [stats.nct.cdf(t, 39, end * 40**0.5) for end in found.effect_interval]
    assert ends == pytest.approx([0.975, 0.025], abs=1e-6)
    back = one(b, a)
    assert back.effect_interval == pytest.approx(tuple(-end for end in found.effect_interval[::-1]))


def test_mcnemar_is_the_exact_binomial_and_only_for_right_or_wrong() -> None:
    """System alone right 7 times, baseline alone once: 2 (C(8,0) + C(8,1)) / 2^8 = 18/256."""
    ids = [f"q{n}" for n in range(20)]
    a = dict(zip(ids, [1.0] * 7 + [0.0] + [1.0] * 12, strict=True))
    b = dict(zip(ids, [0.0] * 7 + [1.0] + [1.0] * 12, strict=True))
    assert one(a, b).mcnemar_p == pytest.approx(18 / 256)
    assert one(a, a).mcnemar_p == 1.0
    assert one(SYSTEM, BASELINE).mcnemar_p is None


def test_swapping_the_two_flips_the_sign_and_nothing_else() -> None:
    there, back = (
        one(*runs, 0.2, resampling=Resampling(n=999))
        for runs in ((SYSTEM, BASELINE), (BASELINE, SYSTEM))
    )
    assert back.difference == pytest.approx(-there.difference)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    for name in ("p_value", "equivalence_p", "wilcoxon_p", "randomisation_p", "sd"):
        assert getattr(back, name) == pytest.approx(getattr(there, name)), name


def test_differences_without_spread_show_what_the_sample_may_not_have_seen() -> None:
    """Of 200 queries none differs: that a share of .02 loses 1 has a chance of .98^200 = .0176."""
    same = one(SYSTEM, SYSTEM, 0.01, resampling=Resampling(n=99))
    assert (same.difference, same.p_value, same.effect_size, same.n_differing) == (0, 1, None, 0)
    assert same.equivalence_p == pytest.approx(0.99**4)
    assert (same.wilcoxon_p, same.randomisation_p, same.bootstrap_interval) == (1, 1, (0, 0))
    many = {f"q{n}": 0.5 for n in range(200)}
    assert one(many, many, 0.02).equivalence_p == pytest.approx(0.98**200)
    assert one(many, many, 0.02).interval == pytest.approx((-(1 - 0.025 ** (1 / 200)), 1 - 0.025 ** (1 / 200)))  # fmt: skip
    assert one(SYSTEM, SYSTEM).equivalence_p is None


def test_the_same_gain_in_every_query_is_no_certainty() -> None:
    """All of n gain .25: with a share of .2 unseen that loses 1, the mean is 0: .8^n, doubled."""
    for n in (4, 30):
        ids = [f"q{at}" for at in range(n)]
        found = one(dict.fromkeys(ids, 0.75), dict.fromkeys(ids, 0.5))
        assert found.p_value == pytest.approx(min(1.0, 2 * 0.8**n))
        low, high = found.interval
        unseen = 1 - 0.025 ** (1 / n)
        assert (low, high) == pytest.approx((0.25 - 1.25 * unseen, 0.25 + 0.75 * unseen))


def test_a_measure_without_bounds_shows_nothing_without_spread() -> None:
    ids = [f"q{at}" for at in range(300)]
    (found,) = compared(
        [
            MeasuredPair(
                [dict.fromkeys(ids, 9.0)], [dict.fromkeys(ids, 1.0)], Margin(10.0), span=None
            )
        ]
    )
    assert (found.p_value, found.equivalence_p) == (1.0, 1.0)
    assert found.interval == (-math.inf, math.inf)


def test_few_queries_that_differ_are_not_taken_for_all() -> None:
    """One of 43 differs by .001: its spread says nothing of others; six of 43 beyond a hundredth are a sample."""
    base = {f"q{at:02d}": 0.5 for at in range(43)}
    hardly = base | {"q07": 0.501}
    found = one(hardly, base, 0.02)
    assert found.equivalence_p == pytest.approx(((1 - 0.02) / (1 - 0.001 / 43)) ** 43), "upwards"
    six = base | {f"q{at:02d}": 0.5 + (0.01 + at / 1000) * (-1) ** at for at in range(1, 7)}
    equivalence = one(six, base, 0.02).equivalence_p
    assert equivalence is not None
    assert equivalence < 1e-6


def test_a_relative_margin_is_no_certainty_either() -> None:
    """Five queries that agree, a margin of 10 %: the baseline's own spread is no spread of differences."""
    run = {f"q{at}": 0.3 + at / 10 for at in range(5)}
    (found,) = compared([MeasuredPair([run], [run], Margin(0.1, is_relative=True))])
    assert found.non_inferiority_p == pytest.approx((1 / (1 + 0.1 * 0.5)) ** 5)
    assert found.equivalence_p == pytest.approx((1.1 / (1.1 + 0.1 * 0.5)) ** 5)


def test_a_share_of_the_baseline_without_spread_shows_nothing_either() -> None:
    """s = .95 b - .1: held against .95 b every query has -.1, which is below, not a proof of the contrary."""
    baseline = {f"q{at:02d}": 0.3 + 0.6 * at / 49 for at in range(50)}
    system = {query: 0.95 * value - 0.1 for query, value in baseline.items()}
    (found,) = compared([MeasuredPair([system], [baseline], Margin(0.05, is_relative=True))])
    assert (found.non_inferiority_p, found.equivalence_p) == (1.0, 1.0)
    ranks = {f"q{at:02d}": 1 / (1 + at % 2) for at in range(20)}
    halved = {query: value / 2 for query, value in ranks.items()}
    (at_margin,) = compared([MeasuredPair([halved], [ranks], Margin(0.5, is_relative=True))])
    assert at_margin.equivalence_p == 1.0


def test_no_difference_lies_below_the_range_of_the_measure() -> None:
    ids = [f"q{at}" for at in range(50)]
    found = one(dict.fromkeys(ids, 0.0), dict.fromkeys(ids, 1.0), 1.5)
    assert (found.equivalence_p, found.non_inferiority_p) == (0.0, 0.0)


def test_the_order_of_pairs_over_several_sets_of_queries_changes_no_pool() -> None:
    systems = [seeded(at, seed_sd=0.05) for at in range(3)]
    others = [seeded(at, seed_sd=0.05, n=40) for at in (7, 8)]
    first, second = (
        MeasuredPair(systems[0], systems[1], pool="x"),
        MeasuredPair(systems[2], systems[1], pool="x"),
    )
    third = MeasuredPair(*others, pool="x")
    there, back = compared([first, second, third]), compared([first, third, second])
    assert [each.p_value for each in there] == [back[at].p_value for at in (0, 2, 1)]


def test_runs_over_different_queries_are_refused() -> None:
    with pytest.raises(BadInput, match=r"1 stands in one of them \(first: q4\)"):
        one(SYSTEM, {q: v for q, v in BASELINE.items() if q != "q4"})
    with pytest.raises(BadInput, match="at least 2"):
        one({"q": 1.0}, {"q": 0.0})


def test_pairs_over_several_sets_of_queries_keep_their_order() -> None:
    few, many = drawn(8, n=10), drawn(9, n=30)
    order = [few, many, few, many]
    found = compared([MeasuredPair([a], [b]) for a, b in order])
    assert [each.n_queries for each in found] == [10, 30, 10, 30]
    assert found[0].p_value == found[2].p_value == one(*few).p_value


# -- seeds -----------------------------------------------------------------------------------------


def seeded(seed: int, *, n_seeds: int = 3, seed_sd: float, n: int = 100) -> list[Values]:
    """A ranker's runs: queries differ, seeds shift all of them, and both meet in noise."""
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(99).beta(2, 2, n)
    return [
        {
            f"q{at}": float(value)
            for at, value in enumerate(ease + rng.normal(0, seed_sd) + rng.normal(0, 0.1, n))
        }
        for _ in range(n_seeds)
    ]


def tables_of(*systems: list[Values]) -> list[np.ndarray]:
    return [np.array([list(run.values()) for run in runs]) for runs in systems]


def test_several_seeds_widen_the_interval_by_their_pooled_spread() -> None:
    """sqrt(sd^2/n + 2 s^2/3 - e^2), s^2 pooled over both, e^2 what queries make of it; 2 s^2/3 at the least."""
    a, b = seeded(1, seed_sd=0.05), seeded(2, seed_sd=0.05)
    (found,) = compared([MeasuredPair(a, b)], resampling=Resampling(n=99))
    tables = tables_of(a, b)
    difference = tables[0].mean(axis=0) - tables[1].mean(axis=0)
    spreads = [table.mean(axis=1).std(ddof=1) for table in tables]
    pooled = sum(s**2 for s in spreads) / 2
    noise = 0.0
    for table in tables:
        rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        noise += (rest**2).sum() / (2 * 99) / 100 / 3
    variance = max(difference.var(ddof=1) / 100 + 2 * pooled / 3 - noise, 2 * pooled / 3)
    assert found.standard_error == pytest.approx(variance**0.5)
    assert found.seed_sd == pytest.approx(tuple(spreads))
    expected = variance**2 / ((difference.var(ddof=1) / 100) ** 2 / 99 + (2 * pooled / 3) ** 2 / 4)
    assert found.degrees_of_freedom == pytest.approx(expected)
    assert (found.bootstrap_interval, found.wilcoxon_p, found.n_seeds) == (None, None, (3, 3))


def test_the_pool_is_all_systems_of_a_measure_and_none_of_another() -> None:
    """Beside eight more systems whose seeds spread alike, the error of two rests on 20 degrees, not 4."""
    systems = [seeded(at, seed_sd=0.05) for at in range(10)]
    two = compared([MeasuredPair(systems[0], systems[1])])[0]
    family = compared([MeasuredPair(system, systems[0]) for system in systems[1:]])[0]
    assert family.degrees_of_freedom > 2 * two.degrees_of_freedom
    apart = compared(
        [
            MeasuredPair(systems[0], systems[1]),
            *(MeasuredPair(s, systems[2], pool="AP") for s in systems[3:]),
        ]
    )[0]
    assert apart.standard_error == pytest.approx(two.standard_error, rel=1e-12)


def test_a_system_of_unlike_spread_keeps_its_own_and_one_run_is_in_no_pool() -> None:
    systems = [seeded(at, n_seeds=5, seed_sd=0.01) for at in range(8)]
    wild = seeded(50, n_seeds=5, seed_sd=0.2)
    pairs = [MeasuredPair(system, systems[0]) for system in systems[1:]]
    alone, beside = compared(pairs), compared([*pairs, MeasuredPair(wild, systems[0])])
    assert beside[0].standard_error == pytest.approx(alone[0].standard_error, rel=1e-12)
    own = tables_of(wild)[0].mean(axis=1).var(ddof=1) / 5
    assert beside[-1].standard_error ** 2 > 0.9 * own
    with_bm25 = compared([*pairs, MeasuredPair(systems[1], seeded(60, n_seeds=1, seed_sd=0.5))])
    assert with_bm25[0].standard_error == pytest.approx(alone[0].standard_error, rel=1e-12)


def test_two_systems_whose_runs_have_their_noise_in_common() -> None:
    """As one ranker in two precisions: the seeds' spread is all of the error, and has its degrees of freedom."""
    a = seeded(1, seed_sd=0.02, n=40)
    rng = np.random.default_rng(0)
    b = [{q: v + float(rng.normal(0, 0.02)) for q, v in run.items()} for run in a]
    found = judged(compared([MeasuredPair(a, b)]))[0]
    assert 3.9 < found.comparison.degrees_of_freedom < 4.5
    spreads = [table.mean(axis=1).var(ddof=1) for table in tables_of(a, b)]
    assert found.comparison.standard_error**2 == pytest.approx(sum(spreads) / 3, rel=0.05)
    assert found.smallest_detectable is not None
    assert 2 < found.smallest_detectable / found.comparison.standard_error < 8


def lineage(seed: int, *, own_sd: float, n: int = 60) -> tuple[list[Values], list[Values]]:
    """An ancestor's three runs and a child's, each tuned from one of them: they move together."""
    rng = np.random.default_rng(seed)
    parents = seeded(seed, seed_sd=0.1, n=n)
    shifts = rng.normal(0, own_sd, 3)
    children = [
        {query: value + shift + float(noise) for (query, value), noise in zip(run.items(), rng.normal(0, 0.02, n), strict=True)}
        for run, shift in zip(parents, shifts, strict=True)
    ]  # fmt: skip
    return children, parents


def test_runs_of_one_lineage_are_paired_by_seed() -> None:
    """sqrt(sd^2/n + s^2/3 - e^2), s of the differences of the seeds' means."""
    children, parents = lineage(1, own_sd=0.01)
    (paired,) = compared([MeasuredPair(children, parents, kinship=Kinship.ONE_STAGE)])
    (apart,) = compared([MeasuredPair(children, parents)])
    mine, theirs = tables_of(children, parents)
    d = mine - theirs
    rest = d - d.mean(axis=0) - d.mean(axis=1, keepdims=True) + d.mean()
    noise = (rest**2).sum() / (2 * 59) / 60 / 3
    of_queries = d.mean(axis=0).var(ddof=1) / 60
    spread = d.mean(axis=1).var(ddof=1) / 3
    variance = max(of_queries + max(0.0, spread - noise), spread)
    assert paired.standard_error == pytest.approx(variance**0.5)
    assert apart.standard_error > 3 * paired.standard_error


def test_pairs_of_a_kind_share_their_spread_and_count_by_how_many_are_independent() -> None:
    """Of three siblings all three pairs are compared; two are independent: 2 x (3 - 1) degrees of freedom."""
    a, parents = lineage(2, own_sd=0.05)
    rng = np.random.default_rng(5)
    b, c = (
        [{q: v + shift for q, v in run.items()} for run, shift in zip(parents, rng.normal(0, 0.05, 3), strict=True)]
        for _ in range(2)
    )  # fmt: skip
    pairs = [MeasuredPair(x, y, kinship=Kinship.TWO_STAGES) for x, y in ((a, b), (b, c), (a, c))]
    found = compared(pairs)
    assert {each.sample.seeds[0].degrees_of_freedom.item() for each in found} == {4.0}
    spreads = [d.mean(axis=1).var(ddof=1) for d in ((tables_of(*p[:2])[0] - tables_of(*p[:2])[1]) for p in pairs)]  # fmt: skip
    assert found[0].sample.seeds[0].spread.item() == pytest.approx(sum(spreads) / 9)


def test_systems_of_one_lineage_count_once_beside_others() -> None:
    """C and what was tuned from it move together: against BM25 their pool has 2 degrees of freedom, not 4."""
    children, parents = lineage(3, own_sd=0.01)
    bm25 = seeded(70, n_seeds=1, seed_sd=0.0, n=60)
    found = compared([
        MeasuredPair(parents, bm25), MeasuredPair(children, bm25), MeasuredPair(children, parents, kinship=Kinship.ONE_STAGE)
    ])  # fmt: skip
    assert found[0].sample.seeds[0].degrees_of_freedom == 2
    unrelated = compared([MeasuredPair(parents, bm25), MeasuredPair(children, bm25)])
    assert unrelated[0].sample.seeds[0].degrees_of_freedom == 4
    named = compared([MeasuredPair(runs, bm25, lineages=("C", "")) for runs in (parents, children)])
    assert named[0].sample.seeds[0].degrees_of_freedom == 2
    other_pool = compared([
        MeasuredPair(parents, bm25, lineages=("C", "")), MeasuredPair(children, bm25, lineages=("C", ""), pool="AP")
    ])  # fmt: skip
    assert other_pool[0].sample.seeds[0].degrees_of_freedom == 2


def test_a_system_listed_anew_for_each_pair_is_one_system() -> None:
    """Its spread counts once in the pool, whoever made the lists."""
    a, b, c = (seeded(seed, seed_sd=0.02) for seed in (80, 81, 82))
    once = compared([MeasuredPair(a, b), MeasuredPair(c, b)])
    anew = compared([MeasuredPair(list(a), list(b)), MeasuredPair(list(c), list(b))])
    assert anew == once
    assert anew[0].sample.seeds[0].degrees_of_freedom == 6


def test_a_lineage_of_runs_that_nobody_compares_counts_once_too() -> None:
    """`lineages` of `compare`: two of them against a third leave its degrees of freedom, not two times."""
    qrels = {f"q{n:02d}": {"d": 1} for n in range(40)}

    def run(seed: int) -> dict[str, dict[str, float]]:
        places = np.random.default_rng(seed).integers(1, 6, 40)
        return {
            query: {"d": 1.0} | {f"x{m}": 2.0 + m for m in range(place)}
            for query, place in zip(qrels, places.tolist(), strict=True)
        }

    runs = {name: [run(10 * at + k) for k in range(3)] for at, name in enumerate(("C", "C-D", "D"))}
    given = {"measures": ["RR"], "baseline": "bm25", "resamples": 0}
    apart, joined, chained = (
        compare(runs | {"bm25": run(99)}, qrels, **given, lineages=lineages)
        for lineages in ((), [["C", "C-D"]], [["C", "C-D"], ["C-D", "D"]])
    )
    freedom = [
        each.rows[0].judged.comparison.sample.seeds[0].degrees_of_freedom
        for each in (apart, joined, chained)
    ]
    assert freedom == [6, 4, 2]


def test_seeds_that_agree_change_next_to_nothing() -> None:
    run_a, run_b = drawn(10)
    (found,) = compared([MeasuredPair([run_a] * 3, [run_b] * 3)])
    alone = one(run_a, run_b)
    assert found.p_value == pytest.approx(alone.p_value, rel=1e-9)
    assert found.degrees_of_freedom == alone.degrees_of_freedom


# -- verdicts --------------------------------------------------------------------------------------


def test_corrections_are_statsmodels_and_none_does_not_count() -> None:
    """.01 .04 .03 -> .03, max(.06, .04) = .06, .06."""
    assert corrected([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    values = list(np.random.default_rng(0).uniform(size=9))
    for ours, theirs in {
        "holm": "holm", "bonferroni": "bonferroni", "benjamini_hochberg": "fdr_bh",
    }.items():  # fmt: skip
        expected = multipletests(values, method=theirs)[1]
        assert corrected(values, method=ours) == pytest.approx(list(expected)), ours
    assert corrected(values, method="none") == values
    assert corrected([None]) == [None]
    with pytest.raises(UnknownChoice, match="Did you mean 'holm'"):
        corrected(values, method="hollm")


def test_a_family_declared_larger_is_corrected_for_all_of_it() -> None:
    """.01 as one of four: .04. Fewer than are made cannot have been declared."""
    assert corrected([0.01], family_size=4) == pytest.approx([0.04])
    with pytest.raises(BadInput, match="declared to have 1 comparisons, but 2 are made"):
        corrected([0.01, 0.02], family_size=1)


def made(difference: float, p: float, q: float | None) -> Comparison:
    found = one(*drawn(11, n=50), None if q is None else 0.02)
    values = vars(found) | {
        "difference": difference, "sd": 0.1, "standard_error": 0.1 / 50**0.5,
        "degrees_of_freedom": 49.0, "p_value": p, "equivalence_p": q, "non_inferiority_p": q,
    }  # fmt: skip
    return Comparison(**values)


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


def test_two_queries_in_an_enormous_family_have_no_detectable_difference() -> None:
    pair = one({"a": 0.1, "b": 0.5}, {"a": 0.0, "b": 0.1})
    assert judged([pair], family_size=10**6)[0].smallest_detectable is None


def test_the_family_is_corrected_together() -> None:
    """p = .03 alone is significant; beside another of .03 it is .06."""
    assert judged([made(0.1, 0.03, None)])[0].verdict is Verdict.BETTER
    both = judged([made(0.1, 0.03, None), made(0.1, 0.03, None)])
    assert {each.verdict for each in both} == {Verdict.CANNOT_TELL}
    assert both[0].corrected_p == pytest.approx(0.06)


@pytest.mark.parametrize("n_tests", [1, 28])
def test_the_smallest_detectable_difference_is_that_of_statsmodels_power(n_tests: int) -> None:
    family = [made(0.0, 0.5, None)] * n_tests
    found = judged(family)[0].smallest_detectable
    effect = TTestPower().solve_power(nobs=50, alpha=0.05 / n_tests, power=0.8)
    assert found == pytest.approx(0.1 * float(effect), rel=1e-4)
    same = judged([one(SYSTEM, SYSTEM)])[0]
    assert (same.smallest_detectable, same.queries_needed) == (None, None)


def test_the_queries_needed_have_the_power_and_one_fewer_has_not() -> None:
    """Of a true difference as large as the margin, not of the one observed."""
    a, b = drawn(12)
    found = judged([one(a, b, 0.01)])[0]
    n = found.queries_needed
    assert n is not None
    powers = [
        TTestPower().power(0.01 / found.comparison.sd, queries, 0.05) for queries in (n - 1, n)
    ]
    assert powers[0] < 0.8 + 1e-6
    assert powers[1] > 0.8 - 1e-6
    assert judged([one(a, b)])[0].queries_needed is None, "without a margin nothing is sought"
    seeds = judged(compared([MeasuredPair(seeded(3, seed_sd=0.1), seeded(4, seed_sd=0.1))]))[0]
    assert seeds.queries_needed is None
    assert seeds.smallest_detectable is not None


@pytest.mark.usefixtures("frozen_garbage")
def test_no_difference_is_found_at_most_as_often_as_the_level_says() -> None:
    """400 families of five true nulls over 40 queries: a false verdict in at most 5 % of them."""
    rng, false = np.random.default_rng(2), 0
    for _ in range(400):
        runs = [[{str(i): v for i, v in enumerate(x)}] for x in rng.normal(size=(10, 40))]
        family = compared([MeasuredPair(a, b) for a, b in zip(runs[:5], runs[5:], strict=True)])
        false += any(each.verdict is not Verdict.CANNOT_TELL for each in judged(family))
    assert false / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_pairs_hold_every_two_systems_once() -> None:
    assert pairs(["bm25", "plain", "C"], ["bm25", "C", "gone"]) == [
        ("plain", "bm25"), ("C", "bm25"), ("plain", "C"),
    ]  # fmt: skip


def test_what_a_stage_adds_counts_once_for_each_stage_between_two_systems() -> None:
    """It is in a child's difference from its parent once, in two children's twice: one variance, of one stage."""
    a, parents = lineage(4, own_sd=0.05)
    b = [
        {q: v + shift for q, v in run.items()}
        for run, shift in zip(parents, (0.0, 0.06, -0.06), strict=True)
    ]
    pairs = [
        MeasuredPair(a, parents, kinship=Kinship.ONE_STAGE), MeasuredPair(b, parents, kinship=Kinship.ONE_STAGE),
        MeasuredPair(a, b, kinship=Kinship.TWO_STAGES),
    ]  # fmt: skip
    parts = [each.sample.seeds[0] for each in compared(pairs)]
    of_pairs = [
        (x - y).mean(axis=1).var(ddof=1) / n_stages
        for (x, y), n_stages in zip(
            (tables_of(a, parents), tables_of(b, parents), tables_of(a, b)), (1, 1, 2), strict=True
        )
    ]
    of_one = sum(of_pairs) / 3
    spreads = [part.spread.item() for part in parts]
    assert spreads == pytest.approx([of_one / 3, of_one / 3, 2 * of_one / 3])
    assert [part.degrees_of_freedom.item() for part in parts] == [4, 4, 4]


JITTERED = {
    "two that nearly agree": [0.5, 0.499], "two next to nothing": [0.0, 0.0001],
    "three about nothing": [0.0, 0.001, -0.001], "five about a half": [0.5, 0.5, 0.499, 0.4985, 0.498],
}  # fmt: skip


@pytest.mark.parametrize("differences", JITTERED.values(), ids=JITTERED)
def test_jitter_is_no_spread(differences: list[float]) -> None:
    """Differences that are the same to a hundredth of the range show no more than those that are equal."""
    ids = [f"q{at}" for at in range(len(differences))]
    pair = MeasuredPair(
        [dict(zip(ids, differences, strict=True))], [dict.fromkeys(ids, 0.0)], Margin(0.02)
    )
    (found,) = judged(compared([pair]))
    assert found.verdict is Verdict.CANNOT_TELL


def test_losses_that_no_query_shows_are_not_ruled_out_by_jitter() -> None:
    """One query in fifty loses 1, the others differ by some .001: the true difference is the margin."""
    rng = np.random.default_rng(11)
    n_wrong = 0
    for n in (5, 20, 43):
        for _ in range(40):
            d = np.where(rng.random(n) < 0.02, -1.0, rng.normal(0, 0.001, n))
            run = {f"q{at:02d}": value for at, value in enumerate(d.tolist())}
            pair = MeasuredPair([run], [dict.fromkeys(run, 0.0)], Margin(0.02))
            n_wrong += judged(compared([pair]))[0].verdict is not Verdict.CANNOT_TELL
    assert n_wrong == 0
