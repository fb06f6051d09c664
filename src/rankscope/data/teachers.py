"""Teachers' rankings read from files, with counts of what was repaired and left out.

Every reader gives a `Run` (its scores are the teacher's, or 1/rank where the file has only an order) and counts by
reason. A study names the kind of its file; the command line calls `recognised`, which looks at the file's content,
never at its name.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.formats import parquet_frame, read_run_file
from rankscope.core.input_files import PARQUET_MAGIC, head_of
from rankscope.core.lines import stem
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.words import counted, of_number
from rankscope.data import answers
from rankscope.data.answers import Malformed, ordered, read_answers
from rankscope.data.candidates import TeacherCandidates
from rankscope.data.entries import entries
from rankscope.data.lists import READERS, GivenList, given_lists
from rankscope.data.names import IdLookup, Named

KINDS = ("permutations", "run", *READERS)

OTHER_QUERY, QUERY_AGAIN = "query not in the collection", "query listed before"
OTHER_DOC, DOC_AGAIN = "doc not in the collection", "doc listed before"
NO_DOC = "no doc of it in the collection"

GIVEN, ONE_OR_ZERO, BY_RANK = "the file's", "1 for a positive, 0 for a negative", "1/rank"


@dataclass(frozen=True)
class Teacher:
    """A teacher's rankings, and what was repaired and left out when they were read."""

    run: Run
    kind: str
    scores: str
    """Where the scores come from."""
    n_answers: int | None = None
    """Answers of an LLM; several may make one list."""
    n_repaired: int = 0
    repairs: Mapping[str, int] = field(default_factory=dict)
    """Answers by kind of repair."""
    malformed: Mapping[str, int] = field(default_factory=dict)
    """Answers by how they are malformed."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Lists left out, by reason."""
    dropped_docs: Mapping[str, int] = field(default_factory=dict)
    """Docs left out of the lists that were kept, by reason."""
    notes: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What was asked and what it took, where `teacher ask` wrote the answers."""
    orders: tuple[Run, ...] = ()
    """The lists of each order in which the docs were shown, where there are several."""
    passes: tuple[Run, ...] = ()
    """The lists after each pass over the docs, where there are several."""


def from_permutations(
    path: Path,
    candidates: TeacherCandidates,
    names: IdLookup,
    *,
    malformed: Malformed = "repair",
    window: int = 20,
    step: int = 10,
) -> Teacher:
    """A teacher from the answers of an LLM that was shown the candidates."""
    given = read_answers(path, candidates, names)
    orders = ordered(given.by_query, candidates, malformed=malformed, size=window, step=step)
    dropped = {OTHER_QUERY: given.n_other} if given.n_other else {}
    dropped |= orders.dropped
    scored = (ScoredDoc(*place) for place in answers.positions(orders.rankings))
    run = _some(path, Run.of(stem(path), scored, source=path), dropped)
    _require_docs(path, run, names)
    return Teacher(
        run=run,
        kind="permutations",
        scores=BY_RANK,
        n_answers=given.n_answers,
        n_repaired=orders.n_repaired,
        repairs=orders.repairs,
        malformed=orders.malformed,
        dropped=dropped,
        notes=candidates.notes,
    )


def from_run(path: Path, names: IdLookup) -> Teacher:
    """A teacher from a run in any form; BadInput unless the collection has all of its docs."""
    read = read_run_file(path)
    mine = {
        query_id: ranking
        for query_id, ranking in read.run.rankings.items()
        if names.query_id(Named(query_id), str(path)) == query_id
    }
    n_other = len(read.run.rankings) - len(mine)
    if not mine:
        raise BadInput(
            f"{path}: {of_number(n_other, 'its one query is not', f'none of its {n_other} queries is')} in the collection. Give a run over the same queries."
        )
    run = Run(read.run.tag, mine)
    _require_docs(path, run, names)
    dropped = {OTHER_QUERY: n_other} if n_other else {}
    return Teacher(run, "run", GIVEN, dropped=dropped, notes=read.notes)


def _require_docs(path: Path, run: Run, names: IdLookup) -> None:
    """BadInput where the run ranks docs that are not in the collection."""
    ranked = {Named(doc.doc_id) for ranking in run.rankings.values() for doc in ranking}
    unknown = sorted(doc.name or "" for doc in ranked - names.doc_ids(ranked).keys())
    if unknown:
        raise BadInput(
            f"{path}: {counted(len(unknown), 'ranked doc is', 'ranked docs are')} not in the collection (first: {unknown[0]}). "
            "Give a run made from the same docs."
        )


def from_lists(path: Path, kind: str, names: IdLookup) -> Teacher:
    """A teacher from lists of docs with scores, or with positives and negatives."""
    kept: dict[str, GivenList] = {}
    dropped: Counter[str] = Counter()
    is_scored = True
    for given in given_lists(path, kind):
        query_id = names.query_id(given.query, given.place)
        is_scored = given.is_scored
        if query_id is None:
            dropped[OTHER_QUERY] += 1
        elif query_id in kept:
            dropped[QUERY_AGAIN] += 1
        else:
            kept[query_id] = given
    doc_ids = names.doc_ids(doc for given in kept.values() for doc, _ in given.docs)
    dropped_docs: Counter[str] = Counter()
    scored: list[ScoredDoc] = []
    for query_id, given in kept.items():
        of_query: dict[str, float] = {}
        for doc, score in given.docs:
            doc_id = doc_ids.get(doc)
            if doc_id is None:
                dropped_docs[OTHER_DOC] += 1
            elif doc_id in of_query:
                dropped_docs[DOC_AGAIN] += 1
            else:
                of_query[doc_id] = score
        dropped[NO_DOC] += not of_query
        scored += [ScoredDoc(query_id, doc_id, score) for doc_id, score in of_query.items()]
    return Teacher(
        run=_some(path, Run.of(stem(path), scored, source=path), +dropped),
        kind=kind,
        scores=GIVEN if is_scored else ONE_OR_ZERO,
        dropped=dict(+dropped),
        dropped_docs=dict(dropped_docs),
    )


def _some(path: Path, run: Run, dropped: Mapping[str, int]) -> Run:
    """The run; BadInput with the counts where it is empty."""
    if run.rankings:
        return run
    reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(dropped.items()))
    raise BadInput(
        f"{path}: no list is left ({reasons or 'the file holds none'}). Check that file, candidates and "
        "collection belong together."
    )


# -- what kind a file is ---------------------------------------------------------------------------

FIELDS: dict[str, str] = {
    "document_ids": "kd",
    "pos": "flag_embedding",
    "positive_passages": "tevatron",
    "positive_document_ids": "tevatron",
    "positive_ctxs": "dpr",
    **dict.fromkeys(answers.RESPONSES, "permutations"),
    answers.HEAD: "permutations",
    "candidates": "run",
}
"""A field that only files of one kind have."""


def recognised(path: Path) -> str:
    """The kind of a teacher's file, by what it holds; BadInput for what is none of them."""
    head = head_of(path)
    if head == PARQUET_MAGIC:
        columns = parquet_frame(path).columns
        return next((kind for name, kind in FIELDS.items() if name in columns), "run")
    if head[:1] not in (b"{", b"["):
        return "run"
    try:
        first = next(entries(path), None)
    except BadInput:
        return (
            "run"  # JSON over several lines: one table of queries, or what the run's reader refuses
        )
    value = None if first is None else first.value
    if isinstance(value, str) or value is None:
        return "permutations"
    if isinstance(value, dict):
        kinds = {kind for name, kind in FIELDS.items() if name in value}
        if len(kinds) == 1:
            return kinds.pop()
        if not kinds and all(isinstance(docs, dict) for docs in value.values()):
            return "run"
    raise BadInput(
        f"{path}: it is none of the kinds of teachers' files that are told apart by their fields "
        f"({', '.join(FIELDS)}). Say which it is: {', '.join(KINDS)}."
    )
