"""Probes fitted to convergence, each set of examples as if it were alone.

Features are standardised; the loss is the cross-entropy of the relevant doc among its candidates (a conditional logit:
with two candidates and full rank it is logistic regression on q x (p1 - p2), and a test holds it to scikit-learn's); it
is minimised to convergence, for ever smaller penalties, for as long as the loss of validation queries falls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.explain.lbfgs import minimised
from rankscope.explain.probes import HIDDEN, Candidates, Probe, Shape, States, credit

SCORES_AT_ONCE = 1 << 26
"""Numbers held for the gathered features of one evaluation."""


@dataclass(frozen=True)
class Fit:
    """A probe as trained: one set of parameters for each set of examples."""

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
    """Each side less its mean and over its deviation.

    Means and deviations are of the texts in the examples given, the training ones; a number that does
    not vary among them becomes 0.
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
    """Of the bilinear form, and of the product that the MLP sees."""
    penalties: tuple[float, ...] = ()
    """Those to choose from; none: the probe's own."""
    tolerance: float = 1e-4
    """In nats: see `lbfgs.minimised`."""
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
    """The probe fitted to each set of examples, with the penalty that is best for its validation loss.

    states: standardised. A set starts where its seed says. The sets are fitted together, each as if it were
    alone: first with the largest penalty, then with smaller ones, each from where the last ended, until the
    validation loss of the set no longer falls (of a probe whose minima lead to one another). The loss is the
    mean cross-entropy plus penalty / 2 times the probe's norm. A rank above the width is the width.
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
    """Sets of examples, the shorter ones filled up with examples that do not count."""

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
    """The mean loss of the first candidate, a problem each: (problems, examples, N) to (problems,)."""
    losses = (scores.logsumexp(-1) - scores[..., 0]) * sets.counts
    return losses.sum(-1) / sets.counts.sum(-1)


def credits_of(
    probe: Probe, fit: Fit, states: States, test: Sequence[Candidates], *, ns: Sequence[int]
) -> Tensor:
    """Of every set's probe on its own test examples, among the first n docs: (sets, ns, examples).

    The sets' test examples must be as many.
    """
    with torch.no_grad():
        scores_of_sets = [
            probe.scores(parameters[None], states, [examples], fit.shape)[0]
            for parameters, examples in zip(fit.parameters, test, strict=True)
        ]
    return torch.stack(
        [torch.stack([credit(scores[:, :n]) for n in ns]) for scores in scores_of_sets]
    )
