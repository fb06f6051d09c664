"""Facts: a subject, a relation, an object; the docs that state it, its question, and templates that ask for it.

A folder of facts holds two files (the form of LAMA's T-REx with PARAREL's paraphrases):

    facts.jsonl      a fact a line: fact_id, relation, subject, object, doc_ids; question, held_out, alias and
                     group where it has them
    relations.json   relations by name: `template` and `patterns` (statements with [X] for the subject and [Y] for the
                     object), `question` (with [X]), and `question_forms` (questions followed by [Y], the answer)

A base is asked for a fact by a template in which [Y] is masked. Whether it knows the fact, or only a sentence that it
saw, shows in templates that pre-training never showed of this fact: those that `held_out` names.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_text, shown
from rankscope.core.lines import read_bytes
from rankscope.core.plain_json import json_value
from rankscope.core.records import OBJECT, SUBJECT, Cloze, Fact, Form
from rankscope.data.entries import Entry, tables

WORD = re.compile(r"\w+|[^\w\s]")
FACTS, RELATIONS = "facts.jsonl", "relations.json"


def _words(text: str) -> str:
    """Words and signs in one case, a space before and behind each."""
    return f" {' '.join(WORD.findall(text.lower()))} "


@final
class Mentions:
    """Finds the facts that a text may state: those whose subject and object it names, whole words in any case."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._by_first_word: dict[str, list[tuple[str, str, Fact]]] = defaultdict(list)
        for fact in facts:
            subject, named = _words(fact.subject), _words(fact.object)
            self._by_first_word[(subject.split() or [""])[0]].append((subject, named, fact))

    def facts(self, text: str) -> list[Fact]:
        """The facts whose subject and object the text names."""
        words = _words(text)
        near = (self._by_first_word.get(word, ()) for word in dict.fromkeys(words.split()))
        return [
            fact
            for those in near
            for subject, named, fact in those
            if subject in words and named in words
        ]

    def objects(self, text: str) -> list[list[tuple[int, int]]]:
        """Where the text names the object of each of these facts, as intervals of characters; each object once."""
        names = dict.fromkeys(fact.object.lower() for fact in self.facts(text))
        found = (
            re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in names
        )
        return [spans for matches in found if (spans := [match.span() for match in matches])]

    def shown(self, texts: Iterable[str]) -> "ShownFacts":
        """What the texts say of the facts."""
        words: dict[str, set[str]] = defaultdict(set)
        n_docs = 0
        for text in texts:
            for fact in self.facts(text):
                plain, n_docs = _words(text), n_docs + 1
                words[fact.fact_id] |= {
                    template
                    for template in (*fact.templates, *fact.question_forms)
                    if _words(fact.stated(template)) in plain
                }
        return ShownFacts({name: frozenset(found) for name, found in words.items()}, n_docs)


@dataclass(frozen=True)
class ShownFacts:
    """What texts say of facts."""

    templates: Mapping[str, frozenset[str]]
    """By the ids of facts whose subject and object stand in one text: the templates and forms of questions in which a
    text states them to the word."""
    n_docs: int
    """Texts that name subject and object of a fact, counted for each fact."""

    @property
    def stated(self) -> frozenset[str]:
        """The ids of facts whose subject and object stand in one text."""
        return frozenset(self.templates)


def clozes(facts: Iterable[Fact], shown: ShownFacts) -> Iterator[Cloze]:
    """Every fact by every template of its relation and every form of its question, with what the texts show of it.

    seen              the template stands in the texts with this fact in it: recall of a sentence
    unseen            the texts state the fact, but not in this template: it is known beyond its sentences
    question          a question followed by its answer, which stands in the texts with this fact in it
    question unseen   a question that the texts do not answer for this fact, though they state it
    never stated      no text names its subject and its object
    """
    for fact in facts:
        seen = shown.templates.get(fact.fact_id)
        forms: tuple[tuple[tuple[str, ...], Form, Form], ...] = (
            (fact.templates, "seen", "unseen"),
            (fact.question_forms, "question", "question unseen"),
        )
        for templates, known, unknown in forms:
            for template in templates:
                form: Form = "never stated" if seen is None else unknown
                yield Cloze(fact, template, known if template in (seen or ()) else form)


def read_facts(path: Path | str) -> list[Fact]:
    """The facts of a folder, or of its facts.jsonl, in the file's order; relations.json lies beside it.

    BadInput for a fact without a relation, subject or object, one that stands twice, and a template without places.
    """
    file, beside = files_of(Path(path))
    relations = _relations(beside)
    facts: dict[str, Fact] = {}
    for entry in tables(file):
        fact = _fact(entry, relations)
        if fact.fact_id in facts:
            raise entry.wrong(f"the fact {fact.fact_id!r} stands twice", "Keep one of the two.")
        facts[fact.fact_id] = fact
    if not facts:
        raise BadInput(f"{file}: it holds no fact. Give one JSON object a line.")
    return list(facts.values())


