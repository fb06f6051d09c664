"""The answers of an LLM that was asked to order docs, applied to the docs it was shown.

| file | an answer is |
|---|---|
| RankGPT's `marco-train-...-gpt3.5.json` | a text in one list, the n-th for the n-th line of `marco-train-....jsonl` |
| JSON lines | `{"query_id", "response"}`; with `"window": [80, 100]` where the docs were ordered in windows |

A response is text, a list of numbers, or null where the LLM gave none. The field may be called `output` or
`permutation`. Windows are applied in the order of the file. `query_number`, the number of a line of RankGPT's
candidates, may replace `query_id`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.words import counted
from rankscope.data.candidates import TeacherCandidates
from rankscope.data.entries import Entry, entries
from rankscope.data.names import IdLookup, Named
from rankscope.data.permutations import (
    MISSING,
    NO_IDS,
    NO_ORDER,
    OUT_OF_RANGE,
    REPEATS,
    WORDS,
    applied,
    mended,
    mended_as_published,
    refused_for,
    windows,
)

Malformed = Literal["repair", "repair_as_published", "drop"]

RESPONSES = ("response", "output", "permutation")
HEAD = "asked"
"""The field of the first line of a file that `teacher ask` wrote: what was asked. It is no answer."""
NO_CANDIDATES, UNKNOWN_ORDER = "not among the candidates", "order of tied candidates unknown"


EMPTY, REFUSAL, NO_LIST = "empty", "refusal", "no list"
MALFORMED_AS = {REPEATS: "repeated", OUT_OF_RANGE: "out of range", MISSING: "missing"}
"""The names of kinds of malformed answers that hold an order; those without one are EMPTY, REFUSAL or NO_LIST."""
REFUSES = re.compile(
    r"\b(?:I(?:'m| am|\u2019m)? (?:sorry|unable|apologi[sz]e|cannot|can't|can\u2019t|could not|won't|will not)|my apologies|as an AI\b"
    r"|as a (?:large )?language model|not (?:able|possible) to (?:rank|provide|compare|determine))",
    re.IGNORECASE,
)
"""Words of an LLM that does not do what it was asked for."""


def malformed_kinds(response: str, repairs: Sequence[str]) -> tuple[str, ...]:
    """How an answer is malformed, by kind; words beside the ids do not count."""
    kinds = tuple(MALFORMED_AS[kind] for kind in repairs if kind in MALFORMED_AS)
    if kinds or not repairs or {*repairs} == {WORDS}:
        return kinds
    if not response.strip():
        return (EMPTY,)
    return (REFUSAL,) if REFUSES.search(response) else (NO_LIST,)


class Answer(NamedTuple):
    """An LLM's answer for one query, about the whole list or one window of it."""

    place: str
    response: str
    window: tuple[int, int] | None


@dataclass(frozen=True)
class Answers:
    """The answers to each query, in the order of the file."""

    by_query: Mapping[str, list[Answer]]
    n_other: int
    """Answers for queries that are not in the collection."""

    @property
    def n_answers(self) -> int:
        """Answers for queries of the collection."""
        return sum(map(len, self.by_query.values()))


@dataclass(frozen=True)
class Orders:
    """The docs of each query in the LLM's order, with counts of repaired and dropped answers."""

    rankings: Mapping[str, list[str]]
    n_repaired: int
    repairs: Mapping[str, int]
    """Answers by kind of repair; one answer may need several."""
    dropped: Mapping[str, int]
    """Queries left out, by reason."""
    malformed: Mapping[str, int]
    """Answers by how they are malformed, those of dropped queries too; one answer may be so in several ways."""


def read_answers(path: Path, candidates: TeacherCandidates, names: IdLookup) -> Answers:
    """The answers in a file. Those that name no query belong to the lines of RankGPT's candidates."""
    by_query: dict[str, list[Answer]] = {}
    in_file = candidates.in_file
    n_unnamed = n_other = 0
    for entry in entries(path):
        if isinstance(entry.value, dict) and HEAD in entry.value:
            continue
        name = _query_name(entry)
        if name is None:
            number = _number(entry, in_file)
            n_unnamed += number is None
            place = (n_unnamed if number is None else number) - 1
            query_id = in_file[place] if in_file and place < len(in_file) else None
        else:
            query_id = names.query_id(Named(name), entry.place)
        answer = Answer(entry.place, _response(entry), _window(entry))
        if query_id is None:
            n_other += 1
        else:
            by_query.setdefault(query_id, []).append(answer)
    if n_unnamed and in_file is not None and n_unnamed != len(in_file):
        raise BadInput(
            f"{path}: {counted(n_unnamed, 'answer that names', 'answers that name')} no query, for {counted(len(in_file), 'line')} of candidates. "
            "Give the two files that belong together."
        )
    return Answers(by_query, n_other)


def _query_name(entry: Entry) -> str | None:
    return entry.name("query", "query_id", "qid") if isinstance(entry.value, dict) else None


def _number(entry: Entry, in_file: Sequence[str | None] | None) -> int | None:
    """Which line of the candidates the answer is for, where it says so; BadInput where there are no lines."""
    number = entry.get("query_number") if isinstance(entry.value, dict) else None
    if in_file is None:
        raise entry.wrong(
            "the answer names no query",
            "Give `query_id` with it, or RankGPT's JSON lines as the candidates.",
        )
    if number is not None and (type(number) is not int or not 1 <= number <= len(in_file)):
        raise entry.wrong(
            f"the candidates have {counted(len(in_file), 'line')}, and `query_number` is {str(number)[:60]}",
            "Give the two files that belong together.",
        )
    return number


