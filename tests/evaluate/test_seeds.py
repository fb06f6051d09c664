"""The split of the variance, by hand and by statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from rankscope.core.errors import BadInput
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.seeds.variance import variance_split


def as_runs(table: np.ndarray) -> list[Values]:
    return [{f"q{at}": float(value) for at, value in enumerate(row)} for row in table]


def test_a_split_by_hand() -> None:
    """Rows .2 .6 and .4 1.0, mean .55: mean squares .09 (seeds), .25 (queries), .01 (residual).

    So the variances are (.09 - .01) / 2 = .04, (.25 - .01) / 2 = .12 and .01, and the mean's is
    .04/2 + .12/2 + .01/4 = .0825, of which the seeds' are .02.
    """
    found = variance_split(as_runs(np.array([[0.2, 0.6], [0.4, 1.0]])))
    assert (found.n_seeds, found.n_queries, found.mean) == (2, 2, pytest.approx(0.55))
    sds = (found.seed_sd, found.query_sd, found.residual_sd)
    assert sds == pytest.approx((0.04**0.5, 0.12**0.5, 0.1))
    assert found.seed_share == pytest.approx(0.02 / 0.0825)


def test_the_split_is_that_of_statsmodels_mixed_model() -> None:
    """REML with seeds and queries as crossed variance components of one group."""
    rng = np.random.default_rng(3)
    table = (
        0.5 + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.2, (1, 8)) + rng.normal(0, 0.08, (5, 8))
    )
    found = variance_split(as_runs(table))
    long = pd.DataFrame(
        [(s, q, table[s, q]) for s in range(5) for q in range(8)],
        columns=["seed", "query", "value"],
    )
    model = smf.mixedlm(
        "value ~ 1",
        long.assign(whole=1),
        groups="whole",
        re_formula="0",
        vc_formula={"a_seed": "0 + C(seed)", "b_query": "0 + C(query)"},
    )
    fitted = model.fit(reml=True, method="lbfgs")
    ours = [found.seed_sd**2, found.query_sd**2, found.residual_sd**2]
    assert [*fitted.vcomp, fitted.scale] == pytest.approx(ours, rel=0.01)


def test_a_negative_variance_is_0() -> None:
    """Seeds with equal means: less than the residual would give them by chance."""
    found = variance_split(as_runs(np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert (found.seed_sd, found.query_sd, found.seed_share) == (0.0, 0.0, 0.0)
    assert found.residual_sd == pytest.approx(1.0)
    same = variance_split(as_runs(np.full((2, 3), 0.5)))
    assert (same.residual_sd, same.seed_share) == (0.0, 0.0)


def test_too_few_seeds_or_queries_and_different_queries_are_refused() -> None:
    for runs in (
        [],
        [{"q1": 1.0, "q2": 0.0}],
        [{"q1": 1.0}, {"q1": 0.0}],
        [{"q1": 1.0, "q2": 0.0}, {"q1": 1.0, "q3": 0.0}],
    ):
        with pytest.raises(BadInput, match="at least 2 seeds over the same queries"):
            variance_split(runs)
