"""The representations of every layer, streamed to memory-mapped files.

One pass over a text gives all layers: layer 0 is the input of the first block, layer n the output of the nth (of the
last one, after the model's final norm). Each layer is pooled as the ranker pools, or by a given pooling. Padding and
tokens that do not belong to the text never count, so a text's representation does not depend on its batch.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import SILENT, Progress
from rankscope.core.words import counted, of_number
from rankscope.models.fast import lengths, passes
from rankscope.models.processes import ALONE
from rankscope.models.ranker import Side, TrainableRanker
from rankscope.store import rows

BYTES_AT_ONCE = 1 << 30
"""The bytes that the hidden states of all layers may take in one pass."""
BYTES_PER_BLOCK = 1 << 27
MOST_PER_BLOCK = 4_096
TEXTS_AT_ONCE = 128

Pooling = Callable[[Tensor, Tensor], Tensor]
"""States (texts, tokens, width) and a mask (texts, tokens) of the tokens that count, to (texts, width)."""


def first_token(states: Tensor, mask: Tensor) -> Tensor:
    """The first token that counts: [CLS]."""
    return states[_rows(states), mask.int().argmax(1)]


def mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the tokens that count."""
    weights = mask.to(states.dtype)[:, :, None]
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """The last token that counts, on whichever side the padding is."""
    return states[_rows(states), mask.shape[1] - 1 - mask.int().flip(1).argmax(1)]


def _rows(states: Tensor) -> Tensor:
    return torch.arange(len(states), device=states.device)


POOLINGS: dict[str, Pooling] = {"cls": first_token, "mean": mean, "last": last_token}


def of_texts(
    ranker: TrainableRanker, texts: Sequence[Any], side: Side, *, pooling: str | None = None
) -> Tensor:
    """The layers' representations of a side's texts, or pairs: (texts, layers + 1, width), float32, on the CPU.

    `pooling` is one of `POOLINGS`; without it, the ranker's own, or what its head reads.
    """
    pool = choose(POOLINGS, pooling or ranker.pooling(side), what="pooling")
    ranker.model.eval()
    inputs = ranker.inputs(texts, side) if texts else []
    n_layers, width = ranker.n_layers(side), ranker.hidden_width(side)

    def pooled(places: list[int]) -> Tensor:
        states, mask = ranker.hidden_states([inputs[place] for place in places], side)
        return torch.stack([pool(layer.float(), mask) for layer in states], 1).cpu()

    budget = _tokens_at_once(ranker.where, n_layers + 1, width)
    batches = list(lengths.by_length([len(text.ids) for text in inputs], budget))
    with torch.inference_mode():
        parts = passes.carried_out(pooled, batches, ranker.model)
    return _in_order(torch.cat([torch.empty(0, n_layers + 1, width), *parts]), batches)


def in_parts(
    texts: Sequence[Any],
    states_of: Callable[[Sequence[Any]], Tensor],
    *,
    task: str,
    progress: Progress,
) -> Tensor:
    """The states of texts (or pairs) by `states_of`, `TEXTS_AT_ONCE` at a time, with progress."""
    parts = []
    with progress.task(task, len(texts), "texts") as bar:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            chunk = texts[start : start + TEXTS_AT_ONCE]
            parts.append(states_of(chunk))
            bar.advance(len(chunk))
    return torch.cat(parts)


def _tokens_at_once(where: torch.device, n_layers: int, width: int) -> int:
    """How many tokens fit on the device, with the states of all layers."""
    return max(1, min(lengths.budget(where), BYTES_AT_ONCE // (4 * n_layers * width)))


def _in_order(states: Tensor, batches: Sequence[Sequence[int]]) -> Tensor:
    """The states in the order of the texts. Raises BadInput for states that are not finite."""
    spoilt = ~states.isfinite().all(2)
    if spoilt.any():
        raise BadInput(
            f"{int(spoilt.any(1).sum())} of {counted(len(states), 'text')} {of_number(int(spoilt.any(1).sum()), 'has', 'have')} states that are not finite (from layer "
            f"{int(spoilt.any(0).int().argmax())} on): weights of the model are not finite, or too large. Give a "
            "checkpoint from before its training broke."
        )
    places = torch.tensor([place for batch in batches for place in batch], dtype=torch.int64)
    return states[places.argsort()]


# -- on disk --------------------------------------------------------------------------------------


def store(
    folder: Path,
    states_of: Callable[[range], Tensor],
    *,
    n_texts: int,
    n_layers: int,
    width: int,
    dtype: str = "float32",
    processes: rows.ProcessGroup = ALONE,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write every layer's (texts, width) file in blocks, skipping blocks that are written already; the files' paths.

    `states_of` gives the states of the texts at some places: (texts, layers, width). `dtype` is float32 or float16.
    """
    names = [f"layer-{layer:02d}" for layer in range(n_layers)]
    block = max(1, min(MOST_PER_BLOCK, BYTES_PER_BLOCK // (4 * n_layers * width)))
    return rows.fill(
        folder,
        lambda places, _: [layer.numpy() for layer in _held(states_of(places), dtype).unbind(1)],
        layout=rows.Layout(names, (n_texts, width), dtype, block),
        processes=processes,
        progress=progress,
        task=("represent texts", "texts"),
    )


def _held(states: Tensor, dtype: str) -> Tensor:
    """The states. Raises BadInput where numbers of the type cannot hold them."""
    largest = float(states.abs().max()) if states.numel() else 0.0
    if largest > float(np.finfo(dtype).max):
        raise BadInput(
            f"States as large as {largest:.3g} are beyond {dtype}. Write `dtype: float32` for these probes."
        )
    return states


def layer(folder: Path, number: int) -> Tensor:
    """One layer's stored representations, read into memory: (texts, width), float32."""
    stored = rows.opened(folder / f"layer-{number:02d}.npy")
    return torch.from_numpy(np.array(stored, dtype=np.float32))


def n_layers(folder: Path) -> int:
    """The number of layers that are stored in a folder."""
    return len(list(folder.glob("layer-*.npy")))
