"""Study A's significance marks, from its published accuracies."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rankscope.core.errors import BadInput
from rankscope.evaluate.as_published import unpaired_stars

N_EXAMPLES = {"nq": 54_414, "msmarco": 10_448}
BASES = {"cls": "bert-base-uncased", "mean": "bert-base-uncased", "eos": "llama"}


def answers(accuracies: "pd.Series[float]", n: int) -> list[np.ndarray]:
    """A 0/1 vector of right answers for each layer: as many as its accuracy says."""
    return [np.arange(n) < round(accuracy * n) for accuracy in accuracies]


def test_every_published_mark_is_reproduced(real_data: Path) -> None:
    """680 tests in 40 panels; the other 472 rows are the base models' own."""
    table = pd.read_csv(real_data / "published" / "probing_accuracies.csv").sort_values("layer")
    assert len(table) == 1152
    n_tests = n_marked = n_panels = 0
    wrong = []
    for (dataset, encoder, passages), same in table.groupby(["dataset", "encoder", "num_passages"]):
        n = N_EXAMPLES[dataset]
        base = answers(same[same.model == BASES[encoder]].accuracy, n)
        for model, panel in same[same.model != BASES[encoder]].groupby("model"):
            stars = unpaired_stars(answers(panel.accuracy, n), base)
            marks = [star.is_significant for star in stars]
            if marks != panel.significant_vs_base.astype(bool).tolist():
                wrong.append((dataset, encoder, passages, model))
            n_tests, n_marked, n_panels = n_tests + len(marks), n_marked + sum(marks), n_panels + 1
    assert wrong == []
    assert (n_tests, n_panels, n_marked) == (680, 40, table.significant_vs_base.sum())


def test_a_star_by_hand() -> None:
    """3 of 4 right against 1 of 4: variances .25 each, t = .5 / sqrt(.25/4 + .25/4), twice for two layers."""
    right, wrong = [1, 1, 1, 0], [0, 0, 1, 0]
    first, second = unpaired_stars([right, right], [wrong, right])
    p = 2 * stats.t.sf(0.5 / 0.125**0.5, 6)
    assert (first.difference, first.p_value) == pytest.approx((0.5, p))
    assert first.corrected_p == pytest.approx(2 * p)
    assert (second.difference, second.corrected_p, second.is_significant) == (0.0, 1.0, False)
    assert unpaired_stars([right], [wrong], significance_level=1.01 * p)[0].is_significant
    assert not first.is_significant


def test_panels_of_different_layers_are_refused() -> None:
    with pytest.raises(BadInput, match="1 layers of the tuned model and 2 of the base"):
        unpaired_stars([[1, 0]], [[1, 0], [0, 1]])
