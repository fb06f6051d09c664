"""Read and write TREC's columns: runs of six (or three), qrels of four (or BEIR's three).

The score is trusted, not the rank; where the two disagree, a note says so. Columns are split as
trec_eval splits them, and a line that begins with `#` is a comment, as in trec_eval 10 (there may be
a head of `ir_metadata`). A line that does not fit is named by file and number.

A run is written with *strictly decreasing* float32 scores: a tied score is lowered to the next
float32. Tools break ties in opposite directions (pytrec_eval by doc_id descending, the MS MARCO
script by line), so only a file without ties has one value per measure.
"""

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rankscope.core.errors import BadInput
from rankscope.core.records import Qrel, Run, ScoredDoc

BEIR_HEADER = [b"query-id", b"corpus-id", b"score"]
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
N_SCORED, N_PLAIN = 6, 3
RUN_FORM = "6 columns (query_id Q0 doc_id rank score tag)"
FLOAT32_END = float(np.finfo(np.float32).max)
HIGHEST_RELEVANCE = 1_000_000
"""trec_eval counts the docs of every grade in a table as long as the highest."""


@dataclass(frozen=True)
class RunFile:
    """A run, the form it was found in, and what a reader of its numbers should know."""

    run: Run
    form: str
    notes: tuple[str, ...] = ()


@contextmanager
def explained_reading(path: Path) -> Iterator[None]:
    """Inside the block, a file that cannot be read becomes one sentence with a remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path}: not readable as UTF-8 text ({error}). Convert or unpack it."
        ) from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}).") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1; `.gz` is unpacked."""
    with (
        explained_reading(path),
        gzip.open(path, "rt", encoding="utf-8-sig")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8-sig") as file,
    ):
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\n")


def read_bytes(path: Path) -> bytes:
    """A whole file; `.gz` is unpacked."""
    with (
        explained_reading(path),
        gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file,
    ):
        return file.read()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, gzipped where the name ends in `.gz` (same data, same bytes: no time inside)."""
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _rows(path: Path) -> Iterator[tuple[int, list[bytes], bytes]]:
    """(number, columns, line) of every line that is neither blank nor a comment.

    Split at ASCII white space, as C does: a doc id may hold any other character.
    """
    with (
        explained_reading(path),
        gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file,
    ):
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith(UTF16_MARKS):
                raise BadInput(f"{path}: it is UTF-16. Convert it to UTF-8.")
            whole = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if b"\r" in whole and b"\r" in whole.rstrip():
                raise BadInput(
                    f"{path}, line {number}: a carriage return stands inside it. End lines with a "
                    "newline, with or without a carriage return before it."
                )
            columns = whole.split()
            if columns and not whole.startswith(b"#"):
                yield number, columns, whole


# -- runs ----------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What the lines of a run file hold: query_id to (score, doc_id, rank) in the file's order."""

    rows: dict[str, list[tuple[float, str, int]]] = field(default_factory=dict)
    tags: dict[bytes, None] = field(default_factory=dict)
    n_overlong: int = 0


def read_trec_run(path: Path) -> RunFile:
    """A run in six columns, or in three: `query_id doc_id score`, or MS MARCO's `query_id doc_id rank`.

    Three columns are ranks where every query's third column counts 1, 2, 3 ... down the file.
    Raises BadInput naming file and line.
    """
    found, is_plain = _Found(), None
    for number, columns, line in _rows(path):
        if is_plain is None:
            is_plain = len(columns) == N_PLAIN
        if is_plain:
            _take_plain(path, number, columns, found)
        else:
            _take_scored(path, number, columns, line, found)
    if not found.rows:
        raise BadInput(f"{path}: an empty run. Give a file with at least one ranked doc.")
    form, notes = "TREC", []
    if is_plain and _is_ranks(path, found.rows):
        form = "MS MARCO"
        found.rows = {
            query_id: [(-float(rank), doc_id, rank) for rank, (_, doc_id, _) in enumerate(rows, 1)]
            for query_id, rows in found.rows.items()
        }
        notes.append("its third column was read as the rank: 1 is the best")
    elif is_plain:
        form = "three columns"
    if len(found.tags) > 1:
        named = ", ".join(tag.decode(errors="replace") for tag in list(found.tags)[:3])
        notes.append(f"its lines carry {len(found.tags)} tags ({named}); the first one counts")
    if found.n_overlong:
        notes.append(f"what follows the tag in {found.n_overlong} of its lines was left out")
    notes += _disagreements({} if is_plain else found.rows)
    tag = next(iter(found.tags)).decode(errors="replace") if found.tags else stem(path)
    return RunFile(_run(path, tag, found.rows), form, tuple(notes))


def stem(path: Path) -> str:
    """A file's name without folders and endings: what a run without a tag is called."""
    name = path.name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] or name


