"""Runs and qrels in the formats people have, told apart by what they hold, not by their names.

| form | what it is |
|---|---|
| TREC | six columns; three of `query_id doc_id score`; MS MARCO's three of `query_id doc_id rank` |
| JSON | `{query_id: {doc_id: score}}`: BEIR, pytrec_eval, ranx |
| RankLLM | `{"query": {"qid"}, "candidates": [{"docid", "score"}]}`, one a line, or in one list |
| Parquet | columns of queries, docs and scores: ranx, PyTerrier, ir_measures |

Packed files are unpacked (`core.input_files`), and fields have the same rules in every form (`core.fields`). In every form
a query may rank a doc once.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, as_id, check_id, given_path, is_score, shown
from rankscope.core.input_files import PARQUET_MAGIC, head_of
from rankscope.core.lines import read_bytes, stem, write_bytes
from rankscope.core.plain_json import json_value
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.qrels import read_trec_qrels
from rankscope.core.trec.runs import RunFile, first_tag, read_trec_run
from rankscope.core.trec.writing import check_ids, strictly_decreasing
from rankscope.core.words import counted

QUERY_COLUMNS = ("query_id", "q_id", "qid", "query-id")
DOC_COLUMNS = ("doc_id", "docno", "docid", "corpus-id")
SCORE_COLUMNS = ("score", "sim")
RELEVANCE_COLUMNS = ("relevance", "label", "rel", "score")


def read_run(path: Path | str, *, tag: str | None = None) -> Run:
    """The run in a file of any of the forms above; `tag` replaces the file's own.

    Raises BadInput with the place for what is no run.

    >>> rs.read_run("bm25.run")
    Run bm25: 200 queries, 2,000 docs
    """
    run = read_run_file(Path(given_path(path, "run"))).run
    return run if tag is None else Run(tag, run.rankings)


def read_run_file(path: Path) -> RunFile:
    """The run in a file, with what a reader of its numbers should know. BadInput names the place."""
    head = head_of(path)
    if head == PARQUET_MAGIC:
        return _non_empty(
            path, RunFile(from_frame(parquet_frame(path), stem(path), path), "Parquet")
        )
    if head[:1] in (b"{", b"["):
        return _non_empty(path, _json_run(path))
    return read_trec_run(path)


def tag_of(path: Path) -> str:
    """The tag of a file's run, without reading all of it."""
    head = head_of(path)
    if head == PARQUET_MAGIC or head[:1] in (b"{", b"["):
        return stem(path)
    return first_tag(path)


def read_qrels(path: Path | str) -> list[Qrel]:
    """Judgements from TREC or BEIR columns, `{query_id: {doc_id: relevance}}` or Parquet.

    Raises BadInput with the place for what is no judgement.

    >>> rs.write_qrels("two.qrels", [rs.Qrel("q1", "d1", 1), rs.Qrel("q1", "d2", 0)])
    >>> rs.read_qrels("two.qrels")[1]
    Qrel(query_id='q1', doc_id='d2', relevance=0)
    """
    path = Path(given_path(path, "qrels"))
    head = head_of(path)
    if head == PARQUET_MAGIC:
        return qrels_from_frame(parquet_frame(path), path)
    if head[:1] == b"{":
        (_, parsed), *more = _json_parts(path)
        if more:
            raise BadInput(
                f"{path}, line {more[0][0]}: more follows the first JSON table. Put all judgements into one."
            )
        return qrels_from_mapping(parsed, path)
    return read_trec_qrels(path)


def _non_empty(path: Path, run_file: RunFile) -> RunFile:
    if not any(run_file.run.rankings.values()):
        raise BadInput(f"{path}: an empty run. Give a file with at least one ranked doc.")
    return run_file


