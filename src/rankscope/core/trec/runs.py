"""Read runs in TREC's six columns, in three, or in MS MARCO's three.

The score is trusted, not the rank; where the two disagree, a note says so.

Reading fast and reading line by line must agree on what a line, a score and a tie are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise, repeat
from operator import gt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.fields import shown
from rankscope.core.lines import decoded, rows, stem
from rankscope.core.records import (
    Columns,
    Rankings,
    Run,
    ScoredDoc,
    as_float32,
    no_garbage_collection,
)
from rankscope.core.trec import run_blocks

N_SCORED, N_PLAIN = 6, 3
RUN_FORM = "6 columns (query_id Q0 doc_id rank score tag)"


@dataclass(frozen=True)
class RunFile:
    """A run, the form of its file, and notes for readers of its numbers."""

    run: Run
    form: str
    notes: tuple[str, ...] = ()


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
        decoded(path, lines.numbers[0], query): _ranked(path, lines)
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
            orders[decoded(path, lines.numbers[0], query)] = [doc_id for _, doc_id in ordered]
    return orders


def first_tag(path: Path) -> str:
    """The tag of a run file's first line; the file's name where it has none."""
    for number, columns, _ in rows(path, N_SCORED - 1):
        return decoded(path, number, columns[5]) if len(columns) >= N_SCORED else stem(path)
    return stem(path)


def _one_by_one(path: Path) -> tuple[_RunColumns, bool]:
    """The columns of any run file, or the error that names the line that does not fit."""
    parsed, of_query, is_plain = _RunColumns(), None, None
    last = b""
    for number, columns, line in rows(path, N_SCORED - 1):
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
    decoded(path, number, line)  # a line that is no text has no columns to count
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
        doc_ids = [decoded(path, number, doc) for number, doc in texts]
        numbers = zip(lines.numbers, lines.scores, strict=True)
        scores = [_score(path, number, score) for number, score in numbers]
    return _Ranked(doc_ids, list(map(_rank, lines.ranks)), scores)


def _rank(column: bytes) -> int:
    """0 where the column holds none."""
    return int(column) if column.isdigit() and len(column) < 19 else 0


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
