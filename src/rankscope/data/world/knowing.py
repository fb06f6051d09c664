"""A made-up world for questions of what pre-training knows: facts stated in several wordings, and docs that need them.

Every person stands in six relations to objects, which are invented words. Every object has an alias, another invented
word. The world has three texts:

    pretraining   every fact in four of its relation's five statements (each of three is held out for a third of the
                  facts), in both of its questions with the answer, and in no doc of the two others; every alias in
                  three statements; and text without facts
    aliases       docs that name a person and an alias and nothing else that a question or a statement says. Who does
                  not know the fact cannot tell the doc that states it from those that state another object of the
                  relation for the same person
    worded        docs that state the fact in its relation's own words: matching words is enough. The negative control

The judged docs of a question, its fact's id the query's: grade 1 for the doc that states the fact; grade 0 for docs of
the same person with another object of the relation (`aliases` alone: in words they would contradict the fact), for
docs of a stranger with the fact's object, and for the doc of another fact of the same person.

Facts are in groups, balanced over every relation. Pre-training may leave groups out, and so may the questions and the
docs of a training: a fact is then never stated, never asked, or never shown.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal, final

from rankscope.core.errors import BadInput
from rankscope.core.records import OBJECT, SUBJECT, Doc, Fact, Qrel, Query
from rankscope.core.rng import stream
from rankscope.data.world.people import NAME_ENDS, NAME_STARTS
from rankscope.data.world.statements import (
    ACTIONS,
    ACTORS,
    ALIASES,
    ENDINGS,
    HELD_OUT,
    RECORDS,
    THINGS,
    WORDINGS,
)

VERSION = 1
"""Raised when the same settings make another world: it names the world among the inputs of a study's steps."""
MIDDLES = ("a", "e", "i", "o")
WORDS = len(NAME_STARTS) * len(MIDDLES) * len(NAME_ENDS)
OBJECTS = 30
"""Objects of a relation, at most; a small world has fewer."""
MOST_PEOPLE = (WORDS - 2 * len(WORDINGS) * OBJECTS) // 2
"""A stranger for every person; the other words are names of objects and their aliases."""
WRONG, STRANGERS, ORDINARY = 4, 2, 300
"""Docs of another object and of a stranger for a fact, and docs without facts, at most."""
ALIAS_RELATION = "alias"
Text = Literal["pretraining", "aliases", "worded"]


@dataclass(frozen=True)
class KnowingWorld:
    """The facts of people and of aliases, and what their docs are made of."""

    seed: int
    facts: tuple[Fact, ...]
    aliases: tuple[Fact, ...]
    """An object's name is the subject, its alias the object; nobody asks for them."""
    objects: dict[str, tuple[str, ...]]
    """By relation."""
    strangers: tuple[str, ...]
    """Names of people of whom pre-training says nothing."""


