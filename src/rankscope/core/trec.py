"""Read and write TREC's columns: runs of six (or three), qrels of four (or BEIR's three).

The score is trusted, not the rank; where the two disagree, a note says so. Columns are split as
trec_eval splits them, and a line that begins with `#` is a comment, as in trec_eval 10 (there may be
a head of `ir_metadata`). A line that does not fit is named by file and number.

A run is written with *strictly decreasing* float32 scores: a tied score is lowered to the next
float32. Tools break ties in opposite directions (pytrec_eval by doc_id descending, the MS MARCO
script by line), so only a file without ties has one value per measure.

One file: reading fast, reading line by line and writing must agree on what a line, a score and a tie are.
"""

import codecs
import gc
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, pairwise, repeat
from operator import gt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from rankscope.core import run_blocks
from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, check_id, shown, written_grade
from rankscope.core.input_files import ENDINGS, opened
from rankscope.core.records import (
    Columns,
    Qrel,
    Rankings,
    Run,
    ScoredDoc,
    as_float32,
    columns_of,
    lowered,
)

BEIR_HEADER = [b"query-id", b"corpus-id", b"score"]
N_SCORED, N_PLAIN = 6, 3
RUN_FORM = "6 columns (query_id Q0 doc_id rank score tag)"
FLOAT32_END = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class RunFile:
    """A run, the form of its file, and notes for readers of its numbers."""

    run: Run
    form: str
    notes: tuple[str, ...] = ()


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Inside the block garbage collection is off: it takes half the time of making a million small objects."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1, unpacked where it is packed."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            text = _ended(path, number, line).decode()
            if text.strip():
                yield number, text


def read_bytes(path: Path) -> bytes:
    """A whole file, unpacked where it is packed."""
    with opened(path) as file:
        return file.read()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, gzipped where the name ends in `.gz` (same data, same bytes: no time inside)."""
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _ended(path: Path, number: int, line: bytes) -> bytes:
    """A line without its end; the first line also without UTF-8's byte order mark."""
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    elif line.startswith(codecs.BOM_UTF8):
        raise BadInput(
            f"{path}, line {number}: a byte order mark begins it, as where files were joined, and would be part of "
            "its first word. Take it out."
        )
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if b"\r" in line and b"\r" in line.rstrip():
        raise BadInput(
            f"{path}, line {number}: a carriage return stands inside it. End lines with a "
            "newline, with or without a carriage return before it."
        )
    return line


def _rows(path: Path, n_columns: int) -> Iterator[tuple[int, list[bytes], bytes]]:
    """(number, columns, line) of every line that is neither blank nor a comment.

    Split at ASCII white space, as C does: a doc id may hold any other character. Where tabs part the
    columns a space parts none: one inside the first `n_columns` is refused.
    """
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            whole = _ended(path, number, line)
            columns = whole.split()
            if columns and not whole.startswith(b"#"):
                if b"\t" in whole and b" " in whole:
                    _refuse_spaces(path, number, whole, n_columns)
                yield number, columns, whole


def _refuse_spaces(path: Path, number: int, line: bytes, n_columns: int) -> None:
    """BadInput where tabs part a line's columns and a space stands inside one of them."""
    parts = line.strip().split(b"\t")
    if len(parts[0].split()) >= n_columns:
        return  # the tabs come after the columns
    for part in parts[:n_columns]:
        if len(part.split()) > 1:
            raise BadInput(
                f"{path}, line {number}: its columns are parted by tabs, and "
                f"{shown(part.strip().decode(errors='replace'))} has a space inside. Ids have none: rename it, or part "
                "all columns by the same."
            )


# -- runs ----------------------------------------------------------------------------------------


class _Lines(NamedTuple):
    """One query's columns in the file's order, as bytes, with the numbers of their lines."""

    docs: list[bytes]
    ranks: list[bytes]
    scores: list[bytes]
    numbers: list[int]


class _Ranked(NamedTuple):
    """One query's docs in the file's order; rank 0 where the column holds none."""

    doc_ids: list[str]
    ranks: list[int]
    scores: list[float]


