"""Read and write runs and qrels in the formats people have.

Runs: TREC's six columns, split at spaces or tabs, `.gz` or plain. The score is trusted, not the
rank. Qrels: TREC's four columns, or BEIR's three with a header line. Nothing is guessed beyond
that, and a line that does not fit is named by file and number.

A run is written with *strictly decreasing* float32 scores: a tied score is lowered to the next
float32. Tools break ties in opposite directions (pytrec_eval by doc_id descending, the MS MARCO
script by line), so only a file without ties has one value per measure.
"""

import gzip
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from rankscope.core.errors import BadInput
from rankscope.core.records import Qrel, Run, ScoredDoc

BEIR_HEADER = ["query-id", "corpus-id", "score"]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1; `.gz` is unpacked."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise BadInput(
            f"{path}: not readable as UTF-8 text ({error}). Convert or unpack it."
        ) from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}).") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, gzipped where the name ends in `.gz` (same data, same bytes: no time inside)."""
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_run(path: Path, *, tag: str | None = None) -> Run:
    """A run in TREC's six columns: query_id Q0 doc_id rank score tag.

    `tag` replaces the file's own. Raises BadInput naming file and line.
    """
    found_tag = tag or path.name

    def scored() -> Iterator[ScoredDoc]:
        nonlocal found_tag
        for number, line in read_lines(path):
            columns = line.split()
            if len(columns) != 6:
                raise BadInput(
                    f"{path}, line {number}: expected 6 columns (query_id Q0 doc_id rank score tag), "
                    f"found {len(columns)}. Rewrite the line in TREC format."
                )
            query_id, _, doc_id, _, score, line_tag = columns
            yield ScoredDoc(query_id, doc_id, _score(path, number, score))
            found_tag = tag or line_tag

    run = Run.of(str(path), scored())
    if not run.rankings:
        raise BadInput(f"{path}: an empty run. Give a file with at least one ranked doc.")
    return Run(found_tag, run.rankings)


def _score(path: Path, number: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise BadInput(
            f"{path}, line {number}: the score {text!r} is not a finite number. "
            "Rank the query again, or drop the line."
        )
    return score


def strictly_decreasing(ranking: Iterable[ScoredDoc]) -> Iterator[tuple[str, np.float32]]:
    """(doc_id, float32 score) in the ranking's order, each score under the one before."""
    ceiling = np.float32(np.inf)
    for scored in ranking:
        score = min(np.float32(scored.score), np.nextafter(ceiling, np.float32(-np.inf)))
        ceiling = score
        yield scored.doc_id, score


def write_run(path: Path, run: Run) -> None:
    """Write a run as TREC's six columns, queries by id, ranks from 1, scores strictly decreasing."""
    tag = "_".join(run.tag.split()) or "untagged"
    lines = [
        f"{query_id} Q0 {doc_id} {rank} {score} {tag}\n"
        for query_id in sorted(run.rankings)
        for rank, (doc_id, score) in enumerate(strictly_decreasing(run.rankings[query_id]), start=1)
    ]
    write_bytes(path, "".join(lines).encode())


def read_qrels(path: Path) -> list[Qrel]:
    """Judgements from TREC's four columns, or from BEIR's three with their header line."""
    qrels: dict[tuple[str, str], Qrel] = {}
    n_columns, id_columns = 4, (0, 2)
    for number, line in read_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        if number == 1 and columns == BEIR_HEADER:
            n_columns, id_columns = 3, (0, 1)
            continue
        if len(columns) != n_columns:
            form = "query_id 0 doc_id relevance" if n_columns == 4 else "query-id corpus-id score"
            raise BadInput(
                f"{path}, line {number}: expected {n_columns} columns ({form}), found {len(columns)}."
                " Qrels are TREC's four columns, or BEIR's three with their header line."
            )
        query_id, doc_id = columns[id_columns[0]], columns[id_columns[1]]
        try:
            qrel = Qrel(query_id, doc_id, int(columns[-1]))
        except ValueError as error:
            raise BadInput(
                f"{path}, line {number}: the relevance {columns[-1]!r} is not a whole number."
            ) from error
        if qrels.setdefault((query_id, doc_id), qrel) != qrel:
            raise BadInput(
                f"{path}, line {number}: query {query_id}, doc {doc_id} was judged "
                f"{qrels[query_id, doc_id].relevance} before and {qrel.relevance} here. Keep one."
            )
    if not qrels:
        raise BadInput(f"{path}: no judgement in it. Give a qrels file with at least one line.")
    return list(qrels.values())


def write_qrels(path: Path, qrels: Iterable[Qrel]) -> None:
    """Write judgements as TREC's four columns, in the order given."""
    lines = [f"{qrel.query_id} 0 {qrel.doc_id} {qrel.relevance}\n" for qrel in qrels]
    write_bytes(path, "".join(lines).encode())
