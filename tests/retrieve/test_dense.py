"""Exact search: the docs that sorting all scores gives, in any blocks, ties to the first doc."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.core.errors import BadInput
from rankscope.core.records import Query
from rankscope.retrieve import dense


def sorted_whole(queries: torch.Tensor, embeddings: np.ndarray, depth: int) -> np.ndarray:
    scores = (queries @ torch.from_numpy(embeddings).T).numpy()
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


@pytest.mark.parametrize("block", [1, 40, 333, 1_024])
@pytest.mark.parametrize("depth", [1, 7, 500, 1000])
def test_nearest_is_the_head_of_all_scores_sorted(
    monkeypatch: pytest.MonkeyPatch, depth: int, block: int
) -> None:
    """Small whole numbers: many ties, and sums that are exact in any order."""
    monkeypatch.setattr(dense, "BLOCK", block)
    rng = np.random.default_rng(3)
    embeddings = rng.integers(-2, 3, (500, 4)).astype(np.float32)
    queries = torch.from_numpy(rng.integers(-2, 3, (5, 4)).astype(np.float32))
    places, scores = dense.nearest(queries, embeddings, depth=depth)
    assert places.tolist() == sorted_whole(queries, embeddings, depth).tolist()
    expected = np.take_along_axis((queries.numpy() @ embeddings.T), places, axis=1)
    assert scores.tolist() == expected.tolist()


def test_the_last_docs_are_found_too_and_half_precision_is_read(tmp_path: Path) -> None:
    embeddings = np.zeros((1000, 8), dtype=np.float16)
    embeddings[-1] = 1
    np.save(tmp_path / "v.npy", embeddings)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    places, scores = dense.nearest(torch.ones(2, 8), mapped, depth=3)
    assert places[:, 0].tolist() == [999, 999]
    assert scores[:, 0].tolist() == [8.0, 8.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("depth", [1, 4])
def test_scores_that_are_no_numbers_are_refused(
    monkeypatch: pytest.MonkeyPatch, value: float, depth: int
) -> None:
    """NaN is above nothing: a query would be left without docs, or a doc left out, and the exit code be 0."""
    monkeypatch.setattr(dense, "BLOCK", 2)
    queries, docs = torch.ones(2, 4), np.ones((4, 4), dtype=np.float32)
    spoilt = docs.copy()
    spoilt[3, 0] = value
    with pytest.raises(BadInput, match="2 of 2 queries' scores by the model are no finite numbers"):
        dense.nearest(queries, spoilt, depth=depth)
    queries[1, 2] = value
    with pytest.raises(BadInput, match="1 of 2 queries' scores"):
        dense.nearest(queries, docs, depth=depth)
    assert len(dense.nearest(queries[:1], docs, depth=depth)[0]) == 1


def test_one_thread_does_not_wait_for_ever_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer of a refused block was not given back, and the next block waited for it."""
    monkeypatch.setattr(dense, "BLOCK", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(BadInput, match="1 of 1 queries' scores"):
            dense.nearest(torch.ones(1, 2), np.full((9, 2), np.nan, dtype=np.float32), depth=1)
    finally:
        torch.set_num_threads(before)


def test_a_run_names_docs_and_leaves_out_what_is_none() -> None:
    run = dense.run_of(
        "dense", [Query("q", "text")], ["a", "b"], np.array([[1, -1]]), np.array([[2.0, -1.0]])
    )
    assert [tuple(doc) for doc in run.rankings["q"]] == [("q", "b", 2.0)]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_change_neither_places_nor_scores(
    monkeypatch: pytest.MonkeyPatch, n_threads: int
) -> None:
    monkeypatch.setattr(dense, "BLOCK", 64)
    rng = np.random.default_rng(4)
    embeddings = rng.standard_normal((1000, 32), dtype=np.float32)
    queries = torch.from_numpy(rng.standard_normal((9, 32), dtype=np.float32))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = dense.nearest(queries, embeddings, depth=20)
    torch.set_num_threads(n_threads)
    try:
        found = dense.nearest(queries, embeddings, depth=20)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    for ours, alone in zip(found, expected, strict=True):
        assert ours.tobytes() == alone.tobytes()
