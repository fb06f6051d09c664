"""One process among several: its rank, and its communication with the others.

`torchrun` and `accelerate launch` set the environment (RANK, WORLD_SIZE, LOCAL_RANK). Messages go
over gloo, so that they need no accelerator; tensors of an accelerator go over its own
backend. Without a launcher there is one process, and nothing here costs anything.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, final

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""The time that the others wait for the first, which may search or index for hours."""


@final
@dataclass(frozen=True)
class Processes:
    """The number of a process, and how many there are."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """True for the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The process's own part of the items: every `count`-th, so no item is in two parts."""
        return items[self.rank :: self.count]

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.gathered(None)

    def gathered(self, mine: T) -> list[T]:
        """The value of every process, by rank."""
        if self.count == 1:
            return [mine]
        from torch import distributed

        values: list[T | None] = [None] * self.count
        distributed.all_gather_object(values, mine)
        return values  # type: ignore[return-value]

    def from_first(self, mine: T) -> T:
        """The value of the first process."""
        return self.gathered(mine)[0]


ALONE = Processes()


def joined() -> Processes:
    """Join the other processes of the launcher, if there is one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    # else transformers would leave the weights of all processes but the first as they lay in memory
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    import torch
    from torch import distributed

    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None:
        torch.accelerator.set_device_index(int(os.environ.get("LOCAL_RANK", "0")))
    if not distributed.is_initialized():
        distributed.init_process_group(
            backend="cpu:gloo,cuda:nccl" if accelerator is not None else "gloo", timeout=PATIENCE
        )
    return Processes(distributed.get_rank(), distributed.get_world_size())


def is_sharded(model: Any) -> bool:
    """True for a model each process holds a part of: all must call it, and equally often."""
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)
