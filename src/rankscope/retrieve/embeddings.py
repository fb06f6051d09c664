"""The embeddings of a collection's docs in a memory-mapped file, made in blocks that resume.

    embeddings.npy        (docs, width), float32 or float16, in the docs' order
    blocks/000000      sha256 of the block's rows; present = done

A block is made whole from its own docs, so it has the same bytes whenever and by whichever process
it is made. Blocks that were done before are compared with their sums and made again if damaged.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.store.artifacts import explained

DOCS_PER_BLOCK = 4_096
EMBEDDINGS = "embeddings.npy"
Embeddings = NDArray[Any]
"""(docs, width); mapped, not read."""


class Group(Protocol):
    """Processes that share the work; see `models.processes`."""

    @property
    def is_first(self) -> bool:
        """True for the one that lays out the file."""
        ...

    def share(self, items: Sequence[int]) -> Sequence[int]:
        """The process's own part of the items."""
        ...

    def wait(self) -> None:
        """Go on when all are here."""
        ...


def encode(
    folder: Path,
    embed: Callable[[Sequence[str]], Tensor],
    text_at: Callable[[int], str],
    *,
    n_docs: int,
    width: int,
    processes: Group,
    dtype: str = "float32",
    progress: Progress = SILENT,
) -> Path:
    """Make what is missing of the embeddings of docs 0 to n_docs; where they are.

    `embed` gives (texts, width); it must give a text's embedding whatever else is in the block.
    """
    path, sums = folder / EMBEDDINGS, folder / "blocks"
    starts = range(0, n_docs, DOCS_PER_BLOCK)
    if processes.is_first:
        with explained(folder):
            sums.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _lay_out(path, (n_docs, width), dtype)
    processes.wait()
    array = np.lib.format.open_memmap(path, mode="r+")
    if array.shape != (n_docs, width) or array.dtype != dtype:
        raise BadInput(
            f"{path}: {array.shape} of {array.dtype}, but {(n_docs, width)} of {dtype} are asked for. "
            "Remove the folder: it is made again."
        )
    mine = processes.share([*starts])
    with progress.task("embed docs", len(mine) * DOCS_PER_BLOCK, "docs") as task:
        for start in mine:
            rows = array[start : start + DOCS_PER_BLOCK]
            mark = sums / f"{start // DOCS_PER_BLOCK:06d}"
            if not (mark.is_file() and mark.read_text() == _sum(rows)):
                with explained(folder):
                    rows[:] = embed([text_at(n) for n in range(start, start + len(rows))]).cpu()
                    array.flush()  # the rows before the mark: a mark without rows would be a lie
                    _write(mark, _sum(rows))
            task.advance(DOCS_PER_BLOCK)
    processes.wait()
    return path


def _lay_out(path: Path, shape: tuple[int, int], dtype: str) -> None:
    aside = path.with_suffix(".partial")
    np.lib.format.open_memmap(aside, mode="w+", dtype=dtype, shape=shape).flush()
    if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a killed process later
        with aside.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, aside.stat().st_size)
    aside.replace(path)


def _write(mark: Path, text: str) -> None:
    aside = mark.with_suffix(".partial")
    aside.write_text(text)
    aside.replace(mark)


def _sum(rows: Embeddings) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()


def opened(path: Path) -> Embeddings:
    """Stored embeddings, mapped into memory."""
    try:
        found: Embeddings = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BadInput(f"{path}: no embeddings ({error}). Encode the docs again.") from error
    return found
