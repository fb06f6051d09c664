"""A file that `teacher ask` wrote, read as a teacher: every list is gone through again with its stored answers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.lines import stem
from rankscope.core.records import Run, ScoredDoc
from rankscope.data import answers
from rankscope.data.answers import EMPTY, NO_LIST, REFUSAL, Malformed
from rankscope.data.candidates import TeacherCandidates
from rankscope.data.names import IdLookup, Named
from rankscope.data.permutations import NO_IDS, NO_ORDER, refused_for
from rankscope.data.teachers import BY_RANK, OTHER_QUERY, Teacher
from rankscope.llm.answer_file import Head, Key, StoredAnswer, answers_in
from rankscope.llm.costs import Spent, spent
from rankscope.llm.job import Course, begun, digest_of_docs, replay
from rankscope.llm.joining import joined
from rankscope.llm.reading import NO_LABEL, faults_of, reader
from rankscope.llm.settings import Asking, asking_of
from rankscope.llm.ways import AN_ORDER, WAYS

DOCS = "docs"
"""The field of the head that identifies the docs that were shown."""
UNFINISHED = "not all of its questions are answered"


def settled_head(asking: Asking, docs: str, tokenizer: str | None) -> dict[str, Any]:
    """What the head of a file says was asked."""
    return {**asking.identity, "tokenizer": tokenizer, DOCS: docs}


def asking_in(path: Path, head: Head) -> Asking:
    """The question that a file's answers are to. BadInput where the head does not tell it."""
    try:
        return asking_of({name: value for name, value in head.asked.items() if name not in ("tokenizer", DOCS)})  # fmt: skip
    except TypeError as error:
        raise BadInput(
            f"{path}: its first line does not say what was asked, as this version of rankscope writes it ({error}). Ask again, "
            "with another --out."
        ) from error


class _Lists(NamedTuple):
    """The lists of one query, in each order."""

    courses: list[Course]

    @property
    def heard(self) -> list[Any]:
        return [heard for course in self.courses for heard in course.heard]


def open_asked(
    path: Path, head: Head, shown: TeacherCandidates, names: IdLookup, *, malformed: Malformed
) -> Teacher:
    """The teacher in a file that `teacher ask` wrote.

    BadInput for other docs than were shown, and for another way with malformed answers than it was asked with: each window
    rests on the answers before. With `drop`, a query is left out if one of its answers is malformed.
    """
    asking = asking_in(path, head)
    if malformed not in (asking.malformed, "drop"):
        raise BadInput(
            f"{path}: it was asked for with --malformed {asking.malformed}, and each question rests on the answers before. Read it "
            f"with --malformed {asking.malformed}, or drop."
        )
    if digest_of_docs(shown.rankings, asking.depth) != head.asked.get(DOCS):
        asked_about = head.origin.get("run")
        raise BadInput(
            f"{path}: other docs were shown than the candidates have, or in another order. Give the run that was asked about"
            + (f" ({asked_about})." if asked_about else ".")
        )
    stored = {answer.key: answer for answer in answers_in(path)}
    lists, dropped = _lists(asking, shown, stored, names)
    return _teacher(path, asking, lists, dropped, stored, malformed)


def _lists(
    asking: Asking, shown: TeacherCandidates, stored: Mapping[Key, StoredAnswer], names: IdLookup
) -> tuple[dict[str, _Lists], Counter[str]]:
    """The lists of each query that is in the collection and wholly answered; the other queries, by reason."""
    lists: dict[str, _Lists] = {}
    dropped: Counter[str] = Counter()
    begun_queries = {key.query_id for key in stored}
    for query_id, doc_ids in shown.rankings.items():
        if names.query_id(Named(query_id), "the candidates") != query_id:
            dropped[OTHER_QUERY] += query_id in begun_queries
            continue
        courses = [begun(asking, query_id, order, doc_ids) for order in range(asking.orders)]
        for course in courses:
            replay(course, stored)
        if any(course.rankings is None for course in courses):
            dropped[UNFINISHED] += 1
        else:
            lists[query_id] = _Lists(courses)
    return lists, +dropped


