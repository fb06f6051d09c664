"""What verdicts, intervals and stated power are worth, by simulation. Writes docs/verdicts.md.

    python benchmarks/verdicts.py [--simulations 4000] [--write]

Per-query values are drawn as a measure's are: between 0 and 1, systems alike on easy and hard queries
(a shared beta-distributed ease), differences between systems with many exact ties at 0 and 1 where
values are cut off. Seeded: the same command gives the same table.
"""

import argparse
import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rankscope.evaluate.comparison import Comparison, Margin, Pair, compared
from rankscope.evaluate.resampling import Resampling
from rankscope.evaluate.verdicts import Verdict, judged, smallest_detectable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "verdicts.md"
TOPICS = (43, 200)
LEVEL = 0.05
AT_ONCE = 250


def cut_off(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 1.0)


def systems(rng: np.random.Generator, n_systems: int, n_queries: int, spread: float) -> np.ndarray:
    """(systems, queries): equally good systems, alike on a query but for noise of their own."""
    ease = rng.beta(1.2, 1.2, n_queries)
    return cut_off(ease + rng.normal(0.0, spread, (n_systems, n_queries)))


def runs(values: np.ndarray) -> list[dict[str, float]]:
    ids = [f"q{at:05d}" for at in range(values.shape[1])]
    return [dict(zip(ids, row, strict=True)) for row in values.tolist()]


def batches(n: int) -> Iterator[int]:
    while n:
        gc.freeze()  # statsmodels' multipletests collects garbage at every call: 34 ms of 42
        yield min(n, AT_ONCE)
        n -= min(n, AT_ONCE)


def error_of(share: float, n: int) -> str:
    """The share in per cent with twice its Monte-Carlo error."""
    return f"{100 * share:.1f} ± {200 * (share * (1 - share) / n) ** 0.5:.1f}"


# -- no difference -------------------------------------------------------------------------------


def family_error(rng: np.random.Generator, n_queries: int, n: int, correction: str) -> float:
    """Share of families of 10 (all pairs of 5 equal systems) with any better or worse."""
    false = 0
    for size in batches(n):
        pairs = []
        for _ in range(size):
            of_system = [[run] for run in runs(systems(rng, 5, n_queries, 0.15))]
            pairs += [Pair(of_system[a], of_system[b]) for a in range(5) for b in range(a)]
        found = compared(pairs, significance_level=LEVEL)
        for at in range(size):
            family = judged(found[10 * at : 10 * at + 10], correction=correction)
            false += any(each.verdict is not Verdict.CANNOT_TELL for each in family)
    return false / n


def equivalence_error(
    rng: np.random.Generator, n_queries: int, n: int, margin: Margin, difference: float
) -> float:
    """Share of "equivalent" where the true difference is exactly the margin."""
    wrong = 0
    for size in batches(n):
        pairs = []
        for _ in range(size):
            baseline = rng.beta(4.0, 4.0, n_queries)  # away from 0 and 1: the shift is exact
            system = baseline + difference + rng.normal(0.0, 0.05, n_queries)
            a, b = runs(np.array([system, baseline]))
            pairs.append(Pair([a], [b], margin))
        for each in compared(pairs, significance_level=LEVEL):
            wrong += judged([each])[0].verdict is Verdict.EQUIVALENT
    return wrong / n


# -- intervals -----------------------------------------------------------------------------------


def coverage(rng: np.random.Generator, n_queries: int, n: int) -> tuple[float, float]:
    """Share of t and of BCa intervals that hold the true difference of two systems."""
    a, b = cut_off(true_values(0.05)), cut_off(true_values(0.0))
    truth = float((a - b).mean())
    held = np.zeros(2)
    for size in batches(n):
        chosen = rng.integers(len(a), size=(size, n_queries))
        pairs = [Pair([x], [y]) for x, y in zip(runs(a[chosen]), runs(b[chosen]), strict=True)]
        found = compared(pairs, significance_level=LEVEL, resampling=Resampling(n=2_000))
        held += [
            sum(low <= truth <= high for low, high in intervals)
            for intervals in (
                [each.interval for each in found],
                [each.bootstrap_interval or (0, 0) for each in found],
            )
        ]
    return float(held[0] / n), float(held[1] / n)