def _take_scored(path: Path, number: int, columns: list[bytes], line: bytes, found: _Found) -> None:
    if len(columns) < N_SCORED:
        if line[:1].isspace():
            raise BadInput(
                f"{path}, line {number}: the query id is empty. "
                f"Put it in front, or drop the line: expected {RUN_FORM}."
            )
        raise BadInput(
            f"{path}, line {number}: expected {RUN_FORM}, found {len(columns)}. "
            "Rewrite the line in TREC format."
        )
    query, _, doc, rank, score, tag = columns[:N_SCORED]
    found.tags[tag] = None
    found.n_overlong += len(columns) > N_SCORED
    row = (_score(path, number, score), _text(path, number, doc), _rank(rank))
    found.rows.setdefault(_text(path, number, query), []).append(row)


def _take_plain(path: Path, number: int, columns: list[bytes], found: _Found) -> None:
    if len(columns) != N_PLAIN:
        raise BadInput(
            f"{path}, line {number}: expected 3 columns (query_id doc_id score) as in the lines "
            f"above, found {len(columns)}. Rewrite the line."
        )
    query, doc, score = columns
    row = (_score(path, number, score), _text(path, number, doc), _rank(score))
    found.rows.setdefault(_text(path, number, query), []).append(row)


def check_id(value: Any, what: str, source: object) -> str:
    """The id, if a column of a run file can hold it: ASCII white space ends one, and NUL does in C."""
    try:
        written = value.encode() if isinstance(value, str) else b""
    except UnicodeEncodeError:
        written = b""
    if written.split() != [written] or b"\0" in written:
        raise BadInput(
            f"{source}: the {what} id {value!r} is not text, is empty or has a space or NUL, which no run "
            "file can hold. Give it as text without spaces."
        )
    return str(value)


def _text(path: Path, number: int, column: bytes) -> str:
    if b"\0" in column:
        raise BadInput(
            f"{path}, line {number}: an id holds a NUL, where trec_eval ends it. Take the NUL out, or "
            "convert the file to UTF-8."
        )
    try:
        return column.decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}, line {number}: not readable as UTF-8 text ({error}). Convert it."
        ) from error


def _score(path: Path, number: int, column: bytes) -> float:
    try:
        score = math.nan if b"_" in column else float(column)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        text = column.decode(errors="replace")
        raise BadInput(
            f"{path}, line {number}: the score {text!r} is not a finite number. "
            "Rank the query again, or drop the line."
        )
    return score


def _rank(column: bytes) -> int:
    """The rank, or 0 where the column holds none: the scores order the docs, ranks only check them."""
    return int(column) if column.isdigit() and len(column) < 19 else 0


def _is_ranks(path: Path, rows: Mapping[str, list[tuple[float, str, int]]]) -> bool:
    """Whether three columns end in ranks; BadInput where they could be either."""
    counts = {
        query_id: [rank if rank == score else 0 for score, _, rank in of_query]
        for query_id, of_query in rows.items()
    }
    if all(ranks == list(range(1, len(ranks) + 1)) for ranks in counts.values()):
        return True
    if all(sorted(ranks) == list(range(1, len(ranks) + 1)) for ranks in counts.values()):
        raise BadInput(
            f"{path}: the third column counts 1, 2, 3 ... for every query, but not down the file, so it "
            f"may be a rank or a score. Sort the lines by rank, or give {RUN_FORM}."
        )
    return False


def _disagreements(rows: Mapping[str, list[tuple[float, str, int]]]) -> list[str]:
    wrong = [
        query_id
        for query_id, of_query in rows.items()
        if any(
            above[2] > below[2] > 0 and above[0] > below[0]
            for above, below in pairwise(sorted(of_query, reverse=True))
        )
    ]
    if not wrong:
        return []
    return [
        f"in {len(wrong)} of {len(rows)} queries (first: {wrong[0]}) its ranks order docs otherwise than "
        "its scores; the scores count"
    ]


def _run(path: Path, tag: str, rows: Mapping[str, list[tuple[float, str, int]]]) -> Run:
    rankings = {}
    for query_id, of_query in rows.items():
        ordered = sorted(of_query, reverse=True)
        if len({doc_id for _, doc_id, _ in ordered}) < len(ordered):
            raise _repeated(path, query_id, [doc_id for _, doc_id, _ in of_query])
        rankings[query_id] = [ScoredDoc(query_id, doc_id, score) for score, doc_id, _ in ordered]
    return Run(tag, rankings)