def write_json_run(path: Path, run: Run) -> None:
    """Write a run as `{query_id: {doc_id: score}}`, best first, scores strictly decreasing as in TREC's columns.

    The tag is not written: a reader takes the file's name. Raises BadInput for an id that would not be read back.
    """
    check_ids(run, path)
    table = {}
    for query_id in sorted(run.rankings):
        columns = run.columns(query_id)
        scores = map(float, strictly_decreasing(query_id, columns))
        table[query_id] = dict(zip(columns.doc_ids, scores, strict=True))
    write_bytes(path, f"{json.dumps(table, indent=1, ensure_ascii=False)}\n".encode())


# -- JSON ----------------------------------------------------------------------------------------


def _json_parts(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number, value): the one value of a JSON file, or one for each line of a JSONL file."""
    data = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not readable as UTF-8 text ({error}). Convert it.") from error
    try:
        yield 1, json_value(text, str(path))
    except json.JSONDecodeError as whole:
        if not whole.msg.startswith("Extra data"):
            raise BadInput(
                f"{path}, line {whole.lineno}: not JSON ({whole.msg}). Mend that line."
            ) from whole
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not readable as JSON ({error}). Mend it.") from error
    else:
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json_value(line, f"{path}, line {number}")
            except (ValueError, RecursionError) as error:
                raise BadInput(
                    f"{path}, line {number}: not JSON ({error}). Mend that line."
                ) from error


def _json_run(path: Path) -> RunFile:
    parts = list(_json_parts(path))
    first = parts[0][1]
    if isinstance(first, list) and len(parts) == 1:
        return _rankllm(path, list(enumerate(first, start=1)), "entry")
    if isinstance(first, dict) and {"query", "candidates"} <= first.keys():
        return _rankllm(path, parts, "line")
    if len(parts) > 1:
        raise BadInput(
            f"{path}, line 1: expected a RankLLM result with `query` and `candidates`, or one JSON "
            "table of queries in the whole file. Give one of the two."
        )
    return RunFile(from_mapping(first, stem(path), path), "JSON")


def _rankllm(path: Path, entries: Iterable[tuple[int, Any]], unit: str) -> RunFile:
    rankings: dict[str, list[tuple[str, Any]]] = {}
    for number, entry in entries:
        try:
            place = f"{path}, {unit} {number}"
            query_id = as_id(entry["query"]["qid"], "query", place)
            docs = [
                (as_id(doc["docid"], "doc", place), doc["score"]) for doc in entry["candidates"]
            ]
        except (KeyError, TypeError) as error:
            raise BadInput(
                f"{path}, {unit} {number}: not a RankLLM result ({error!r}). Expected "
                '{"query": {"qid": ...}, "candidates": [{"docid": ..., "score": ...}]}.'
            ) from error
        if query_id in rankings:
            raise BadInput(
                f"{path}, {unit} {number}: query {query_id} was ranked before. Keep one ranking."
            )
        rankings[query_id] = docs
    run = _checked(stem(path), rankings, path)
    wrong = [
        query_id
        for query_id, docs in rankings.items()
        if any(above[1] < below[1] for above, below in pairwise(docs))
    ]
    notes = (
        [
            f"in {len(wrong)} of {counted(len(rankings), 'query', 'queries')} (first: {wrong[0]}) its candidates stand in "
            "another order than their scores'; the scores count"
        ]
        if wrong
        else []
    )
    return RunFile(run, "RankLLM", tuple(notes))


# -- tables and data frames in memory --------------------------------------------------------------


def from_mapping(table: Any, tag: str, source: object) -> Run:
    """A run from `{query_id: {doc_id: score}}`."""
    return _checked(
        tag, {query: list(docs.items()) for query, docs in _tables(table, source)}, source
    )


def qrels_from_mapping(table: Any, source: object) -> list[Qrel]:
    """Judgements from `{query_id: {doc_id: relevance}}`."""
    qrels = []
    for query_id, docs in _tables(table, source):
        check_id(query_id, "query", source)
        for doc_id, relevance in docs.items():
            check_id(doc_id, "doc", source)
            grade = as_grade(relevance, f"{source}: query {query_id}, doc {doc_id}")
            qrels.append(Qrel(query_id, doc_id, grade))
    if not qrels:
        raise BadInput(f"{source}: no judgement in it. Give qrels with at least one.")
    return qrels


def _tables(table: Any, source: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(table, Mapping) or not all(isinstance(d, Mapping) for d in table.values()):
        raise BadInput(
            f"{source}: expected a table of queries, each a table of docs, as in "
            '{"q1": {"d1": 2.5}}. Rewrite it so, or give a TREC file.'
        )
    yield from table.items()


def from_frame(frame: Any, tag: str, source: object) -> Run:
    """A run from a data frame with columns of queries, docs and scores."""
    query, doc, score = (
        _column(frame, names, source) for names in (QUERY_COLUMNS, DOC_COLUMNS, SCORE_COLUMNS)
    )
    rankings: dict[str, list[tuple[str, Any]]] = {}
    with _plain_cells(source):
        for query_id, doc_id, value in zip(query, doc, score, strict=True):
            rankings.setdefault(query_id, []).append((doc_id, value))
    return _checked(tag, rankings, source)


def qrels_from_frame(frame: Any, source: object) -> list[Qrel]:
    """Judgements from a data frame with columns of queries, docs and relevances."""
    query, doc, relevance = (
        _column(frame, names, source) for names in (QUERY_COLUMNS, DOC_COLUMNS, RELEVANCE_COLUMNS)
    )
    table: dict[str, dict[str, Any]] = {}
    with _plain_cells(source):
        for query_id, doc_id, grade in zip(query, doc, relevance, strict=True):
            docs = table.setdefault(query_id, {})
            before = docs.setdefault(doc_id, grade)
            if before is not grade and before != grade:
                raise BadInput(
                    f"{source}: query {query_id}, doc {doc_id} was judged {before} and {grade}. "
                    "Keep one."
                )
    return qrels_from_mapping(table, source)


@contextmanager
def _plain_cells(source: object) -> Iterator[None]:
    """Inside the block, a cell that is a list or the like becomes one sentence with a remedy."""
    try:
        yield
    except TypeError as error:
        raise BadInput(
            f"{source}: a query, doc or relevance is neither text nor a number ({error}). Give one each."
        ) from error


def _column(frame: Any, names: tuple[str, ...], source: object) -> list[Any]:
    for name in names:
        if list(frame.columns).count(name) > 1:
            raise BadInput(f"{source}: it has several columns {name}. Keep one.")
        if name in frame.columns:
            return list(frame[name].tolist())
    raise BadInput(
        f"{source}: it has no column {' or '.join(names)}, only {', '.join(map(str, frame.columns))}. "
        "Rename one."
    )


def parquet_frame(path: Path) -> Any:
    """All of a Parquet file as a data frame."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput(
            f"{path}: reading Parquet needs pyarrow. Install it: pip install rankscope[parquet]."
        ) from error
    try:
        whole = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(read_bytes(path))).read()
        return whole.to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path}: not readable as Parquet ({reason}). Write it again.") from error


def _checked(tag: str, rankings: Mapping[Any, list[tuple[Any, Any]]], source: object) -> Run:
    """A run whose ids are text, whose scores are finite numbers, and that ranks a doc once a query."""
    return Run.of(
        tag,
        (
            ScoredDoc(
                check_id(query_id, "query", source),
                check_id(doc_id, "doc", source),
                _check_score(query_id, doc_id, score, source),
            )
            for query_id, docs in rankings.items()
            for doc_id, score in docs
        ),
        source=source,
    )


def _check_score(query_id: Any, doc_id: Any, score: Any, source: object) -> float:
    if not is_score(score):
        raise BadInput(
            f"{source}: query {query_id}, doc {doc_id}: the score {shown(score)} is not a finite number. "
            "Rank the query again, or drop the doc."
        )
    return float(score)
