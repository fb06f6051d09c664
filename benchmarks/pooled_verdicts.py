"""What verdicts that are pooled over tests are worth, by simulation; prints tables in Markdown.

    python benchmarks/pooled_verdicts.py [--simulations 10000] [--published ../shared/data/published]

Differences of a query have a standard deviation of .12, so the standard error of a test of 100 queries is .012:
the spread between tests is none, that, or four times that; so is that of the seeds. Seeded: the same command
gives the same tables. With --published, the cells that both studies published stand below: written as CSV into a
folder of this moment, and pooled as `rankscope pool` does.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rankscope.cli.arguments import table_of_margins
from rankscope.evaluate.arrays import Floats
from rankscope.evaluate.over_tests.mean import OverTests, over_tests
from rankscope.evaluate.over_tests.pooled import over_all_tests
from rankscope.evaluate.pairs.tail import Tail
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import Runs, SeedError, seed_error
from rankscope.report.pooled import table
from rankscope.verbs.pool import PoolSettings, pool

LEVEL, MARGIN, SD, ERROR = 0.05, 0.02, 0.12, 0.012
N_FIRST_STAGES, ALIKE = 3, 0.8
"""First stages of a test, and how far the differences of one query from two of them correlate."""
AT_ONCE = 250

TESTS = {
    "2 tests (126, 100 queries)": (126, 100),
    "2 tests (43, 1,000)": (43, 1000),
    "4 tests (126, 100, 43, 1,000)": (126, 100, 43, 1000),
    "4 tests (43, 54, 50, 6,980: study B's)": (43, 54, 50, 6980),
}
TWELVE = "12 cells: the 4 tests (126, 100, 43, 1,000) from 3 first stages"
WAYS = ("DL, normal", "Hartung-Knapp", "modified", "equal weights", "means only")
HEAD = "| true effects | queries | " + " | ".join(WAYS) + " |"


# -- the ways ------------------------------------------------------------------------------------


def weighted(effects: Floats, variances: Floats) -> Iterator[OverTests]:
    """By tests' queries: DerSimonian-Laird with the normal distribution, Hartung-Knapp, and its modified form."""
    n = effects.shape[1]
    fixed = 1 / variances
    total = fixed.sum(axis=1)
    mean = (fixed * effects).sum(axis=1) / total
    spread = (fixed * (effects - mean[:, None]) ** 2).sum(axis=1)
    tau = np.maximum(0, (spread - n + 1) / (total - (fixed**2).sum(axis=1) / total))
    weights = 1 / (variances + tau[:, None])
    total = weights.sum(axis=1)
    mean = (weights * effects).sum(axis=1) / total
    scale = (weights * (effects - mean[:, None]) ** 2).sum(axis=1) / (n - 1)
    nothing = SeedError.none(len(mean))
    for variance, freedom in ((1 / total, 1e9), (scale / total, n - 1.0), (np.maximum(1, scale) / total, n - 1.0)):  # fmt: skip
        yield OverTests(mean, variance, Tail.of(variance, freedom, nothing))


def equal(effects: Floats, variances: Floats) -> Iterator[OverTests]:
    """What is used: of values per query, and of means alone (`rankscope pool`)."""
    yield over_tests(effects, variances)
    yield over_tests(effects, np.zeros_like(variances))


def false_difference(found: OverTests) -> float:
    """The true mean is 0 as drawn."""
    return float((found.two_sided() < LEVEL).mean())


def false_equivalence(found: OverTests) -> float:
    """Moved so that the true mean is the margin."""
    moved = found._replace(mean=found.mean + MARGIN)
    return float((moved.equivalence(MARGIN) < LEVEL).mean())


def half_width(found: OverTests) -> float:
    t = found.tail.critical(LEVEL / 2)
    return float(np.median(t * np.sqrt(found.variance)))


# -- tests ---------------------------------------------------------------------------------------


def normal_tests(
    rng: np.random.Generator, sizes: tuple[int, ...], tau: float, n: int
) -> tuple[Floats, Floats]:
    """Effects around 0 and their estimated variances, (simulations, tests)."""
    queries = np.array(sizes)
    true = SD**2 / queries
    effects = rng.normal(0, 1, (n, len(sizes))) * np.sqrt(true + tau**2)
    return effects, true * rng.chisquare(queries - 1, effects.shape) / (queries - 1)


def skewed_tests(rng: np.random.Generator, sizes: tuple[int, ...], n: int) -> tuple[Floats, Floats]:
    """One query in twenty loses .5, the others gain so much that the mean is 0."""
    effects, variances = [], []
    for size in sizes:
        lost = rng.random((n, size)) < 0.05
        values = np.where(lost, -0.5, 0.5 * 0.05 / 0.95) + rng.normal(0, 0.02, lost.shape)
        effects.append(values.mean(axis=1))
        variances.append(values.var(axis=1, ddof=1) / size)
    return np.array(effects).T, np.array(variances).T


