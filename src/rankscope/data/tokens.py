"""Docs as token ids in memory-mapped arrays, made once for a tokenizer.

    segment-000000/places.npy    which docs of the collection: (docs,), int64, rising
    segment-000000/offsets.npy   where each doc's tokens begin and end: (docs + 1,), int64
    segment-000000/tokens.npy    token ids without special tokens, whole docs, the smallest type
    segment-000000/sha256.json   of the three, and the name of the folder they were made for; present = complete

Docs are added as they are asked for, a segment at a time, so a study over millions of docs
tokenises those it reads. The folder is a cache: a segment that is lost or damaged costs the time
to make it again, nothing else.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.input_files import sha256_of
from rankscope.core.progress import SILENT, Progress
from rankscope.data.collections import StoredDocs
from rankscope.store.artifacts import read_json
from rankscope.store.durable import remove
from rankscope.store.refusals import explained

Tokenize = Callable[[Sequence[str]], list[NDArray[Any]]]

DOCS_PER_SEGMENT = 1 << 18
DOCS_PER_CALL = 4_096
FILES = ("places.npy", "offsets.npy", "tokens.npy")


@final
class StoredTokens:
    """The token ids of docs; memory holds where they are, the disk what they are."""

    def __init__(self, folder: Path, docs: StoredDocs) -> None:
        """What a folder holds for a collection's docs; nothing, if there is no such folder yet."""
        self._folder, self._docs = folder, docs
        self._segments: list[NDArray[Any]] = []
        self._next = 0
        self._segment = np.full(len(docs), -1, dtype=np.int32)
        self._start = np.zeros(len(docs), dtype=np.int64)
        self._n_tokens = np.zeros(len(docs), dtype=np.int32)
        for segment in sorted(folder.glob("segment-[0-9]*[0-9]")):
            if _is_whole(segment):
                self._open(segment)
            else:
                remove(segment)

    def _open(self, segment: Path) -> None:
        places, offsets = np.load(segment / "places.npy"), np.load(segment / "offsets.npy")
        self._segment[places] = len(self._segments)
        self._start[places] = offsets[:-1]
        self._n_tokens[places] = np.diff(offsets)
        # asarray: slicing a memmap itself is many times slower
        self._segments.append(np.asarray(np.load(segment / "tokens.npy", mmap_mode="r")))
        # not their number: one in the middle may have been lost
        self._next = int(segment.name.rpartition("-")[2]) + 1

    def add(
        self, doc_ids: Iterable[str], tokenize: Tokenize, *, progress: Progress = SILENT
    ) -> int:
        """Tokenise those of the docs that are not there yet; how many they were."""
        doc_places = np.unique(np.fromiter(map(self._docs.place, doc_ids), dtype=np.int64))
        missing = doc_places[self._segment[doc_places] < 0]
        if not len(missing):
            return 0
        with progress.task("tokenise", len(missing), "docs") as task:
            for start in range(0, len(missing), DOCS_PER_SEGMENT):
                places = missing[start : start + DOCS_PER_SEGMENT]
                self._open(self._written(places, tokenize, task.advance))
        return len(missing)

    def _written(
        self, places: NDArray[np.int64], tokenize: Tokenize, advance: Callable[[int], None]
    ) -> Path:
        aside = self._folder / ".partial"
        with explained(self._folder):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            parts, lengths = [np.zeros(0, dtype=np.uint16)], [np.zeros(1, dtype=np.int64)]
            for batch in self._tokenised(places, tokenize):
                parts.append(np.concatenate(batch).astype(_type_for(batch)))
                lengths.append(np.array([len(tokens) for tokens in batch], dtype=np.int64))
                advance(len(batch))
            np.save(aside / "places.npy", places)
            np.save(aside / "offsets.npy", np.cumsum(np.concatenate(lengths)))
            np.save(aside / "tokens.npy", np.concatenate(parts))
            (aside / "sha256.json").write_text(
                json.dumps(
                    {"of": self._folder.name} | {name: sha256_of(aside / name) for name in FILES}
                ),
                "utf-8",
            )
            return aside.rename(self._folder / f"segment-{self._next:06d}")

    def _tokenised(
        self, places: NDArray[np.int64], tokenize: Tokenize
    ) -> Iterator[list[NDArray[Any]]]:
        for start in range(0, len(places), DOCS_PER_CALL):
            yield tokenize(
                [self._docs.text_at(int(place)) for place in places[start : start + DOCS_PER_CALL]]
            )

    def of(self, doc_ids: Sequence[str]) -> list[NDArray[Any]]:
        """The token ids of docs that were added, in their order; views of the files."""
        return [self._at(self._docs.place(doc_id)) for doc_id in doc_ids]

    def _at(self, place: int) -> NDArray[Any]:
        segment = self._segment[place]
        assert segment >= 0, "the doc was never added"
        start = self._start[place]
        tokens: NDArray[Any] = self._segments[segment][start : start + self._n_tokens[place]]
        return tokens

    def n_tokens(self, doc_id: str) -> int:
        """How long a doc is that was added."""
        return int(self._n_tokens[self._docs.place(doc_id)])


def _type_for(batch: Sequence[NDArray[Any]]) -> type[np.uint16] | type[np.uint32]:
    top = max((int(tokens.max()) for tokens in batch if len(tokens)), default=0)
    return np.uint16 if top < 1 << 16 else np.uint32


def _is_whole(segment: Path) -> bool:
    """Every file is there, is what was written, and was written for this folder (an earlier version does not say)."""
    try:
        expected = read_json(segment / "sha256.json")
        is_here = expected.get("of", segment.parent.name) == segment.parent.name
        return is_here and all(sha256_of(segment / name) == expected[name] for name in FILES)
    except (BadInput, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
