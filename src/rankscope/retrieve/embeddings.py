"""The embeddings of a collection's docs in a memory-mapped file, made in blocks that resume (`store.rows`)."""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from rankscope.core.progress import SILENT, Progress
from rankscope.store import rows

DOCS_PER_BLOCK = 4_096
EMBEDDINGS = "embeddings.npy"
Embeddings = rows.RowArray
"""(docs, width); mapped, not read."""


def encode(
    folder: Path,
    embed: Callable[[Sequence[str]], Tensor],
    text_at: Callable[[int], str],
    *,
    n_docs: int,
    width: int,
    processes: rows.ProcessGroup,
    progress: Progress = SILENT,
) -> Path:
    """Make the missing embeddings of docs 0 to n_docs, in the docs' order; the path of their file.

    `embed` gives (texts, width); it must give a text's embedding whatever else is in the block.
    """
    (path,) = rows.fill(
        folder,
        lambda places: [embed([text_at(place) for place in places]).cpu().numpy()],
        layout=rows.Layout([Path(EMBEDDINGS).stem], (n_docs, width), "float32", DOCS_PER_BLOCK),
        processes=processes,
        progress=progress,
        task=("embed docs", "docs"),
    )
    return path


def opened(path: Path) -> Embeddings:
    """Stored embeddings, mapped into memory."""
    return rows.opened(path)