def true_values(shift: float, n: int = 200_000) -> np.ndarray:
    """A population of queries: the truth that samples of it are held against."""
    rng = np.random.default_rng(5)
    ease = rng.beta(1.2, 1.2, n)
    return ease + shift + np.random.default_rng(int(1000 * shift) + 6).normal(0.0, 0.15, n)


def group_coverage(
    rng: np.random.Generator, n_groups: int, each: int, n: int
) -> tuple[float, float]:
    """Share of intervals that hold 0: by groups of queries that share their difference, and without."""
    held = np.zeros(2)
    groups = {f"q{at:05d}": f"g{at // each}" for at in range(n_groups * each)}
    for size in batches(n):
        shared = rng.normal(0.0, 0.1, (size, n_groups)).repeat(each, axis=1)
        differences = shared + rng.normal(0.0, 0.05, shared.shape)
        zeros = runs(np.zeros((1, n_groups * each)))
        pairs = [Pair([run], zeros) for run in runs(differences)]
        for place, how in enumerate((groups, None)):
            found = compared(pairs, significance_level=LEVEL, groups=how)
            held[place] += sum(e.interval[0] <= 0 <= e.interval[1] for e in found)
    return float(held[0] / n), float(held[1] / n)


# -- power ---------------------------------------------------------------------------------------


def power(rng: np.random.Generator, n_queries: int, n: int, n_tests: int) -> float:
    """Share of tests that show the smallest difference that is stated to be shown in 80 %."""
    level, sd = LEVEL / n_tests, 0.12
    known = _with_error(n_queries, sd)
    difference = smallest_detectable(known, level)
    assert difference is not None
    shown = 0
    zeros = runs(np.zeros((1, n_queries)))
    for size in batches(n):
        drawn = rng.normal(difference, sd, (size, n_queries))
        shown += sum(
            each.p_value < level for each in compared([Pair([run], zeros) for run in runs(drawn)])
        )
    return shown / n


def _with_error(n_queries: int, sd: float) -> Comparison:
    """A comparison whose standard error is the true one."""
    spread = np.linspace(-1.0, 1.0, n_queries)
    spread *= sd / spread.std(ddof=1)
    run, zero = runs(np.array([spread, np.zeros(n_queries)]))
    return compared([Pair([run], [zero])])[0]


# -- training seeds ------------------------------------------------------------------------------


def seed_error(rng: np.random.Generator, n_queries: int, n: int) -> list[float]:
    """Share of false findings between two methods that differ by seeds only.

    One run each; three runs each, averaged as if there were no seeds; with the seeds counted; and with
    those of one method counted, of which the other has one run.
    """
    false = np.zeros(4)
    for size in batches(n):
        single, averaged, counted, lopsided = [], [], [], []
        for _ in range(size):
            ease = rng.beta(1.2, 1.2, n_queries)
            tables = [
                ease + rng.normal(0.0, 0.03, (3, 1)) + rng.normal(0.0, 0.12, (3, n_queries))
                for _ in range(2)
            ]
            a, b = (runs(table) for table in tables)
            mean_a, mean_b = (runs(table.mean(axis=0, keepdims=True)) for table in tables)
            single.append(Pair(a[:1], b[:1]))
            averaged.append(Pair(mean_a, mean_b))
            counted.append(Pair(a, b))
            lopsided.append(Pair(a, b[:1]))
        for place, pairs in enumerate((single, averaged, counted, lopsided)):
            false[place] += sum(each.p_value < LEVEL for each in compared(pairs))
    return [float(share) for share in false / n]


# -- the page ------------------------------------------------------------------------------------


