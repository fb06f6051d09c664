"""The best of scores that come in blocks: those that sorting all of them gives, whatever order the blocks come in."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rankscope.retrieve.best import Best, best_of_block, candidates

N_QUERIES, N_DOCS = 4, 300


def best_of(
    scores: np.ndarray, depth: int, size: int, seed: int, found_by: Callable[..., Any] = candidates
) -> tuple[np.ndarray, np.ndarray]:
    best = Best(len(scores), depth)
    starts = np.arange(0, scores.shape[1], size)
    np.random.default_rng(seed).shuffle(starts)
    for start in starts.tolist():
        block = torch.from_numpy(np.ascontiguousarray(scores[:, start : start + size]))
        rows, columns, values = found_by(block, best.floor, depth)
        best.add(rows, columns + start, values)
    return best.ranked()


@pytest.mark.parametrize("size", [1, 7, 64, N_DOCS])
@pytest.mark.parametrize("depth", [1, 10, 299, N_DOCS])
def test_the_order_of_blocks_changes_neither_places_nor_scores(depth: int, size: int) -> None:
    """Scores of either sign, with many ties: whole numbers and both zeros."""
    rng = np.random.default_rng(depth)
    scores = rng.integers(-3, 4, (N_QUERIES, N_DOCS)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = -0.0
    scores[0] = np.sort(rng.standard_normal(N_DOCS)).astype(np.float32)  # each a candidate
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    for seed, found_by in itertools.product(range(3), (candidates, best_of_block)):
        places, values = best_of(scores, depth, size, seed, found_by)
        assert places.tolist() == expected.tolist()
        assert values.tolist() == np.take_along_axis(scores, expected, axis=1).tolist()


def test_extremes_of_float32_keep_their_order() -> None:
    finite = np.finfo(np.float32)
    ascending = [finite.min, -1.0, -finite.tiny, -finite.smallest_subnormal, 0.0]
    ascending += [finite.smallest_subnormal, finite.tiny, 1.0, finite.max]
    scores = np.array([ascending], dtype=np.float32)
    places, values = best_of(scores, len(ascending), 2, seed=0)
    assert places[0].tolist() == list(range(len(ascending)))[::-1]
    assert values[0].tolist() == scores[0, ::-1].tolist()


def test_a_floor_leaves_out_what_cannot_be_among_the_best() -> None:
    best = Best(1, 2)
    best.add(np.zeros(5, dtype=np.int64), np.arange(5), np.arange(5, dtype=np.float32))
    assert best.floor.tolist() == [[3.0]]
    rows, columns, _ = candidates(torch.tensor([[2.9, 3.0, 3.1]]), best.floor, 2)
    assert (rows.tolist(), columns.tolist()) == ([0, 0], [1, 2])


def test_a_block_on_an_accelerator_gives_no_more_than_the_depth_but_for_ties() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 2.0, 0.0]])
    rows, columns, values = best_of_block(scores, np.full((1, 1), -np.inf, dtype=np.float32), 2)
    assert (rows.tolist(), columns.tolist(), values.tolist()) == (
        [0, 0, 0],
        [1, 2, 3],
        [3.0, 2.0, 2.0],
    )