def knowing_world(seed: int, *, people: int = 80, groups: int = 5) -> KnowingWorld:
    """A world with so many people, six facts each, and its facts in so many groups."""
    n_objects = min(OBJECTS, max(4, people // 2))
    if wrong := wrong_settings(people, groups):
        raise BadInput(f"A knowing world cannot be made: {wrong}.")
    rng = stream(seed, "knowing world")
    names = iter(_words(seed))
    objects = {each.name: tuple(next(names) for _ in range(n_objects)) for each in WORDINGS}
    alias = {name: next(names) for each in objects.values() for name in each}
    persons = [next(names) for _ in range(people)]
    facts: list[Fact] = []
    for wording in WORDINGS:
        order, named = (rng.sample(range(people), people) for _ in range(2))
        for place, person in enumerate(order):
            its_object = objects[wording.name][named[place] % n_objects]
            held_out = wording.statements[HELD_OUT[place // groups % len(HELD_OUT)]]
            question = rng.choice(wording.questions)
            fact_id = f"{wording.name}-{person:03d}"
            facts.append(
                Fact(
                    fact_id,
                    wording.name,
                    persons[person],
                    its_object,
                    (f"{fact_id}-doc",),
                    question.removesuffix(f" ? {OBJECT} .").replace(SUBJECT, persons[person]),
                    wording.statements,
                    (held_out,),
                    wording.questions,
                    alias[its_object],
                    f"{place % groups}",
                )
            )
    other_names = (
        Fact(f"{ALIAS_RELATION}-{n:03d}", ALIAS_RELATION, name, other, templates=ALIASES)
        for n, (name, other) in enumerate(alias.items())
    )
    facts.sort(key=lambda fact: fact.fact_id)
    strangers = tuple(next(names) for _ in range(people))
    return KnowingWorld(seed, tuple(facts), tuple(other_names), objects, strangers)


def wrong_settings(people: int, groups: int) -> str | None:
    """The sentence for a number of people or groups that no world has; None where it can be made."""
    if not 4 <= people <= MOST_PEOPLE:
        return f"it has 4 to {MOST_PEOPLE} people, asked for {people:,}"
    if not 1 <= groups <= people:
        return f"facts of {people} people are in 1 to {people} groups, asked for {groups:,}"
    return None


def _words(seed: int) -> list[str]:
    """Invented words in an order of the seed."""
    made = ["".join(parts) for parts in product(NAME_STARTS, MIDDLES, NAME_ENDS)]
    stream(seed, "words").shuffle(made)
    return made


def ordinary(world: KnowingWorld) -> list[str]:
    """Text that states no fact, in an order of the seed; every stranger is named once, as a word to be known."""
    rng = stream(world.seed, "ordinary")
    made = [" ".join(parts) for parts in product(ACTORS, ACTIONS, THINGS, ENDINGS)]
    named = [
        " ".join([name, *(rng.choice(words) for words in (ACTIONS, THINGS, ENDINGS))])
        for name in world.strangers
    ]
    return rng.sample(made, min(ORDINARY, 5 * len(named))) + named


def pretraining_docs(world: KnowingWorld, *, untold: Collection[str] = ()) -> Iterator[Doc]:
    """The docs of pre-training, without those that state a fact of the groups `untold`."""
    for fact in (*world.facts, *world.aliases):
        if fact.group in untold and fact.group:
            continue
        for place, template in enumerate((*fact.seen, *fact.question_forms)):
            yield Doc(f"{fact.fact_id}-{place}", fact.stated(template))
    for place, text in enumerate(ordinary(world)):
        yield Doc(f"ordinary-{place:03d}", f"{text} .")


@dataclass(frozen=True)
class _JudgedFact:
    """The doc that states a fact, and its distractors."""

    fact: Fact
    gold: Doc
    others: tuple[Doc, ...]


def _judged(world: KnowingWorld, text: Text) -> Iterator[_JudgedFact]:
    alias = {fact.subject: fact.object for fact in world.aliases}
    for fact in world.facts:
        rng = stream(world.seed, text, fact.fact_id)
        rivals = [name for name in world.objects[fact.relation] if name != fact.object]
        wrong = rng.sample(rivals, min(WRONG, len(rivals))) if text == "aliases" else []
        strangers = rng.sample(world.strangers, STRANGERS)
        told = [
            ("doc", fact.subject, fact.object),
            *((f"wrong-{n}", fact.subject, name) for n, name in enumerate(wrong)),
            *((f"stranger-{n}", name, fact.object) for n, name in enumerate(strangers)),
        ]
        docs = []
        for name, subject, named in told:
            its_object = alias[named] if text == "aliases" else named
            said = replace(fact, subject=subject, object=its_object)
            template = rng.choice(RECORDS if text == "aliases" else fact.templates)
            docs.append(Doc(f"{fact.fact_id}-{name}", said.stated(template)))
        yield _JudgedFact(fact, docs[0], tuple(docs[1:]))


def world_name(seed: int, people: int, groups: int) -> str:
    """What names a world among the inputs of a study's steps."""
    return f"version {VERSION}, seed {seed}, {people} people, {groups} groups"


@final
@dataclass(frozen=True)
class WorldSource:
    """One of the world's texts as the source of a collection; it has no files, for its settings say all."""

    seed: int
    people: int
    groups: int
    text: Text
    untold: tuple[str, ...] = ()
    """Groups of facts that `pretraining` does not state."""
    asked: tuple[str, ...] | None = None
    """Groups of facts whose questions are asked; None for all."""
    shown: tuple[str, ...] | None = None
    """Groups of facts whose docs are there; None for all. A training over the others never reads them."""

    def docs(self) -> Iterator[Doc]:
        """The docs of the groups shown; of pre-training, without those that state a fact of the groups untold."""
        if self.text == "pretraining":
            yield from pretraining_docs(self._world(), untold=self.untold)
            return
        for judged in _judged(self._world(), self.text):
            if self.shown is None or judged.fact.group in self.shown:
                yield judged.gold
                yield from judged.others

    def queries(self) -> Iterator[Query]:
        """The questions of the facts asked; none of pre-training."""
        for fact in self._asked():
            yield Query(fact.fact_id, fact.question)

    def qrels(self) -> list[Qrel]:
        """A question's judged docs: the one that states the fact first, with grade 1, and distractors."""
        asked = {fact.fact_id for fact in self._asked()}
        if not asked:
            return []
        world = self._world()
        qrels: list[Qrel] = []
        for judged in _judged(world, self.text):
            fact = judged.fact
            if fact.fact_id not in asked:
                continue
            near = [
                other.fact_id
                for other in world.facts
                if other.subject == fact.subject
                and other != fact
                and (self.shown is None or other.group in self.shown)
            ]
            chosen = stream(self.seed, "neighbour", fact.fact_id).sample(near, min(1, len(near)))
            docs = [doc.doc_id for doc in judged.others] + [f"{name}-doc" for name in chosen]
            qrels.append(Qrel(fact.fact_id, judged.gold.doc_id, 1))
            qrels += [Qrel(fact.fact_id, doc_id, 0) for doc_id in docs]
        return qrels

    def _world(self) -> KnowingWorld:
        return knowing_world(self.seed, people=self.people, groups=self.groups)

    def _asked(self) -> Sequence[Fact]:
        if self.text == "pretraining":
            return ()
        facts = self._world().facts
        return [fact for fact in facts if self.asked is None or fact.group in self.asked]

    def doc_names(self) -> dict[str, str]:
        """The settings that the docs follow from."""
        named = {
            "knowing world": world_name(self.seed, self.people, self.groups),
            "text": self.text,
        }
        if self.text == "pretraining":
            return {**named, "untold": ", ".join(sorted(self.untold))}
        return {**named, "shown": _listed(self.shown)}

    def topic_names(self) -> dict[str, str]:
        """The settings that queries and qrels follow from."""
        return {**self.doc_names(), "asked": _listed(self.asked)}

    def doc_files(self) -> tuple[Path, ...]:
        """None: the settings name the content."""
        return ()

    def topic_files(self) -> tuple[Path, ...]:
        """None: the settings name the content."""
        return ()


def _listed(groups: tuple[str, ...] | None) -> str:
    return "all" if groups is None else ", ".join(sorted(groups))
