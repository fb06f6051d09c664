"""What verdicts, intervals and stated power are worth, by simulation. Writes docs/verdicts.md.

    python benchmarks/verdicts.py [--simulations 10000] [--section seeds ...] [--data DIR] [--write]

Everything is judged by the package's own functions. Seeded: the same command gives the same table. All
sections take about 25 minutes on one quiet core; `--section` prints some of them.
"""

import argparse
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np
from pooled_verdicts import percent, pooled_tables
from pooled_verdicts import published as published_cells
from scipy import special
from seed_methods import WAYS, p_values

from rankscope.core.formats import read_qrels, read_run
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import Margin
from rankscope.evaluate.arrays import Floats, Places
from rankscope.evaluate.measuring import Measuring
from rankscope.evaluate.pairs.comparison import Comparison, MeasuredPair, compared
from rankscope.evaluate.pairs.correction import PValues, corrected_together
from rankscope.evaluate.pairs.power import detectable, smallest_detectable
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.pairs.tested import Contrasts, Tested, shown
from rankscope.evaluate.pairs.verdicts import judged
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import Runs, SeedError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verdicts.md"
LEVEL = 0.05
MARGIN = 0.02
TOPICS = 43
SEEDS = (2, 3, 5)
RATIOS = (0.3, 1.0, 2.0, 4.0)
AT_ONCE = 250
IN_FULL = ("seeds", "power")
"""The sections whose promise is to be seen to a point: as many simulations as are asked for."""
OF_OTHERS = 2_000
"""Simulations of all other sections, at most: what they say needs no more."""

Rows = list[list[str]]


def table(heads: Sequence[str], rows: Rows) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def batches(n: int, at_once: int = AT_ONCE) -> Iterator[int]:
    while n:
        yield min(n, at_once)
        n -= min(n, at_once)


# -- families of trained systems ---------------------------------------------------------------------


class World(NamedTuple):
    """How runs come about: in units of the standard error of a difference of two systems by queries."""

    n_systems: int
    n_seeds: int
    ratio: float
    """The standard deviation of seeds."""
    first: float = 1.0
    """How many times as much the first system's seeds spread."""
    own_noise: float = 0.0
    """Share of the queries' noise that every run has for itself; the rest is the system's, in all its runs."""
    children: float | None = None
    """Where the others start from the first: their own spread, beside the first's that they share."""
    is_chain: bool = False
    """Whether each of them starts from the one before it."""
    gain: float = 0.0
    """Of the second system."""


def drawn(rng: np.random.Generator, world: World, n: int, n_queries: int = TOPICS) -> Floats:
    """Values: (families, systems, seeds, queries)."""
    shape = (n, world.n_systems, world.n_seeds)
    a_run = (n_queries / 2) ** 0.5
    values = (
        a_run
        * (1 - world.own_noise) ** 0.5
        * rng.standard_normal((n, world.n_systems, 1, n_queries))
    )
    if world.own_noise:
        values = values + a_run * world.own_noise**0.5 * rng.standard_normal((*shape, n_queries))
    spread = np.full(world.n_systems, world.ratio)
    spread[0] *= world.first
    shifts = rng.standard_normal(shape) * spread[:, None]
    if world.children is not None:
        own = rng.standard_normal(shape) * world.children
        own[:, 0] = 0
        if world.is_chain:
            own = own.cumsum(axis=1)
        shifts = shifts[:, :1] + own
    shifts[:, 1] += world.gain
    return np.asarray(values + shifts[..., None])


def judged_families(
    values: Floats, pairs: Sequence[tuple[int, int]], kinships: Sequence[Kinship] | None = None
) -> tuple[Tested, SeedError]:
    """What the pairs of each family show: entries run over families, then pairs; the seeds' part of it."""
    n, n_systems = values.shape[:2]
    rankers = [Runs(table, family) for family in range(n) for table in values[family]]
    first = np.repeat(np.arange(n) * n_systems, len(pairs))
    systems, baselines = (first + np.tile([pair[side] for pair in pairs], n) for side in (0, 1))
    kin = list(kinships or [Kinship.NONE] * len(pairs)) * n
    spans = np.full(len(first), np.nan)
    contrasts = Contrasts(systems, baselines, [None] * len(first), kin, spans)
    found, seeds_parts = shown(rankers, contrasts, None)
    return found, seeds_parts[0]


def all_pairs(n: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(n) for b in range(a)]


Judging = Callable[[Floats, Sequence[tuple[int, int]]], Floats]
"""Gives the p-values, (families, pairs), of what `drawn` has drawn."""


def by_us(
    values: Floats, pairs: Sequence[tuple[int, int]], kinships: Sequence[Kinship] | None = None
) -> Floats:
    """What the package's own functions say."""
    found, _ = judged_families(values, pairs, kinships)
    return found.difference.two_sided().reshape(len(values), len(pairs))


def any_false(
    rng: np.random.Generator,
    world: World,
    pairs: list[tuple[int, int]],
    n: int,
    judges: Sequence[Judging] = (by_us,),
) -> list[float]:
    """Share of families with any better or worse, by Holm; the smallest p-value decides that."""
    false = np.zeros(len(judges))
    for size in batches(n):
        values = drawn(rng, world, size)
        smallest = np.stack([p_of(values, pairs).min(axis=1) for p_of in judges])
        false += (smallest < LEVEL / len(pairs)).sum(axis=1)
    return (false / n).tolist()


def power(
    rng: np.random.Generator,
    world: World,
    pairs: list[tuple[int, int]],
    n: int,
    judges: Sequence[Judging] = (by_us,),
) -> list[float]:
    """Share of families in which the second system is found better than the first."""
    place, hits, m = pairs.index((1, 0)), np.zeros(len(judges)), len(pairs)
    for size in batches(n):
        values = drawn(rng, world, size)
        for at, p_of in enumerate(judges):
            p = p_of(values, pairs)
            passed = np.sort(p, axis=1) < LEVEL / (m - np.arange(m))
            rank = (p < p[:, [place]]).sum(axis=1)
            hits[at] += np.cumprod(passed, axis=1)[np.arange(size), rank].sum()
    return (hits / n).tolist()


def with_gain(n_seeds: int, ratio: float) -> World:
    """Ten systems, of which the second is better by five standard errors of a difference."""
    return World(10, n_seeds, ratio, gain=5 * (1 + 2 * ratio**2 / n_seeds) ** 0.5)


