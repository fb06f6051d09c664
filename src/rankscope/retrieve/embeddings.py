"""The embeddings of a collection's docs in a memory-mapped file, made in blocks that resume (`store.rows`)."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Advance, Progress
from rankscope.store import rows

DOCS_PER_BLOCK = 4_096
EMBEDDINGS = "embeddings.npy"
Embeddings = rows.RowArray
"""(docs, width); mapped, not read."""


def encode(
    folder: Path,
    embed: Callable[[Sequence[str], Advance], Tensor],
    text_at: Callable[[int], str],
    *,
    n_docs: int,
    width: int,
    dtype: str = "float32",
    processes: rows.ProcessGroup,
    progress: Progress = SILENT,
) -> Path:
    """Make the missing embeddings of docs 0 to n_docs, in the docs' order; the path of their file.

    `embed` gives (texts, width), and tells how many are done; it must give a text's embedding whatever else is in the block. They are rounded to the
    `dtype`, float32 or float16; BadInput for one that is beyond float16's largest number.
    """

    def made(places: range, told: Advance) -> list[rows.RowArray]:
        exact = embed([text_at(place) for place in places], told).cpu().numpy()
        return [exact if dtype == exact.dtype else rounded(exact)]

    (path,) = rows.fill(
        folder,
        made,
        layout=rows.Layout([Path(EMBEDDINGS).stem], (n_docs, width), dtype, DOCS_PER_BLOCK),
        processes=processes,
        progress=progress,
        task=("embed docs", "docs"),
    )
    return path


def rounded(exact: rows.RowArray) -> rows.RowArray:
    """Embeddings in float16; BadInput for a number that is finite in float32 alone."""
    with np.errstate(over="ignore"):
        found = exact.astype(np.float16)
    if not np.array_equal(np.isfinite(found), np.isfinite(exact)):
        raise BadInput(
            f"An embedding has numbers up to {np.abs(exact).max():.3g}, and float16 holds none above "
            f"{np.finfo(np.float16).max:.0f}. Store embeddings as float32."
        )
    return found


def opened(path: Path) -> Embeddings:
    """Stored embeddings, mapped into memory."""
    return rows.opened(path)
