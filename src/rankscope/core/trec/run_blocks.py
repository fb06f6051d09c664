"""Run files that are six columns a line and nothing else, read in blocks of whole queries.

No object is made for a doc: of a query one text with its doc ids and one array of its scores are kept. Any other file,
odd or wrong, is left to the reader that names lines (`runs`); what both accept they read alike.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, final, overload

import numpy as np
from numpy.typing import NDArray

from rankscope.core.input_files import opened
from rankscope.core.trec.byte_columns import ByteLines, Field

BLOCK_BYTES = 2_000_000
N_COLUMNS = 6
_ODD_BEGINNINGS = np.frombuffer(b"#" + codecs.BOM_UTF8 + codecs.BOM_UTF16, dtype=np.uint8)
"""First bytes of lines that may be comments or begin with a mark of their encoding."""


@final
class JoinedIds(Sequence[str]):
    """Ids in one text, parted when somebody reads them: a tenth of the memory of as many texts."""

    def __init__(self, text: str, n_ids: int) -> None:
        self._text, self._n_ids = f" {text} ", n_ids

    def __len__(self) -> int:
        return self._n_ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._parted())

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        return self._parted()[at]

    def _parted(self) -> list[str]:
        return self._text[1:-1].split(" ")

    def place_of(self, doc_id: str) -> int | None:
        """The id's place, found without parting the others; None if it is not there."""
        at = -1 if " " in doc_id else self._text.find(f" {doc_id} ")
        return None if at < 0 else self._text.count(" ", 0, at)


class QueryLines(NamedTuple):
    """One query's lines, in the file's order."""

    doc_ids: JoinedIds
    scores: NDArray[np.float64]
    ranks: list[bytes] | None
    """None where they count 1, 2, 3 ..."""


@dataclass
class RunLines:
    """A file's lines by query, and its tags."""

    queries: dict[str, QueryLines] = field(default_factory=dict)
    tags: dict[bytes, None] = field(default_factory=dict)


def read(path: Path) -> RunLines | None:
    """All lines; None for a file that another reader is to read, or to refuse."""
    lines = RunLines()
    with opened(path) as file:
        rest = b""
        while True:
            new = file.read(max(BLOCK_BYTES, len(rest)))  # a query of many blocks is read once more
            data = rest + new
            end = len(data) if not new else data.rfind(b"\n") + 1
            taken = _add(lines, data[:end], is_last=not new)
            if taken is None:
                return None
            if not new:
                return lines if lines.queries else None
            rest = data[taken:]


def _add(lines: RunLines, data: bytes, *, is_last: bool) -> int | None:
    """Take in the queries that end in the block; the bytes taken. None for a block that is anything else."""
    if not data:
        return 0
    block = ByteLines.of(data, N_COLUMNS) if _is_plain(data) else None
    if block is None or np.isin(block.bytes_at(block.fields[0].starts), _ODD_BEGINNINGS).any():
        return None
    name, _, doc, rank, score, tag = block.fields
    begins, tag_changes, scores = block.changes(name), block.changes(tag), _scores(block, score)
    if begins is None or tag_changes is None or scores is None:
        return None
    ends = np.append(begins[1:], len(block))
    n_whole = len(begins) if is_last else len(begins) - 1
    if not n_whole:
        return 0
    n_lines = int(ends[n_whole - 1])
    docs, offsets = block.joined(doc)
    is_counted = _is_counted(block, rank, begins, ends)
    for number, query_id in enumerate(block.texts(name, begins[:n_whole])):
        of_query = slice(int(begins[number]), int(ends[number]))
        text = _decoded(query_id)
        ids = _ids(docs[offsets[of_query.start] : offsets[of_query.stop] - 1], of_query)
        if text is None or ids is None or text in lines.queries:
            return None
        places = np.arange(of_query.start, of_query.stop)
        ranks = None if is_counted[number] else block.texts(rank, places)
        lines.queries[text] = QueryLines(ids, scores[of_query], ranks)
    lines.tags |= dict.fromkeys(block.texts(tag, tag_changes[tag_changes < n_lines]))
    return len(data) if is_last else int(block.line_ends[n_lines - 1]) + 1


def _is_plain(data: bytes) -> bool:
    """Whether lines end and columns are parted in one way."""
    if not data.endswith(b"\n") or b"\r" in data or b"\0" in data:
        return False
    return not (b"\t" in data and b" " in data)


def _scores(block: ByteLines, field: Field) -> NDArray[np.float64] | None:
    """The scores; None where one is no finite number."""
    numbers = block.numbers(field)
    scores, odd = numbers.values, np.flatnonzero(numbers.is_odd)
    columns = block.texts(field, odd)
    if any(b"_" in column for column in columns):
        return None
    try:
        scores[odd] = list(map(float, columns))
    except ValueError:
        return None
    return scores if np.isfinite(scores).all() else None


def _is_counted(
    block: ByteLines, field: Field, begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each query's ranks count 1, 2, 3 ..."""
    ranks = block.numbers(field, is_whole=True)
    counted = np.arange(len(block)) - np.repeat(begins, ends - begins) + 1
    n_wrong = np.add.reduceat(ranks.is_odd | (ranks.values != counted), begins, dtype=np.int64)
    return np.equal(n_wrong, 0)


def _ids(joined: bytes, lines: slice) -> JoinedIds | None:
    """One query's doc ids; None where a doc stands twice, or an id is no text."""
    text, n_ids = _decoded(joined), lines.stop - lines.start
    if text is None or len(set(text.split(" "))) < n_ids:
        return None
    return JoinedIds(text, n_ids)


def _decoded(column: bytes) -> str | None:
    try:
        return column.decode()
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=64)
def counting(n: int) -> list[bytes]:
    """The ranks 1 to n as columns."""
    return [b"%d" % rank for rank in range(1, n + 1)]
