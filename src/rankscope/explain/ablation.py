"""Ablation of neurons, which tests whether the neurons with the highest attribution carry the target.

An ablated neuron is 0 at every token: an input of the last matrix on the path of activations, an output of a matrix on
the path of weights. *Deletion* ablates the k neurons with the highest attribution in an example, and the target should
fall. *Insertion* ablates all other neurons, and the target should come back. Both are compared with the ablation of
equally many random neurons (Samek et al. 2017; Petsiuk et al. 2018).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rankscope.core.judged.plain import Estimate
from rankscope.core.progress import SILENT, Progress
from rankscope.explain.attributing import Attributions, Reading
from rankscope.explain.attribution import Integration, PathKind, Site, n_neurons, reached
from rankscope.explain.intervals import mean_interval
from rankscope.models.fast import lengths
from rankscope.models.interventions import Forward, replaced

COUNTS = (1, 5, 20, 100, 500)
DRAWS = 4
"""The number of random choices of neurons, whose mean is the comparison."""


@dataclass(frozen=True)
class Curves:
    """The targets of examples with some neurons ablated: (examples, counts) each."""

    counts: tuple[int, ...]
    whole: Tensor
    """(examples,): the targets with all neurons."""
    none: Tensor
    """(examples,): the targets with all neurons ablated."""
    deleted: Tensor
    """Without the k neurons of the highest attribution."""
    deleted_random: Tensor
    """Without k random neurons; the mean of `DRAWS` choices."""
    inserted: Tensor
    """With only the k neurons of the highest attribution."""
    inserted_random: Tensor
    """With only k random neurons; the mean of `DRAWS` choices."""

    def advantage(self, count: int, *, level: float = 0.95, seed: int = 0) -> Estimate:
        """How much further the target falls without the top neurons than without random ones: a mean over examples."""
        place = self.counts.index(count)
        return mean_interval((self.deleted_random - self.deleted)[:, place], level=level, seed=seed)


def curves(
    reading: Reading,
    attributions: Attributions,
    how: Integration,
    *,
    seed: int,
    counts: Sequence[int] = COUNTS,
    progress: Progress = SILENT,
) -> Curves:
    """Deletion and insertion curves of each example; neurons of equal attribution rank in their own order.

    `attributions` are those of the same reading. Counts above the number of neurons are left out.
    """
    values = torch.cat(attributions.values, 1)
    n_examples, n_all = values.shape
    counts = tuple(count for count in counts if count <= n_all)
    by_value = values.argsort(dim=1, descending=True, stable=True).argsort(1)  # a neuron's rank
    rng = torch.Generator().manual_seed(seed)
    drawn = [
        torch.rand(n_examples, n_all, generator=rng).argsort(1).argsort(1) for _ in range(DRAWS)
    ]
    n_passes = 2 * len(counts) * (1 + DRAWS) + 2
    with progress.task("ablate neurons", n_passes, "passes") as task:

        def with_neurons(keep: Tensor) -> Tensor:
            reached = targets_with(reading, how, keep)
            task.advance()
            return reached

        def by_count(ranks: Tensor, is_kept: Callable[[Tensor, int], Tensor]) -> Tensor:
            return torch.stack([with_neurons(is_kept(ranks, count)) for count in counts], 1)

        def mean_by_count(is_kept: Callable[[Tensor, int], Tensor]) -> Tensor:
            return torch.stack([by_count(ranks, is_kept) for ranks in drawn]).mean(0)

        return Curves(
            counts=counts,
            whole=with_neurons(torch.ones_like(values, dtype=torch.bool)),
            none=with_neurons(torch.zeros_like(values, dtype=torch.bool)),
            deleted=by_count(by_value, torch.ge),
            deleted_random=mean_by_count(torch.ge),
            inserted=by_count(by_value, torch.lt),
            inserted_random=mean_by_count(torch.lt),
        )


def targets_with(reading: Reading, how: Integration, keep: Tensor) -> Tensor:
    """The targets (examples,) where only some of each example's neurons are kept and the others are ablated.

    keep: (examples, neurons), bool, over the neurons of all sites, site after site.
    """
    reading.model.eval()
    wanted = how.sites(reading.layers)
    sizes = [n_neurons(site, how.path) for site in wanted]
    where = next(reading.model.parameters()).device
    budget = lengths.budget(where) // reading.per_example
    batches = list(lengths.by_length(reading.n_tokens, max(1, budget)))
    parts = []
    with torch.no_grad():
        for places in batches:
            batch = reading.batch(places)
            by_text = keep[places].to(where).repeat_interleave(reading.per_example, 0)[:, None]
            forwards: dict[nn.Module, Forward] = {
                site.dense: _kept(site, how.path, part)
                for site, part in zip(wanted, torch.split(by_text, sizes, 2), strict=True)
            }
            with replaced(forwards):
                parts.append(reached(batch)[0])
    order = torch.tensor([place for places in batches for place in places]).argsort()
    return torch.cat(parts).cpu()[order]


def _kept(site: Site, path: PathKind, keep: Tensor) -> Forward:
    """The site's `forward` with some neurons ablated; keep: (texts, 1, neurons)."""
    dense = site.dense

    def forward(given: Tensor) -> Tensor:
        if path == "activations":
            return linear(given * keep, dense.weight, dense.bias)
        return linear(given, dense.weight, dense.bias) * keep

    return forward
