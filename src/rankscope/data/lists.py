"""Scored lists of docs out of the training files people have: one query and its docs an entry.

| kind | an entry |
|---|---|
| `kd` | `query_id, document_ids, scores`: PyLate, ColBERT |
| `flag_embedding` | `query, pos, neg` as texts, with `pos_scores, neg_scores` where there are any |
| `tevatron` | `query_id, query, positive_passages, negative_passages` (`docid, title, text`, `score` where there is one), or `positive_document_ids, negative_document_ids` |
| `dpr` | `question, positive_ctxs, hard_negative_ctxs` (`title, text, passage_id`), or `negative_ctxs` where it has no hard ones |

JSON lines, one JSON list or Parquet. Where a file has no scores, a positive gets 1 and a negative 0. DPR's
scores are not read: they are those of the search that mined the docs, and a hard negative has a high one.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.words import counted
from rankscope.data.entries import Entry, Passage, dpr_entry, passages, tables
from rankscope.data.names import Named, named


class ScoredName(NamedTuple):
    """A doc as the file names it, and its score."""

    doc: Named
    score: float


class GivenList(NamedTuple):
    """One entry: a query and its docs as the file names them."""

    place: str
    query: Named
    docs: list[ScoredName]
    is_scored: bool
    """Whether the scores stand in the file."""


def given_lists(path: Path, kind: str) -> Iterator[GivenList]:
    """The lists in a file of one of the `READERS`; BadInput for an entry that is none.

    A file scores all its lists or none: 0 and 1 beside a teacher's scores would be labels of two kinds.
    """
    first: GivenList | None = None
    for entry in tables(path):
        current = READERS[kind](entry)
        first = first or current
        if current.is_scored != first.is_scored:
            having, lacking = (current, first) if current.is_scored else (first, current)
            raise entry.wrong(
                f"{lacking.place} has no scores, {having.place} has",
                "Give all lists scores, or none.",
            )
        yield current


def _kd(entry: Entry) -> GivenList:
    query = named(_needed_name(entry, "query", "query_id", "qid"))
    ids = entry.listed("document_ids", "doc_ids", "docids")
    if not ids:
        raise entry.wrong("it has no `document_ids`", "Give the ids of its docs as a list.")
    docs = [named(entry.checked_id(doc_id, "doc")) for doc_id in ids]
    scores = _scores(entry, len(docs), "scores")
    if scores is None:
        raise entry.wrong("it has no `scores`", "Give one for each of `document_ids`.")
    return GivenList(entry.place, query, list(map(ScoredName, docs, scores)), is_scored=True)


def _flag_embedding(entry: Entry) -> GivenList:
    query = named(None, _needed_text(entry, "query"))
    positives = [_of_text(entry, text) for text in entry.listed("pos")]
    negatives = [_of_text(entry, text) for text in entry.listed("neg")]
    high = _scores(entry, len(positives), "pos_scores")
    low = _scores(entry, len(negatives), "neg_scores")
    if (high is None) != (low is None) and positives and negatives:
        raise entry.wrong(
            "it has one of `pos_scores` and `neg_scores`", "Give both, or none of the two."
        )
    return _list(entry, query, (positives, negatives), (high, low))


def _tevatron(entry: Entry) -> GivenList:
    query = named(_needed_name(entry, "query", "query_id"), entry.text("query", "query_text"))
    groups, scores = [], []
    for prefix in ("positive", "negative"):
        given = passages(entry, f"{prefix}_passages")
        ids = [entry.checked_id(doc_id, "doc") for doc_id in entry.listed(f"{prefix}_document_ids")]
        groups.append([*map(_named, given), *map(named, ids)])
        scores.append(_passage_scores(entry, entry.listed(f"{prefix}_passages")))
    high, low = scores
    if (high is None) != (low is None) and all(groups):
        raise entry.wrong(
            "some of its passages have a `score` and some do not", "Score all or none."
        )
    return _list(entry, query, (groups[0], groups[1]), (high, low))


def _dpr(entry: Entry) -> GivenList:
    given = dpr_entry(entry)
    groups = ([*map(_named, given.positives)], [*map(_named, given.negatives)])
    return _list(entry, named(None, given.question), groups, (None, None))


READERS: dict[str, Callable[[Entry], GivenList]] = {
    "kd": _kd,
    "flag_embedding": _flag_embedding,
    "tevatron": _tevatron,
    "dpr": _dpr,
}


def _list(
    entry: Entry,
    query: Named,
    groups: tuple[Sequence[Named], Sequence[Named]],
    scores: tuple[Sequence[float] | None, Sequence[float] | None],
) -> GivenList:
    """Positives, then negatives, with their scores or 1 and 0."""
    if not any(groups):
        raise entry.wrong("it has neither positives nor negatives", "Give docs, or drop the entry.")
    is_scored = any(
        group and given is not None for group, given in zip(groups, scores, strict=True)
    )
    docs = [
        ScoredName(doc, score)
        for group, given, usual in zip(groups, scores, (1.0, 0.0), strict=True)
        for doc, score in zip(group, [usual] * len(group) if given is None else given, strict=True)
    ]
    return GivenList(entry.place, query, docs, is_scored)


def _needed_name(entry: Entry, what: str, *names: str) -> str:
    stated = entry.name(what, *names)
    if stated is None:
        raise entry.wrong(f"it has no `{names[0]}`", f"Give the id of its {what}.")
    return stated


def _needed_text(entry: Entry, name: str) -> str:
    text = entry.text(name)
    if not text or not text.strip():
        raise entry.wrong(f"it has no `{name}`", "Give the text of its query.")
    return text


def _of_text(entry: Entry, text: Any) -> Named:
    if not isinstance(text, str) or not text.strip():
        raise entry.wrong(f"a doc is {str(text)[:60]!r}", "Give the text of each doc.")
    return named(None, text)


def _named(passage: Passage) -> Named:
    """A passage by its id and by its text, with the title in front and without."""
    return named(passage.doc_id, passage.with_title if passage.title else None, passage.text)


def _passage_scores(entry: Entry, passages: Sequence[Any]) -> list[float] | None:
    scores = [passage.get("score") for passage in passages if isinstance(passage, dict)]
    scored = [entry.number(score) for score in scores if score is not None]
    if scored and len(scored) < len(passages):
        raise entry.wrong(
            "some of its passages have a `score` and some do not", "Score all or none."
        )
    return scored or None


def _scores(entry: Entry, n_docs: int, name: str) -> list[float] | None:
    """The scores of a list of docs, one each; None where the field is not there."""
    if entry.get(name) is None:
        return None
    scores = entry.listed(name)
    if len(scores) != n_docs:
        raise entry.wrong(
            f"{len(scores)} `{name}` for {counted(n_docs, 'doc')}", "Give one for each doc."
        )
    return [entry.number(score) for score in scores]
