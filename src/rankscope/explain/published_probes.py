"""Study A's probes as published (Yao et al. 2025, section 4): linear layers, trained by Adam.

The probe is one linear layer over [q; p1; ...; pN] with N outputs. It is additive in query and docs, so it cannot
detect whether they match, and its training stops long before convergence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from rankscope.explain.probes import Candidates, States

BLOCK = 512
"""The number of examples in one matrix product."""


@dataclass(frozen=True)
class PublishedRecipe:
    """Study A's training (its Table 1 and released code)."""

    learning_rate: float = 1e-4
    batch_size: int = 32_768
    epochs: int = 30


PUBLISHED = PublishedRecipe()


class PublishedFit(NamedTuple):
    """Linear probes of one layer, a seed each, at the first epoch with the best validation accuracy."""

    weights: Tensor
    """(seeds, N, (N + 1) x width)."""
    biases: Tensor
    """(seeds, N)."""


class InColumns(NamedTuple):
    """Examples with their docs in the order in which the published probe reads them."""

    examples: Candidates
    correct: Tensor
    """(examples,): the column of the relevant doc."""

    def at(self, places: Tensor) -> "InColumns":
        """The examples at some places."""
        return InColumns(self.examples.at(places), self.correct[places])


def in_columns(examples: Candidates, rng: torch.Generator) -> InColumns:
    """The examples with their docs in a random order."""
    order = torch.rand(examples.docs.shape, generator=rng).argsort(1)
    mixed = Candidates(examples.queries, examples.docs.gather(1, order))
    return InColumns(mixed, (order == 0).int().argmax(1))


def published(
    states: States,
    train: InColumns,
    validation: InColumns,
    *,
    seeds: Sequence[int],
    recipe: PublishedRecipe = PUBLISHED,
) -> PublishedFit:
    """The probes of one layer for all seeds, trained together.

    A probe's initial weights and the order of its batches depend on its seed alone, as `torch.nn.Linear` and
    `torch.randperm` draw them.
    """
    n_examples, n = train.examples.docs.shape
    width = states.docs.shape[1]
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    first = [_linear((n + 1) * width, n, rng) for rng in rngs]
    weights = torch.stack([weight for weight, _ in first]).requires_grad_(True)
    biases = torch.stack([bias for _, bias in first]).requires_grad_(True)
    adam = torch.optim.Adam([weights, biases], lr=recipe.learning_rate)
    is_whole = n_examples <= recipe.batch_size  # then the order of the one batch does not matter
    inputs = _in_blocks(states, train.examples) if is_whole else None
    unseen = _in_blocks(states, validation.examples)
    best = torch.full((len(seeds),), -1.0, dtype=torch.float64)
    kept = (weights.detach().clone(), biases.detach().clone())
    for _ in range(recipe.epochs):
        orders = torch.stack([torch.randperm(n_examples, generator=rng) for rng in rngs])
        for places in torch.split(orders, recipe.batch_size, 1):
            if inputs is None:
                outputs = torch.stack(
                    [
                        linear(_joined(states, train.examples.at(mine)), weight, bias)
                        for mine, weight, bias in zip(places, weights, biases, strict=True)
                    ]
                )
                wanted = train.correct[places]
            else:
                outputs = _outputs(inputs, weights, biases)[:, :n_examples]
                wanted = train.correct.expand(len(seeds), -1)
            mean_losses = cross_entropy(outputs.mT, wanted, reduction="none").mean(1)
            adam.zero_grad(set_to_none=True)
            mean_losses.sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
        with torch.no_grad():
            columns = _outputs(unseen, weights, biases)[:, : len(validation.correct)].argmax(-1)
        accuracies = (columns == validation.correct).double().mean(1)
        is_better = accuracies > best
        best = torch.where(is_better, accuracies, best)
        for now, then in zip((weights, biases), kept, strict=True):
            then[is_better] = now.detach()[is_better]
    return PublishedFit(*kept)


def published_credits(fit: PublishedFit, states: States, test: InColumns) -> Tensor:
    """1 where a probe's highest output is the relevant doc's column: (seeds, examples), float64."""
    outputs = _outputs(_in_blocks(states, test.examples), fit.weights, fit.biases)
    return (outputs[:, : len(test.correct)].argmax(-1) == test.correct).double()


def _linear(n_inputs: int, n_outputs: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The initial weights and biases of `torch.nn.Linear`: uniform within 1 / sqrt(inputs)."""
    bound = n_inputs**-0.5
    weight = torch.empty(n_outputs, n_inputs).uniform_(-bound, bound, generator=rng)
    return weight, torch.empty(n_outputs).uniform_(-bound, bound, generator=rng)


def _outputs(inputs: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """The outputs of all seeds' probes on the same inputs: (seeds, examples, N), with the padding of the last block.

    inputs: from `_in_blocks`. The gradient of a product with so few columns is summed over blocks, because one long
    product takes twice as long.
    """
    n_seeds, n = biases.shape
    products = torch.bmm(weights.flatten(0, 1).expand(len(inputs), -1, -1), inputs.mT)
    by_seed = products.view(-1, n_seeds, n, BLOCK).permute(1, 0, 3, 2)
    return by_seed.flatten(1, 2) + biases[:, None]


def _in_blocks(states: States, examples: Candidates) -> Tensor:
    """`_joined` examples in blocks: (blocks, BLOCK, (N + 1) x width); the last is padded with the first example."""
    n_examples = len(examples.queries)
    filled = torch.zeros(-(-n_examples // BLOCK) * BLOCK, dtype=torch.int64)
    filled[:n_examples] = torch.arange(n_examples)
    joined = _joined(states, examples.at(filled))
    return joined.view(-1, BLOCK, joined.shape[1])


def _joined(states: States, examples: Candidates) -> Tensor:
    """[q; p1; ...; pN]: (examples, (N + 1) x width)."""
    queries, docs = states.queries[examples.queries], states.docs[examples.docs]
    return torch.cat([queries, docs.flatten(1)], 1)
