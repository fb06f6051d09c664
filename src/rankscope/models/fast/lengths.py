"""Texts of similar length share a batch, and a batch holds so many tokens: little is computed for padding."""

from collections.abc import Iterator, Sequence

import torch

TOKENS_PER_BATCH = {"cpu": 1_024}
"""Tokens that fit the caches of a processor; measured, see docs/performance.md."""
TOKENS_PER_ACCELERATOR_BATCH = 65_536


def budget(where: torch.device) -> int:
    """The number of tokens, padding included, that one forward pass reads on a device."""
    return TOKENS_PER_BATCH.get(where.type, TOKENS_PER_ACCELERATOR_BATCH)


def by_length(
    lengths: Sequence[int], budget: int, n_texts: int | None = None
) -> Iterator[list[int]]:
    """Places in batches of similar length, each at most `budget` tokens with its padding, or `n_texts` where given."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        n_tokens = (len(batch) + 1) * lengths[batch[0]] if batch else 0
        if len(batch) == n_texts or (n_texts is None and n_tokens > budget):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
