"""Write TREC's columns: runs of six, qrels of four.

A run is written with *strictly decreasing* float32 scores: a tied score is lowered to the next
float32. Tools break ties in opposite directions (pytrec_eval by doc_id descending, the MS MARCO
script by line), so only a file without ties has one value per measure.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, check_id, given_path, shown
from rankscope.core.lines import write_bytes
from rankscope.core.records import Columns, Qrel, Run, ScoredDoc, columns_of, lowered

METADATA = ".ir_metadata.yml"
"""The end of the name of a file beside a run, which says what made it."""


def forget_metadata(path: Path) -> None:
    """Remove what says beside a file how the run was made that another one replaces: of that one it would be false."""
    beside = path.with_name(f"{path.name}{METADATA}")
    if beside.is_file():
        beside.unlink()


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

    A file beside it that says what made the run there before goes. `metadata` stands at the head as comments, in the form of ir_metadata; some readers refuse them.
    Raises BadInput for an id that would not be read back.

    >>> rs.write_run("top.run", run.top(1))
    >>> rs.read_run("top.run")
    Run bm25: 200 queries, 200 docs
    """
    if not isinstance(run, Run):
        raise BadInput(
            f"The run is of type {type(run).__name__}. Give a Run, such as Run.of makes of scored docs."
        )
    path = given_path(path, "file")
    check_ids(run, path)
    text = (
        run.tag.replace("\0", " ").encode(errors="replace").decode()
    )  # a file's name may be no UTF-8
    tag = "_".join(text.split()) or "untagged"
    lines = [_lines_of(query_id, run.columns(query_id), tag) for query_id in sorted(run.rankings)]
    forget_metadata(Path(path))
    write_bytes(Path(path), "".join([*_metadata_head(metadata), *lines]).encode())


def check_ids(run: Run, path: Path | str) -> None:
    """Raise BadInput for an id that would not be read back from a run file."""
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


def checked_qrels(qrels: Any, source: Path | str) -> list[Qrel]:
    """The judgements of a list. Raises BadInput for what is none."""
    given = list(qrels) if isinstance(qrels, Iterable) else [qrels]
    for place, qrel in enumerate(given):
        if not all(hasattr(qrel, name) for name in Qrel._fields):
            raise BadInput(f"{source}: judgement {place} is {shown(qrel)}. Give each as a Qrel.")
    return given


def write_qrels(path: Path | str, qrels: Iterable[Qrel]) -> None:
    """Write judgements as TREC's four columns, in the order given. BadInput for what would not be read back.

    >>> rs.write_qrels("one.qrels", [rs.Qrel("q1", "d1", 1)])
    >>> len(rs.read_qrels("one.qrels"))
    1
    """
    path, lines = given_path(path, "file"), []
    for qrel in checked_qrels(qrels, path):
        query_id, doc_id = (
            check_id(qrel.query_id, "query", path),
            check_id(qrel.doc_id, "doc", path),
        )
        _refuse_comment(query_id, path)
        lines.append(f"{query_id} 0 {doc_id} {as_grade(qrel.relevance, path)}\n")
    write_bytes(Path(path), "".join(lines).encode())
