"""Stored embeddings: made in blocks, by any number of processes, gone on with after any interruption."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.models.processes import ALONE, Processes
from rankscope.retrieve import embeddings

N_DOCS = 23


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "DOCS_PER_BLOCK", 4)


def embed(texts: Sequence[str]) -> Tensor:
    return torch.tensor([[float(text), float(text) ** 2, 1.0] for text in texts])


def encode(
    folder: Path, of: Callable[[Sequence[str]], Tensor] = embed, processes: Processes = ALONE
) -> bytes:
    path = embeddings.encode(folder, of, str, n_docs=N_DOCS, width=3, processes=processes)
    return path.read_bytes()


def test_every_doc_has_its_vector_in_its_place(tmp_path: Path) -> None:
    encode(tmp_path)
    found = embeddings.opened(tmp_path / "embeddings.npy")
    assert isinstance(found, np.memmap)
    assert found.tolist() == embed([str(n) for n in range(N_DOCS)]).tolist()


def test_in_half_the_room_each_number_is_the_nearest(tmp_path: Path) -> None:
    def thirds(texts: Sequence[str]) -> Tensor:
        return embed(texts) / 3

    path = embeddings.encode(
        tmp_path, thirds, str, n_docs=N_DOCS, width=3, dtype="float16", processes=ALONE
    )
    found = embeddings.opened(path)
    assert found.dtype == np.float16
    exact = thirds([str(n) for n in range(N_DOCS)]).numpy()
    assert (np.abs(found - exact) <= np.abs(exact) * 2.0**-11).all()


def test_a_number_that_float16_does_not_hold_is_refused() -> None:
    with pytest.raises(BadInput, match=r"numbers up to 7e\+04, and float16 holds none above 65504"):
        embeddings.rounded(np.array([[1.0, 70_000.0]], dtype=np.float32))
    spoilt = np.array([[np.nan, -np.inf]], dtype=np.float32)
    assert not np.isfinite(embeddings.rounded(spoilt)).any()


@pytest.mark.parametrize("at", range(6))
def test_interrupted_at_any_block_it_goes_on_there_to_the_same_bytes(
    tmp_path: Path, at: int
) -> None:
    whole, calls = encode(tmp_path / "whole"), [0]

    def dies(texts: Sequence[str]) -> Tensor:
        calls[0] += 1
        if calls[0] == at + 1:
            raise KeyboardInterrupt
        return embed(texts)

    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / "cut", dies)
    calls[0] = -100
    assert encode(tmp_path / "cut", dies) == whole
    assert calls[0] == -100 + 6 - at, "blocks that were done are not made again"


def test_a_flipped_byte_is_noticed_and_its_block_alone_made_again(tmp_path: Path) -> None:
    whole, calls = encode(tmp_path), [0]
    path = tmp_path / "embeddings.npy"
    spoilt = bytearray(whole)
    spoilt[-20] ^= 1
    path.write_bytes(spoilt)

    def counted(texts: Sequence[str]) -> Tensor:
        calls[0] += 1
        return embed(texts)

    assert encode(tmp_path, counted) == whole
    assert calls[0] == 1


def test_each_process_makes_its_own_blocks(tmp_path: Path) -> None:
    whole = encode(tmp_path / "one")
    made: dict[int, list[str]] = {0: [], 1: []}

    def of(rank: int) -> Callable[[Sequence[str]], Tensor]:
        return lambda texts: (made[rank].extend(texts), embed(texts))[1]

    for rank in (0, 1):

        class Here(Processes):  # type: ignore[misc]
            def wait(self) -> None: ...

        encode(tmp_path / "two", of(rank), Here(rank, 2))
    assert (tmp_path / "two" / "embeddings.npy").read_bytes() == whole
    assert sorted(map(int, made[0] + made[1])) == list(range(N_DOCS))


def test_vectors_of_another_shape_are_refused_and_so_is_what_is_none(tmp_path: Path) -> None:
    encode(tmp_path)
    with pytest.raises(BadInput, match=r"\(23, 3\) of float32, but \(23, 4\) of float32"):
        embeddings.encode(tmp_path, embed, str, n_docs=N_DOCS, width=4, processes=ALONE)
    (tmp_path / "embeddings.npy").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no embeddings"):
        embeddings.opened(tmp_path / "embeddings.npy")