def _teacher(
    path: Path,
    asking: Asking,
    lists: dict[str, _Lists],
    dropped: Counter[str],
    stored: Mapping[Key, StoredAnswer],
    malformed: Malformed,
) -> Teacher:
    rankings: dict[str, list[str]] = {}
    repairs: Counter[str] = Counter()
    n_repaired = n_exact = 0
    for query_id, of_query in list(lists.items()):
        why = _why_dropped(asking, of_query, malformed)
        if why is not None:
            dropped[why] += 1
            del lists[query_id]
            continue
        for heard in of_query.heard:
            repairs.update(heard.read.repairs)
            n_repaired += bool(heard.read.repairs)
        found = [course.rankings.ranking for course in of_query.courses if course.rankings]
        central = joined(found) if len(found) > 1 else None
        rankings[query_id] = found[0] if central is None else central.doc_ids
        n_exact += central is not None and central.is_exact
    if not rankings:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(dropped.items()))
        raise BadInput(
            f"{path}: no list is left ({reasons or 'the file holds none'}). Go on with `teacher ask`, or `teacher prompts`."
        )
    took = spent({**answer.record, **key._asdict()} for key, answer in stored.items())
    report = _summary(asking, took)
    if asking.orders > 1:
        report["joined_lists"] = f"{n_exact} of {len(rankings)} exactly central"
    if WAYS[asking.way].window == 2:
        n_pairs = sum(len(of_query.heard) for of_query in lists.values()) // 2
        n_contradicted = sum(map(_contradictions, lists.values()))
        report["pairs_answered_differently_in_their_two_orders"] = f"{n_contradicted} of {n_pairs}"
    return Teacher(
        run=_run(stem(path), rankings, path),
        kind="permutations",
        scores=BY_RANK,
        n_answers=len(stored),
        n_repaired=n_repaired,
        repairs=dict(repairs),
        malformed=dict(faults_in(asking, (answer.record for answer in stored.values()))),
        dropped=dict(dropped),
        asked=report,
        orders=_orders(lists, path, asking.orders),
        passes=_passes(lists, path, asking.passes),
    )


def _why_dropped(asking: Asking, of_query: _Lists, malformed: Malformed) -> str | None:
    """Why a query has no list: no answer of it is one, or, with `drop`, one is malformed. None where it has one."""
    heard = of_query.heard
    if malformed == "drop":
        if WAYS[asking.way].kind == AN_ORDER:
            refused = (refused_for(each.response, len(each.question.doc_ids)) for each in heard)
        else:
            refused = (NO_LABEL if each.faults else None for each in heard)
        if (why := next(filter(None, refused), None)) is not None:
            return why
    kinds = [{NO_IDS, NO_ORDER, NO_LABEL} & {*each.read.repairs} for each in heard]
    if heard and all(kinds):
        return next(kind for kind in (NO_ORDER, NO_LABEL, NO_IDS) if any(kind in each for each in kinds))  # fmt: skip
    return None


def _contradictions(of_query: _Lists) -> int:
    """Pairs whose answers, in their two orders, name two docs."""
    n = 0
    for course in of_query.courses:
        chosen = [each.question.doc_ids[each.read.order[0]] for each in course.heard]
        n += sum(a != b for a, b in zip(chosen[::2], chosen[1::2], strict=True))
    return n


def _run(tag: str, rankings: Mapping[str, list[str]], path: Path) -> Run:
    scored = (ScoredDoc(*place) for place in answers.positions(rankings))
    return Run.of(tag, scored, source=path)


def _orders(lists: Mapping[str, _Lists], path: Path, n: int) -> tuple[Run, ...]:
    """A run for each order, where there are several."""
    found: list[dict[str, list[str]]] = [{} for _ in range(n)]
    for query_id, of_query in lists.items():
        for order, course in enumerate(of_query.courses):
            assert course.rankings is not None
            found[order][query_id] = course.rankings.ranking
    return tuple(_run(f"order {at}", each, path) for at, each in enumerate(found, start=1)) if n > 1 else ()  # fmt: skip


def _passes(lists: Mapping[str, _Lists], path: Path, n: int) -> tuple[Run, ...]:
    """A run for each pass over the first order, where there are several."""
    found: list[dict[str, list[str]]] = [{} for _ in range(n)]
    for query_id, of_query in lists.items():
        rankings = of_query.courses[0].rankings
        assert rankings is not None
        for at, ranking in enumerate((*rankings.before, rankings.ranking)):
            found[at][query_id] = ranking
    return tuple(_run(f"pass {at}", each, path) for at, each in enumerate(found, start=1)) if n > 1 else ()  # fmt: skip


def _summary(asking: Asking, took: Spent) -> dict[str, Any]:
    """What was asked and what it took, as plain data."""
    report: dict[str, Any] = {
        "model": asking.model,
        "answered_by": ", ".join(took.models) or None,
        "answered": " to ".join(dict.fromkeys(filter(None, (took.first, took.last)))) or None,
        "way": asking.way,
        "prompt": asking.prompt,
        "order": asking.order,
        "n_requests": took.n_requests,
        "tokens_in": took.tokens.prompt,
        "tokens_out": took.tokens.answer,
        "seconds": took.seconds,
        "seconds_a_query": took.seconds_a_query,
    }
    if took.n_estimated:
        report["n_with_estimated_tokens"] = took.n_estimated
    if took.n_cut_off:
        report["n_cut_off_at_max_tokens"] = took.n_cut_off
    return report


def faults_in(asking: Asking, records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How the answers of a file are malformed, by kind."""
    read = reader(WAYS[asking.way].kind, asking.malformed)
    faults: Counter[str] = Counter()
    for record in records:
        start, end = record.get("window") or (0, len(record.get("shown") or ()))
        response = record.get("response") or ""
        kinds = faults_of(response, read(response, end - start))
        is_refused = bool(record.get("refusal")) and not {EMPTY, NO_LIST, NO_LABEL}.isdisjoint(
            kinds
        )
        faults.update((REFUSAL,) if is_refused else kinds)
    return faults
