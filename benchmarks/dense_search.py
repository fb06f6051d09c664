"""Exact dense search against faiss' flat index: seconds, and the docs found.

    python benchmarks/dense_search.py                       a million made-up docs of 384 dimensions, 1,000 queries
    python benchmarks/dense_search.py --depth 100
    python benchmarks/dense_search.py --docs 100000 --queries 100

Vectors are normal draws of length 1. The product alone (`queries @ docs.T` in the same blocks, nothing kept), ours and
faiss take turns, five times, with as many threads each; the median of seconds and the median ratio to faiss in the same
turn are told. `rising`: the docs are in rising order of their score for the first query, the worst order of a file.
A place may differ from faiss' where the scores of the two docs differ by less than 1e-6 of their size; others are counted
as wrong. Last, the docs are searched in a file, as a study does, in a process of its own: told is by how much it grew,
without the file's pages and with them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from rankscope.retrieve import dense, embeddings

ROUNDS = 5
SAME = 1e-6
Found = tuple[NDArray[np.int64], NDArray[np.float32]]


def vectors(n: int, width: int, seed: int) -> NDArray[np.float32]:
    """(n, width), of length 1."""
    made = np.random.default_rng(seed).standard_normal((n, width), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long it takes, and what it gives."""
    started = time.perf_counter()
    outcome = work()
    return time.perf_counter() - started, outcome


def product(queries: torch.Tensor, docs: NDArray[np.float32]) -> None:
    """All scores in blocks of the same size, and nothing else, by as many threads as torch has."""
    whole = torch.from_numpy(docs)
    buffer = torch.empty(len(queries), dense.BLOCK)
    for start in range(0, len(docs) - dense.BLOCK + 1, dense.BLOCK):
        torch.mm(queries, whole[start : start + dense.BLOCK].T, out=buffer)


def wrong(ours: Found, theirs: Found, queries: NDArray[Any], docs: NDArray[Any]) -> tuple[int, int]:
    """(places that differ, those of them whose scores differ by more than `SAME`); scores in float64."""
    rows, columns = np.nonzero(ours[0] != theirs[0])
    pairs = [
        np.einsum(
            "nd,nd->n", queries[rows].astype(float), docs[places[rows, columns]].astype(float)
        )
        for places in (ours[0], theirs[0])
    ]
    gap = np.abs(pairs[0] - pairs[1]) / np.maximum(np.abs(pairs[0]), 1e-3)
    return len(rows), int((gap > SAME).sum())


def grown(docs: NDArray[np.float32], queries: NDArray[np.float32], depth: int) -> list[float]:
    """GB that a process grows by in searching the docs in a file: its own, and with the file's pages."""
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / embeddings.EMBEDDINGS, docs)
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            return alone.submit(
                _grown, Path(folder) / embeddings.EMBEDDINGS, queries, depth
            ).result()


def _grown(path: Path, queries: NDArray[np.float32], depth: int) -> list[float]:
    asked = torch.from_numpy(queries)
    dense.nearest(asked[:1], np.zeros((2, asked.shape[1]), dtype=np.float32), depth=1)  # threads
    stored, ended, before, peak = embeddings.opened(path), Event(), _resident(), [0.0, 0.0]

    def watched() -> None:
        while not ended.wait(0.01):
            peak[:] = [max(*pair) for pair in zip(peak, _resident(), strict=True)]

    watch = Thread(target=watched)
    watch.start()
    dense.nearest(asked, stored, depth=depth)
    ended.set()
    watch.join()
    return [after - at_first for after, at_first in zip(peak, before, strict=True)]


def _resident() -> list[float]:
    """GB in memory now: the process's own, and with the pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return [int(sizes[name].split()[0]) / 1024**2 for name in ("RssAnon", "VmRSS")]


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("docs", 1_000_000),
        ("queries", 1_000),
        ("width", 384),
        ("depth", 1_000),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    docs, queries = vectors(given.docs, given.width, 1), vectors(given.queries, given.width, 2)
    rising = np.ascontiguousarray(docs[np.argsort(docs @ queries[0], kind="stable")])
    asked = torch.from_numpy(queries)
    index = faiss.IndexFlatIP(given.width)
    index.add(docs)
    faiss.omp_set_num_threads(torch.get_num_threads())
    ways: dict[str, Callable[[], Any]] = {
        "product alone": lambda: product(asked, docs),
        "faiss flat": lambda: index.search(queries, given.depth)[::-1],
        "rankscope": lambda: dense.nearest(asked, docs, depth=given.depth),
        "rankscope, rising": lambda: dense.nearest(asked, rising, depth=given.depth),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            elapsed, found[name] = seconds(work)
            took[name].append(elapsed)
    n_different, n_wrong = wrong(found["rankscope"], found["faiss flat"], queries, docs)
    print(
        f"{given.docs:,} docs x {given.width}, {given.queries:,} queries, depth {given.depth:,}, "
        f"{torch.get_num_threads()} threads"
    )
    flop = 2.0 * given.docs * given.queries * given.width
    print("| way | seconds | of faiss flat | GFLOP/s |\n|---|---|---|---|")
    for name, rounds in took.items():
        of_faiss = median(a / b for a, b in zip(rounds, took["faiss flat"], strict=True))
        print(
            f"| {name} | {median(rounds):.2f} | {of_faiss:.2f} | {flop / median(rounds) / 1e9:.0f} |"
        )
    print(
        f"{n_different} of {found['rankscope'][0].size:,} places differ from faiss', {n_wrong} wrong"
    )
    own, whole = grown(docs, queries, given.depth)
    print(
        f"searched in a file, the process grew by {own:.2f} GB, and by {whole:.2f} GB with its pages"
    )
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
