"""Which neurons carry a target, how concentrated it is on them, and how far two models' sets agree.

Values are attributions, (examples, neurons) of each site, signed or not; only their sizes count here.

**Active** neurons, as published (Yao et al. 2025, section 5; papers.md A.5): those whose size is above a share
of the example's largest. That count hangs on the share and on one outlier neuron (A.8-19), and "active at
least once" grows with the number of examples. **Concentration** hangs on neither: the Gini coefficient, the
entropy of the sizes as an effective number of neurons, the participation ratio, and the share of the top k.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

TOP = 20
DRAWS = 1_000


def active(values: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Whether a neuron's size is above `threshold` times the example's largest, of all sites: bool, as `values`.

    Of an example whose values are all 0 no neuron is active.
    """
    largest = torch.stack([each.abs().amax(1) for each in values]).amax(0)
    return [each.abs() > threshold * largest[:, None] for each in values]


def frequencies(is_active: Tensor) -> Tensor:
    """The share of examples on which each neuron is active: (neurons,), float64."""
    return is_active.double().mean(0)


# -- concentration --------------------------------------------------------------------------------


def gini(values: Tensor) -> Tensor:
    """Of the sizes of each example's values: 0 where all are equal, (n - 1) / n where one is all; (examples,).

    values: (examples, neurons). An example of zeros has 0.
    """
    sizes = values.abs().double().sort(1).values
    n = sizes.shape[1]
    ranks = torch.arange(1, n + 1, dtype=torch.float64)
    total = sizes.sum(1)
    found = 2 * (sizes @ ranks) / (n * total.clamp(min=1e-300)) - (n + 1) / n
    return torch.where(total > 0, found, 0.0)


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
    """Sizes over their sum; of an example of zeros, all alike."""
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


class Overlap(NamedTuple):
    """How far two sets of neurons agree."""

    n_first: int
    n_second: int
    n_both: int
    jaccard: float
    """Shared neurons over those of either; 1 where both sets are empty."""
    by_chance: float
    """Neurons that two random sets of these sizes would share."""
    p_value: float
    """Of so many shared neurons or more, of random sets (hypergeometric)."""
    low: float
    """Of the Jaccard index, over draws of examples."""
    high: float


def overlap(
    first: Tensor, second: Tensor, *, at_least: float = 0.5, level: float = 0.95, seed: int = 0
) -> Overlap:
    """Of the neurons that are active on more than a share of the examples in each of two models.

    first, second: whether neurons are active, (examples, neurons), bool, over the same examples. The interval
    is the bootstrap's percentiles: examples are drawn, the same for both.
    """
    n_examples, n_neurons = first.shape
    of_first, of_second = (frequencies(each) > at_least for each in (first, second))
    n_first, n_second = int(of_first.sum()), int(of_second.sum())
    n_both = int((of_first & of_second).sum())
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randint(n_examples, (DRAWS, n_examples), generator=rng)
    counts = torch.zeros(DRAWS, n_examples).scatter_add_(1, drawn, torch.ones(DRAWS, n_examples))
    sets = [counts @ each.float() > at_least * n_examples for each in (first, second)]
    found = _jaccard(*sets)
    tail = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = found.quantile(tail).tolist()
    return Overlap(
        n_first=n_first,
        n_second=n_second,
        n_both=n_both,
        jaccard=float(_jaccard(of_first, of_second)),
        by_chance=n_first * n_second / n_neurons,
        p_value=float(stats.hypergeom.sf(n_both - 1, n_neurons, n_first, n_second)),
        low=low,
        high=high,
    )


def _jaccard(first: Tensor, second: Tensor) -> Tensor:
    """(..., neurons), bool, to (...), float64."""
    either = (first | second).sum(-1).double()
    both = (first & second).sum(-1).double()
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
