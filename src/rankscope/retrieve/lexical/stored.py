"""The postings and the vocabulary on disk.

    data.csc.index.npy       weights, by term and doc
    indices.csc.index.npy    their docs
    indptr.csc.index.npy     where each term's begin, and the end of the last
    vocab.index.json         the number of each term
    params.index.json        k1, b, and what else bm25s wants

These are the files of bm25s (0.3), which reads them, too.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DATA, _DOCS, _STARTS = (f"{name}.csc.index.npy" for name in ("data", "indices", "indptr"))
_VOCABULARY, _PARAMS = "vocab.index.json", "params.index.json"
_USUAL = {
    "delta": 0.5, "method": "lucene", "idf_method": "lucene", "dtype": "float32", "int_dtype": "int32",
    "version": "0.3.16", "backend": "numpy",
}  # fmt: skip


class Settings(NamedTuple):
    """What weights are a function of, beside the docs' terms; and the number of docs."""

    k1: float
    b: float
    num_docs: int


class Weighted(NamedTuple):
    """Postings of neighbouring terms, by term and doc: their docs, and the weights of their terms there."""

    docs: NDArray[np.int32]
    weights: NDArray[np.float32]


class Opened(NamedTuple):
    """An index as it is read: arrays are mapped."""

    vocabulary: Mapping[str, int]
    starts: NDArray[np.int64]
    docs: NDArray[np.int32]
    weights: NDArray[np.float32]


def write(
    folder: Path,
    vocabulary: Mapping[str, int],
    dfs: NDArray[np.int64],
    parts: Iterator[Weighted],
    *,
    settings: Settings,
) -> None:
    """Write an index into a folder; the postings come in parts, so that they need not be in memory at once."""
    folder.mkdir(exist_ok=True)
    starts = np.concatenate([[0], np.cumsum(dfs)])
    np.save(folder / _STARTS, starts)
    with (folder / _DOCS).open("wb") as docs_file, (folder / _DATA).open("wb") as weights_file:
        _write_head(docs_file, np.dtype(np.int32), int(starts[-1]))
        _write_head(weights_file, np.dtype(np.float32), int(starts[-1]))
        for part in parts:
            docs_file.write(part.docs.data)
            weights_file.write(part.weights.data)
    (folder / _VOCABULARY).write_text(json.dumps(vocabulary), "utf-8")
    params = {"k1": settings.k1, "b": settings.b, "num_docs": settings.num_docs} | _USUAL
    (folder / _PARAMS).write_text(json.dumps(params, indent=4), "utf-8")


def _write_head(file: Any, dtype: np.dtype[Any], length: int) -> None:
    head = {"descr": dtype.str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, head)


def opened(folder: Path) -> Opened:
    """What `write` wrote."""
    return Opened(
        json.loads((folder / _VOCABULARY).read_text("utf-8")),
        np.load(folder / _STARTS),
        np.asarray(np.load(folder / _DOCS, mmap_mode="r")),
        np.asarray(np.load(folder / _DATA, mmap_mode="r")),
    )