@dataclass
class _RunColumns:
    """The columns of a run file's lines by query, and its tags."""

    lines: dict[bytes, _Lines] = field(default_factory=dict)
    tags: dict[bytes, None] = field(default_factory=dict)
    n_overlong: int = 0


def read_trec_run(path: Path) -> RunFile:
    """A run in six columns, or in three: `query_id doc_id score`, or MS MARCO's `query_id doc_id rank`.

    Three columns are ranks where every query's third column counts 1, 2, 3 ... down the file.
    Raises BadInput naming file and line.
    """
    with no_garbage_collection():
        return _read_run(path)


def _read_run(path: Path) -> RunFile:
    blocks = run_blocks.read(path)
    return _by_lines(path) if blocks is None else _by_blocks(path, blocks)


def _by_blocks(path: Path, lines: run_blocks.RunLines) -> RunFile:
    columns, disagreeing = {}, []
    for query_id, (doc_ids, scores, ranks) in lines.queries.items():
        if ranks is not None or not (scores[1:] < scores[:-1]).all():
            numbers = list(map(_rank, ranks or run_blocks.counting(len(doc_ids))))
            if _disagree(scores.tolist(), numbers):
                disagreeing.append(query_id)
        columns[query_id] = _in_order(doc_ids, scores)
    notes = _of_tags(lines.tags) + _of_ranks(disagreeing, len(columns))
    return RunFile(Run(_tag(path, lines.tags), Rankings(columns)), "TREC", tuple(notes))


def _in_order(doc_ids: Sequence[str], scores: NDArray[np.float64]) -> Columns:
    with np.errstate(over="ignore", under="ignore"):
        keys = scores.astype(np.float32)
    if (keys[1:] < keys[:-1]).all():
        return Columns(doc_ids, scores)
    ordered = sorted(zip(keys.tolist(), doc_ids, scores.tolist(), strict=True), reverse=True)
    return Columns([doc_id for _, doc_id, _ in ordered], [score for *_, score in ordered])


def _by_lines(path: Path) -> RunFile:
    parsed, is_plain = _one_by_one(path)
    if not parsed.lines:
        raise BadInput(f"{path}: an empty run. Give a file with at least one ranked doc.")
    ranked = {
        _text(path, lines.numbers[0], query): _ranked(path, lines)
        for query, lines in parsed.lines.items()
    }
    form, notes = ("three columns" if is_plain else "TREC"), []
    if is_plain and _is_ranks(path, ranked):
        form = "MS MARCO"
        ranked = {q: r._replace(scores=[-rank for rank in r.scores]) for q, r in ranked.items()}
        notes.append("its third column was read as the rank: 1 is the best")
    elif is_plain:
        notes.append("its third column was read as the score: the highest is the best")
    notes += _of_tags(parsed.tags)
    if parsed.n_overlong:
        notes.append(f"what follows the tag in {parsed.n_overlong} of its lines was left out")
    if not is_plain:
        notes += _disagreements(ranked)
    return RunFile(_run(path, _tag(path, parsed.tags), ranked, parsed), form, tuple(notes))


def _tag(path: Path, tags: Mapping[bytes, None]) -> str:
    return next(iter(tags)).decode(errors="replace") if tags else stem(path)


def _of_tags(tags: Mapping[bytes, None]) -> list[str]:
    """The note on a file of several tags."""
    if len(tags) < 2:
        return []
    named = ", ".join(tag.decode(errors="replace") for tag in list(tags)[:3])
    return [f"its lines carry {len(tags)} tags ({named}); the first one counts"]


def tied_by_rank(path: Path) -> dict[str, list[str]]:
    """The docs of the queries that have tied scores in a run of six columns, by score and then by rank.

    A `Run` does not keep this order: it breaks ties by doc_id. A query whose ranks are tied too is left out.
    """
    parsed, is_plain = _one_by_one(path)
    orders = {}
    for query, lines in {} if is_plain else parsed.lines.items():
        docs = _ranked(path, lines)
        keys = [(-score, rank) for score, rank in zip(docs.scores, docs.ranks, strict=True)]
        if len(set(docs.scores)) < len(keys) == len(set(keys)):
            ordered = sorted(zip(keys, docs.doc_ids, strict=True))
            orders[_text(path, lines.numbers[0], query)] = [doc_id for _, doc_id in ordered]
    return orders


