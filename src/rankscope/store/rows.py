"""Rows of memory-mapped arrays, made in blocks that resume.

    NAME.npy              (rows, width) each, in the order of the rows
    blocks/000000         sha256 of the block's rows in every array; present = done

A block depends on its own items alone, so any process makes the same bytes at any time. Blocks that were
done before are compared with their sums and made again if damaged.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Advance, Progress, Task
from rankscope.store.refusals import explained

RowArray = NDArray[Any]
"""(rows, width); mapped, not read."""


class ProcessGroup(Protocol):
    """Processes that share one piece of work; `models.processes` implements it."""

    @property
    def is_first(self) -> bool:
        """Whether this process lays out the files."""
        ...

    def share(self, items: Sequence[int]) -> Sequence[int]:
        """The process's own part of the items."""
        ...

    def wait(self) -> None:
        """Wait for all processes."""
        ...


class Layout(NamedTuple):
    """Arrays that are filled together."""

    names: Sequence[str]
    shape: tuple[int, int]
    """(rows, width) of each."""
    dtype: str
    block: int
    """Rows that are made at once."""


def fill(
    folder: Path,
    make: Callable[[range, Advance], Sequence[RowArray]],
    *,
    layout: Layout,
    processes: ProcessGroup,
    progress: Progress = SILENT,
    task: tuple[str, str] = ("make rows", "rows"),
) -> list[Path]:
    """Make the missing rows of every array; the paths of the arrays, in the order of their names.

    `make` gives a block's rows for each array, (rows of the block, width); they must not depend on which
    blocks were made before. It may tell how many rows are done while it makes them; the rest is told behind each block.
    """
    names, shape, dtype, block = layout
    paths, sums = [folder / f"{name}.npy" for name in names], folder / "blocks"
    starts = range(0, shape[0], block)
    if processes.is_first:
        with explained(folder):
            sums.mkdir(parents=True, exist_ok=True)
            for path in paths:
                if not _is_laid_out(path):
                    _lay_out(path, shape, dtype)
    processes.wait()
    arrays = [_opened_to_write(path, shape, dtype) for path in paths]
    mine = [range(start, min(start + block, shape[0])) for start in processes.share([*starts])]
    marks = {places: sums / f"{places.start // block:06d}" for places in mine}
    missing = [places for places in mine if not _is_made(arrays, places, marks[places])]
    n_mine, n_missing = sum(map(len, mine)), sum(map(len, missing))
    with progress.task(task[0], n_mine, task[1], done=n_mine - n_missing) as bar:
        for places in missing:
            counting = _RowsTold(bar)
            with explained(folder):
                rows = _rows(arrays, places)
                for kept, made in zip(rows, make(places, counting.advance), strict=True):
                    kept[:] = made
                for array in arrays:
                    array.flush()  # the rows before the mark: a mark without rows would be a lie
                _write(marks[places], _sum(rows))
            bar.advance(len(places) - counting.n)
    processes.wait()
    return paths


@final
class _RowsTold:
    """Rows that `make` said were done, so that the rest of a block is counted once."""

    def __init__(self, bar: Task) -> None:
        self.n, self._bar = 0, bar

    def advance(self, n: int) -> None:
        """Count so many more rows, and tell them."""
        self.n += n
        self._bar.advance(n)


def _rows(arrays: Sequence[RowArray], places: range) -> list[RowArray]:
    """A block's rows of every array."""
    return [array[places.start : places.stop] for array in arrays]


def _is_made(arrays: Sequence[RowArray], places: range, mark: Path) -> bool:
    """Whether a block was made before, and is what was made."""
    return mark.is_file() and mark.read_bytes() == _sum(_rows(arrays, places)).encode()


def opened(path: Path) -> RowArray:
    """A stored array, mapped into memory."""
    try:
        array: RowArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise BadInput(f"{path}: no {path.stem} ({error}). Make it again.") from error
    return array


def _is_laid_out(path: Path) -> bool:
    """Whether the file is there and whole; a damaged one is laid out again, and its blocks are made again."""
    try:
        np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return True


def _opened_to_write(path: Path, shape: tuple[int, int], dtype: str) -> Any:
    array = np.lib.format.open_memmap(path, mode="r+")
    if array.shape != shape or array.dtype != dtype:
        raise BadInput(
            f"{path}: {array.shape} of {array.dtype}, but {shape} of {dtype} is needed. "
            "Remove the folder: it is made again."
        )
    return array


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


def _sum(rows: Sequence[RowArray]) -> str:
    digest = hashlib.sha256()
    for array in rows:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