def published_detectable() -> list[str]:
    """Study B's test sets: what they could have shown, by the spread of the queries' differences."""
    sets = {"TREC DL 2019": 43, "TREC DL 2020": 54, "DL-Hard": 50, "MS MARCO dev": 6980}
    lines = [
        "| test set | topics | sd .10, alone | sd .15, alone | sd .10, of 12 | sd .15, of 12 |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name, n_queries in sets.items():
        cells = [
            f"{smallest_detectable(_with_error(n_queries, sd), LEVEL / n_tests):.4f}"
            for n_tests in (1, 12)
            for sd in (0.10, 0.15)
        ]
        lines.append(f"| {name} | {n_queries:,} | {' | '.join(cells)} |")
    return lines


Row = tuple[str, str, float, str]
"""What, on how many topics, the share found, and what it should be."""


def errors(rng: np.random.Generator, n: int) -> Iterator[Row]:
    for correction, wanted in (("holm", "at most 5"), ("none", "over 5: what correcting is for")):
        for topics in TOPICS:
            share = family_error(rng, topics, n, correction)
            what = f"any false finding in a family of 10, correction {correction}"
            yield what, str(topics), share, wanted
    for name, margin in (
        ("0.02", Margin(0.02)),
        ("4 % of the baseline's mean", Margin(0.04, is_relative=True)),
    ):
        for topics in TOPICS:
            share = equivalence_error(rng, topics, n, margin, difference=0.02)
            what = f"“equivalent” where the difference is the margin, {name}"
            yield what, str(topics), share, "at most 5"


def intervals(rng: np.random.Generator, n: int) -> Iterator[Row]:
    for topics in TOPICS:
        shares = coverage(rng, topics, n)
        for name, share in zip(("t interval", "BCa bootstrap interval"), shares, strict=True):
            yield f"the 95 % {name} holds the truth", str(topics), share, "95 ± 1"
    by_group, ignored = group_coverage(rng, 40, 5, n)
    yield "the same, queries in groups", "40 groups of 5", by_group, "95 ± 1"
    yield "the same, groups ignored", "40 groups of 5", ignored, "under 95"


def powers(rng: np.random.Generator, n: int) -> Iterator[Row]:
    for n_tests in (1, 28):
        for topics in TOPICS:
            share = power(rng, topics, n, n_tests)
            what = f"the smallest detectable difference is shown, one of {n_tests}"
            yield what, str(topics), share, "80 ± 3"


def seeds(rng: np.random.Generator, n: int) -> Iterator[Row]:
    for topics in TOPICS:
        for name, share, wanted in zip(
            (
                "one run each",
                "three seeds, spread ignored",
                "three seeds, spread counted",
                "three seeds counted against one run",
            ),
            seed_error(rng, topics, n),
            ("over 5", "over 5", "at most 5", "over 5: a note says so"),
            strict=True,
        ):
            yield f"false finding, methods differ by seeds only: {name}", str(topics), share, wanted


def tables(n: int) -> str:
    rng = np.random.default_rng(2026)
    lines = ["| what | topics | found | should be |", "|---|---|---|---|"]
    for part in (errors, intervals, powers, seeds):
        for what, topics, share, wanted in part(rng, n):
            lines.append(f"| {what} | {topics} | {error_of(share, n)} % | {wanted} |")
    return "\n".join(lines)


def page(n: int) -> str:
    return f"""# What the verdicts are worth

Generated by `python benchmarks/verdicts.py --simulations {n} --write`.

## By simulation

{n:,} simulations a row, seeded; ± is twice the Monte-Carlo error. Values between 0 and 1 with a shared
ease of queries; seeds shift a whole run by .03 (standard deviation).

{tables(n)}

The seeds' part of the error is counted on the safe side: the spread of three seeds' means holds some of
the queries' noise too, and two degrees of freedom are few. Of a system with one run nothing is known of
its seeds: that is right for BM25, and too bold for a ranker that was trained.

## What study B's own test sets could have shown

The true difference in a measure that a two-sided paired t-test shows in 80 % of cases, for a standard
deviation of the queries' differences of .10 and .15, as the only test (level .05) and as one of the 12
cells of a table (level .05/12). Study B reads differences of .0008 (C to D against C) and .0082 (D to C
against C, ELECTRA) as “on par”: on 43, 50 or 54 topics no difference of that size can be shown, and not
finding it shows nothing. Dev's 6,980 topics could have shown the second, not the first.

{chr(10).join(published_detectable())}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=4000)
    parser.add_argument("--write", action="store_true", help="write docs/verdicts.md")
    arguments = parser.parse_args()
    text = page(arguments.simulations)
    if arguments.write:
        PAGE.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
