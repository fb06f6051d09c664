"""Counts and concentrations of neurons by hand."""

import math

import pytest
import torch

from rankscope.explain import intervals, neurons

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


def test_overlap_by_hand() -> None:
    """Examples with 2 and 1 active, 1 shared; 0 and 2; 1 and 1, shared: 2 of 5 either; by chance (2 + 0 + 1) / 4 of them."""
    first = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]).bool()
    second = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]]).bool()
    found = neurons.overlap(first, second)
    assert (found.n_first, found.n_second, found.n_both) == pytest.approx((1, 4 / 3, 2 / 3))
    assert found.jaccard is not None
    assert found.jaccard.value == pytest.approx(2 / 5)
    assert found.by_chance == pytest.approx(0.75 / (7 - 0.75))


def test_overlap_of_the_same_of_chance_and_of_nothing() -> None:
    rng = torch.Generator().manual_seed(1)
    first, other = (
        torch.rand(200, 400, generator=rng) < 0.3 * torch.rand(200, 1, generator=rng)
        for _ in range(2)
    )
    assert neurons.overlap(first, first).jaccard == (1.0, 1.0, 1.0)
    apart = neurons.overlap(first, other)
    assert apart.jaccard is not None
    assert apart.jaccard.low < apart.by_chance < apart.jaccard.high  # type: ignore[operator]
    none = torch.zeros_like(first)
    assert neurons.overlap(none, none).jaccard is neurons.overlap(none, none).by_chance is None
    assert neurons.overlap(first, none).jaccard == (0.0, 0.0, 0.0)


def test_the_interval_of_the_overlap_holds_the_true_one() -> None:
    """In two models neurons are active by rates of their own, which differ from example to example."""
    rng = torch.Generator().manual_seed(2)
    n_worlds, n_examples = 150, 40
    rates = torch.rand(60, generator=rng) ** 2
    true, held = _true_index(rates), 0
    for _ in range(n_worlds):
        of_example = torch.rand(n_examples, 1, generator=rng) * rates
        shared, one, two = (
            torch.rand(n_examples, 60, generator=rng) < of_example for _ in range(3)
        )
        found = neurons.overlap(shared | one, shared | two).jaccard
        assert found is not None
        assert found.low <= found.value <= found.high
        held += found.low <= true <= found.high
    assert 0.88 <= held / n_worlds <= 0.99


def _true_index(rates: torch.Tensor) -> float:
    """With p = u r, u uniform on [0, 1]: E of both and of either; both = p + (1 - p) p^2, either = 1 - (1 - p)^3."""
    u = (torch.arange(20_000, dtype=torch.float64)[:, None] + 0.5) / 20_000
    p = u * rates
    both, either = p + (1 - p) * p**2, 1 - (1 - p) ** 3
    return float(both.mean(0).sum() / either.mean(0).sum())


def test_ratios_over_one_example_of_one_ratio_and_of_nothing() -> None:
    def ratio(parts: list[float], wholes: list[float]) -> tuple[float, float, float] | None:
        return intervals.ratio_interval(torch.tensor(parts), torch.tensor(wholes))

    assert ratio([1.0], [4.0]) == (0.25, 0.25, 0.25)
    assert ratio([1.0, 2.0, 0.0], [4.0, 8.0, 0.0]) == (0.25, 0.25, 0.25)
    assert ratio([0.0], [0.0]) is None
