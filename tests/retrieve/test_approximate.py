"""The contract of the table of indexes: near the exact search, and not where the search is blind."""

import builtins

import numpy as np
import pytest
import torch

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.retrieve import approximate, dense


def made(n_docs: int = 4000, width: int = 16) -> tuple[torch.Tensor, np.ndarray]:
    """Docs around fifty centres, and queries near some of them."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((50, width))
    docs = centres[rng.integers(0, 50, n_docs)] + 0.4 * rng.standard_normal((n_docs, width))
    queries = centres[:20] + 0.4 * rng.standard_normal((20, width))
    return torch.from_numpy(queries.astype(np.float32)), docs.astype(np.float32)


@pytest.mark.parametrize("kind", approximate.INDEXES)
def test_contract_of_every_index(kind: str) -> None:
    queries, docs = made()
    places, scores = approximate.nearest(queries, docs, depth=10, kind=kind)
    exact, exact_scores = dense.nearest(queries, docs, depth=10)
    assert places.shape == scores.shape == (20, 10)
    found = approximate.recall(scores, exact_scores)
    assert found > 0.9
    if kind == "flat":
        assert places.tolist() == exact.tolist()
        np.testing.assert_allclose(scores, exact_scores, rtol=1e-5)
    again, _ = approximate.nearest(queries, docs, depth=10, kind=kind)
    assert again.tolist() == places.tolist()
    few, _ = approximate.nearest(queries, docs[:5], depth=10, kind=kind)
    assert few.shape == (20, 5)


@pytest.mark.parametrize("kind", approximate.INDEXES)
def test_embeddings_that_are_no_numbers_are_refused(kind: str) -> None:
    queries, docs = made(n_docs=40)
    docs[7, 3] = np.nan
    with pytest.raises(BadInput, match="1 of 40 docs' embeddings by the model are no finite"):
        approximate.nearest(queries, docs, depth=10, kind=kind)
    queries[1:3] = torch.inf
    with pytest.raises(BadInput, match="2 of 20 queries' embeddings by the model are no finite"):
        approximate.nearest(queries, made(n_docs=40)[1], depth=10, kind=kind)


def test_recall_by_hand() -> None:
    """The first query finds one of its two, the second both, but for a last digit."""
    found, exact = np.array([[9.0, 2.0], [3.0, 1.9999999]]), np.array([[9.0, 5.0], [3.0, 2.0]])
    assert approximate.recall(found, exact) == 0.75


def test_one_cell_of_many_misses_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "CELLS_SEARCHED", 1)
    queries, docs = made()
    _, scores = approximate.nearest(queries, docs, depth=10, kind="ivf")
    assert approximate.recall(scores, dense.nearest(queries, docs, depth=10)[1]) < 0.9


def test_without_faiss_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "faiss":
            raise ImportError(name)
        return usual(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInput, match=r"rankscope\[ann\]"):
        approximate.nearest(torch.ones(1, 2), np.ones((3, 2), np.float32), depth=1, kind="flat")


def test_an_unknown_index_is_named() -> None:
    with pytest.raises(UnknownChoice, match="There are: flat, hnsw, ivf"):
        approximate.nearest(torch.ones(1, 2), np.ones((3, 2), np.float32), depth=1, kind="tree")
