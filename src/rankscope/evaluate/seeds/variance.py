"""How much of a measure's variance comes from training seeds, and how much from queries.

One ranker trained with several seeds gives a table of seeds x queries. The mixed model

    value = mean + seed + query + residual        (all three random, crossed)

is balanced, so its variances are those of the two-way analysis of variance. (Where none is negative, they equal the
REML estimates, which `statsmodels` computes in minutes.) In a comparison, the seeds' part of the error does not shrink
with more queries (`comparison`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankscope.core.errors import BadInput
from rankscope.evaluate.arrays import Values


@dataclass(frozen=True)
class VarianceSplit:
    """Standard deviations by source, and the seeds' share of the variance of the overall mean."""

    n_seeds: int
    n_queries: int
    mean: float
    seed_sd: float
    query_sd: float
    residual_sd: float

    @property
    def seed_share(self) -> float:
        """The seeds' share of the variance of the mean over these seeds and queries; 0 where the mean has none."""
        seeds = self.seed_sd**2 / self.n_seeds
        rest = self.query_sd**2 / self.n_queries
        rest += self.residual_sd**2 / (self.n_seeds * self.n_queries)
        return seeds / (seeds + rest) if seeds + rest else 0.0


def seed_sentence(system: str, measure: str, split: VarianceSplit) -> str:
    """How much one system's training seeds vary, as a sentence."""
    return (
        f"{system}, {measure}: {split.n_seeds} seeds, whose means have a standard deviation of {split.seed_sd:.4f} "
        f"beyond the queries' noise; {100 * split.seed_share:.0f} % of the mean's variance comes from the seeds"
    )


def mean_values(runs: Sequence[Values]) -> dict[str, float]:
    """Every query's mean over the seeds."""
    return {query_id: sum(run[query_id] for run in runs) / len(runs) for query_id in runs[0]}


def variance_split(runs: Sequence[Values]) -> VarianceSplit:
    """The split of one ranker's values, a mapping of query_id to value for each seed.

    A variance whose estimate is negative, which happens by chance to small ones, is 0. Raises BadInput for fewer
    than two seeds or queries, or seeds measured on different queries.
    """
    if len(runs) < 2 or len(runs[0]) < 2 or any(run.keys() != runs[0].keys() for run in runs):
        raise BadInput(
            "A split of the variance needs at least 2 seeds over the same queries, and at least 2 "
            "queries. Give every seed's run, measured with the same qrels."
        )
    queries = sorted(runs[0])
    table = np.array([[run[query] for query in queries] for run in runs])
    n_seeds, n_queries = table.shape
    mean = table.mean()
    by_seed, by_query = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    rest = table - mean - by_seed[:, None] - by_query
    residual = (rest**2).sum() / ((n_seeds - 1) * (n_queries - 1))
    seeds = n_queries * (by_seed**2).sum() / (n_seeds - 1)
    of_queries = n_seeds * (by_query**2).sum() / (n_queries - 1)
    return VarianceSplit(
        n_seeds,
        n_queries,
        float(mean),
        seed_sd=float(max(0.0, seeds - residual) / n_queries) ** 0.5,
        query_sd=float(max(0.0, of_queries - residual) / n_seeds) ** 0.5,
        residual_sd=float(residual) ** 0.5,
    )
