"""Probes fitted to convergence, several sets of examples together; none affects another.

Features are standardised. The loss is the cross-entropy of the relevant doc among its candidates: a conditional logit,
which with two candidates and full rank is logistic regression on q x (p1 - p2) (a test compares it with
scikit-learn's). It is minimised to convergence for decreasing penalties, while the loss of validation queries falls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.explain.lbfgs import minimised
from rankscope.explain.probes import HIDDEN, Candidates, Probe, Shape, States, credit

SCORES_AT_ONCE = 1 << 26
"""How many numbers the gathered features of one evaluation may hold."""


@dataclass(frozen=True)
class Fit:
    """A fitted probe: one row of parameters for each set of examples."""

    shape: Shape
    parameters: Tensor
    """(sets, parameters), at the chosen penalty."""
    penalties: tuple[float, ...]
    """The chosen penalty of each set."""
    validation_loss: Tensor
    """(sets,)."""
    has_converged: Tensor
    """(sets,), bool, at the chosen penalty."""


def standardised(states: States, candidates: Sequence[Candidates]) -> States:
    """The states of each side minus their mean, divided by their standard deviation.

    Means and deviations are those of the texts in `candidates`, the training examples; a dimension that does not
    vary among them becomes 0.
    """
    places = (
        torch.unique(torch.cat([c.queries for c in candidates])),
        torch.unique(torch.cat([c.docs.flatten() for c in candidates])),
    )
    return States(*(_standardised(side, seen) for side, seen in zip(states, places, strict=True)))


def _standardised(texts: Tensor, places: Tensor) -> Tensor:
    seen = texts[places].double()
    mean, deviation = seen.mean(0), seen.std(0, unbiased=False)
    varies = deviation > 1e-5 * seen.square().mean().sqrt()
    scale = torch.where(varies, 1 / deviation.where(varies, torch.ones_like(deviation)), 0)
    return ((texts - mean) * scale).to(texts.dtype)


@dataclass(frozen=True)
class Fitting:
    """How a probe is fitted."""

    rank: int = 32
    """The rank of the bilinear form, and of the product that the MLP reads."""
    penalties: tuple[float, ...] = ()
    """The penalties to choose from; the probe's own where empty."""
    tolerance: float = 1e-4
    """The tolerance of `lbfgs.minimised`, in nats."""
    max_iterations: int = 500


def fitted(
    probe: Probe,
    states: States,
    train: Sequence[Candidates],
    validation: Sequence[Candidates],
    *,
    seeds: Sequence[int],
    how: Fitting,
) -> Fit:
    """The probe fitted to each set of examples, with the penalty of the lowest validation loss.

    states: standardised. The start of a set depends on its seed. The sets are fitted together, each as if it were
    alone: first with the largest penalty, then with smaller ones. A probe with `is_followed` starts each fit from the
    last minimum and stops when the validation loss of the set no longer falls. The loss is the mean cross-entropy plus
    penalty / 2 times the probe's norm. A rank above the width counts as the width.
    """
    most = max(examples.docs.numel() for examples in train)
    at_once = max(1, SCORES_AT_ONCE // (most * (how.rank + HIDDEN)))
    groups = [slice(n, n + at_once) for n in range(0, len(train), at_once)]
    fits = [
        _fitted(probe, states, train[group], validation[group], seeds=seeds[group], how=how)
        for group in groups
    ]
    return Fit(
        fits[0].shape,
        torch.cat([fit.parameters for fit in fits]),
        tuple(penalty for fit in fits for penalty in fit.penalties),
        torch.cat([fit.validation_loss for fit in fits]),
        torch.cat([fit.has_converged for fit in fits]),
    )


def _fitted(
    probe: Probe,
    states: States,
    train: Sequence[Candidates],
    validation: Sequence[Candidates],
    *,
    seeds: Sequence[int],
    how: Fitting,
) -> Fit:
    width = states.queries.shape[1]
    shape = Shape(width, min(how.rank, width))
    start = torch.stack(
        [
            probe.start(states, examples, shape, torch.Generator().manual_seed(seed))
            for examples, seed in zip(train, seeds, strict=True)
        ]
    )
    best = torch.full((len(train),), torch.inf, dtype=states.docs.dtype)
    parameters, kept, penalties = start.clone(), start.clone(), [0.0] * len(train)
    has_converged = torch.zeros(len(train), dtype=torch.bool)
    left = list(range(len(train)))
    for penalty in sorted(how.penalties or probe.penalties, reverse=True):
        learnt = _of_one_size([train[place] for place in left])
        watched = _of_one_size([validation[place] for place in left])

        def losses(at: Tensor, learnt: _OfOneSize = learnt, penalty: float = penalty) -> Tensor:
            scores = probe.scores(at, states, learnt.examples, shape)
            return _cross_entropy(scores, learnt) + penalty / 2 * probe.norm(at, shape)

        begun = parameters if probe.is_followed else start
        minimum = minimised(
            losses, begun[left], tolerance=how.tolerance, max_iterations=how.max_iterations
        )
        parameters[left] = minimum.parameters
        with torch.no_grad():
            scores = probe.scores(minimum.parameters, states, watched.examples, shape)
            unseen = _cross_entropy(scores, watched)
        falls = [row for row, place in enumerate(left) if unseen[row] < best[place]]
        better = [left[row] for row in falls]
        best[better], kept[better] = unseen[falls], minimum.parameters[falls]
        has_converged[better] = minimum.has_converged[falls]
        for place in better:
            penalties[place] = penalty
        left = better if probe.is_followed else left
        if not left:
            break
    return Fit(shape, kept, tuple(penalties), best, has_converged)


class _OfOneSize(NamedTuple):
    """Sets of examples of one size; shorter sets are padded with examples that do not count."""

    examples: list[Candidates]
    counts: Tensor
    """(sets, examples), bool."""


def _of_one_size(sets: Sequence[Candidates]) -> _OfOneSize:
    size = max(len(examples.queries) for examples in sets)
    filled = [torch.arange(size).clamp(max=len(examples.queries) - 1) for examples in sets]
    counts = torch.stack([torch.arange(size) < len(examples.queries) for examples in sets])
    return _OfOneSize(
        [examples.at(places) for examples, places in zip(sets, filled, strict=True)], counts
    )


def _cross_entropy(scores: Tensor, sets: _OfOneSize) -> Tensor:
    """The mean cross-entropy of the first candidate in each problem: (problems, examples, N) to (problems,)."""
    losses = (scores.logsumexp(-1) - scores[..., 0]) * sets.counts
    return losses.sum(-1) / sets.counts.sum(-1)


def credits_of(
    probe: Probe, fit: Fit, states: States, test: Sequence[Candidates], *, ns: Sequence[int]
) -> Tensor:
    """The credit of every set's probe on its test examples, among the first n docs: (sets, ns, examples).

    All sets must have equally many test examples.
    """
    with torch.no_grad():
        scores_of_sets = [
            probe.scores(parameters[None], states, [examples], fit.shape)[0]
            for parameters, examples in zip(fit.parameters, test, strict=True)
        ]
    return torch.stack(
        [torch.stack([credit(scores[:, :n]) for n in ns]) for scores in scores_of_sets]
    )
