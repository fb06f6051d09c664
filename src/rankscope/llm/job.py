"""The lists that an LLM is asked for, and how far each has come: one code for servers, batches and files of answers.

A *list* is one query's docs in one order; a query has several where several orders are asked for. A `Course` is a list under
way: it knows the questions that may be asked now, is given their answers in any order, and has its rankings at the end. A list
that was begun earlier is brought to where it was by its stored answers.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

from rankscope.core.errors import BadInput
from rankscope.core.rng import stream
from rankscope.data.permutations import Permutation
from rankscope.llm.answer_file import Key, StoredAnswer, digest_of
from rankscope.llm.prompts import Messages, rendered
from rankscope.llm.reading import faults_of, reader
from rankscope.llm.settings import Asking
from rankscope.llm.ways import WAYS, AskedQuestion, OrderedDocs, SortShape


def digest_of_docs(candidates: Mapping[str, Sequence[str]], depth: int) -> str:
    """What identifies the docs that are shown: each query's top docs in their order."""
    sums = hashlib.sha256()
    for query_id in sorted(candidates):
        sums.update(json.dumps([query_id, *candidates[query_id][:depth]]).encode())
    return sums.hexdigest()[:12]


def shape_of(asking: Asking) -> SortShape:
    """The numbers of the way."""
    return SortShape(asking.window, asking.step, asking.passes, asking.top)


def shown_order(doc_ids: Sequence[str], asking: Asking, query_id: str, order: int) -> list[str]:
    """The docs of a query in one of the orders in which they are shown at first."""
    docs = list(doc_ids[: asking.depth])
    if asking.order == "shuffled":
        stream(asking.seed, "order", query_id, order).shuffle(docs)
    return docs


class Heard(NamedTuple):
    """An answer that a course was given, and how it was read."""

    question: AskedQuestion
    response: str
    read: Permutation
    faults: tuple[str, ...]


@final
class Course:
    """One list under way."""

    def __init__(self, query_id: str, order: int, doc_ids: Sequence[str], asking: Asking) -> None:
        self.query_id, self.order, self.shown = query_id, order, tuple(doc_ids)
        way = WAYS[asking.way]
        self._read = reader(way.kind, asking.malformed)
        self._sort = way.ordered(doc_ids, shape_of(asking))
        self._first = 0
        self._group: tuple[AskedQuestion, ...] = ()
        self._answers: dict[int, Permutation] = {}
        self.rankings: OrderedDocs | None = None
        """None while questions are open."""
        self.heard: list[Heard] = []
        self._go_on(None)

    @property
    def n_answers(self) -> int:
        """Answers so far."""
        return len(self.heard)

    def pending(self) -> dict[Key, AskedQuestion]:
        """The questions that may be asked now."""
        return {
            Key(self.query_id, self.order, self._first + place): question
            for place, question in enumerate(self._group)
            if place not in self._answers
        }

    def answer(self, key: Key, response: str) -> Heard:
        """Give the answer to one of the pending questions."""
        place = key.number - self._first
        question = self._group[place]
        read = self._read(response, len(question.doc_ids))
        heard = Heard(question, response, read, faults_of(response, read))
        self.heard.append(heard)
        self._answers[place] = read
        if len(self._answers) == len(self._group):
            self._go_on(tuple(self._answers[at] for at in range(len(self._group))))
        return heard

    def _go_on(self, answers: tuple[Permutation, ...] | None) -> None:
        self._first += len(self._group)
        self._group, self._answers = (), {}
        try:
            self._group = next(self._sort) if answers is None else self._sort.send(answers)
        except StopIteration as done:
            self.rankings = done.value


class Request(NamedTuple):
    """A question as it is sent."""

    key: Key
    question: AskedQuestion
    messages: Messages
    prompt: str
    """The digest of its messages."""

    def record(self) -> dict[str, object]:
        """What the file of answers says of it."""
        about: dict[str, object] = {"prompt": self.prompt}
        if self.question.window is not None:
            about["window"] = list(self.question.window)
        else:
            about["shown"] = list(self.question.doc_ids)
        return about


@dataclass(frozen=True)
class Job:
    """All lists that are asked for, with the texts that prompts show."""

    asking: Asking
    candidates: Mapping[str, Sequence[str]]
    queries: Mapping[str, str]
    """Texts of queries by id."""
    passage: Callable[[str], str]
    """The text of a doc as prompts show it."""

    @property
    def n_lists(self) -> int:
        """Lists that are asked for."""
        return len(self.candidates) * self.asking.orders

    def n_requests(self) -> int:
        """Requests for all lists; the most that there can be, where the way is not exact."""
        way, shape = WAYS[self.asking.way], shape_of(self.asking)
        counts = [len(docs[: self.asking.depth]) for docs in self.candidates.values()]
        return self.asking.orders * sum(way.requests(n, shape) for n in counts)

    def n_requests_of(self, course: Course) -> int:
        """Requests for one list, or the most that there can be."""
        return WAYS[self.asking.way].requests(len(course.shown), shape_of(self.asking))

    def courses(self, stored: Mapping[Key, StoredAnswer]) -> Iterator[Course]:
        """Every list, brought to where its stored answers lead; one order of all queries after the other."""
        for order in range(self.asking.orders):
            for query_id, doc_ids in self.candidates.items():
                course = begun(self.asking, query_id, order, doc_ids)
                replay(course, stored, check=self._require_same_prompt)
                yield course

    def request(self, key: Key, question: AskedQuestion) -> Request:
        """The question as it is sent."""
        passages = [self.passage(doc_id) for doc_id in question.doc_ids]
        messages = rendered(self.asking.template, self.queries[key.query_id], passages)
        return Request(key, question, messages, digest_of(messages))

    def _require_same_prompt(self, key: Key, question: AskedQuestion, answer: StoredAnswer) -> None:
        """BadInput where another text was shown when the stored answer was given."""
        if self.request(key, question).prompt != answer.prompt:
            raise BadInput(
                f"{answer.place}: it answers another prompt than would be asked for query {key.query_id} now: the texts, or the docs "
                "that are shown, have changed. Give another file with --out, or the collection it was begun with."
            )


def begun(asking: Asking, query_id: str, order: int, doc_ids: Sequence[str]) -> Course:
    """A list at its beginning."""
    return Course(query_id, order, shown_order(doc_ids, asking, query_id, order), asking)


def replay(
    course: Course,
    stored: Mapping[Key, StoredAnswer],
    *,
    check: Callable[[Key, AskedQuestion, StoredAnswer], None] | None = None,
) -> None:
    """Give a course all the stored answers that it can take."""
    while True:
        known = {key: asked for key, asked in course.pending().items() if key in stored}
        if not known:
            return
        for key, question in known.items():
            if check is not None:
                check(key, question, stored[key])
            course.answer(key, stored[key].response)
