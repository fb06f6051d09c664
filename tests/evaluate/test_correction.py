"""Families: both kinds of tests corrected together, and what is left for one of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from rankscope.core.errors import BadInput
from rankscope.evaluate.pairs.correction import (
    CORRECTIONS,
    PValues,
    corrected,
    corrected_together,
    levels_left,
)

pytestmark = pytest.mark.usefixtures("frozen_garbage")  # statsmodels collects garbage at every call

P_VALUES = st.floats(0, 1)
FAMILIES = st.lists(st.builds(PValues, P_VALUES, st.none() | P_VALUES), min_size=1, max_size=7)
lawful = settings(deadline=None, max_examples=150, derandomize=True)
NAMES = {"holm": "holm", "bonferroni": "bonferroni", "benjamini_hochberg": "fdr_bh"}


@lawful
@given(st.lists(P_VALUES, min_size=1, max_size=9), st.sampled_from(sorted(NAMES)))
def test_a_correction_of_one_kind_of_tests_is_that_of_statsmodels(
    p_values: list[float], method: str
) -> None:
    expected = multipletests(p_values, method=NAMES[method])[1]
    assert corrected(p_values, method=method) == pytest.approx(list(expected))


@lawful
@given(st.lists(P_VALUES, min_size=1, max_size=7))
def test_without_margins_both_kinds_together_are_holms(p_values: list[float]) -> None:
    found = corrected_together([PValues(p, None) for p in p_values])
    assert [p for p, _ in found] == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_both_kinds_together_by_hand() -> None:
    """Two comparisons, so the smallest, .001, counts twice: .002. Then .01: the first still waits for its other
    test, so twice: .02. Then .02 ends the first: .04. The last, .9, is alone: .9."""
    found = corrected_together([PValues(0.001, 0.02), PValues(0.01, 0.9)])
    assert found == [
        PValues(pytest.approx(0.002), pytest.approx(0.04)),
        PValues(pytest.approx(0.02), pytest.approx(0.9)),
    ]
    apart = corrected([0.02, 0.9])
    assert apart == pytest.approx([0.04, 0.9])


def test_a_declared_family_waits_for_comparisons_that_are_not_made() -> None:
    assert corrected_together([PValues(0.01, None)], family_size=4) == [PValues(0.04, None)]
    with pytest.raises(BadInput, match="declared to have 1 comparisons, but 2 are made"):
        corrected_together([PValues(0.1, None)] * 2, family_size=1)


@lawful
@given(FAMILIES, st.sampled_from(sorted(CORRECTIONS)), st.integers(0, 2))
def test_a_test_passes_as_its_level_says(family: list[PValues], method: str, more: int) -> None:
    """Below the level that is left, and only there, the corrected p-value is below that of the family."""
    size = len(family) + more
    both = corrected_together(family, method=method, family_size=size)
    for at, (own, found) in enumerate(zip(family, both, strict=True)):
        left = levels_left(family, at, level=0.05, method=method, family_size=size)
        for p, corrected_p, limit in zip(own, found, left, strict=True):
            if p is None or limit is None or np.isclose(p, limit, rtol=1e-9):
                continue
            assert (p < limit) == (corrected_p < 0.05), (method, own, left)
