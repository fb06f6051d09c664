"""The embeddings of a batch's texts by all processes together.

A batch is the same for any number of processes: each process embeds a part of the texts, every process gets all
embeddings, and the gradient of each part comes from the loss of the whole batch. So the number of processes changes
the last digits only.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rankscope.core.rng import seed_for
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.processes import Processes
from rankscope.models.ranker import Side
from rankscope.models.towers import Input
from rankscope.train.dropout import seed_dropout


class SideBatch(NamedTuple):
    """Texts of one side that are embedded together."""

    side: Side
    places: list[int]


def exact(where: torch.device) -> torch.autocast:
    """Inside the block, similarities are float32: in bfloat16 a cosine of .8 has steps of .004."""
    return torch.autocast(where.type, enabled=False)


def together(
    ranker: BiEncoder,
    model: nn.Module,
    inputs: Mapping[Side, Sequence[Input]],
    processes: Processes,
    *,
    purpose: str = "part",
) -> dict[Side, Tensor]:
    """(texts, width) of each side, from all processes; the gradient goes to this one's parts.

    `model` is the ranker's own, perhaps wrapped. Dropout is drawn by torch's seed, the purpose and the
    part; the seed is as before when this returns.
    """
    seed = torch.initial_seed()  # the loop's, of this batch
    where = next(model.parameters()).device
    parts = [
        SideBatch(side, p) for side, texts in inputs.items() for p in ranker.batches(texts, where)
    ]
    summed: dict[Side, Tensor] = {}
    for number, is_mine, part in _shared(parts, processes):
        # by the part, not the process: any number of processes draws the same dropout
        seed_dropout(seed_for(seed, purpose, number))
        texts = [inputs[part.side][place] for place in part.places]
        embeddings = ranker.embeddings(model, texts, part.side) * float(is_mine)
        empty = embeddings.new_zeros(len(inputs[part.side]), embeddings.shape[1])
        places = torch.tensor(part.places, device=embeddings.device)
        summed[part.side] = summed.get(part.side, empty).index_add(0, places, embeddings)
    seed_dropout(seed)
    return {side: _from_all(summed[side], processes) for side in inputs}


def _shared(parts: Sequence[SideBatch], processes: Processes) -> list[tuple[int, bool, SideBatch]]:
    """(number, whether it counts, part) of this process; the same number of parts on all.

    Each process needs a part of each side, so that it has a gradient for every weight; a process
    without one computes the side's first part with the weight 0.
    """
    mine = []
    for side in dict.fromkeys(part.side for part in parts):
        numbered = [(n, part) for n, part in enumerate(parts) if part.side == side]
        own = [(n, True, part) for n, part in processes.share(numbered)]
        n_each = -(-len(numbered) // processes.count)
        n, part = numbered[0]
        mine += own + [(n, False, part)] * (n_each - len(own))
    return mine


def _from_all(mine: Tensor, processes: Processes) -> Tensor:
    """The sum over all processes, where each row is that of one process; gradients go to this one's rows."""
    if processes.count == 1:
        return mine
    whole = mine.detach().clone()
    torch.distributed.all_reduce(whole)
    return whole + (mine - mine.detach())