def twelve_cells(rng: np.random.Generator, tau: float, n: int) -> list[OverTests]:
    """Three first stages a test: as twelve tests, and clustered by query."""
    sizes = np.array(TESTS["4 tests (126, 100, 43, 1,000)"])
    true = SD**2 / sizes
    shape = (n, len(sizes))
    shared = rng.normal(0, tau, shape) + rng.normal(0, 1, shape) * np.sqrt(ALIKE * true)
    own = rng.normal(0, 1, (*shape, N_FIRST_STAGES)) * np.sqrt((1 - ALIKE) * true)[:, None]
    cells = shared[..., None] + own
    drawn = rng.chisquare(sizes - 1, shape) / (sizes - 1)
    of_cell = np.repeat((true * drawn)[..., None], N_FIRST_STAGES, axis=2)
    of_test = true * (ALIKE + (1 - ALIKE) / N_FIRST_STAGES) * drawn
    naive = weighted(cells.reshape(n, -1), of_cell.reshape(n, -1))
    return [*naive, *equal(cells.mean(axis=2), of_test)]


def by_design(rng: np.random.Generator, n: int) -> Iterator[tuple[str, str, list[OverTests]]]:
    spreads = {"equal": 0.0, "tau .012": ERROR, "tau .048": 4 * ERROR}
    for name, sizes in TESTS.items():
        for word, tau in spreads.items():
            drawn = normal_tests(rng, sizes, tau, n)
            yield word, name, [*weighted(*drawn), *equal(*drawn)]
    for word, tau in spreads.items():
        yield word, TWELVE, twelve_cells(rng, tau, n)
    for name, sizes in list(TESTS.items())[:3]:
        drawn = skewed_tests(rng, sizes, n)
        yield "equal, queries skewed", name, [*weighted(*drawn), *equal(*drawn)]


# -- seeds ---------------------------------------------------------------------------------------

SEED_WAYS = ("left out", "counted in every test", "counted once")
SEED_HEAD = "| seeds move | beside that, each test | " + " | ".join(SEED_WAYS) + " |"
SEEDS = 3


def with_seeds(
    rng: np.random.Generator, shared: float, own: float, n: int
) -> list[tuple[float, float]]:
    """False differences and equivalences of two systems of three seeds over four tests.

    shared, own: the standard error that seeds add to a mean difference, on all tests alike and on each.
    """
    sizes = TESTS["4 tests (126, 100, 43, 1,000)"]
    false = np.zeros((3, 2))
    for start in range(0, n, AT_ONCE):
        size = min(AT_ONCE, n - start)
        scale = (SEEDS / 2) ** 0.5  # of one system's seed: two systems, three seeds each
        of_all = rng.normal(0, shared * scale, (2, size, SEEDS, 1))
        noise = SD * (SEEDS / 2) ** 0.5  # so the mean over seeds differs with a deviation of SD
        matrices = [
            of_all
            + rng.normal(0, own * scale, (2, size, SEEDS, 1))
            + rng.normal(0, noise, (2, size, SEEDS, n_queries))
            for n_queries in sizes
        ]
        means = [(a - b).mean(axis=1) for a, b in matrices]
        effects = np.array([each.mean(axis=1) for each in means]).T
        variances = np.array([each.var(axis=1, ddof=1) / each.shape[1] for each in means]).T
        once = seeds_of([over_all_tests([m[side, at] for m in matrices]) for at in range(size) for side in (0, 1)])  # fmt: skip
        each = [
            seeds_of([m[side, at] for at in range(size) for side in (0, 1)]).variance
            for m in matrices
        ]
        for place, found in enumerate(
            (
                over_tests(effects, variances),
                over_tests(effects, variances + np.array(each).T),
                over_tests(effects, variances, once),
            )
        ):
            false[place] += size * np.array([false_difference(found), false_equivalence(found)])
    return [(float(a), float(b)) for a, b in false / n]