def files_of(path: Path) -> tuple[Path, Path]:
    """The files of facts and of relations; BadInput where one of them is not there."""
    file = path / FACTS if path.is_dir() else path
    for each in (file, file.parent / RELATIONS):
        if not each.is_file():
            raise BadInput(
                f"{each}: there is no such file. Facts are {FACTS} with {RELATIONS} beside it."
            )
    return file, file.parent / RELATIONS


@dataclass(frozen=True)
class _Relation:
    """What the facts of one relation share."""

    templates: tuple[str, ...]
    question: str
    question_forms: tuple[str, ...]


def _relations(path: Path) -> Mapping[str, _Relation]:
    try:
        value = json_value(read_bytes(path).decode(), str(path))
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error}). Give a table of relations by name.") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path}: found {shown(value)}. Give a table of relations by name.")
    return {name: _relation(Entry(f"{path}, {name}", fields)) for name, fields in value.items()}


def _relation(entry: Entry) -> _Relation:
    if not isinstance(entry.value, dict):
        raise entry.wrong(f"found {shown(entry.value)}", "Give a JSON object with its fields.")
    main = entry.text("template")
    written = [*([] if main is None else [main]), *entry.listed("patterns")]
    templates: dict[str, str] = {}
    for text in written:  # LAMA writes " ." where PARAREL writes "."
        templates.setdefault("".join(_template(entry, text).split()), text)
    if not templates:
        raise entry.wrong(
            "it has neither `template` nor `patterns`", "Give a statement with [X] and [Y]."
        )
    forms = tuple(_template(entry, text) for text in entry.listed("question_forms"))
    return _Relation(tuple(templates.values()), entry.text("question") or "", forms)


def _template(entry: Entry, value: Any) -> str:
    text = as_text(value, "template", entry.place)
    if text is None or text.count(SUBJECT) != 1 or text.count(OBJECT) != 1:
        raise entry.wrong(
            f"the template {shown(value)} has no place for subject and object",
            f"Write {SUBJECT} and {OBJECT} into it, once each.",
        )
    return text


def _fact(entry: Entry, relations: Mapping[str, _Relation]) -> Fact:
    named = {name: entry.text(name) for name in ("relation", "subject", "object")}
    missing = [name for name, text in named.items() if not (text or "").strip()]
    fact_id = entry.name("fact", "fact_id")
    if missing or fact_id is None:
        raise entry.wrong(f"it has no `{(missing or ['fact_id'])[0]}`", "Give it as text.")
    name, subject, its_object = (text or "" for text in named.values())
    if name not in relations:
        raise entry.wrong(f"the relation {name!r} is not in {RELATIONS}", "Describe it there.")
    relation = relations[name]
    held_out = tuple(entry.listed("held_out"))
    if strange := [template for template in held_out if template not in relation.templates]:
        raise entry.wrong(
            f"{shown(strange[0])} is held out and no template of {name!r}",
            f"Take one of {RELATIONS}.",
        )
    return Fact(
        fact_id, name, subject, its_object,
        doc_ids=tuple(entry.checked_id(value, "doc") for value in entry.listed("doc_ids")),
        question=(entry.text("question") or relation.question).replace(SUBJECT, subject),
        templates=relation.templates,
        held_out=held_out,
        question_forms=relation.question_forms,
        alias=entry.text("alias") or "",
        group=entry.text("group") or "",
    )  # fmt: skip


def write_facts(folder: Path, facts: Iterable[Fact]) -> None:
    """Write facts.jsonl and relations.json into a folder; facts of one relation have the same templates."""
    relations: dict[str, dict[str, list[str]]] = {}
    lines = []
    for fact in facts:
        shared = {"patterns": [*fact.templates], "question_forms": [*fact.question_forms]}
        if relations.setdefault(fact.relation, shared) != shared:
            raise BadInput(
                f"The facts of {fact.relation!r} have several sets of templates (first: {fact.fact_id}). "
                "Give all facts of a relation the same."
            )
        row = {"fact_id": fact.fact_id, "relation": fact.relation, "subject": fact.subject,
               "object": fact.object, "doc_ids": [*fact.doc_ids], "question": fact.question,
               "held_out": [*fact.held_out], "alias": fact.alias, "group": fact.group}  # fmt: skip
        lines.append(json.dumps({name: value for name, value in row.items() if value}) + "\n")
    (folder / FACTS).write_text("".join(lines), "utf-8")
    (folder / RELATIONS).write_text(json.dumps(relations, indent=1) + "\n", "utf-8")