def first_tag(path: Path) -> str:
    """The tag of a run file's first line; the file's name where it has none."""
    for number, columns, _ in _rows(path, N_SCORED - 1):
        return _text(path, number, columns[5]) if len(columns) >= N_SCORED else stem(path)
    return stem(path)


def stem(path: Path) -> str:
    """A file's name without folders and endings, which is the tag of a run without one."""
    name = path.name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name.rsplit(".", 1)[0] or name


def _one_by_one(path: Path) -> tuple[_RunColumns, bool]:
    """The columns of any run file, or the error that names the line that does not fit."""
    parsed, of_query, is_plain = _RunColumns(), None, None
    last = b""
    for number, columns, line in _rows(path, N_SCORED - 1):
        if is_plain is None:
            is_plain = len(columns) == N_PLAIN
        if is_plain and len(columns) == N_PLAIN:
            query, doc, score = columns
            rank = score
        elif not is_plain and len(columns) >= N_SCORED:
            query, _, doc, rank, score, tag = columns[:N_SCORED]
            parsed.tags[tag] = None
            if len(columns) > N_SCORED:
                _refuse_shifted(path, number, columns)
                parsed.n_overlong += 1
        else:
            raise _misfit(path, number, columns, line, is_plain=is_plain)
        if of_query is None or query != last:
            of_query, last = parsed.lines.setdefault(query, _Lines([], [], [], [])), query
        of_query.docs.append(doc)
        of_query.ranks.append(rank)
        of_query.scores.append(score)
        of_query.numbers.append(number)
    return parsed, bool(is_plain)


def _refuse_shifted(path: Path, number: int, columns: list[bytes]) -> None:
    """BadInput where a line of more than six columns ends as one does whose id has a space inside."""
    rank, score = columns[-3:-1]
    if rank.isdigit() and _is_number(score) and _is_number(columns[5]):
        raise BadInput(
            f"{path}, line {number}: {len(columns)} columns, of which the last three are a rank, a score and a tag, "
            f"so an id or the tag seems to have a space inside. They have none: rename it, for {RUN_FORM} are read."
        )


def _is_number(column: bytes) -> bool:
    try:
        return math.isfinite(float(column))
    except ValueError:
        return False


def _misfit(
    path: Path, number: int, columns: list[bytes], line: bytes, *, is_plain: bool
) -> BadInput:
    _text(path, number, line)  # a line that is no text has no columns to count
    if is_plain:
        return BadInput(
            f"{path}, line {number}: expected 3 columns (query_id doc_id score) as in the lines "
            f"above, found {len(columns)}. Rewrite the line."
        )
    if line[:1].isspace():
        return BadInput(
            f"{path}, line {number}: the query id is empty. "
            f"Put it in front, or drop the line: expected {RUN_FORM}."
        )
    return BadInput(
        f"{path}, line {number}: expected {RUN_FORM}, found {len(columns)}. "
        "Rewrite the line in TREC format."
    )


def _ranked(path: Path, lines: _Lines) -> _Ranked:
    """Bytes to text and numbers, all at once; line by line only to name the one that does not fit."""
    try:
        joined = b"\n".join(lines.docs)
        doc_ids = joined.decode().split("\n")
        scores = list(map(float, lines.scores))
        fits = all(map(math.isfinite, scores)) and b"_" not in b"".join(lines.scores)
        fits = fits and b"\0" not in joined
    except ValueError:
        fits = False
    if not fits:
        texts = zip(lines.numbers, lines.docs, strict=True)
        doc_ids = [_text(path, number, doc) for number, doc in texts]
        numbers = zip(lines.numbers, lines.scores, strict=True)
        scores = [_score(path, number, score) for number, score in numbers]
    return _Ranked(doc_ids, list(map(_rank, lines.ranks)), scores)


def _rank(column: bytes) -> int:
    """0 where the column holds none."""
    return int(column) if column.isdigit() and len(column) < 19 else 0


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
        text = shown(column.decode(errors="replace"))
        raise BadInput(
            f"{path}, line {number}: the score {text} is not a finite number. "
            "Rank the query again, or drop the line."
        )
    return score


