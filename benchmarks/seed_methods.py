"""Other ways to count training seeds, beside the package's own: error and power on the same families.

Every way judges the same values, drawn by `verdicts.drawn`: the queries' part of the error is the same, the
seeds' part differs. Each takes the variances of the systems' seeds, (families, systems), and gives the seeds'
part of the variance of each pair's difference and its degrees of freedom, (families, pairs).
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rankscope.evaluate.pairs.evidence import Floats

Places = npt.NDArray[np.intp]
Way = Callable[[Floats, int, Places, Places], tuple[Floats, Floats]]
OUTLIER = 0.01


def by_system(variance: Floats, freedom: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:  # fmt: skip
    """Two variances of a pair, each with degrees of freedom of its own, by Satterthwaite."""
    parts = variance / n_seeds
    total = parts[:, a] + parts[:, b]
    return total, total**2 / (parts[:, a] ** 2 / freedom[:, a] + parts[:, b] ** 2 / freedom[:, b])


def own(variance: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:
    """Each system's own variance (Welch and Satterthwaite)."""
    return by_system(variance, np.full(variance.shape, n_seeds - 1.0), n_seeds, a, b)


def pooled(variance: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:  # noqa: ARG001
    """One variance for all systems."""
    total = np.repeat(2 * variance.mean(axis=1, keepdims=True) / n_seeds, len(a), axis=1)
    return total, np.full(total.shape, variance.shape[1] * (n_seeds - 1.0))


def pooled_but_outliers(variance: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:  # fmt: skip
    """One variance for all systems but those beyond the 99 % point of F against the others'."""
    n_systems, each = variance.shape[1], n_seeds - 1.0
    others = (variance.sum(axis=1, keepdims=True) - variance) / (n_systems - 1)
    is_own = variance / others > stats.f.isf(OUTLIER, each, each * (n_systems - 1))
    n_kept = (~is_own).sum(axis=1, keepdims=True)
    one = (variance * ~is_own).sum(axis=1, keepdims=True) / np.maximum(n_kept, 1)
    found = np.where(is_own, variance, one)
    freedom = np.where(is_own, each, each * n_kept)
    total, apart = by_system(found, freedom, n_seeds, a, b)
    return total, np.where(is_own[:, a] | is_own[:, b], apart, each * n_kept)


def larger(variance: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:
    """The larger of a system's own and of the pooled variance, with the own degrees of freedom."""
    return own(np.maximum(variance, variance.mean(axis=1, keepdims=True)), n_seeds, a, b)


def moderated(variance: Floats, n_seeds: int, a: Places, b: Places) -> tuple[Floats, Floats]:
    """Each system's variance shrunk to a common one (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004: limma)."""
    each, n_systems = n_seeds - 1.0, variance.shape[1]
    logs = np.log(variance) - special.digamma(each / 2) + np.log(each / 2)
    center = logs.mean(axis=1, keepdims=True)
    spread = logs.var(axis=1, ddof=1, keepdims=True) - special.polygamma(1, each / 2)
    prior = 2 * inverse_trigamma(np.maximum(spread, 1e-6))
    of_prior = np.exp(center + special.digamma(prior / 2) - np.log(prior / 2))
    found = (prior * of_prior + each * variance) / (prior + each)
    freedom = np.repeat(np.minimum(prior + each, each * n_systems), n_systems, axis=1)
    total, apart = by_system(found, freedom, n_seeds, a, b)
    return total, np.minimum(apart, each * n_systems)


def inverse_trigamma(values: Floats) -> Floats:
    """x where trigamma(x) is the value, by Newton's method on 1 / trigamma (limma's)."""
    x = 0.5 + 1 / values
    for _ in range(50):
        trigamma = special.polygamma(1, x)
        x = x + trigamma * (1 - trigamma / values) / special.polygamma(2, x)
    return np.asarray(x)


WAYS: dict[str, Way] = {
    "own variances": own,
    "smallest df": own,
    "pooled": pooled,
    "pooled but outliers": pooled_but_outliers,
    "moderated": moderated,
    "larger of own and pooled": larger,
}


def p_values(values: Floats, pairs: Sequence[tuple[int, int]], name: str) -> Floats:
    """Two-sided p-values, (families, pairs), by one of `WAYS`, of values (families, systems, seeds, queries)."""
    a, b = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    n_seeds, n_queries = values.shape[2:]
    by_query = values.mean(axis=2)
    differences = by_query[:, a] - by_query[:, b]
    of_queries = differences.var(axis=2, ddof=1) / n_queries
    of_seeds, freedom = WAYS[name](values.mean(axis=3).var(axis=2, ddof=1), n_seeds, a, b)
    variance = of_queries + of_seeds
    of_both = variance**2 / (of_queries**2 / (n_queries - 1) + of_seeds**2 / freedom)
    if name == "smallest df":
        of_both = np.full(of_both.shape, min(n_seeds, n_queries) - 1.0)
    t = np.abs(differences.mean(axis=2)) / np.sqrt(variance)
    return np.asarray(2 * special.stdtr(of_both, -t))
