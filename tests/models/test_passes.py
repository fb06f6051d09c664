"""Passes beside each other on a processor: the same numbers in the same order, and nothing left changed."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.fast import passes
from rankscope.models.location import Location
from support import tiny


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def of_threads(
    model: nn.Module, n_batches: int = 6
) -> tuple[list[list[int]], set[tuple[int, int]]]:
    """What each batch gave, and which threads gave it with how many cores."""
    seen: set[tuple[int, int]] = set()

    def work(batch: list[int]) -> Tensor:
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return torch.tensor(batch)

    batches = [[2 * n, 2 * n + 1] for n in range(n_batches)]
    return [part.tolist() for part in passes.carried_out(work, batches, model)], seen


def test_in_inference_each_core_has_a_pass_and_the_order_stays() -> None:
    model = nn.Linear(1, 1).eval()
    with torch.inference_mode():
        given, seen = of_threads(model)
    assert given == [[2 * n, 2 * n + 1] for n in range(6)]
    assert {cores for _, cores in seen} == {1}
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert torch.get_num_threads() == 2


def test_where_dropout_or_gradients_are_passes_follow_each_other() -> None:
    alone = {(threading.get_ident(), 2)}
    with torch.no_grad():
        assert of_threads(nn.Linear(1, 1).eval())[1] == alone
    with torch.inference_mode():
        assert of_threads(nn.Linear(1, 1).train())[1] == alone
        assert of_threads(nn.Linear(1, 1).eval(), n_batches=1)[1] == alone


def test_an_error_comes_through_and_the_cores_are_given_back() -> None:
    def work(batch: list[int]) -> Tensor:
        raise ValueError(batch)

    with torch.inference_mode(), pytest.raises(ValueError, match="0"):
        passes.carried_out(work, [[0], [1]], nn.Linear(1, 1).eval())
    assert torch.get_num_threads() == 2


def test_embeddings_are_those_of_one_core(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.save_bi_encoder(tmp_path_factory.mktemp("model"))
    ranker = BiEncoder.load(Location("tiny", folder))
    monkeypatch.setattr("rankscope.models.fast.lengths.TOKENS_PER_BATCH", {"cpu": 16})
    texts = [" ".join(tiny.WORDS[n % 5 :]) for n in range(12)]
    together = ranker.embed_docs(texts)
    torch.set_num_threads(1)
    torch.testing.assert_close(together, ranker.embed_docs(texts), rtol=0, atol=1e-6)
