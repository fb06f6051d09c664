"""Stored embeddings: made in blocks, by any number of processes, gone on with after any interruption."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import Advance
from rankscope.models.processes import ALONE, Processes
from rankscope.retrieve import embeddings
from support import tiny

N_DOCS = 23


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "DOCS_PER_BLOCK", 4)


def embed(texts: Sequence[str]) -> Tensor:
    return torch.tensor([[float(text), float(text) ** 2, 1.0] for text in texts])


def encode(
    folder: Path, of: Callable[[Sequence[str]], Tensor] = embed, processes: Processes = ALONE
) -> bytes:
    path = embeddings.encode(folder, silently(of), str, n_docs=N_DOCS, width=3, processes=processes)
    return path.read_bytes()


def silently(of: Callable[[Sequence[str]], Tensor]) -> Callable[[Sequence[str], Advance], Tensor]:
    """A function that embeds and tells nobody what is done."""
    return lambda texts, told: of(texts)


def test_every_doc_has_its_vector_in_its_place(tmp_path: Path) -> None:
    encode(tmp_path)
    found = embeddings.opened(tmp_path / "embeddings.npy")
    assert isinstance(found, np.memmap)
    assert found.tolist() == embed([str(n) for n in range(N_DOCS)]).tolist()


def test_in_half_the_room_each_number_is_the_nearest(tmp_path: Path) -> None:
    def thirds(texts: Sequence[str]) -> Tensor:
        return embed(texts) / 3

    path = embeddings.encode(
        tmp_path, silently(thirds), str, n_docs=N_DOCS, width=3, dtype="float16", processes=ALONE
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
        embeddings.encode(tmp_path, silently(embed), str, n_docs=N_DOCS, width=4, processes=ALONE)
    (tmp_path / "embeddings.npy").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="no embeddings"):
        embeddings.opened(tmp_path / "embeddings.npy")


# -- progress --------------------------------------------------------------------------------------


class Watched:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int, str, int]] = []
        self.told: list[int] = []

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator[Any]:
        self.begun.append((label, total, unit, done))
        yield SimpleNamespace(advance=lambda n=1, **facts: self.told.append(n))

    def note(self, text: str) -> None: ...


def watched(folder: Path, of: Callable[[Sequence[str], Advance], Tensor]) -> Watched:
    watcher = Watched()
    embeddings.encode(folder, of, str, n_docs=N_DOCS, width=3, processes=ALONE, progress=watcher)
    return watcher


def test_docs_are_counted_not_whole_blocks(tmp_path: Path) -> None:
    """23 docs in blocks of 4 were 24, and as many as a block while its last three were made: 15.9 docs/s for 5.7."""
    watcher = watched(tmp_path, silently(embed))
    assert watcher.begun == [("embed docs", 23, "docs", 0)]
    assert watcher.told == [4, 4, 4, 4, 4, 3]


def test_docs_are_told_as_they_are_done_inside_a_block(tmp_path: Path) -> None:
    def embeds(texts: Sequence[str], told: Advance) -> Tensor:
        told(1)
        return embed(texts)

    assert watched(tmp_path, embeds).told == [1, 3] * 5 + [1, 2]


def test_docs_that_were_embedded_before_are_done_at_the_start_and_make_no_rate(
    tmp_path: Path,
) -> None:
    def dies(texts: Sequence[str]) -> Tensor:
        if "8" in texts:
            raise KeyboardInterrupt
        return embed(texts)

    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, dies)
    watcher = watched(tmp_path, silently(embed))
    assert watcher.begun == [("embed docs", 23, "docs", 8)]
    assert sum(watcher.told) == 15


def test_a_bi_encoder_tells_every_text_once(tmp_path: Path) -> None:
    told: list[int] = []
    texts = [f"doc {n} red" for n in range(50)]
    tiny.bi_encoder(tmp_path).embed_docs(texts, told.append)
    assert sum(told) == 50
