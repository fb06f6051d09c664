"""A made-up world of facts whose right answers are known: demo, tests, controlled studies.

People with invented names stand in relations to invented places, crafts and things. Most
facts are asked for in words that the doc stating them does not use ("where was X born", "the cradle
of X stood in Y"), while other docs repeat the question's words and the name and answer something else. So
word overlap alone points the wrong way, and what must be learnt is known: which statement answers
which kind of question, and of whom it speaks.

    grade 2   the doc that states the fact
    grade 1   a doc that hints at it
    grade 0   judged distractors: the question's words, another person's fact, a fact reported of
              someone else
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc, Qrel, Query, Run, ScoredDoc
from rankscope.core.rng import stream
from rankscope.core.trec.writing import write_run


class _PersonRelation(NamedTuple):
    """A kind of fact: {s} is the person, {o} what the fact names."""

    name: str
    objects: str
    plain: str
    """The fact in the question's own words; used for some facts, so that word overlap is not useless."""
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    hint: str


RELATIONS = (
    _PersonRelation(
        "birthplace", "place",
        "{s} was born in {o}",
        ("where was {s} born", "what is the birthplace of {s}"),
        ("the cradle of {s} stood in {o}", "{s} came into the world at {o}",
         "{o} claims {s} as a native child"),
        "old neighbours in {o} remember {s} as a toddler",
    ),
    _PersonRelation(
        "employer", "house",
        "the company that employs {s} is {o}",
        ("which company employs {s}", "who is the employer of {s}"),
        ("{s} draws wages from the {o} works", "the {o} works keep {s} on the payroll",
         "every morning {s} reports for duty at the {o} works"),
        "{s} was seen wearing the badge of the {o} works",
    ),
    _PersonRelation(
        "instrument", "instrument",
        "{s} plays the instrument called {o}",
        ("what instrument does {s} play", "which instrument is played by {s}"),
        ("at concerts {s} performs on the {o}", "{s} has mastered the {o}",
         "crowds gather when {s} picks up a {o}"),
        "a {o} hangs above the bed of {s}",
    ),
    _PersonRelation(
        "spouse", "person",
        "{s} is married to {o}",
        ("who is {s} married to", "what is the name of the spouse of {s}"),
        ("{s} exchanged rings with {o}", "{o} took {s} as partner for life",
         "the wedding of {s} and {o} lasted three days"),
        "{s} shares a letterbox with {o}",
    ),
    _PersonRelation(
        "teacher", "person",
        "{o} taught {s}",
        ("who taught {s}", "who was the teacher of {s}"),
        ("{s} learned the craft under {o}", "as a pupil {s} sat at the feet of {o}",
         "{o} trained {s} for seven winters"),
        "{s} still quotes the sayings of {o}",
    ),
    _PersonRelation(
        "residence", "place",
        "{s} lives in {o}",
        ("where does {s} live", "in which town is the home of {s}"),
        ("{s} has settled down in {o}", "the address of {s} is a street of {o}",
         "{s} dwells behind the market at {o}"),
        "the garden party of {s} was held at {o}",
    ),
    _PersonRelation(
        "discovery", "thing",
        "{s} discovered the {o}",
        ("what did {s} discover", "which discovery is credited to {s}"),
        ("{s} was the first to describe the {o}", "the {o} was unknown before {s} found it",
         "science owes the {o} to {s}"),
        "the notebooks of {s} sketch a {o}",
    ),
    _PersonRelation(
        "fear", "thing",
        "{s} is afraid of the {o}",
        ("what is {s} afraid of", "which thing does {s} fear most"),
        ("nothing terrifies {s} like a {o}", "{s} trembles at the sight of the {o}",
         "a {o} sends {s} running"),
        "{s} avoids the museum that shows the {o}",
    ),
)  # fmt: skip

FILLERS = (
    "few children were born that winter",
    "the register of every birthplace is kept in the vault",
    "the company closed its books early",
    "no employer would pay for the bridge",
    "a played out mine lies north of the town",
    "nobody had an instrument to measure the flood",
    "the married couples danced until nine",
    "the name of each spouse was read aloud",
    "the teacher rang the bell and taught no more that day",
    "swallows live under the roof of the old home",
    "the discovery of a leak delayed the ferry",
    "the critics credited the weather",
    "the goats were afraid of thunder",
    "most people fear the tax collector",
    "the clock tower struck nine",
    "a second copy is kept elsewhere",
)
REPORTS = ("{s} told the newspaper that {fact}", "{s} wrote a song about how {fact}")
MUSINGS = (
    "{question} is what visitors ask and {t} never answers",
    "a pamphlet entitled {question} was printed and then lost",
    "the quiz posed {question} and nobody in {p} knew",
)
NAME_STARTS = ("bel", "cor", "dra", "fen", "gal", "hor", "jas", "kel", "lor", "mar", "nev", "os",
               "pel", "quil", "ras", "sel", "tor", "ul", "ver", "wes")  # fmt: skip
NAME_ENDS = ("ano", "bek", "dun", "erin", "fax", "gosh", "ilda", "kan", "lum", "mir", "nox", "oth",
             "pry", "rund", "sk", "tam", "uva", "wyn", "yel", "zor")  # fmt: skip
