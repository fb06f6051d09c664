"""What a teacher was shown: docs in the order of a run, or of RankGPT's training file.

The numbers in an LLM's answer refer to this order, so ties matter here: docs with equal scores are ordered by the
rank column, and where their ranks are equal too, the order is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run_file
from rankscope.core.input_files import PARQUET_MAGIC, head_of
from rankscope.core.trec.runs import tied_by_rank
from rankscope.data.entries import entries, tables
from rankscope.data.names import IdLookup, named


@dataclass(frozen=True)
class TeacherCandidates:
    """Docs by query, best first."""

    rankings: Mapping[str, list[str]]
    in_file: tuple[str | None, ...] | None = None
    """The queries of RankGPT's file by line, as its answers name none; None for a query that is not in the collection."""
    first_ties: Mapping[str, int] = field(default_factory=dict)
    """Query to the place (from 0) from which on the order is unknown."""
    notes: tuple[str, ...] = ()


def read_candidates(path: Path, names: IdLookup) -> TeacherCandidates:
    """Candidates from a run in any form, or from RankGPT's `marco-train-....jsonl`."""
    if is_rankgpt(path):
        return _rankgpt(path, names)
    read = read_run_file(path)
    run = read.run
    shown = {  # by the whole score: what float32 does not tell apart, the teacher was shown in this order
        query_id: sorted(ranking, key=lambda doc: -doc.score)
        for query_id, ranking in run.rankings.items()
    }
    orders = {query_id: [doc.doc_id for doc in ranking] for query_id, ranking in shown.items()}
    first_ties = {}
    if run.tied_share():
        by_rank = tied_by_rank(path) if read.form == "TREC" else {}
        orders |= by_rank
        for query_id, ranking in shown.items():
            ties = (n for n, (a, b) in enumerate(pairwise(ranking)) if a.score == b.score)
            if query_id not in by_rank and (first := next(ties, None)) is not None:
                first_ties[query_id] = first
    notes = tuple(f"the candidates: {note}" for note in read.notes)
    return TeacherCandidates(orders, None, first_ties, notes)


def is_rankgpt(path: Path) -> bool:
    """Whether a file is JSON lines with the `retrieved_passages` of each query."""
    head = head_of(path)
    if head == PARQUET_MAGIC or head[:1] != b"{":
        return False
    try:
        first = next(entries(path)).value
    except BadInput:
        return False  # no JSON lines: whoever reads it as a run says what is wrong
    return isinstance(first, dict) and "retrieved_passages" in first


def _rankgpt(path: Path, names: IdLookup) -> TeacherCandidates:
    rankings: dict[str, list[str]] = {}
    in_file: list[str | None] = []
    for entry in tables(path):
        query = named(entry.name("query", "query_id", "qid"), entry.text("query"))
        query_id = names.query_id(query, entry.place)
        docs = []
        for passage in entry.listed("retrieved_passages"):
            doc_id = passage.get("docid") if isinstance(passage, dict) else None
            if doc_id is None:
                raise entry.wrong(
                    "a retrieved passage has no `docid`", "Give each one the id of its doc."
                )
            docs.append(entry.checked_id(doc_id, "doc"))
        if len(set(docs)) < len(docs):
            raise entry.wrong("a doc is among its passages twice", "Give each doc once.")
        if query_id is not None and query_id in rankings:
            raise entry.wrong(f"query {query_id} stands in a line above too", "Keep one.")
        if query_id is not None:
            rankings[query_id] = docs
        in_file.append(query_id)
    return TeacherCandidates(rankings, tuple(in_file))
