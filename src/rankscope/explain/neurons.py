"""Which neurons carry a target, how concentrated the target is on them, and how far two models' neurons agree.

Values are attributions, (examples, neurons) at each site, signed or not; only their absolute size matters here.

**Active** neurons, as published (Yao et al. 2025, section 5), are those whose size is above a share
of the example's largest. Their number depends on the share and on a single outlier neuron, and "active at
least once" grows with the number of examples. **Concentration** depends on neither: the Gini coefficient, the
entropy of the sizes as an effective number of neurons, the participation ratio, and the share of the top k.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.core.judged.plain import Estimate
from rankscope.explain.intervals import ratio_interval

TOP = 20


def active(values: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Whether a neuron's size is above `threshold` times the example's largest over all sites: bool, as `values`.

    In an example whose values are all 0, no neuron is active.
    """
    largest = torch.stack([site.abs().amax(1) for site in values]).amax(0)
    return [site.abs() > threshold * largest[:, None] for site in values]


def frequencies(is_active: Tensor) -> Tensor:
    """The share of examples on which each neuron is active: (neurons,), float64."""
    return is_active.double().mean(0)


# -- concentration --------------------------------------------------------------------------------


def gini(values: Tensor) -> Tensor:
    """The Gini coefficient of the sizes of each example's values: (examples,).

    values: (examples, neurons). It is 0 where all sizes are equal, (n - 1) / n where all but one are 0, and 0 for an
    example of zeros.
    """
    sizes = values.abs().double().sort(1).values
    n = sizes.shape[1]
    ranks = torch.arange(1, n + 1, dtype=torch.float64)
    total = sizes.sum(1)
    coefficients = 2 * (sizes @ ranks) / (n * total.clamp(min=1e-300)) - (n + 1) / n
    return torch.where(total > 0, coefficients, 0.0)


def effective_number(values: Tensor) -> Tensor:
    """The exponential of the entropy of the sizes' shares: from 1 to the number of neurons; (examples,)."""
    shares = _shares(values)
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return entropy.exp()


def participation_ratio(values: Tensor) -> Tensor:
    """1 / the sum of the squared shares: from 1 to the number of neurons; (examples,)."""
    return 1 / (_shares(values) ** 2).sum(1)


def top_share(values: Tensor, k: int = TOP) -> Tensor:
    """The share of the k largest sizes in the sum of all: (examples,)."""
    return _shares(values).topk(min(k, values.shape[1]), dim=1).values.sum(1)


def _shares(values: Tensor) -> Tensor:
    """The sizes divided by their sum; equal shares for an example of zeros."""
    sizes = values.abs().double()
    total = sizes.sum(1, keepdim=True)
    return torch.where(total > 0, sizes / total.clamp(min=1e-300), 1 / sizes.shape[1])


CONCENTRATIONS = {
    "gini": gini,
    "effective_number": effective_number,
    "participation_ratio": participation_ratio,
    f"top_{TOP}_share": top_share,
}
"""By name: values (examples, neurons) to (examples,), float64."""


# -- agreement ------------------------------------------------------------------------------------


class NeuronOverlap(NamedTuple):
    """How far the same neurons are active in two models that read the same examples."""

    n_first: float
    """The mean number of neurons that are active on an example."""
    n_second: float
    n_both: float
    jaccard: Estimate | None
    """The Jaccard index, with both counts summed over examples; None where no neuron is active in either."""
    by_chance: float | None
    """The Jaccard index of random sets of the same sizes."""


def overlap(first: Tensor, second: Tensor, *, level: float = 0.95, seed: int = 0) -> NeuronOverlap:
    """The overlap of the neurons that are active in two models, example by example.

    first, second: (examples, neurons), bool, over the same examples. The sets of each example are compared, not the
    sets of neurons that are active on many examples: such a set is itself an estimate, and the sets of bootstrap draws
    agree less than those of the sample.
    """
    n_neurons = first.shape[1]
    both, of_first, of_second = (sets.sum(1).double() for sets in (first & second, first, second))
    either = of_first + of_second - both
    expected = of_first * of_second / n_neurons
    return NeuronOverlap(
        n_first=float(of_first.mean()),
        n_second=float(of_second.mean()),
        n_both=float(both.mean()),
        jaccard=ratio_interval(both, either, level=level, seed=seed),
        by_chance=float(expected.sum() / (of_first + of_second - expected).sum())
        if either.any()
        else None,
    )
