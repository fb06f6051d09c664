"""Many minima at once: each the one that a well-known minimiser finds alone."""

from typing import Any

import pytest
import torch
from scipy import optimize

from rankscope.explain.lbfgs import HALVINGS, Losses, Minimum, minimised


def rosenbrock(at: torch.Tensor) -> torch.Tensor:
    return (100 * (at[:, 1:] - at[:, :-1] ** 2) ** 2 + (1 - at[:, :-1]) ** 2).sum(1)


def drawn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def counted(losses: Losses, start: torch.Tensor, **how: Any) -> tuple[Minimum, int]:
    """Where the descent ends, and how often the losses were evaluated: at the start, and for every step tried."""
    calls = []

    def counting(at: torch.Tensor) -> torch.Tensor:
        calls.append(at)
        return losses(at)

    return minimised(counting, start, **how), len(calls)


def test_quadratics_end_where_their_equations_say() -> None:
    roots, targets = drawn(7, 5, 5), drawn(7, 5, seed=2)
    curved = roots @ roots.mT + 0.1 * torch.eye(5)

    def losses(at: torch.Tensor) -> torch.Tensor:
        return (at[:, None] @ curved @ at[:, :, None]).flatten() / 2 - (targets * at).sum(1)

    found = minimised(losses, torch.zeros(7, 5, dtype=torch.float64), tolerance=1e-12)
    expected = torch.linalg.solve(curved, targets)
    assert found.has_converged.all()
    torch.testing.assert_close(found.parameters, expected, rtol=1e-5, atol=1e-5)


def test_a_curved_valley_ends_as_low_as_scipys_minimiser() -> None:
    """Two variables: one minimum, at (1, 1)."""
    start = drawn(4, 2)
    found = minimised(rosenbrock, start, tolerance=1e-14)
    assert found.has_converged.all()
    for at, loss, begun in zip(found.parameters, rosenbrock(found.parameters), start, strict=True):
        theirs = optimize.minimize(
            lambda x: float(rosenbrock(torch.tensor(x)[None])), begun.numpy(), method="L-BFGS-B"
        )
        assert float(loss) <= theirs.fun + 1e-9
        assert at.tolist() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_scale_of_the_parameters_does_not_matter(scale: float) -> None:
    def scaled(at: torch.Tensor) -> torch.Tensor:
        return rosenbrock(at / scale)

    found = minimised(scaled, drawn(3, 2) * scale, tolerance=1e-12, max_iterations=5000)
    assert found.has_converged.all()
    assert scaled(found.parameters).tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_problem_ends_the_same_in_any_company() -> None:
    start = drawn(5, 4)
    together = minimised(rosenbrock, start, tolerance=1e-12)
    for place in range(5):
        alone = minimised(rosenbrock, start[place : place + 1], tolerance=1e-12)
        assert torch.equal(alone.parameters[0], together.parameters[place])


def test_a_descent_that_is_cut_short_or_finds_no_way_down_says_so() -> None:
    found, n_evaluations = counted(rosenbrock, drawn(2, 4) + 3, max_iterations=2)
    assert 2 < n_evaluations <= 1 + 2 * HALVINGS
    assert not found.has_converged.any()
    further, _ = counted(rosenbrock, drawn(2, 4) + 3, max_iterations=3)
    assert (rosenbrock(further.parameters) < rosenbrock(found.parameters)).all()

    def uphill_everywhere(at: torch.Tensor) -> torch.Tensor:
        """A gradient that lies: no step along it lowers the loss."""
        return at.sum(1) * 0 + (at - at.detach()).sum(1) + at.detach().abs().sum(1)

    found = minimised(uphill_everywhere, torch.zeros(2, 3))
    assert not found.has_converged.any()
    assert found.parameters.tolist() == [[0, 0, 0]] * 2


def test_one_that_finds_no_way_down_has_not_converged_because_another_goes_on() -> None:
    def losses(at: torch.Tensor) -> torch.Tensor:
        """The first lies about its gradient, the second is a curved valley."""
        lying = (at[:1] - at[:1].detach()).sum(1) + at[:1].detach().abs().sum(1)
        return torch.cat([lying, rosenbrock(at[1:])])

    start = torch.stack([torch.zeros(4, dtype=torch.float64), drawn(4) + 3])
    found, n_evaluations = counted(losses, start, tolerance=1e-12)
    assert n_evaluations > 20 + HALVINGS
    assert found.has_converged.tolist() == [False, True]


def test_a_problem_at_its_minimum_stays_there() -> None:
    found, n_evaluations = counted(lambda at: (at**2).sum(1), torch.zeros(2, 3))
    assert found.has_converged.all()
    assert n_evaluations == 1