def seeds_of(tables: list[Floats]) -> SeedError:
    """Of system and baseline by turns, each two in a pool of their own."""
    n = len(tables) // 2
    rankers = [Runs(table, pool=at // 2) for at, table in enumerate(tables)]
    systems = 2 * np.arange(n)
    return seed_error(rankers, systems, systems + 1, [Kinship.NONE] * n, np.ones(n), None)


def by_seeds(rng: np.random.Generator, n: int) -> Iterator[tuple[str, str, list[tuple[float, float]]]]:  # fmt: skip
    for word, shared in (("not", 0.0), (".012", ERROR), (".048", 4 * ERROR)):
        for other, own in (("not", 0.0), (".012", ERROR)):
            yield word, other, with_seeds(rng, shared, own, n)


# -- the page ------------------------------------------------------------------------------------


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def pooled_tables(n: int) -> str:
    rng = np.random.default_rng(2026)
    designs = list(by_design(rng, n))
    lines = [
        "A cell has the share, in %, of false findings: “better” or “worse” while the true mean over tests is 0 / "
        f"“equivalent” while it is the margin, {MARGIN}. With {n:,} simulations a row, twice the Monte-Carlo error of 5.0 "
        f"is {200 * (0.0475 / n) ** 0.5:.1f}.",
        "",
        "- *DL, normal*, *Hartung-Knapp* and *modified* weight tests by their queries: DerSimonian & Laird's weights with the "
        "normal distribution, by Hartung & Knapp, and in the modified form, never below the error of the queries. Each of "
        "12 cells is a test to them.",
        "- *Equal weights* is what a study uses, with the first stages of a test clustered by query. It is never below the "
        "error of the queries either.",
        "- *Means only* is `rankscope pool`, where no error of queries is known.",
        "",
        HEAD,
        "|---|---|" + "---|" * len(WAYS),
    ]
    for word, name, ways in designs:
        cells = [f"{percent(false_difference(w))} / {percent(false_equivalence(w))}" for w in ways]
        lines.append(f"| {word} | {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "The median of half the width of the 95 % interval:",
        "",
        HEAD,
        "|---|---|" + "---|" * len(WAYS),
    ]
    for word, name, ways in designs:
        if "skewed" not in word:
            lines.append(
                f"| {word} | {name} | {' | '.join(f'{half_width(w):.3f}' for w in ways)} |"
            )
    few = max(n // 5, 1)
    lines += [
        "",
        f"Systems have three seeds each, on four tests (126, 100, 43, 1,000 queries), with {few:,} simulations a row. A cell "
        "has false differences / equivalences as above. Seeds move all tests alike, and each test also on its own; the "
        "first two columns have the standard error that they add to a mean difference.",
        "",
        SEED_HEAD,
        "|---|---|" + "---|" * len(SEED_WAYS),
    ]
    for word, other, ways in by_seeds(rng, few):
        cells = [f"{percent(a)} / {percent(b)}" for a, b in ways]
        lines.append(f"| {word} | {other} | {' | '.join(cells)} |")
    return "\n".join(lines)


# -- what was published --------------------------------------------------------------------------

COLUMNS = ("test", "first_stage", "system", "measure", "mean")
STAGES = {"CL100": "C", "KD-lr-5": "D", "CLKD": "C-D", "KDCL": "D-C"}
LAST_LAYER = {"cls": ("bert-base-uncased", "12"), "mean": ("bert-base-uncased", "12"), "eos": ("llama", "32")}  # fmt: skip


def study_b(folder: Path) -> Iterator[tuple[str, str, str, list[tuple[str, ...]]]]:
    """For each backbone its name, the baseline, the margin, and nDCG@10 of 3 first stages x 4 tests."""
    tables = json.loads((folder / "cross_encoder_tables.json").read_text("utf-8"), parse_float=str)
    for backbone in ("Electra", "Roberta"):
        cells = [
            (*reversed(place.split("-")), system, "nDCG@10", means[3].ljust(6, "0"))
            for run, system in STAGES.items()
            for place, means in tables[f"mono{backbone}-{run}"].items()
        ]
        yield f"B, {backbone}", "C", "nDCG@10=0.02", cells


def study_a(folder: Path) -> Iterator[tuple[str, str, str, list[tuple[str, ...]]]]:
    """For each representation likewise: the accuracy of probes of 2 to 5 passages at the last layer, on 2 tests."""
    with (folder / "probing_accuracies.csv").open(encoding="utf-8", newline="") as file:
        probes = list(csv.DictReader(file))
    for encoder, (base, layer) in LAST_LAYER.items():
        cells = [
            (row["dataset"], f"of {row['num_passages']}", row["model"], "accuracy", row["accuracy"])
            for row in probes
            if (row["encoder"], row["layer"]) == (encoder, layer)
        ]
        yield f"A, {encoder}", base, "accuracy=0.02", cells


def published(folder: Path) -> str:
    lines: list[str] = []
    for name, baseline, margin, cells in (*study_b(folder), *study_a(folder)):
        with TemporaryDirectory() as made:
            path = Path(made, "cells.csv")
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *cells])
            found = pool(path, PoolSettings(baseline, table_of_margins([margin])))
        columns, rows = table(found.pooled)
        lines = lines or [line(["study", *columns]), "|---" * (len(columns) + 1) + "|"]
        lines += [line([name, *row]) for row in rows]
    return "\n".join(lines)


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--published", type=Path, help="the folder of what was published")
    arguments = parser.parse_args()
    print(pooled_tables(arguments.simulations))
    if arguments.published:
        print(f"\n{published(arguments.published)}")


if __name__ == "__main__":
    main()
