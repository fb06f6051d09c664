"""The tail where seeds are few, groups of unlike sizes, and what must not hang on the order of two systems."""

import numpy as np
import pytest
from scipy import integrate, stats

from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import Margin
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.comparing import compare
from rankscope.evaluate.pairs.comparison import MeasuredPair, compared
from rankscope.evaluate.pairs.tail import Tail
from rankscope.evaluate.pairs.tested import Contrasts, shown
from rankscope.evaluate.pairs.verdicts import judged
from rankscope.evaluate.seeds.descent import Descent
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import ENOUGH, Runs, SeedError

LEVEL = 0.05


def tail(queries: float, seeds: float, freedom: float) -> Tail:
    one = np.ones(1)
    averaged = SeedError.of(seeds * one, 0 * one, freedom * one, is_averaged=np.ones(1, dtype=bool))
    return Tail.of(queries * one, 42.0, averaged)


@pytest.mark.parametrize("freedom", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("t", [0.5, 3.0, 20.0])
def test_a_tail_is_the_mean_over_what_the_seeds_variance_may_be(freedom: float, t: float) -> None:
    """By adaptive integration over a chi-square, with the queries' part known to 42 degrees of freedom."""

    def at(chance: float) -> float:
        possible = 1 + 2 * freedom / stats.chi2.ppf(chance, freedom)
        return float(stats.t.sf(t * (3 / possible) ** 0.5, 42 * possible**2))

    expected, _ = integrate.quad(at, 0, 1, points=[1e-4, 1e-2], limit=200)
    assert tail(1.0, 2.0, freedom).above(np.array([t]))[0] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("freedom", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("level", [0.025, 1e-3, 1e-5])
def test_where_seeds_are_all_of_the_error_the_tail_is_that_of_t(
    freedom: float, level: float
) -> None:
    critical = tail(1e-12, 1.0, freedom).critical(level)
    assert critical[0] == pytest.approx(stats.t.isf(level, freedom), rel=1e-2)


@pytest.mark.parametrize("shares", [(1.0, 0.5), (1.0, 4.0), (0.1, 3.0)])
def test_the_critical_value_is_where_the_chance_is_the_level(shares: tuple[float, float]) -> None:
    found = tail(*shares, 3.0)
    for level in (0.2, 0.025, 1e-4):
        assert found.above(found.critical(level))[0] == pytest.approx(level, rel=1e-5)


def any_false(
    n_systems: int, n_seeds: int, n_tests: int, *, ratio: float, n: int, own_noise: float
) -> float:
    """Share of families with a false finding: systems that differ by seeds only, on several tests, Holm."""
    rng = np.random.default_rng(8)
    n_pools = n * n_tests
    shared = rng.standard_normal((n_pools, n_systems, 1, 43))
    own = rng.standard_normal((n_pools, n_systems, n_seeds, 43))
    tables = ((1 - own_noise) ** 0.5 * shared + own_noise**0.5 * own) * (43 / 2) ** 0.5
    tables = tables + ratio * rng.standard_normal((n_pools, n_systems, n_seeds, 1))
    rankers = [Runs(table, pool) for pool in range(n_pools) for table in tables[pool]]
    first = n_systems * np.arange(n_pools)
    systems = (first[:, None] + np.arange(1, n_systems)).ravel()
    baselines = np.repeat(first, n_systems - 1)
    spans = np.full(len(systems), np.nan)
    contrasts = Contrasts(
        systems, baselines, [None] * len(systems), [Kinship.NONE] * len(systems), spans
    )
    found, _ = shown(rankers, contrasts, None, has_other_pools=n_tests > 1)
    smallest = found.difference.two_sided().reshape(n, -1).min(axis=1)
    return float((smallest < LEVEL / (n_tests * (n_systems - 1))).mean())


@pytest.mark.parametrize(
    ("n_systems", "n_seeds", "n_tests", "own_noise"),
    [(2, 2, 1, 0), (2, 2, 12, 0), (2, 3, 12, 0), (5, 2, 4, 0), (2, 2, 12, 1), (2, 3, 12, 1)],
)
def test_few_systems_on_several_tests_hold_the_level_too(
    n_systems: int, n_seeds: int, n_tests: int, own_noise: float
) -> None:
    """It was one family in four with Satterthwaite's degrees of freedom, and one in three where noise hid the seeds."""
    error = 2 * (LEVEL * (1 - LEVEL) / 1000) ** 0.5
    assert (
        any_false(n_systems, n_seeds, n_tests, ratio=2.0, n=1000, own_noise=own_noise)
        < LEVEL + error
    )


def test_one_pool_of_many_systems_keeps_satterthwaites_tail() -> None:
    values = np.random.default_rng(1).random((ENOUGH, 2, 40))
    runs = [
        [dict(zip(map(str, range(40)), run, strict=True)) for run in of] for of in values.tolist()
    ]
    alone = compared([MeasuredPair(system, runs[0]) for system in runs[1:]])
    beside = compared(
        [MeasuredPair(system, runs[0], pool=pool) for pool in ("", "AP") for system in runs[1:]]
    )
    assert not any(found.sample.seeds[0].is_averaged[0] for found in alone)
    assert all(found.sample.seeds[0].is_averaged[0] for found in beside)
    assert all(wide.p_value >= p.p_value for wide, p in zip(beside, alone, strict=False))


def grouped(sizes: list[int], n: int) -> float:
    """Share of false findings where queries of a group share an effect and the true mean is 0."""
    rng = np.random.default_rng(3)
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    own, shared = rng.standard_normal((n, len(group_of))), rng.standard_normal((n, len(sizes)))
    values = 0.1 * (0.8**0.5 * shared[:, group_of] + 0.2**0.5 * own)
    rankers = [Runs(row[None], at) for at, row in enumerate(values)]
    rankers.append(Runs(np.zeros((1, len(group_of))), n))
    contrasts = Contrasts(np.arange(n), np.full(n, n), [None] * n, [Kinship.NONE] * n, np.ones(n))
    return float((shown(rankers, contrasts, group_of)[0].difference.two_sided() < LEVEL).mean())


@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        ([91] + [1] * 9, 0.065),  # 91 % with one degree of freedom less than there are groups
        ([50] + [1] * 50, 0.065),
        ([100 // k for k in range(1, 11)], 0.075),
        ([5] * 40, 0.065),
    ],
)
def test_groups_of_unlike_sizes_hold_the_level(sizes: list[int], most: float) -> None:
    assert grouped(sizes, 2000) < most


def test_groups_of_one_size_have_one_degree_of_freedom_less_than_groups() -> None:
    queries = [f"q{at:02d}" for at in range(20)]
    run = dict(zip(queries, np.random.default_rng(2).random(20).tolist(), strict=True))
    groups = {query: query[:-1] + str(int(query[-1]) // 5) for query in queries}
    (found,) = compared([MeasuredPair([run], [dict.fromkeys(queries, 0.5)])], groups=groups)
    sums = np.array([sum(run[q] - 0.5 - found.difference for q in queries if groups[q] == g) for g in sorted(set(groups.values()))])  # fmt: skip
    assert found.degrees_of_freedom == pytest.approx(3)
    assert found.standard_error**2 == pytest.approx(4 / 3 * (sums**2).sum() / 400)


def of(differences: list[float]) -> tuple[Values, Values]:
    ids = [f"q{at:02d}" for at in range(len(differences))]
    return dict(zip(ids, differences, strict=True)), dict.fromkeys(ids, 0.0)


@pytest.mark.parametrize(
    "differences",
    [
        [
            0.28,
            0.30,
            0.31,
            0.32,
        ],  # "cannot tell" one way and "worse" the other, by the middle of four
        [-0.0099, 0.0, 0.001, 0.0095, 0.0099, 0.0185],
        [0.2] * 5 + [0.0] * 15,
        [0.1, 0.11, 0.12, 0.5, 0.6, 0.9],
    ],
)
def test_which_system_is_the_baseline_changes_nothing_but_the_sign(
    differences: list[float],
) -> None:
    a, b = of(differences)
    one, other = judged(compared([MeasuredPair([a], [b], Margin(0.02))])) + judged(
        compared([MeasuredPair([b], [a], Margin(0.02))])
    )
    mirror = {"better": "worse", "worse": "better"}
    assert other.verdict == mirror.get(one.verdict, one.verdict)
    for name in ("p_value", "equivalence_p", "beyond_margin_p", "is_few"):
        assert getattr(one.comparison, name) == pytest.approx(getattr(other.comparison, name))
    assert one.comparison.interval == pytest.approx(tuple(-end for end in reversed(other.comparison.interval)))  # fmt: skip


def test_copies_of_a_run_are_one_run() -> None:
    """Handed in as seeds, they lowered the pooled spread of all others."""
    rng = np.random.default_rng(4)
    queries = [f"q{at:02d}" for at in range(30)]

    def run(shift: float) -> Values:
        return dict(zip(queries, (rng.random(30) + shift).tolist(), strict=True))

    trained = [[run(rng.normal(0, 0.1)) for _ in range(3)] for _ in range(2)]
    copied, single = run(0.0), run(0.0)
    with_copies = compared(
        [MeasuredPair(trained[0], trained[1]), MeasuredPair([copied] * 3, trained[1])]
    )
    with_one = compared([MeasuredPair(trained[0], trained[1]), MeasuredPair([copied], trained[1])])
    for copies, alone in zip(with_copies, with_one, strict=True):
        assert copies.interval == pytest.approx(tuple(alone.interval))
        assert copies.p_value == pytest.approx(alone.p_value)
    (both,) = compared([MeasuredPair([copied] * 3, [single] * 3)])
    assert both.interval == pytest.approx(
        tuple(compared([MeasuredPair([copied], [single])])[0].interval)
    )


def test_copies_are_told() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}}
    run = {query: {"a": 1.0} for query in qrels}
    other = {query: {"b": 2.0, "a": 1.0} for query in qrels}
    found = compare({"x": [run, run, run], "y": [run, other]}, qrels, ["RR"], resamples=0)
    told = "x: runs with the same values for every query count as one run"
    assert [note for note in found.notes if "count as one run" in note] == [told]


CHAIN = {name: range(3) for name in ("C", "C-D", "C-D-E", "D", "bm25")}


def test_a_chain_is_said_by_lists_in_any_order() -> None:
    lists = [["C", "C-D", "C-C"], ["C-D", "C-D-E"]]
    systems = CHAIN | {"C-C": range(3)}
    for lineages in (lists, lists[::-1]):
        descent = Descent.of(lineages, systems)
        assert descent.kinship("C-D-E", "C-D") is Kinship.ONE_STAGE
        assert descent.kinship("C-D-E", "C") is Kinship.TWO_STAGES
        assert descent.kinship("C-D-E", "C-C") is Kinship.MORE_STAGES
        assert descent.kinship("C-D", "D") is descent.kinship("bm25", "D") is Kinship.NONE
        assert [descent.first(name) for name in ("C", "C-D-E", "D")] == ["C", "C", ""]


@pytest.mark.parametrize(
    ("lineages", "message"),
    [
        (
            [["C", "C-D", "C-D-E"], ["C-D", "C-D-E"]],
            "C-D-E is said to be tuned from C and from C-D",
        ),
        ([["C", "C-D"], ["C-D", "C"]], "C-D is said to be tuned from itself"),
    ],
)
def test_a_system_has_one_start(lineages: list[list[str]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Descent.of(lineages, CHAIN)


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadInput, match="Query q2 has a value that is not a number"):
        compared([MeasuredPair([{"q1": 1.0, "q2": float("nan")}], [{"q1": 0.0, "q2": 0.0}])])