def _is_ranks(path: Path, ranked: Mapping[str, _Ranked]) -> bool:
    """Whether the third of three columns has ranks; BadInput where it may have ranks or scores."""
    counts = [  # by value: 1.0 is 1
        [int(score) if score.is_integer() else -1 for score in docs.scores]
        for docs in ranked.values()
    ]
    if all(ranks == list(range(1, len(ranks) + 1)) for ranks in counts):
        return True
    several = [ranks for ranks in counts if len(ranks) > 1]
    is_rising = bool(several) and all(_falls(ranks[::-1]) and min(ranks) >= 0 for ranks in several)
    is_counting = all(sorted(ranks) == list(range(1, len(ranks) + 1)) for ranks in counts)
    if is_rising or is_counting:
        raise BadInput(
            f"{path}: the third column holds whole numbers that rise down the file or count the docs, but "
            "not 1, 2, 3 ... in every query, so it may be a rank or a score. Number the ranks from 1 "
            f"without a gap, or give {RUN_FORM}."
        )
    return False


def _disagreements(ranked: Mapping[str, _Ranked]) -> list[str]:
    wrong = [query_id for query_id, docs in ranked.items() if _disagree(docs.scores, docs.ranks)]
    return _of_ranks(wrong, len(ranked))


def _disagree(scores: Sequence[float], ranks: Sequence[int]) -> bool:
    """Whether a query's ranks and its scores order docs differently."""
    if _falls(scores) and _falls(ranks[::-1]):
        return False
    best_first = sorted(zip(as_float32(scores), ranks, strict=True), reverse=True)
    return any(
        above[1] > below[1] > 0 and above[0] > below[0] for above, below in pairwise(best_first)
    )


def _of_ranks(disagreeing: Sequence[str], n_queries: int) -> list[str]:
    """The note on queries whose ranks and scores disagree."""
    if not disagreeing:
        return []
    return [
        f"in {len(disagreeing)} of {n_queries} queries (first: {disagreeing[0]}) its ranks and its scores order docs "
        "differently; the scores count"
    ]


def _falls(numbers: Sequence[float]) -> bool:
    """Whether each number is below the one before."""
    return all(map(gt, numbers, islice(numbers, 1, None)))


def _run(path: Path, tag: str, ranked: Mapping[str, _Ranked], parsed: _RunColumns) -> Run:
    rankings = {}
    for query_id, docs in ranked.items():
        if len(set(docs.doc_ids)) < len(docs.doc_ids):
            raise _repeated(path, query_id, docs.doc_ids, parsed.lines[query_id.encode()].numbers)
        doc_ids, scores = docs.doc_ids, docs.scores
        keys = as_float32(scores)
        if not _falls(keys):
            ordered = sorted(zip(keys, doc_ids, scores, strict=True), reverse=True)
            doc_ids, scores = [doc_id for _, doc_id, _ in ordered], [score for *_, score in ordered]
        fields = zip(repeat(query_id), doc_ids, scores, strict=False)
        rankings[query_id] = list(map(ScoredDoc._make, fields))
    return Run(tag, rankings)


def _repeated(path: Path, query_id: str, doc_ids: list[str], numbers: list[int]) -> BadInput:
    """The error for a doc that a query ranks twice, with the line where it comes again."""
    first = {doc_id: at for at, doc_id in reversed(list(enumerate(doc_ids)))}
    number, doc_id = next(
        (numbers[at], doc_id) for at, doc_id in enumerate(doc_ids) if first[doc_id] != at
    )
    return BadInput(
        f"{path}, line {number}: query {query_id} ranks doc {doc_id} twice. "
        "Keep one line for each query and doc."
    )


def strictly_decreasing(query_id: str, columns: Columns) -> NDArray[np.float32]:
    """A ranking's scores, each as float32 under the one before.

    A score above float32's largest is lowered to it; BadInput for one below its lowest.
    """
    scores, void = lowered(columns.scores)
    if void is not None:
        raise BadInput(
            f"query {query_id}, doc {columns.doc_ids[void]}: the score {float(columns.scores[void])} is lower than "
            "float32 goes. Scale the scores."
        )
    return scores


