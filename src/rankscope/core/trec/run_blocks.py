"""Run files that are six columns a line and nothing else, read in blocks of whole queries.

No object is made for a doc: of a query one text with its doc ids and one array of its scores are kept. Any other file,
odd or wrong, is left to the reader that names lines (`core.trec`); what both accept they read alike.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, final, overload

import numpy as np
from numpy.typing import NDArray

from rankscope.core.input_files import opened

BLOCK_BYTES = 8_000_000
N_COLUMNS = 6


@final
class JoinedIds(Sequence[str]):
    """Ids in one text, parted when somebody reads them: a tenth of the memory of as many texts."""

    def __init__(self, text: str, n_ids: int) -> None:
        self._text, self._n_ids = text, n_ids

    def __len__(self) -> int:
        return self._n_ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._text.split(" "))

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        return self._text.split(" ")[at]


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
            new = file.read(BLOCK_BYTES)
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
    if not _is_plain(data):
        return None
    columns = data.split()
    if len(columns) % N_COLUMNS:
        return None
    names, docs, ranks, scores = (columns[at::N_COLUMNS] for at in (0, 2, 3, 4))
    groups = [(name, len(list(same))) for name, same in groupby(names)]
    n_lines = len(names) if is_last else len(names) - groups.pop()[1]
    lines.tags |= dict.fromkeys(columns[5 : n_lines * N_COLUMNS : N_COLUMNS])
    start = 0
    for name, n in groups:
        of_query = slice(start, start + n)
        query = _query(docs[of_query], ranks[of_query], scores[of_query])
        text = _decoded(name)
        if query is None or text is None or text in lines.queries:
            return None
        lines.queries[text] = query
        start += n
    return len(data) if is_last else _offset(data, n_lines)


def _is_plain(data: bytes) -> bool:
    """Whether each line has six columns, is no comment, and needs no reader's judgement."""
    if not data.endswith(b"\n") or data[:1] in (b"#", b"\xff", b"\xfe", b"\xef") or b"\n#" in data:
        return False
    if b"\n" + codecs.BOM_UTF8 in data or b"\r" in data or b"\0" in data:
        return False
    if b"\t" in data and b" " in data:
        return False
    codes = np.frombuffer(data, dtype=np.uint8)
    is_space = (codes == 32) | ((codes >= 9) & (codes <= 13))
    is_begin = ~is_space
    is_begin[1:] &= is_space[:-1]
    ends = np.flatnonzero(codes == 10)
    per_line = np.diff(np.searchsorted(np.flatnonzero(is_begin), ends), prepend=0)
    return bool((per_line == N_COLUMNS).all())


def _offset(data: bytes, n_lines: int) -> int:
    """Where the lines after the first `n_lines` begin."""
    if not n_lines:
        return 0
    return int(np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)[n_lines - 1]) + 1


def _query(docs: list[bytes], ranks: list[bytes], scores: list[bytes]) -> QueryLines | None:
    """One query's lines; None where a doc stands twice, or a column is not what it should be."""
    n = len(docs)
    text = _decoded(b" ".join(docs))
    if text is None or len(set(docs)) < n or b"_" in b"".join(scores):
        return None
    try:
        numbers = np.fromiter(map(float, scores), dtype=np.float64, count=n)
    except ValueError:
        return None
    if not np.isfinite(numbers).all():
        return None
    return QueryLines(JoinedIds(text, n), numbers, None if ranks == counting(n) else ranks)


def _decoded(column: bytes) -> str | None:
    try:
        return column.decode()
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=64)
def counting(n: int) -> list[bytes]:
    """The ranks 1 to n as columns."""
    return [b"%d" % rank for rank in range(1, n + 1)]
