import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc
from rankscope.data import tokens
from rankscope.data.collections import StoredDocs, write_docs
from rankscope.data.tokens import StoredTokens

N_DOCS = 12
IDS = [f"d{i}" for i in range(N_DOCS)]


@pytest.fixture
def docs(tmp_path: Path) -> StoredDocs:
    """Doc i has i words."""
    (tmp_path / "docs").mkdir()
    write_docs((Doc(f"d{i}", "word " * i) for i in range(N_DOCS)), tmp_path / "docs")
    return StoredDocs(tmp_path / "docs")


class Counting:
    """A tokenizer: one token a word, the text's length; it remembers what it was asked."""

    def __init__(self, top: int = 0) -> None:
        self.asked: list[str] = []
        self._top = top

    def __call__(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        self.asked += texts
        return [np.array([self._top or len(text)] * len(text.split())) for text in texts]


def expected(i: int) -> list[int]:
    return [5 * i] * i


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_tokenised_is_what_is_read(docs: StoredDocs, tmp_path: Path) -> None:
    made = StoredTokens(tmp_path / "t", docs)
    assert made.add(IDS, Counting()) == N_DOCS
    for stored in (made, StoredTokens(tmp_path / "t", docs)):
        assert [found.tolist() for found in stored.of(IDS)] == [expected(i) for i in range(N_DOCS)]
        assert [stored.n_tokens(doc_id) for doc_id in IDS] == list(range(N_DOCS))
        assert [found.tolist() for found in stored.of(["d7", "d0", "d7"])] == [
            expected(7), [], expected(7),
        ]  # fmt: skip


def test_only_docs_not_met_before_are_tokenised_each_once(docs: StoredDocs, tmp_path: Path) -> None:
    tokenize = Counting()
    first = StoredTokens(tmp_path / "t", docs)
    assert first.add(["d3", "d1", "d3"], tokenize) == 2
    assert first.add(["d1", "d2"], tokenize) == 1
    again = StoredTokens(tmp_path / "t", docs)
    assert again.add(["d3", "d2", "d1"], tokenize) == 0
    assert again.add(["d4", "d3"], tokenize) == 1
    assert [len(text.split()) for text in tokenize.asked] == [1, 3, 2, 4]
    assert segments(tmp_path / "t") == [f"segment-00000{i}" for i in range(3)]
    assert [found.tolist() for found in again.of(["d1", "d4"])] == [expected(1), expected(4)]


def test_many_docs_are_several_segments_and_calls(
    docs: StoredDocs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "DOCS_PER_SEGMENT", 5)
    monkeypatch.setattr(tokens, "DOCS_PER_CALL", 2)
    calls: list[int] = []

    def tokenize(texts: Sequence[str]) -> list[NDArray[np.int64]]:
        calls.append(len(texts))
        return Counting()(texts)

    stored = StoredTokens(tmp_path / "t", docs)
    assert stored.add(IDS, tokenize) == N_DOCS
    assert calls == [2, 2, 1, 2, 2, 1, 2]
    assert len(segments(tmp_path / "t")) == 3
    for read in (stored, StoredTokens(tmp_path / "t", docs)):
        assert [found.tolist() for found in read.of(IDS)] == [expected(i) for i in range(N_DOCS)]


@pytest.mark.parametrize(("top", "kind"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_ids_are_kept_in_the_smallest_type_as_views_of_the_file(
    docs: StoredDocs, tmp_path: Path, top: int, kind: type
) -> None:
    stored = StoredTokens(tmp_path / "t", docs)
    stored.add(["d1", "d2"], Counting(top))
    one, two = stored.of(["d1", "d2"])
    assert two.tolist() == [top, top]
    assert (one.dtype, one.flags.owndata, one.flags.writeable) == (kind, False, False)
    assert np.shares_memory(two, stored.of(["d2"])[0])


def test_one_high_id_widens_the_type_of_all_calls(
    docs: StoredDocs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "DOCS_PER_CALL", 1)
    ids = iter([5, 70_000, 6])
    stored = StoredTokens(tmp_path / "t", docs)
    stored.add(["d1", "d2", "d3"], lambda texts: [np.array([next(ids)]) for _ in texts])
    assert [found.tolist() for found in stored.of(["d1", "d2", "d3"])] == [[5], [70_000], [6]]


def test_docs_without_any_token_are_stored_too(docs: StoredDocs, tmp_path: Path) -> None:
    StoredTokens(tmp_path / "t", docs).add(["d0"], Counting())
    stored, tokenize = StoredTokens(tmp_path / "t", docs), Counting()
    assert (stored.add(["d0"], tokenize), tokenize.asked) == (0, [])
    assert stored.of(["d0"])[0].tolist() == []


def spoilt(name: str, spoil: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(segment: Path) -> None:
        (segment / name).write_bytes(spoil((segment / name).read_bytes()))

    return apply


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit of the ids": spoilt("tokens.npy", lambda b: b[:-1] + bytes([b[-1] ^ 1])),
    "the end of the ids": spoilt("tokens.npy", lambda b: b[:-4]),
    "a bit of the offsets": spoilt("offsets.npy", lambda b: b[:-8] + bytes([b[-8] ^ 1]) + b[-7:]),
    "no places": lambda segment: (segment / "places.npy").unlink(),
    "no hashes": lambda segment: (segment / "sha256.json").unlink(),
    "half the hashes": spoilt("sha256.json", lambda b: b[: len(b) // 2]),
    "no table of hashes": spoilt("sha256.json", lambda b: b"[]"),
    "the hash of one file": spoilt(
        "sha256.json", lambda b: json.dumps({"places.npy": json.loads(b)["places.npy"]}).encode()
    ),
    "a byte that is no text": spoilt("sha256.json", lambda b: b"\xff" + b),
    "nothing in it": lambda segment: [path.unlink() for path in segment.iterdir()] and None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_segment_is_never_used_and_made_anew(
    docs: StoredDocs, tmp_path: Path, damage: str, number: int
) -> None:
    """Whichever of two it is; the other one is kept."""
    made = StoredTokens(tmp_path / "t", docs)
    made.add(["d1", "d2", "d3"], Counting())
    made.add(["d7", "d8"], Counting())
    DAMAGES[damage](tmp_path / "t" / f"segment-00000{number}")
    stored, tokenize = StoredTokens(tmp_path / "t", docs), Counting()
    lost = [[1, 2, 3], [7, 8]][number]
    assert stored.add(IDS[1:9], tokenize) == len({*lost, 4, 5, 6})
    assert sorted(len(text.split()) for text in tokenize.asked) == sorted({*lost, 4, 5, 6})
    for read in (stored, StoredTokens(tmp_path / "t", docs)):
        assert [found.tolist() for found in read.of(IDS[1:9])] == [expected(i) for i in range(1, 9)]


def _killed_while_writing(folder: Path, docs: Path, n_calls: int) -> None:
    tokens.DOCS_PER_CALL, tokens.DOCS_PER_SEGMENT = 2, 6
    left = [n_calls]

    def tokenize(texts: Sequence[str]) -> list[NDArray[np.int64]]:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return Counting()(texts)

    StoredTokens(folder, StoredDocs(docs)).add(IDS, tokenize)


@pytest.mark.parametrize(("n_calls", "n_kept"), [(0, 0), (2, 0), (3, 6), (5, 6)])
def test_killed_while_writing_whole_segments_stay_and_nothing_else(
    docs: StoredDocs, tmp_path: Path, n_calls: int, n_kept: int
) -> None:
    """Six docs a segment, two a call: three calls make the first."""
    process = multiprocessing.get_context("fork").Process(
        target=_killed_while_writing, args=(tmp_path / "t", tmp_path / "docs", n_calls)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "t" / ".partial").is_dir()
    stored = StoredTokens(tmp_path / "t", docs)
    assert stored.add(IDS, Counting()) == N_DOCS - n_kept
    assert [found.tolist() for found in stored.of(IDS)] == [expected(i) for i in range(N_DOCS)]
    assert not (tmp_path / "t" / ".partial").exists()


def test_a_tokenizer_that_fails_leaves_nothing_that_is_used(
    docs: StoredDocs, tmp_path: Path
) -> None:
    def fails(texts: Sequence[str]) -> list[NDArray[np.int64]]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        StoredTokens(tmp_path / "t", docs).add(["d1"], fails)
    assert StoredTokens(tmp_path / "t", docs).add(["d1"], Counting()) == 1


def test_a_doc_the_collection_does_not_have_is_refused(docs: StoredDocs, tmp_path: Path) -> None:
    stored = StoredTokens(tmp_path / "t", docs)
    with pytest.raises(BadInput, match="doc 'nowhere' is ranked but not in the collection"):
        stored.add(["d1", "nowhere"], Counting())
    assert not (tmp_path / "t").exists()
    stored.add(["d1"], Counting())
    with pytest.raises(AssertionError, match="never added"):
        stored.of(["d2"])