def seeds(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Families of systems that differ by their seeds only."""
    yield (
        "These families hold systems that are equally good and trained with several seeds. The table has the share of "
        f'families, in %, with any false "better" or "worse" at level .05, by Holm, with {n:,} families a cell and '
        f"{TOPICS} queries. Twice the Monte-Carlo error is .4 at 5.\n\n"
        "- *Ratio*: the standard deviation of seeds over the standard error of a difference by queries.\n"
        "- *x2*, *x4*: one system's seeds spread that many times as much as the others'.\n"
        "- *Power*: the share of families in which a true difference of five standard errors is found. "
        "[Other ways to count seeds](#other-ways-to-count-seeds) has the same for other methods."
    )
    rows = []
    for n_seeds in SEEDS:
        for ratio in RATIOS:
            cells = []
            for n_systems, pairs in ((10, all_pairs(10)), (13, [(a, 0) for a in range(1, 13)])):
                for first in (1.0, 2.0, 4.0):
                    world = World(n_systems, n_seeds, ratio, first)
                    cells.append(percent(any_false(rng, world, pairs, n)[0]))
            world = with_gain(n_seeds, ratio)
            cells.append(f"{power(rng, world, all_pairs(10), max(250, n // 5))[0]:.2f}")
            rows.append([str(n_seeds), f"{ratio:g}", *cells])
    heads = ["seeds", "ratio", "45 pairs, equal", "x2", "x4", "12 against one, equal", "baseline x2", "baseline x4", "power, 45 pairs"]  # fmt: skip
    yield table(heads, rows)
    yield (
        "With two seeds no test sees unequal spreads; from three seeds on it sees only large differences of spread. A "
        "baseline whose seeds spread twice as much as the others' is not protected, since it is in every comparison. "
        "Train it with five seeds or more."
    )
    rows = []
    for n_seeds in SEEDS:
        cells = [
            percent(any_false(rng, World(10, n_seeds, ratio, own_noise=1.0), all_pairs(10), n)[0])
            for ratio in RATIOS
        ]
        rows.append([str(n_seeds), *cells])
    yield "The same 45 pairs, equal, if each run has all of the queries' noise for itself:"
    yield table(["seeds", *(f"ratio {ratio:g}" for ratio in RATIOS)], rows)


def several(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Few systems on several tests; groups of queries; families of skewed differences."""
    yield (
        "The families above have many systems on one test. Here few systems are compared on several tests: each with the "
        "first, on every test, with a variance of seeds for each test that the test's own systems estimate. The share of "
        f"families, in %, with any false finding, by Holm over all tests, {n:,} families a cell. If seeds have few degrees "
        "of freedom or there are several tests, the tail of a p-value is averaged over what their variance may be "
        "(`evaluate/pairs/tail.py`); with Satterthwaite's degrees of freedom it was one family in four at the worst."
    )
    rows = []
    for own_noise, of in ((0.0, "the system's"), (1.0, "in every run")):
        for n_systems in (2, 5):
            for n_seeds in SEEDS:
                for n_tests in (1, 4, 12):
                    worlds = [World(n_systems, n_seeds, r, own_noise=own_noise) for r in RATIOS]
                    cells = [
                        percent(_any_false_on_tests(rng, world, n_tests, n)) for world in worlds
                    ]
                    rows.append([of, str(n_systems), str(n_seeds), str(n_tests), *cells])
    yield table(
        ["queries' noise", "systems", "seeds", "tests", *(f"ratio {ratio:g}" for ratio in RATIOS)],
        rows,
    )
    yield (
        "Queries in groups that depend on each other (`--groups`): one comparison at .05, true difference 0, queries of a "
        "group share four fifths (or three tenths) of their variance. The share, in %, of false findings, and what one "
        "degree of freedom less than there are groups would give:"
    )
    rows = [[name, *_grouped(rng, np.array(sizes), n)] for name, sizes in GROUPS]
    yield table(["groups", "four fifths", "plainly", "three tenths", "plainly"], rows)
    yield (
        "Families of skewed differences, one run each: 10 % of queries lose .5 to .9 and 23 % gain .3, with a true difference "
        "of 0. The share, in %, of families with any false finding, all comparisons independent of one another, which "
        "systems on the same queries are not ([real differences](#real-differences), one comparison at a time, have 6.3 at most). Holm asks for p-values "
        "far in the tail, where no test of few skewed differences is exact:"
    )
    rows = []
    for m in (1, 12, 45):
        cells = []
        for queries in (20, 43, 54, 200):
            false = 0
            for size in batches(n, 2_000 // m):
                d = skewed(rng, (size * m, queries)) + MARGIN
                smallest = of_samples(d, None).difference.two_sided().reshape(size, m).min(axis=1)
                false += int((smallest < LEVEL / m).sum())
            cells.append(percent(false / n))
        rows.append([str(m), *cells])
    yield table(["comparisons", "20 queries", "43", "54", "200"], rows)


GROUPS = (
    ("40 of 5", [5] * 40),
    ("10 of 5", [5] * 10),
    ("one of 91, nine of 1", [91] + [1] * 9),
    ("one of 50, fifty of 1", [50] + [1] * 50),
    ("ten, by Zipf", [100 // k for k in range(1, 11)]),
    ("forty-one, by Zipf", [200 // k for k in range(1, 42)]),
)


def _any_false_on_tests(rng: np.random.Generator, world: World, n_tests: int, n: int) -> float:
    """Share of families with any better or worse: each system against the first on every test."""
    false, m = 0, world.n_systems - 1
    for size in batches(n):
        values = drawn(rng, world, size * n_tests)
        rankers = [Runs(table_, pool) for pool in range(len(values)) for table_ in values[pool]]
        first = world.n_systems * np.arange(len(values))
        systems = (first[:, None] + np.arange(1, world.n_systems)).ravel()
        none = [None] * len(systems)
        kin = [Kinship.NONE] * len(systems)
        contrasts = Contrasts(
            systems, np.repeat(first, m), none, kin, np.full(len(systems), np.nan)
        )
        found, _ = shown(rankers, contrasts, None, has_other_pools=n_tests > 1)
        smallest = found.difference.two_sided().reshape(size, -1).min(axis=1)
        false += int((smallest < LEVEL / (m * n_tests)).sum())
    return false / n


def _grouped(rng: np.random.Generator, sizes: Places, n: int) -> list[str]:
    """Shares of false findings: ours and the plain cluster-robust t-test, by how much a group shares."""
    group_of, cells = np.repeat(np.arange(len(sizes)), sizes), []
    for shared in (0.8, 0.3):
        false = np.zeros(2)
        for size in batches(n, 1_000):
            common = rng.standard_normal((size, len(sizes)))[:, group_of]
            alone = rng.standard_normal((size, len(group_of)))
            d = 0.1 * (shared**0.5 * common + (1 - shared) ** 0.5 * alone)
            rankers = [Runs(row[None], at) for at, row in enumerate(d)]
            rankers.append(Runs(np.zeros((1, len(group_of))), size))
            none, kin = [None] * size, [Kinship.NONE] * size
            contrasts = Contrasts(np.arange(size), np.full(size, size), none, kin, np.ones(size))
            found, _ = shown(rankers, contrasts, group_of)
            sums = np.add.reduceat(d - d.mean(axis=1, keepdims=True), np.cumsum(sizes) - sizes, axis=1)  # fmt: skip
            g = len(sizes)
            error = np.sqrt(g / (g - 1) * (sums**2).sum(axis=1)) / len(group_of)
            plainly = 2 * special.stdtr(g - 1, -np.abs(d.mean(axis=1)) / error)
            false += (found.difference.two_sided() < LEVEL).sum(), (plainly < LEVEL).sum()
        cells += [percent(share) for share in false / n]
    return cells


def ways(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Ways to count seeds, on the same families."""
    yield (
        "The families have 45 pairs, as above. A cell has the share of families with any false finding, in %, if all "
        "seeds spread alike / one system's spread twice / four times as much, and then the power. With "
        f"{n:,} families a cell, twice the Monte-Carlo error is {percent(2 * (0.05 * 0.95 / n) ** 0.5)} at 5. "
        "`benchmarks/seed_methods.py` defines the ways:\n\n"
        "- *Ours*: one pooled variance, except for outliers, by the package's own functions.\n"
        "- *Own variances*: each system's own, with Satterthwaite's degrees of freedom from its seeds.\n"
        "- *Smallest df*: the same variances, with the degrees of freedom of one system.\n"
        "- *Moderated*: as limma."
    )
    judges: list[Judging] = [by_us, *(partial(p_values, name=name) for name in WAYS)]
    rows = []
    for n_seeds in SEEDS:
        for ratio in RATIOS:
            worlds = [World(10, n_seeds, ratio, first) for first in (1.0, 2.0, 4.0)]
            false = [any_false(rng, world, all_pairs(10), n, judges) for world in worlds]
            hits = power(rng, with_gain(n_seeds, ratio), all_pairs(10), n, judges)
            shares = [" / ".join(map(percent, of)) for of in zip(*false, strict=True)]
            cells = [f"{share}, {hit:.2f}" for share, hit in zip(shares, hits, strict=True)]
            rows.append([str(n_seeds), f"{ratio:g}", *cells])
    yield table(["seeds", "ratio", "ours", *WAYS], rows)


# -- lineages ----------------------------------------------------------------------------------------


def lineages(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Systems whose k-th runs start from one ancestor's k-th run."""
    yield (
        "Nine systems are each tuned from one ancestor, the k-th run from the ancestor's k-th run. None is better than "
        "another. All 36 + 9 comparisons are made, paired by seed.\n\n"
        "- *Ratio*: as above, of the ancestor's seeds.\n"
        "- *Own spread*: the same for what a stage of its own adds.\n"
        "- *Width*: the width of the 95 % interval over that of the paired difference by its own seeds alone; medians.\n"
        "- *Apart*: the same runs, compared without pairing."
    )
    pairs = all_pairs(10)
    kin = [Kinship.ONE_STAGE if b == 0 else Kinship.TWO_STAGES for _, b in pairs]
    descent = np.array([each is Kinship.ONE_STAGE for each in kin])
    rows, m = [], len(pairs)
    for n_seeds in SEEDS:
        for ratio, spread in ((1.0, 0.1), (1.0, 1.0), (4.0, 0.4), (4.0, 4.0)):
            world = World(10, n_seeds, ratio, children=spread)
            false, false_apart = 0, 0
            widths: list[Floats] = []
            for size in batches(n):
                values = drawn(rng, world, size)
                found, _ = judged_families(values, pairs, kin)
                smallest = found.difference.two_sided().reshape(size, m).min(axis=1)
                false += int((smallest < LEVEL / m).sum())
                apart, _ = judged_families(values, pairs)
                smallest = apart.difference.two_sided().reshape(size, m).min(axis=1)
                false_apart += int((smallest < LEVEL / m).sum())
                paired = np.stack([_paired_width(values, a, b) for a, b in pairs], axis=1)
                mine, wide = (_width(each).reshape(size, m) for each in (found, apart))
                widths.append(np.stack([mine / paired, wide / paired]))
            ratios = np.concatenate(widths, axis=1)
            shares = [f"{np.median(part):.2f}" for part in (ratios[0][:, descent], ratios[0][:, ~descent], ratios[1][:, descent])]  # fmt: skip
            rows.append([str(n_seeds), f"{ratio:g}", f"{spread:g}", percent(false / n), *shares, percent(false_apart / n)])  # fmt: skip
    heads = ["seeds", "ratio", "own spread", "any false, 45 pairs", "width, from the ancestor", "width, siblings", "width apart", "any false, apart"]  # fmt: skip
    yield table(heads, rows)
    yield (
        "The same nine systems are now compared with a run from elsewhere, and not with each other. What they share does "
        "not cancel, and moves all nine alike. *Named*: they are known to be of one lineage, so in the pool they count "
        "as one. *Unnamed*: they count as nine."
    )
    rows = []
    for n_seeds in SEEDS:
        for ratio, spread in ((1.0, 0.1), (1.0, 1.0), (4.0, 0.4), (4.0, 4.0)):
            world = World(10, n_seeds, ratio, children=spread)
            shares = [percent(each) for each in against_elsewhere(rng, world, n)]
            rows.append([str(n_seeds), f"{ratio:g}", f"{spread:g}", *shares])
    yield table(["seeds", "ratio", "own spread", "any false, 9 named", "unnamed"], rows)
    yield (
        "In a chain each system is tuned from the one before it, the k-th run from its k-th run. All pairs are compared. "
        "What a stage adds is in a difference once for each stage between the two systems."
    )
    kinds = {1: Kinship.ONE_STAGE, 2: Kinship.TWO_STAGES}
    rows = []
    for n_seeds in SEEDS:
        for ratio, spread in ((1.0, 0.1), (1.0, 1.0), (4.0, 0.4), (4.0, 4.0)):
            shares = []
            for n_systems in (3, 5):
                pairs = all_pairs(n_systems)
                kin = [kinds.get(a - b, Kinship.MORE_STAGES) for a, b in pairs]
                world = World(n_systems, n_seeds, ratio, children=spread, is_chain=True)
                shares += any_false(rng, world, pairs, n, [partial(by_us, kinships=kin), by_us])
            rows.append([str(n_seeds), f"{ratio:g}", f"{spread:g}", *map(percent, shares)])
    heads = ["any false, 3 systems", "apart", "any false, 5 systems", "apart"]
    yield table(["seeds", "ratio", "own spread", *heads], rows)


def against_elsewhere(rng: np.random.Generator, world: World, n: int) -> list[float]:
    """Share of families with any better or worse: of a lineage with its name, and without."""
    false, m = np.zeros(2), world.n_systems - 1
    for size in batches(n):
        values = drawn(rng, world, size)[:, 1:]
        elsewhere = (TOPICS / 2) ** 0.5 * rng.standard_normal((size, 1, TOPICS))
        systems, baselines = np.arange(size * m), size * m + np.repeat(np.arange(size), m)
        contrasts = Contrasts(systems, baselines, [None] * len(systems), [Kinship.NONE] * len(systems), np.full(len(systems), np.nan))  # fmt: skip
        for at, lineage in enumerate(("ancestor", "")):
            tuned = [Runs(table, f, lineage) for f in range(size) for table in values[f]]
            others = [Runs(table, f) for f, table in enumerate(elsewhere)]
            found, _ = shown(tuned + others, contrasts, None)
            smallest = found.difference.two_sided().reshape(size, m).min(axis=1)
            false[at] += (smallest < LEVEL / m).sum()
    return (false / n).tolist()


def _width(found: Tested) -> Floats:
    low, high = found.difference.interval(LEVEL)
    return np.asarray(high - low)


def _paired_width(values: Floats, a: int, b: int) -> Floats:
    """Of the paired interval by the pair's own seeds, (families,)."""
    n = len(values)
    kin = [Kinship.ONE_STAGE] * n
    both = values[:, [a, b]]
    rankers = [Runs(of, family) for family in range(n) for of in both[family]]
    places = 2 * np.arange(n)
    spans = np.full(n, np.nan)
    found, _ = shown(rankers, Contrasts(places, places + 1, [None] * n, kin, spans), None)
    return _width(found)


# -- few queries, skewed differences, none -----------------------------------------------------------

Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def loses(share: float, value: float, rest: float = 0.0) -> Draw:
    """A share of the queries loses, the rest gains."""
    return lambda rng, shape: np.where(rng.random(shape) < share, -value, rest)


def jittered(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.where(rng.random(shape) < 0.02, -1.0, rng.normal(0, 0.001, shape))


def gains_and_loses(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    u = rng.random(shape)
    return np.where(u < 0.01, -1.0, np.where(u < 0.21, 0.05, 0.0))


def as_rr(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    u, size = rng.random(shape), rng.uniform(0.5, 0.9, shape)
    return np.where(u < 0.15, size, np.where(u < 0.30, -size, 0.0)) - MARGIN


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    u, size = rng.random(shape), rng.uniform(0.5, 0.9, shape)
    drawn_ = np.where(u < 0.10, -size, np.where(u < 0.33, 0.3, 0.0))
    return drawn_ - (0.23 * 0.3 - 0.10 * 0.7) - MARGIN


def normal(sd: float, mean: float = 0.0) -> Draw:
    return lambda rng, shape: rng.normal(mean, sd, shape)


def of_samples(differences: Floats, margin: float | None = MARGIN) -> Tested:
    """What samples show: (samples, queries)."""
    n = len(differences)
    rankers = [
        Runs(row[None], at) for at, row in enumerate(differences)
    ] + [Runs(np.zeros((1, differences.shape[1])), n)]  # fmt: skip
    margins = [None if margin is None else Margin(margin)] * n
    contrasts = Contrasts(np.arange(n), np.full(n, n), margins, [Kinship.NONE] * n, np.ones(n))
    return shown(rankers, contrasts, None)[0]


def by_t(differences: Floats, bound: float) -> Floats:
    """p-values of the t-test alone that the mean is above the bound; 0 or 1 without spread."""
    mean = differences.mean(axis=1) - bound
    error = differences.std(axis=1, ddof=1) / differences.shape[1] ** 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.stdtr(differences.shape[1] - 1, -mean / error)
    return np.where(error > 1e-12, p, np.where(mean > 0, 0.0, 1.0))


QUERIES = (5, 20, 43, 54, 200)


class Case(NamedTuple):
    """Samples of one kind, and what may be said of them."""

    name: str
    draw: Draw
    ours: Callable[[Tested], "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"]
    """Whether it is said."""
    bound: float
    """What the t-test alone is asked: whether the mean is above."""
    level: float = LEVEL


def not_worse(name: str, draw: Draw) -> Case:
    return Case(f"not worse: {name}", draw, lambda found: found.non_inferiority < LEVEL, -MARGIN)


def better(name: str, draw: Draw) -> Case:
    return Case(
        f"better: {name}",
        draw,
        lambda found: (found.difference.two_sided() < LEVEL) & (found.difference.mean > 0),
        0.0,
        LEVEL / 2,
    )


FALSE = (
    not_worse("one query in 50 loses 1", loses(0.02, 1.0)),
    not_worse("the same, all others by N(0, .001)", jittered),
    not_worse("4 % lose .5", loses(0.04, 0.5)),
    not_worse("20 % lose .1", loses(0.2, 0.1)),
    not_worse("as RR moves: 15 % gain and 15 % lose .5 to .9", as_rr),
    not_worse("10 % lose .5 to .9, 23 % gain .3", skewed),
    not_worse("normal, sd .05", normal(0.05, -MARGIN)),
    better("20 % gain .05, 1 % lose 1", gains_and_loses),
    better("normal, sd .15", normal(0.15)),
)
RIGHT = (
    not_worse("true difference 0, normal, sd .05", normal(0.05)),
    better("true difference .022, normal, sd .05", normal(0.05, 0.022)),
    better("true difference .066, normal, sd .15", normal(0.15, 0.066)),
)


def samples(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Skewed differences, and samples in which nearly all are equal."""
    yield (
        "One comparison over few queries: the share, in %, of samples that show something false. There are "
        f"{n:,} samples a cell. The t-test alone is in brackets.\n\n"
        f"- *Not worse*: not worse by the margin, while the true difference is exactly the margin, -{MARGIN:g}. This is "
        'one of the two tests of "equivalent", so that verdict is at most as frequent.\n'
        "- *Better*: while the true difference is 0."
    )
    heads = ["what", *(f"{queries} queries" for queries in QUERIES)]
    yield table(heads, [_said(rng, case, n) for case in FALSE])
    yield "What that costs: the share, in %, of samples of ordinary differences that show what is right."
    yield table(heads, [_said(rng, case, n) for case in RIGHT])


def _said(rng: np.random.Generator, case: Case, n: int) -> list[str]:
    cells = []
    for queries in QUERIES:
        ours = theirs = 0
        for size in batches(n, 2_000):
            d = case.draw(rng, (size, queries))
            ours += int(case.ours(of_samples(d)).sum())
            theirs += int((by_t(d, case.bound) < case.level).sum())
        cells.append(f"{percent(ours / n)} ({percent(theirs / n)})")
    return [case.name, *cells]


# -- fragility ---------------------------------------------------------------------------------------


def fragilities(rng: np.random.Generator, n: int) -> Iterator[str]:
    """False verdicts by how few queries carry them."""
    yield (
        "No test sees losses that no query of the sample shows. So every better, worse and equivalent carries its "
        "**fragility**: the smallest number of the sample's queries that would take the verdict away if they had the "
        "worst difference that the measure allows, while the other comparisons stay. The table has the share, in %, of "
        'samples that are "better" with at least that fragility: of samples with a true difference of 0 (20 % gain .05, '
        f"1 % lose 1), and of samples that are truly better by .1 (sd .15). There are {n:,} samples a cell."
    )
    rows = []
    for queries in (43, 54, 200):
        for name, draw in (("true difference 0", gains_and_loses), ("true difference .1", normal(0.15, 0.1))):  # fmt: skip
            found: list[int] = []
            for size in batches(n):
                zeros = {f"q{at:05d}": 0.0 for at in range(queries)}
                runs_ = [dict(zip(zeros, row, strict=True)) for row in draw(rng, (size, queries)).tolist()]  # fmt: skip
                for each in compared([MeasuredPair([run], [zeros]) for run in runs_]):
                    (one,) = judged([each])
                    if one.verdict is Verdict.BETTER:
                        found.append(one.fragility or 0)
            shares = [percent(sum(f >= least for f in found) / n) for least in (1, 2, 3, 5, 10)]
            rows.append([name, str(queries), *shares])
    yield table(["what", "queries", "1 or more", "2", "3", "5", "10"], rows)


# -- stated power ------------------------------------------------------------------------------------


def powers(rng: np.random.Generator, n: int) -> Iterator[str]:
    """The minimum detectable effect, stated by one experiment and met by another."""
    yield (
        "One experiment states the minimum detectable effect. A second experiment of the same kind has this as its true "
        "difference. The table has the share, in %, of second experiments that show it, which should be 80 ± 3, for "
        f"{n:,} pairs of experiments a cell. In brackets is the share among the quarter with the smallest "
        "statements; these were lucky in their spread, and the statement is no promise for them. *Level*: that left for one "
        "comparison of the family. The promise is kept in every cell "
        "(78.5 to 82.6 %)."
    )
    rows = []
    for n_systems, m in ((2, 1), (2, 12), (10, 1), (10, 45)):
        for own_noise in (0.0, 1.0):
            for n_seeds in SEEDS:
                cells = []
                for ratio in RATIOS:
                    world = World(n_systems, n_seeds, ratio, own_noise=own_noise)
                    met = [_met(rng, world, size, LEVEL / m) for size in batches(n)]
                    stated, is_met = (np.concatenate(part) for part in zip(*met, strict=True))
                    lucky = stated <= np.quantile(stated, 0.25)
                    cells.append(f"{percent(is_met.mean())} ({percent(is_met[lucky].mean())})")
                of = "in every run" if own_noise else "the system's"
                level = ".05" if m == 1 else f".05/{m}"
                rows.append([str(n_systems), level, of, str(n_seeds), *cells])
    yield table(["systems", "level", "queries' noise", "seeds", *(f"ratio {ratio:g}" for ratio in RATIOS)], rows)  # fmt: skip
    yield (
        "Without seeds the power stated is that of the t-test. Hall's transformation takes some of it if queries are few, "
        "the level is small or differences are skewed, and a statement cannot know the skewness of the next experiment. "
        "The share shown, in %, with the true standard error:"
    )
    rows = []
    for name, draw in (("normal", normal(0.12)), ("10 % lose .7, 23 % gain .3", two_sizes)):
        for n_tests in (1, 28):
            shares = [percent(plain_power(rng, draw, queries, n, n_tests)) for queries in (20, 43, 200)]  # fmt: skip
            rows.append([name, f"one of {n_tests}", *shares])
    yield table(["differences", "comparison", "20 queries", "43", "200"], rows)


def two_sizes(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    u = rng.random(shape)
    return np.where(u < 0.10, -0.7, np.where(u < 0.33, 0.3, 0.0)) - (0.23 * 0.3 - 0.10 * 0.7)


def _met(
    rng: np.random.Generator, world: World, n: int, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """What the first two systems' comparison states, and whether another experiment shows it."""
    pairs = [(1, 0)]
    first, of_seeds = judged_families(drawn(rng, world, n), pairs)
    found, _ = judged_families(drawn(rng, world, n), pairs)
    variance = first.difference.standard_error**2
    queries = np.where(variance > of_seeds.spread * (1 + 1e-12), variance - of_seeds.variance, 0.0)
    stated = detectable(queries, TOPICS - 1.0, of_seeds, level)
    shown_ = replace(found.difference, mean=found.difference.mean + stated).two_sided() < level
    return stated, np.asarray(shown_, dtype=float)


def plain_power(
    rng: np.random.Generator, draw: Draw, n_queries: int, n: int, n_tests: int
) -> float:
    """Share of tests that detect the minimum detectable effect, which is stated for 80 % power."""
    level, sd = LEVEL / n_tests, float(draw(np.random.default_rng(0), (1, 1_000_000)).std())
    difference = smallest_detectable(with_error(n_queries, sd), level)
    assert difference is not None
    found = 0
    for size in batches(n, 2_000):
        samples_ = draw(rng, (size, n_queries)) + difference
        found += int((of_samples(samples_, None).difference.two_sided() < level).sum())
    return found / n


def with_error(n_queries: int, sd: float) -> Comparison:
    """A comparison whose standard error is the true one."""
    spread = np.linspace(-1.0, 1.0, n_queries)
    spread *= sd / spread.std(ddof=1)
    ids = [f"q{at:05d}" for at in range(n_queries)]
    run = dict(zip(ids, spread.tolist(), strict=True))
    return compared([MeasuredPair([run], [dict.fromkeys(ids, 0.0)])])[0]


# -- both kinds of tests together, one run each -------------------------------------------------------


def together(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Differences and equivalence in one family; one run a method."""
    yield (
        "The share, in %, of families of ten comparisons with any false verdict: better, worse and equivalent together. "
        "There are 200 queries, the sd is .1 and the margin .02. *Apart*: each kind of test is corrected by Holm alone."
    )
    rows = []
    for name, shifts in (
        ("all equal", [0.0] * 10),
        ("all differ by the margin", [MARGIN] * 10),
        ("half equal, half differ by the margin", [0.0] * 5 + [MARGIN] * 5),
        ("half equal, half differ by .1", [0.0] * 5 + [0.1] * 5),
        ("five by .1, five by the margin", [0.1] * 5 + [MARGIN] * 5),
        ("nine by .01, one by the margin", [0.01] * 9 + [MARGIN]),
    ):
        shares = _false_together(rng, np.array(shifts), n)
        rows.append([name, *(percent(share) for share in shares)])
    yield table(["true differences", "together", "apart", "without correction"], rows)


def _false_together(rng: np.random.Generator, shifts: Floats, n: int) -> Floats:
    false = np.zeros(3)
    m, queries = len(shifts), 200
    equal, at_margin = shifts == 0, np.abs(shifts) >= MARGIN
    for size in batches(n, 1_000):
        d = rng.normal(0, 0.1, (size, m, queries)) + shifts[:, None]
        found = of_samples(d.reshape(-1, queries))
        p, q = (each.reshape(size, m) for each in (found.difference.two_sided(), found.equivalence))
        for both in zip(p.tolist(), q.tolist(), strict=True):
            tests = [PValues(*each) for each in zip(*both, strict=True)]
            ways = (
                corrected_together(tests),
                _apart(tests),
                tests,
            )
            for place, way in enumerate(ways):
                wrong = np.array([(a < LEVEL, (b or 0) < LEVEL) for a, b in way])
                false[place] += bool((wrong[:, 1] & at_margin).any() or (wrong[:, 0] & ~wrong[:, 1] & equal).any())  # fmt: skip
    return false / n


def _apart(tests: Sequence[PValues]) -> list[PValues]:
    firsts = corrected_together([PValues(p, None) for p, _ in tests])
    seconds = corrected_together([PValues(q or 0.0, None) for _, q in tests])
    return [PValues(p.difference, q.difference) for p, q in zip(firsts, seconds, strict=True)]


def one_run(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Methods that differ by their seeds only."""
    yield (
        "Two methods that differ only in their seeds are compared once: the share, in %, of false verdicts. Values are "
        "between 0 and 1, and seeds shift a run by .03 (standard deviation). A report notes it wherever trained rankers "
        "have one run each."
    )
    rows = []
    for queries in (43, 200):
        false = np.zeros(4)
        for size in batches(n, 1_000):
            values = rng.beta(1.2, 1.2, (size, 1, 1, queries)) + rng.normal(0, 0.03, (size, 2, 3, 1)) + rng.normal(0, 0.12, (size, 2, 3, queries))  # fmt: skip
            for place, (a, b) in enumerate(
                (
                    (values[:, 0, :1], values[:, 1, :1]),
                    (values[:, 0].mean(axis=1, keepdims=True), values[:, 1].mean(axis=1, keepdims=True)),
                    (values[:, 0], values[:, 1]),
                    (values[:, 0], values[:, 1, :1]),
                )
            ):  # fmt: skip
                rankers = [Runs(each, at) for at in range(size) for each in (a[at], b[at])]
                places = 2 * np.arange(size)
                contrasts = Contrasts(places, places + 1, [None] * size, [Kinship.NONE] * size, np.full(size, np.nan))  # fmt: skip
                p = shown(rankers, contrasts, None)[0].difference.two_sided()
                false[place] += int((p < LEVEL).sum())
        rows.append([str(queries), *(percent(share) for share in false / n)])
    yield table(["queries", "one run each", "three seeds, spread ignored", "three seeds, counted", "three seeds against one run (a note says so)"], rows)  # fmt: skip


# -- intervals ---------------------------------------------------------------------------------------


def intervals(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Whether 95 % intervals hold the truth."""
    yield (
        "The share, in %, of 95 % intervals that hold the true difference. Values are between 0 and 1 and cut off, so "
        "that many differences are exactly 0. *BCa*: the bootstrap interval that stands beside ours."
    )
    rows = []
    for queries in (43, 200):
        held = coverage(rng, queries, n)
        rows.append([f"{queries} queries", *(percent(share) for share in held)])
    by_group, ignored = group_coverage(rng, 40, 5, n)
    rows.append(["40 groups of 5 queries", percent(by_group), "-"])
    rows.append(["the same, groups ignored", percent(ignored), "-"])
    yield table(["sample", "interval", "BCa"], rows)


def coverage(rng: np.random.Generator, n_queries: int, n: int) -> Floats:
    """Share of our and of BCa intervals that hold the true difference of two systems."""
    a, b = (np.clip(true_values(shift), 0, 1) for shift in (0.05, 0.0))
    truth, held = float((a - b).mean()), np.zeros(2)
    ids = [f"q{at:05d}" for at in range(n_queries)]
    for size in batches(n):
        gc.freeze()
        chosen = rng.integers(len(a), size=(size, n_queries))
        runs_ = [[dict(zip(ids, row, strict=True)) for row in of[chosen].tolist()] for of in (a, b)]
        pairs = [MeasuredPair([x], [y]) for x, y in zip(*runs_, strict=True)]
        for each in compared(pairs, resampling=Resampling(n=2_000)):
            low, high = each.interval
            below, above = each.bootstrap_interval or (0.0, 0.0)
            held += (low <= truth <= high, below <= truth <= above)
    return held / n


def true_values(shift: float, n: int = 200_000) -> Floats:
    """A population of queries: the truth that its samples are compared with."""
    ease = np.random.default_rng(5).beta(1.2, 1.2, n)
    noise = np.random.default_rng(int(1000 * shift) + 6).normal(0.0, 0.15, n)
    return np.asarray(ease + shift + noise)


def group_coverage(
    rng: np.random.Generator, n_groups: int, each: int, n: int
) -> tuple[float, float]:
    """Share of intervals that hold 0: by groups of queries that share their difference, and without."""
    held = np.zeros(2)
    group_of = np.arange(n_groups).repeat(each)
    for size in batches(n, 1_000):
        common = rng.normal(0.0, 0.1, (size, n_groups)).repeat(each, axis=1)
        d = common + rng.normal(0.0, 0.05, common.shape)
        rankers = [Runs(row[None], at) for at, row in enumerate(d)] + [Runs(np.zeros((1, d.shape[1])), size)]  # fmt: skip
        contrasts = Contrasts(np.arange(size), np.full(size, size), [None] * size, [Kinship.NONE] * size, np.ones(size))  # fmt: skip
        for place, how in enumerate((group_of, None)):
            low, high = shown(rankers, contrasts, how)[0].difference.interval(LEVEL)
            held[place] += int(((low <= 0) & (high >= 0)).sum())
    return float(held[0] / n), float(held[1] / n)


# -- real differences --------------------------------------------------------------------------------


def real(rng: np.random.Generator, n: int, data: Path) -> Iterator[str]:
    """Differences of real runs, centred, so that the truth is known."""
    folder = data / "msmarco-dl19"
    paths = [*sorted((folder / "runs").glob("*.run")), folder / "runs-colbertv2" / "colbertv2.run"]
    measures = ("nDCG@10", "RR(rel=2)@10", "AP(rel=2)")
    measuring = Measuring(read_qrels(folder / "qrels.dl19-passage.txt"), measures)
    values = {path.stem: measuring.of(read_run(path)).values for path in paths}
    yield (
        f"The differences are those of {len(paths)} real runs on TREC DL 2019 ({', '.join(sorted(values))}). Each pair's "
        "are centred at 0 or at the margin, and 43 queries are drawn from them with replacement. The table has the "
        'largest and the mean share, in %, of false "better or worse" and of false "equivalent" among the 15 pairs, with '
        f"{n:,} samples a pair."
    )
    rows = []
    for measure in measures:
        false = []
        for a, b in all_pairs(len(values)):
            x, y = (np.array([*dict(sorted(of[measure].items())).values()]) for of in [list(values.values())[at] for at in (a, b)])  # fmt: skip
            d = x - y - (x - y).mean()
            rates = np.zeros(3)
            for size in batches(n, 2_000):
                chosen = d[rng.integers(len(d), size=(size, len(d)))]
                rates[0] += int((of_samples(chosen, None).difference.two_sided() < LEVEL).sum())
                for sign in (1.0, -1.0):
                    shifted = chosen + sign * MARGIN
                    rates[1 if sign > 0 else 2] += int((of_samples(shifted).equivalence < LEVEL).sum())  # fmt: skip
            false.append(rates / n)
        shares = np.array(false)
        ends = np.maximum(shares[:, 1], shares[:, 2])
        rows.append([measure, *(percent(of) for of in (shares[:, 0].max(), shares[:, 0].mean(), ends.max(), ends.mean()))])  # fmt: skip
    yield table(["measure", "better or worse, most", "mean", "equivalent, most", "mean"], rows)


# -- what study B's test sets could have shown ---------------------------------------------------------


def published(rng: np.random.Generator, n: int) -> Iterator[str]:  # noqa: ARG001
    """Study B's test sets: what they could have shown, by the spread of the queries' differences."""
    yield (
        "The table has the minimum detectable effect: the true difference in a measure that a two-sided paired t-test "
        "detects with 80 % power. It is given for standard deviations of the queries' differences of .10 and .15, as the "
        "only test (level .05) and as one of the 12 cells of a table (level .05/12). Study B reads differences of .0008 "
        "(C to D against C) and .0082 (D to C against C, ELECTRA) as “on par”. On 43, 50 or 54 topics no difference of "
        "that size can be shown, and not finding it shows nothing. Dev's 6,980 topics could have shown the second, not "
        "the first."
    )
    sets = {"TREC DL 2019": 43, "TREC DL 2020": 54, "DL-Hard": 50, "MS MARCO dev": 6980}
    rows = [
        [name, f"{queries:,}", *(f"{smallest_detectable(with_error(queries, sd), LEVEL / n_tests):.4f}" for n_tests in (1, 12) for sd in (0.10, 0.15))]
        for name, queries in sets.items()
    ]  # fmt: skip
    yield table(["test set", "topics", "sd .10, alone", "sd .15, alone", "sd .10, of 12", "sd .15, of 12"], rows)  # fmt: skip


class Pilot(NamedTuple):
    """The spreads of nDCG@10 that a pilot showed on a test: standard deviations."""

    of_queries: float
    """Of the queries' differences."""
    of_seeds: float
    """Of a first stage's seeds."""
    of_second_stage: float
    """Of what a second stage adds to its own first one, over seeds."""
    n_queries: tuple[int, ...]
    """How many queries the study might take."""


PILOTS = {
    "WikiQA dev": Pilot(0.142, 0.0126, 0.0105, (126,)),
    "SciFact": Pilot(0.127, 0.0216, 0.0191, (60, 100)),
    "TREC DL 2019": Pilot(0.065, 0.0042, 0.0087, (43,)),
    "T-REx facts": Pilot(0.188, 0.0262, 0.0270, (300, 1000)),
}
N_COMPARED = 16
"""BM25, D, C-D and D-C, each against C, on four tests."""


def studies(rng: np.random.Generator, n: int) -> Iterator[str]:
    """What studies/multistage-cross-encoders-small.yaml can show, by a pilot's spreads."""
    n = min(n, 1_000)
    yield (
        "This was simulated before the study was run, with the spreads of a pilot: the same stages, run before with "
        "seeds 1 to 3. The pilot's evaluation had 84 comparisons (three measures, two baselines), and nothing could be "
        f"shown of them. The study compares nDCG@10 with C alone, {N_COMPARED} comparisons.\n\n"
        f"The table has the share, in %, of {n:,} simulated studies in which a true difference to C is found at level "
        f".05/{N_COMPARED}, the strictest that Holm asks for. All start from one backbone's seeds, so they are paired by "
        "seed: D is two stages from C, C-D is one. *Equivalent*: C-D is exactly as good as C, and the verdict is equivalent within the margin of "
        f"{MARGIN:g}."
    )
    rows = []
    for name, pilot in PILOTS.items():
        for n_queries in pilot.n_queries:
            for n_seeds in (3, 4, 5):
                shares = [
                    _shown_by(rng, pilot, n_queries, n_seeds, size) for size in batches(n, 100)
                ]
                rows.append(
                    [name, f"{n_queries:,}", str(n_seeds), *map(percent, np.mean(shares, axis=0))]
                )
    heads = [f"{system} by {difference:g}" for system in ("D", "C-D") for difference in DIFFERENCES]
    yield table(["test", "queries", "seeds", *heads, "C-D equivalent"], rows)
    yield (
        "So a fourth seed is worth more than 700 more questions of the facts. It is also worth more than 40 more queries of "
        "SciFact, except for C-D by 0.05. It costs less, too. So the study has four seeds, 300 questions and 60 queries. "
        "It finds large differences. It cannot show that two systems are equivalent within .02, so “on par” may be "
        "contradicted and not supported."
    )


DIFFERENCES = (0.05, 0.1, 0.15)


def _shown_by(
    rng: np.random.Generator, pilot: Pilot, n_queries: int, n_seeds: int, n: int
) -> Floats:
    """Shares of n simulated studies: each difference of D to C found, each of C-D, C-D told equivalent."""
    systems = np.array([0, 1, 2, 3])  # C, D, C-D, D-C
    noise = rng.standard_normal((n, 4, 1, n_queries)) * pilot.of_queries / 2**0.5
    stages = rng.standard_normal((n, 2, n_seeds)) * pilot.of_seeds
    second = rng.standard_normal((n, 2, n_seeds)) * pilot.of_second_stage
    shifts = np.concatenate([stages, stages + second], axis=1)
    values = noise + shifts[..., None]
    rankers = [Runs(values[at, system], at, "plain") for at in range(n) for system in systems]
    first = 4 * np.arange(n)
    pairs = [(1, Kinship.TWO_STAGES), (2, Kinship.ONE_STAGE), (3, Kinship.MORE_STAGES)]
    contrasts = Contrasts(
        np.concatenate([first + system for system, _ in pairs]),
        np.tile(first, 3),
        [Margin(MARGIN)] * 3 * n,
        [kinship for _, kinship in pairs for _ in range(n)],
        np.ones(3 * n),
    )
    tested, _ = shown(rankers, contrasts, None, has_other_pools=True)
    level = LEVEL / N_COMPARED
    error, mean = tested.difference.standard_error, tested.difference.mean
    critical = tested.difference.tail.critical(level / 2) * error
    of_d, of_c_d = (
        [(np.abs(mean[part] + difference) > critical[part]).mean() for difference in DIFFERENCES]
        for part in (slice(n), slice(n, 2 * n))
    )
    return np.array([*of_d, *of_c_d, (tested.equivalence[n : 2 * n] < level).mean()])


def pooled(rng: np.random.Generator, n: int) -> Iterator[str]:  # noqa: ARG001
    """One verdict over several tests: by `pooled_verdicts`, which has a seed of its own."""
    yield pooled_tables(n)


def cells(rng: np.random.Generator, n: int, data: Path) -> Iterator[str]:  # noqa: ARG001
    """Both studies' published cells, pooled."""
    yield (
        "The table has the verdicts of `rankscope pool` on the cells that both studies published. These are means alone. "
        "So a test's effect is the mean of its first stages' (or of its numbers of passages') differences, and the error "
        "comes from the tests alone. The margin is .02."
    )
    yield published_cells(data / "published")


Section = Callable[..., Iterator[str]]
SECTIONS: dict[str, tuple[str, Section]] = {
    "seeds": ("Families of systems of several seeds", seeds),
    "lineages": ("Systems that start from one another", lineages),
    "samples": ("Few queries, skewed differences, differences without spread", samples),
    "fragility": ("Fragility", fragilities),
    "power": ("Stated power", powers),
    "together": ("Better, worse and equivalent in one family", together),
    "one_run": ("One run a method", one_run),
    "intervals": ("Intervals", intervals),
    "real": ("Real differences", real),
    "pooled": ("One verdict over several tests", pooled),
    "cells": ("Both studies' published cells, pooled", cells),
    "studies": ("What the small study of multi-stage fine-tuning can show", studies),
    "published": ("What study B's own test sets could have shown", published),
    "ways": ("Other ways to count seeds", ways),
    "several": (
        "Few systems on several tests, groups of queries, families of skewed differences",
        several,
    ),
}


def wrapped(block: str) -> str:
    """A block of the page with its prose in lines of at most 118 columns; tables stay as they are."""
    return "\n".join(line if line.startswith("|") else _filled(line) for line in block.split("\n"))


def _filled(line: str) -> str:
    hanging = "  " if line.startswith("- ") else ""
    return fill(
        line, 118, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--section", action="append", choices=SECTIONS, help="All, if left out.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    asked_for = " ".join(["--simulations", str(asked.simulations), "--data", str(asked.data)])
    page = [
        "# What the verdicts are worth",
        f"`python benchmarks/verdicts.py {asked_for} --write` generates this page, with fixed seeds and by the package's own functions.",
    ]
    for place, (name, (title, section)) in enumerate(SECTIONS.items()):
        if asked.section and name not in asked.section:
            continue
        rng = np.random.default_rng([2026, place])
        n = asked.simulations if name in IN_FULL else min(asked.simulations, OF_OTHERS)
        more = (asked.data,) if name in ("real", "cells") else ()
        part = [f"## {title}", *section(rng, n, *more)]
        print("\n\n".join(map(wrapped, part)), end="\n\n", flush=True)
        page += part
    if asked.write:
        PAGE.write_text("\n\n".join(map(wrapped, page)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