def _repeated(path: Path, query_id: str, doc_ids: list[str]) -> BadInput:
    """The error for a doc that a query ranks twice, with the line where it comes again."""
    seen: set[str] = set()
    place = next(at for at, doc in enumerate(doc_ids) if doc in seen or seen.add(doc))  # type: ignore[func-returns-value]
    of_query = (number for number, columns, _ in _rows(path) if columns[0].decode() == query_id)
    number = next(number for at, number in enumerate(of_query) if at == place)
    return BadInput(
        f"{path}, line {number}: query {query_id} ranks doc {doc_ids[place]} twice. "
        "Keep one line for each query and doc."
    )


def strictly_decreasing(ranking: Iterable[ScoredDoc]) -> Iterator[tuple[str, np.float32]]:
    """(doc_id, float32 score) in the ranking's order, each score under the one before.

    What is above float32 is lowered to its end; BadInput for what is below.
    """
    ceiling = np.float32(np.inf)
    for scored in ranking:
        if scored.score < -FLOAT32_END or ceiling == -FLOAT32_END:
            raise BadInput(
                f"query {scored.query_id}, doc {scored.doc_id}: the score {scored.score} is lower than "
                "float32 goes. Scale the scores."
            )
        below = np.nextafter(ceiling, np.float32(-np.inf))
        ceiling = score = min(np.float32(min(scored.score, FLOAT32_END)), below)
        yield scored.doc_id, score


def write_run(path: Path, run: Run, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a run as TREC's six columns, queries by id, ranks from 1, scores strictly decreasing.

    `metadata` stands at the head as comments, in the form of ir_metadata; some readers refuse them.
    Raises BadInput for an id that would not be read back.
    """
    for query_id, ranking in run.rankings.items():
        check_id(query_id, "query", path)
        for doc in ranking:
            check_id(doc.doc_id, "doc", path)
        if query_id.startswith(("#", "\ufeff")):
            raise BadInput(
                f"{path}: the query id {query_id!r} begins as a comment or a byte order mark does, and "
                "would not be read back. Rename the query."
            )
    tag = "_".join(run.tag.split()) or "untagged"
    lines = [
        f"{query_id} Q0 {doc_id} {rank} {score} {tag}\n"
        for query_id in sorted(run.rankings)
        for rank, (doc_id, score) in enumerate(strictly_decreasing(run.rankings[query_id]), start=1)
    ]
    write_bytes(path, "".join([*_metadata_head(metadata), *lines]).encode())


def _metadata_head(metadata: Mapping[str, Any] | None) -> list[str]:
    if not metadata:
        return []
    text = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True)
    body = [f"# {line}\n" for line in text.splitlines()]
    return ["# ir_metadata.start\n", *body, "# ir_metadata.end\n"]


# -- qrels ---------------------------------------------------------------------------------------


def read_trec_qrels(path: Path) -> list[Qrel]:
    """Judgements from TREC's four columns, or from BEIR's three with their header line."""
    qrels: dict[tuple[str, str], Qrel] = {}
    n_columns, id_columns = 4, (0, 2)
    is_first = True
    for number, columns, _ in _rows(path):
        if is_first and columns == BEIR_HEADER:
            n_columns, id_columns = 3, (0, 1)
            is_first = False
            continue
        is_first = False
        if len(columns) != n_columns:
            form = "query_id 0 doc_id relevance" if n_columns == 4 else "query-id corpus-id score"
            raise BadInput(
                f"{path}, line {number}: expected {n_columns} columns ({form}), found {len(columns)}."
                " Qrels are TREC's four columns, or BEIR's three with their header line."
            )
        query_id, doc_id = (_text(path, number, columns[at]) for at in id_columns)
        qrel = Qrel(query_id, doc_id, _relevance(path, number, columns[-1]))
        if qrels.setdefault((query_id, doc_id), qrel) != qrel:
            raise BadInput(
                f"{path}, line {number}: query {query_id}, doc {doc_id} was judged "
                f"{qrels[query_id, doc_id].relevance} before and {qrel.relevance} here. Keep one."
            )
    if not qrels:
        raise BadInput(f"{path}: no judgement in it. Give a qrels file with at least one line.")
    return list(qrels.values())


def _relevance(path: Path, number: int, column: bytes) -> int:
    if not column.lstrip(b"+-").isdigit() or len(column.lstrip(b"+-")) < len(column) - 1:
        text = column.decode(errors="replace")
        raise BadInput(f"{path}, line {number}: the relevance {text!r} is not a whole number.")
    if len(column) > 9 or abs(int(column)) > HIGHEST_RELEVANCE:
        raise BadInput(
            f"{path}, line {number}: the relevance {column[:20].decode()} is beyond "
            f"{HIGHEST_RELEVANCE}. Give a grade."
        )
    return int(column)


def write_qrels(path: Path, qrels: Iterable[Qrel]) -> None:
    """Write judgements as TREC's four columns, in the order given."""
    lines = [f"{qrel.query_id} 0 {qrel.doc_id} {qrel.relevance}\n" for qrel in qrels]
    write_bytes(path, "".join(lines).encode())
