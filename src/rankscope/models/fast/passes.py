"""Forward passes without gradients: on a processor, several in parallel.

The matrices of one pass are too small to keep all cores busy; one pass per core does, and leaves no core
waiting for the others after every product. On an accelerator, and in training, where dropout draws from
one stream, passes follow each other.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

AT_ONCE = 8
"""Passes in parallel, at most: more would wait for each other in Python."""

Pass = Callable[[list[int]], Tensor]
"""From the places of a batch's texts or pairs to the model's output for them."""


def carried_out(work: Pass, batches: Sequence[list[int]], model: nn.Module) -> list[Tensor]:
    """The output of `work` for each batch, in the same order."""
    cores = torch.get_num_threads()
    workers = min(cores, len(batches), AT_ONCE)
    is_alike = torch.is_inference_mode_enabled() and not model.training
    is_on_processor = next(model.parameters()).device.type == "cpu"
    if workers < 2 or not (is_alike and is_on_processor):
        return [work(batch) for batch in batches]

    def alone(batch: list[int]) -> Tensor:
        with torch.inference_mode():  # each thread has its own
            return work(batch)

    def begin() -> None:
        torch.set_num_threads(cores // workers)

    try:
        with ThreadPoolExecutor(workers, initializer=begin) as pool:
            return list(pool.map(alone, batches))
    finally:
        torch.set_num_threads(cores)
