"""Many small problems minimised together; none affects another.

This is L-BFGS (Nocedal & Wright 2006, algorithm 7.4) with a row per problem in every quantity. One evaluation of
all losses is one batch of matrix products, and a problem that has converged, or whose step is still too long, neither
delays nor changes the others. PyTorch's L-BFGS takes one problem and one step length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

HISTORY = 10
SUFFICIENT = 1e-4
"""Armijo's constant: the share of the predicted decrease that a step must achieve."""
HALVINGS = 30
STEPS_WATCHED = 10
"""A problem has converged when so many steps together no longer lower its loss."""

Losses = Callable[[Tensor], Tensor]
"""Parameters (problems, parameters) to losses (problems,); a loss must depend only on its own row."""


@dataclass(frozen=True)
class Minimum:
    """Where the descent of every problem ended."""

    parameters: Tensor
    """(problems, parameters)."""
    has_converged: Tensor
    """(problems,), bool: its last steps together lowered its loss by no more than the tolerance."""


def minimised(
    losses: Losses, start: Tensor, *, tolerance: float = 1e-5, max_iterations: int = 1000
) -> Minimum:
    """Every problem's minimum from its own start, by L-BFGS with backtracking.

    start: (problems, parameters). A problem stops when `STEPS_WATCHED` steps together have lowered its loss by at
    most `tolerance`, in the unit of the loss, whatever the scale of the parameters; or when not even a step along the
    gradient lowers the loss in this precision.
    """
    at = start.detach().clone()
    loss, gradient = _evaluated(losses, at)
    before = [loss]
    pairs: list[_Pair] = []
    has_converged = ~gradient.any(1)
    is_plain = torch.zeros_like(
        has_converged
    )  # the last direction did not lower the loss: try -gradient
    is_done = has_converged.clone()
    for _ in range(max_iterations):
        if is_done.all():
            break
        direction = -_times_inverse_hessian(gradient, pairs)
        slope = (direction * gradient).sum(1)
        downhill = -gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1.0)
        is_plain |= slope >= 0
        direction = torch.where(is_plain[:, None] | (not pairs), downhill, direction)
        step, new_loss, new_gradient = _searched(
            losses, at, direction, slope=(direction * gradient).sum(1), loss=loss, open_=~is_done
        )
        moved = step.any(1)
        is_done |= is_plain & ~moved
        has_converged |= is_plain & ~moved & ((gradient**2).sum(1) <= tolerance)
        is_plain = ~moved
        change = torch.where(moved[:, None], new_gradient - gradient, torch.zeros_like(step))
        pairs = [*pairs, _pair(step, change)][-HISTORY:]
        at, loss = at + step, new_loss
        gradient = torch.where(moved[:, None], new_gradient, gradient)
        before = [*before, loss][-STEPS_WATCHED - 1 :]
        if len(before) > STEPS_WATCHED:
            has_converged |= ~is_done & (before[0] - loss <= tolerance)
        is_done |= has_converged
    return Minimum(at, has_converged)


def _evaluated(losses: Losses, at: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (problems,) and their gradients (problems, parameters)."""
    leaf = at.detach().requires_grad_(True)
    loss = losses(leaf)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


class _Pair(NamedTuple):
    """A step of every problem, how it changed the gradient, and what follows from the two; kept, since it is used often."""

    step: Tensor
    change: Tensor
    """(problems, parameters), as the step."""
    inverse: Tensor
    """(problems,): one over the curvature; 0 where the pair has none and is ignored."""
    is_usable: Tensor
    scale: Tensor
    """(problems,): the curvature over the squared size of the change."""


def _pair(step: Tensor, change: Tensor) -> _Pair:
    curvature, size = (step * change).sum(1), (change**2).sum(1)
    is_usable = curvature > 1e-10 * step.norm(dim=1) * change.norm(dim=1)
    ones = torch.ones_like(curvature)
    inverse = torch.where(is_usable, 1 / curvature.where(is_usable, ones), 0)
    return _Pair(step, change, inverse, is_usable, curvature / size.where(is_usable, ones))


def _times_inverse_hessian(gradient: Tensor, pairs: Sequence[_Pair]) -> Tensor:
    """The two-loop recursion, a row per problem; pairs without curvature are ignored."""
    turned, shares = gradient.clone(), []
    for pair in reversed(pairs):
        share = pair.inverse * (pair.step * turned).sum(1)
        turned = turned - share[:, None] * pair.change
        shares.append(share)
    scale = torch.ones_like(gradient[:, 0])
    for pair in pairs:  # the last usable pair's
        scale = torch.where(pair.is_usable, pair.scale, scale)
    turned = scale[:, None] * turned
    for pair, share in zip(pairs, reversed(shares), strict=True):
        back = pair.inverse * (pair.change * turned).sum(1)
        turned = turned + (share - back)[:, None] * pair.step
    return turned


def _searched(
    losses: Losses, at: Tensor, direction: Tensor, *, slope: Tensor, loss: Tensor, open_: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A step for each open problem that lowers its loss enough (0 where none does), with loss and gradient there."""
    taken, new_gradient = torch.zeros_like(at), torch.zeros_like(at)
    new_loss, length = loss, torch.ones_like(loss)
    for _ in range(HALVINGS):
        tried = torch.where(open_, length, 0.0)[:, None] * direction
        tried_loss, gradient = _evaluated(losses, at + tried)
        is_enough = open_ & (tried_loss <= loss + SUFFICIENT * length * slope) & (tried_loss < loss)
        taken = torch.where(is_enough[:, None], tried, taken)
        new_loss = torch.where(is_enough, tried_loss, new_loss)
        new_gradient = torch.where(is_enough[:, None], gradient, new_gradient)
        open_ = open_ & ~is_enough
        if not open_.any():
            break
        length = torch.where(open_, length / 2, length)
    return taken, new_loss, new_gradient