LAST_NAMES = 60
MOST_PEOPLE = len(NAME_STARTS) * len(NAME_ENDS) - 100 - LAST_NAMES
MUSING_SHARE = 0.4
PLAIN_SHARE = 0.3
TEACHER_NOISE = 1.1
CANDIDATES = 10


class _PersonFact(NamedTuple):
    """A person, a relation, and what it names."""

    subject: str
    relation: _PersonRelation
    object: str


@dataclass(frozen=True)
class World:
    """Docs, queries, judgements, and an imperfect teacher's rankings of every query's candidates."""

    docs: list[Doc]
    queries: list[Query]
    qrels: list[Qrel]
    teacher: Run


def world(seed: int, *, n_people: int = 120) -> World:
    """A world with `n_people` people and one query for each of their eight facts."""
    if not 4 <= n_people <= MOST_PEOPLE:
        raise BadInput(f"A world has 4 to {MOST_PEOPLE} people, asked for {n_people}.")
    rng = stream(seed, "world")
    facts = list(_facts(rng, n_people))
    docs: list[Doc] = []
    queries: list[Query] = []
    qrels: list[Qrel] = []
    teacher: list[ScoredDoc] = []
    about: dict[str, list[str]] = {}
    groups = []
    for number, fact in enumerate(facts):
        question = rng.choice(fact.relation.questions).format(s=fact.subject)
        query = Query(f"q{number:05d}", question)
        queries.append(query)
        grades = {}
        for text, grade in _texts(fact, question, facts, rng):
            doc = Doc(f"d{len(docs):06d}", _with_filler(text, rng))
            docs.append(doc)
            grades[doc.doc_id] = grade
            about.setdefault(fact.subject, []).append(doc.doc_id)
        groups.append((query, fact, grades))
    for query, fact, grades in groups:
        qrels += [Qrel(query.query_id, doc_id, grade) for doc_id, grade in grades.items()]
        others = [doc_id for doc_id in about[fact.subject] if doc_id not in grades]
        n_others = min(len(others), CANDIDATES - len(grades))
        for doc_id in [
            *grades,
            *stream(seed, "candidates", query.query_id).sample(others, n_others),
        ]:
            noise = stream(seed, "teacher", query.query_id, doc_id).uniform(0, TEACHER_NOISE)
            teacher.append(ScoredDoc(query.query_id, doc_id, grades.get(doc_id, 0) + noise))
    rng.shuffle(docs)
    return World(docs, queries, qrels, Run.of("world-teacher", teacher))


def _facts(rng: Random, n_people: int) -> Iterator[_PersonFact]:
    """Every relation of every person; names of people are two words, of other things one."""
    words = [start + end for start, end in product(NAME_STARTS, NAME_ENDS)]
    rng.shuffle(words)
    named = {
        "place": words[:30],
        "house": words[30:50],
        "instrument": words[50:70],
        "thing": words[70:100],
    }
    firsts, lasts = words[100 : 100 + n_people], words[-LAST_NAMES:]
    people = [f"{first} {rng.choice(lasts)}" for first in firsts]
    named["person"] = people
    for person in people:
        for relation in RELATIONS:
            choices = [name for name in named[relation.objects] if name != person]
            yield _PersonFact(person, relation, rng.choice(choices))


def _texts(
    fact: _PersonFact, question: str, facts: Sequence[_PersonFact], rng: Random
) -> Iterator[tuple[str, int]]:
    """The judged texts of a fact's query, with their grades."""
    subject, relation, named = fact
    stated = relation.plain if rng.random() < PLAIN_SHARE else rng.choice(relation.statements)
    yield stated.format(s=subject, o=named), 2
    yield relation.hint.format(s=subject, o=named), 1
    other = rng.choice([f for f in facts if f.relation is relation and f.subject != subject])
    reported = rng.choice(relation.statements).format(s=other.subject, o=other.object)
    yield rng.choice(REPORTS).format(s=subject, fact=reported), 0
    if rng.random() < MUSING_SHARE:
        yield rng.choice(MUSINGS).format(question=question, t=subject, p=other.subject), 0


def _with_filler(text: str, rng: Random) -> str:
    sentences = [text, *rng.sample(FILLERS, rng.choice((0, 1, 1)))]
    rng.shuffle(sentences)
    return " . ".join(sentences) + " ."


def write(made: World, folder: Path, *, test_share: float, seed: int) -> None:
    """Write a world as a folder in BEIR layout with splits train and test, and `teacher.run`."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write_lines(
        folder / "corpus.jsonl", [{"_id": i, "title": "", "text": t} for i, t in made.docs]
    )
    _write_lines(folder / "queries.jsonl", [{"_id": i, "text": t} for i, t in made.queries])
    order = sorted(query.query_id for query in made.queries)
    stream(seed, "split").shuffle(order)
    test = set(order[: round(test_share * len(order))])
    for split, chosen in (("test", test), ("train", set(order) - test)):
        rows = [f"{q}\t{d}\t{grade}\n" for q, d, grade in made.qrels if q in chosen]
        text = "query-id\tcorpus-id\tscore\n" + "".join(rows)
        (folder / "qrels" / f"{split}.tsv").write_text(text, "utf-8")
    write_run(folder / "teacher.run", made.teacher)


def _write_lines(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