def with_ties(ranking: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """The ranking with the ties that `strictly_decreasing` breaks, whether it was read from a file or not.

    A score one float32 below the one above is the same: no ranker's scores are that exact.
    """
    tied: list[ScoredDoc] = []
    above = np.float32(np.inf)
    if not ranking:
        return []
    scores = strictly_decreasing(ranking[0].query_id, columns_of(ranking))
    for doc, score in zip(ranking, scores, strict=True):
        is_tied = bool(tied) and score == np.nextafter(above, np.float32(-np.inf))
        tied.append(doc._replace(score=tied[-1].score if is_tied else float(score)))
        above = score
    return tied


def write_run(path: Path | str, run: Run, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a run as TREC's six columns, queries by id, ranks from 1, scores strictly decreasing.

    `metadata` stands at the head as comments, in the form of ir_metadata; some readers refuse them.
    Raises BadInput for an id that would not be read back.
    """
    _check_ids(run, path)
    text = (
        run.tag.replace("\0", " ").encode(errors="replace").decode()
    )  # a file's name may be no UTF-8
    tag = "_".join(text.split()) or "untagged"
    lines = [_lines_of(query_id, run.columns(query_id), tag) for query_id in sorted(run.rankings)]
    write_bytes(Path(path), "".join([*_metadata_head(metadata), *lines]).encode())


def _check_ids(run: Run, path: Path | str) -> None:
    checked: set[Any] = set()
    for query_id in run.rankings:
        check_id(query_id, "query", path)
        for doc_id in run.columns(query_id).doc_ids:
            if not isinstance(doc_id, str) or doc_id not in checked:
                checked.add(check_id(doc_id, "doc", path))
        _refuse_comment(query_id, path)


def _lines_of(query_id: str, columns: Columns, tag: str) -> str:
    """A query's lines of a run file."""
    scores = strictly_decreasing(query_id, columns)
    return "".join(
        f"{query_id} Q0 {doc_id} {rank} {score} {tag}\n"
        for rank, (doc_id, score) in enumerate(zip(columns.doc_ids, scores, strict=True), start=1)
    )


def _refuse_comment(query_id: str, path: Path | str) -> None:
    if query_id.startswith(("#", "\ufeff")):
        raise BadInput(
            f"{path}: the query id {query_id!r} begins as a comment or a byte order mark does, and "
            "would not be read back. Rename the query."
        )


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
    for number, columns, line in _rows(path, 4):
        if is_first and columns == BEIR_HEADER:
            n_columns, id_columns = 3, (0, 1)
            is_first = False
            continue
        is_first = False
        if len(columns) != n_columns:
            _text(path, number, line)
            form = "query_id 0 doc_id relevance" if n_columns == 4 else "query-id corpus-id score"
            raise BadInput(
                f"{path}, line {number}: expected {n_columns} columns ({form}), found {len(columns)}."
                " Qrels are TREC's four columns, or BEIR's three with their header line."
            )
        query_id, doc_id = (_text(path, number, columns[at]) for at in id_columns)
        grade = written_grade(columns[-1], f"{path}, line {number}")
        qrel = Qrel(query_id, doc_id, grade)
        if qrels.setdefault((query_id, doc_id), qrel) != qrel:
            raise BadInput(
                f"{path}, line {number}: query {query_id}, doc {doc_id} was judged "
                f"{qrels[query_id, doc_id].relevance} before and {qrel.relevance} here. Keep one."
            )
    if not qrels:
        raise BadInput(f"{path}: no judgement in it. Give a qrels file with at least one line.")
    return list(qrels.values())


def write_qrels(path: Path | str, qrels: Iterable[Qrel]) -> None:
    """Write judgements as TREC's four columns, in the order given. BadInput for what would not be read back."""
    lines = []
    for qrel in qrels:
        query_id, doc_id = (
            check_id(qrel.query_id, "query", path),
            check_id(qrel.doc_id, "doc", path),
        )
        _refuse_comment(query_id, path)
        lines.append(f"{query_id} 0 {doc_id} {as_grade(qrel.relevance, path)}\n")
    write_bytes(Path(path), "".join(lines).encode())
