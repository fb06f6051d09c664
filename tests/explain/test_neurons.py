"""Counts and concentrations of neurons by hand."""

import math

import pytest
import torch

from rankscope.explain import neurons

EQUAL, ONE = torch.full((1, 4), -2.0), torch.tensor([[0.0, 5.0, 0.0, 0.0]])
MIXED = torch.tensor([[3.0, -1.0, 0.0, 0.0]])


def test_active_is_above_a_share_of_the_largest_of_all_sites() -> None:
    values = [torch.tensor([[10.0, -0.9, 1.0], [0.0, 0.0, 0.0]]), torch.tensor([[-1.1], [0.0]])]
    found = neurons.active(values, 0.1)
    assert found[0].tolist() == [[True, False, False], [False, False, False]]
    assert found[1].tolist() == [[True], [False]]
    assert neurons.frequencies(found[0]).tolist() == [0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "equal", "one", "mixed"),
    [
        ("gini", 0.0, 0.75, 0.625),
        ("effective_number", 4.0, 1.0, 4 / 3**0.75),
        ("participation_ratio", 4.0, 1.0, 1.6),
    ],
)
def test_concentration_by_hand(name: str, equal: float, one: float, mixed: float) -> None:
    measure = neurons.CONCENTRATIONS[name]
    assert float(measure(EQUAL)) == pytest.approx(equal)
    assert float(measure(ONE)) == pytest.approx(one)
    assert float(measure(MIXED)) == pytest.approx(mixed)
    assert float(measure(7 * MIXED)) == pytest.approx(mixed)
    assert math.isfinite(float(measure(torch.zeros(1, 4))))


def test_the_share_of_the_top_is_by_size() -> None:
    assert float(neurons.top_share(MIXED, 1)) == pytest.approx(0.75)
    assert float(neurons.top_share(EQUAL, 2)) == pytest.approx(0.5)


def test_overlap_is_held_against_chance() -> None:
    rng = torch.Generator().manual_seed(1)
    first = torch.rand(200, 400, generator=rng) < torch.rand(400, generator=rng)
    same = neurons.overlap(first, first)
    assert (same.jaccard, same.low, same.high) == (1.0, 1.0, 1.0)
    assert same.n_both == same.n_first == same.n_second
    assert same.p_value < 1e-50
    other = torch.rand(200, 400, generator=rng) < torch.rand(400, generator=rng)
    apart = neurons.overlap(first, other)
    assert apart.n_both == pytest.approx(apart.by_chance, abs=25)
    assert apart.p_value > 0.01
    assert apart.low <= apart.jaccard <= apart.high
    none = torch.zeros_like(first)
    assert neurons.overlap(none, none).jaccard == 1.0
    assert neurons.overlap(first, none).n_both == 0