def _response(entry: Entry) -> str:
    response: Any = entry.value
    if isinstance(response, dict):
        if not set(RESPONSES) & response.keys():
            raise entry.wrong(
                f"an answer without {' or '.join(RESPONSES)}", "Give the text that was answered."
            )
        response = entry.get(*RESPONSES)
    response = response.tolist() if hasattr(response, "tolist") else response
    if response is None or isinstance(response, str):
        return response or ""
    if isinstance(response, list) and all(type(number) is int for number in response):
        return " > ".join(map(str, response))
    raise entry.wrong(f"the answer is {str(response)[:60]}", "Give the text that was answered.")


def _window(entry: Entry) -> tuple[int, int] | None:
    bounds: Any = entry.get("window") if isinstance(entry.value, dict) else None
    bounds = bounds.tolist() if hasattr(bounds, "tolist") else bounds
    match bounds:
        case None:
            return None
        case [int(start), int(end)] if 0 <= start < end and type(start) is type(end) is int:
            return start, end
    raise entry.wrong(
        f"the window is {str(bounds)[:60]}", "Give where it begins and ends, as in [80, 100]."
    )


class _Ordered(NamedTuple):
    """The docs of one query in their new order, the repairs of each answer, and why the query is dropped, if it is."""

    doc_ids: list[str]
    repairs: list[tuple[str, ...]]
    dropped: str | None


def ordered(
    answers: Mapping[str, list[Answer]],
    candidates: TeacherCandidates,
    *,
    malformed: Malformed = "repair",
    size: int = 20,
    step: int = 10,
) -> Orders:
    """The candidates in the order of the answers.

    Answers that do not say which docs they are about were given for windows of `size` docs that slide up
    by `step`; a single one, for the top `size` docs. A query's list ends with the last doc that was shown.
    Either way a query is dropped if no answer holds an order, and with `drop` if one of them is malformed.
    """
    rankings: dict[str, list[str]] = {}
    repairs: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    malformed_as: Counter[str] = Counter()
    n_repaired = 0
    for query_id, given in answers.items():
        ranking = candidates.rankings.get(query_id)
        if not ranking:
            dropped[NO_CANDIDATES] += 1
            continue
        spans = _spans(query_id, given, len(ranking), size, step)
        lowest = max(end for _, end in spans)
        if candidates.first_ties.get(query_id, lowest) < lowest:
            dropped[UNKNOWN_ORDER] += 1
            continue
        outcome = _of_query(ranking, given, spans, malformed)
        for answer, kinds in zip(given, outcome.repairs, strict=True):
            malformed_as.update(malformed_kinds(answer.response, kinds))
        if outcome.dropped is not None:
            dropped[outcome.dropped] += 1
            continue
        rankings[query_id] = outcome.doc_ids[:lowest]
        for kinds in outcome.repairs:
            repairs.update(kinds)
            n_repaired += bool(kinds)
    return Orders(rankings, n_repaired, dict(repairs), dict(dropped), dict(malformed_as))


def _of_query(
    ranking: list[str],
    given: Sequence[Answer],
    spans: Sequence[tuple[int, int]],
    malformed: Malformed,
) -> _Ordered:
    """The new order, and why the query is dropped all the same, if it is."""
    repairs: list[tuple[str, ...]] = []
    dropped: str | None = None
    for answer, (start, end) in zip(given, spans, strict=True):
        if malformed == "drop" and dropped is None:
            dropped = refused_for(answer.response, end - start)
        mend = mended_as_published if malformed == "repair_as_published" else mended
        order, kinds = mend(answer.response, end - start)
        ranking = applied(ranking, start, end, order)
        repairs.append(kinds)
    if dropped is None and all({NO_IDS, NO_ORDER} & {*kinds} for kinds in repairs):
        dropped = NO_ORDER if any(NO_ORDER in kinds for kinds in repairs) else NO_IDS
    return _Ordered(ranking, repairs, dropped)


def _spans(
    query_id: str, given: Sequence[Answer], n_docs: int, size: int, step: int
) -> list[tuple[int, int]]:
    """The places (start, end) of the docs that each answer is about."""
    stated = [answer.window for answer in given if answer.window is not None]
    if len(stated) == len(given):
        for answer, (start, end) in zip(given, stated, strict=True):
            if start >= n_docs:
                raise BadInput(
                    f"{answer.place}: the window [{start}, {end}] lies below the {counted(n_docs, 'candidate')} of "
                    f"query {query_id}. Give the candidates that the answers are about."
                )
        return [(start, min(end, n_docs)) for start, end in stated]
    if stated:
        raise BadInput(
            f"{given[0].place}: some answers to query {query_id} give their window and some do not. "
            "Give it with all or with none."
        )
    if len(given) == 1:
        return [(0, min(size, n_docs))]
    spans = list(windows(n_docs, size, step))
    if len(spans) != len(given):
        raise BadInput(
            f"{given[0].place}: query {query_id} has {len(given)} answers, but {counted(n_docs, 'doc makes', 'docs make')} "
            f"{counted(len(spans), 'window')} of {size} that move by {step}. Give each answer its window, or the size "
            "and step that were used."
        )
    return spans


def positions(orders: Mapping[str, list[str]]) -> Iterator[tuple[str, str, float]]:
    """(query_id, doc_id, score) with the score 1/rank: RankGPT's labels, where only an order is known."""
    for query_id, doc_ids in orders.items():
        for rank, doc_id in enumerate(doc_ids, start=1):
            yield query_id, doc_id, 1 / rank
