"""The world that a base knows facts of: what its three texts say of a fact, and what they do not."""

from collections import Counter

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Fact
from rankscope.data.collections import judged_topics
from rankscope.data.facts import Mentions, clozes
from rankscope.data.world.knowing import (
    KnowingWorld,
    WorldSource,
    knowing_world,
    ordinary,
    pretraining_docs,
)
from rankscope.retrieve import bm25

PEOPLE, GROUPS = 20, 4


@pytest.fixture(scope="module")
def made() -> KnowingWorld:
    return knowing_world(3, people=PEOPLE, groups=GROUPS)


def source(text: str, **more: object) -> WorldSource:
    return WorldSource(3, PEOPLE, GROUPS, text, **more)  # type: ignore[arg-type]


def forms_of(made: KnowingWorld, *untold: str) -> Counter[str]:
    facts = [*made.facts, *made.aliases]
    shown = Mentions(facts).shown(doc.text for doc in pretraining_docs(made, untold=untold))
    return Counter(cloze.form for cloze in clozes(facts, shown) if cloze.fact in made.facts)


def test_the_same_seed_makes_the_same_world(made: KnowingWorld) -> None:
    assert knowing_world(3, people=PEOPLE, groups=GROUPS) == made
    assert knowing_world(4, people=PEOPLE, groups=GROUPS) != made


def test_pretraining_states_every_fact_in_all_but_one_statement_and_both_questions(
    made: KnowingWorld,
) -> None:
    """120 facts, four seen statements, one held out, two questions."""
    assert forms_of(made) == {"seen": 480, "unseen": 120, "question": 240}


def test_each_held_out_statement_is_stated_for_other_facts(made: KnowingWorld) -> None:
    held_out = Counter(template for fact in made.facts for template in fact.held_out)
    assert len(held_out) == 6 * 3
    assert set(held_out.values()) <= {4, 6, 8}, "a third of 20, whole groups"


def test_untold_groups_are_never_stated_and_others_are_as_before(made: KnowingWorld) -> None:
    found = forms_of(made, "1", "3")
    assert found == {"seen": 240, "unseen": 60, "question": 120, "never stated": 420}


def test_groups_are_balanced_over_relations_and_take_no_object_away(made: KnowingWorld) -> None:
    """Were a group all facts of some objects, leaving it out would take the objects away too."""
    assert set(Counter((f.relation, f.group) for f in made.facts).values()) == {PEOPLE // GROUPS}
    groups: dict[str, set[str]] = {}
    for fact in made.facts:
        groups.setdefault(fact.object, set()).add(fact.group)
    assert sum(len(those) > 1 for those in groups.values()) > 0.6 * len(groups)


def test_text_without_facts_has_none(made: KnowingWorld) -> None:
    mentions = Mentions([*made.facts, *made.aliases])
    assert not any(mentions.facts(text) for text in ordinary(made))


def gold(text: str) -> dict[str, str]:
    docs = {doc.doc_id: doc.text for doc in source(text).docs()}
    return {q.query_id: docs[q.doc_id] for q in source(text).qrels() if q.relevance == 1}


def test_question_and_alias_doc_share_the_subject_alone(made: KnowingWorld) -> None:
    """So do the doc and every statement of the fact; the object is named by its alias and not by its name."""
    golds = gold("aliases")
    for fact in made.facts:
        told = set(bm25.analyzed(golds[fact.fact_id]))
        subject = set(bm25.analyzed(fact.subject))
        for text in (fact.question, *(fact.stated(each) for each in fact.templates)):
            assert told & set(bm25.analyzed(text)) == subject
        assert fact.alias in golds[fact.fact_id]
        assert fact.object not in golds[fact.fact_id]


def test_only_knowledge_tells_the_alias_doc_from_those_of_other_objects(made: KnowingWorld) -> None:
    docs = {doc.doc_id: doc.text for doc in source("aliases").docs()}
    alias = {fact.subject: fact.object for fact in made.aliases}
    fact = made.facts[0]
    judged = {
        qrel.doc_id: qrel.relevance
        for qrel in source("aliases").qrels()
        if qrel.query_id == fact.fact_id
    }
    assert Counter(judged.values()) == {1: 1, 0: 7}
    of_relation = {alias[name] for name in made.objects[fact.relation]}
    wrong = [docs[doc_id] for doc_id in judged if "wrong" in doc_id]
    assert len(wrong) == 4
    for text in wrong:
        assert fact.subject in text.split()
        assert fact.alias not in text.split()
        assert set(text.split()) & of_relation
    strangers = [docs[doc_id] for doc_id in judged if "stranger" in doc_id]
    assert all(fact.alias in text and fact.subject not in text for text in strangers)


def test_worded_docs_state_the_fact_and_contradict_none(made: KnowingWorld) -> None:
    mentions = Mentions(made.facts)
    golds = gold("worded")
    assert all(fact in mentions.facts(golds[fact.fact_id]) for fact in made.facts)
    assert not [doc for doc in source("worded").docs() if "wrong" in doc.doc_id]


def test_a_training_is_asked_and_shown_groups_alone(made: KnowingWorld) -> None:
    """Nothing of the group 0 is in what a training reads: no question, no doc, no distractor."""
    hidden = {fact.fact_id for fact in made.facts if fact.group == "0"}
    seen = source("aliases", asked=("1", "2", "3"), shown=("1", "2", "3"))
    docs = {doc.doc_id for doc in seen.docs()}
    assert {query.query_id for query in seen.queries()} == {
        fact.fact_id for fact in made.facts if fact.group != "0"
    }
    assert {qrel.doc_id for qrel in seen.qrels()} <= docs
    assert not [doc_id for doc_id in docs if doc_id.rpartition("-doc")[0] in hidden]
    only = source("aliases", asked=("0",))
    assert {query.query_id for query in only.queries()} == hidden
    assert len([*only.docs()]) == len([*source("aliases").docs()])


def test_its_settings_name_it(made: KnowingWorld) -> None:
    """What reads other docs has another name; so has what asks other questions."""
    assert judged_topics(source("worded")).queries[0].query_id == made.facts[0].fact_id
    texts = [
        source("pretraining"),
        source("pretraining", untold=("1",)),
        source("aliases"),
        source("aliases", asked=("1",), shown=("1",)),
        source("worded"),
    ]
    assert len({str(text.doc_names()) for text in texts}) == 5
    first, second = source("aliases", asked=("1",)), source("aliases")
    assert first.doc_names() == second.doc_names()
    assert first.topic_names() != second.topic_names()
    assert source("pretraining").doc_files() == source("pretraining").topic_files() == ()
    assert source("pretraining").qrels() == []


@pytest.mark.parametrize(("people", "groups"), [(3, 1), (20, 21), (20, 0), (10_000, 5)])
def test_it_has_its_limits(people: int, groups: int) -> None:
    with pytest.raises(BadInput, match="cannot be made: .* 4 to 620 people|in 1 to 20 groups"):
        knowing_world(1, people=people, groups=groups)


def test_the_smallest_world_can_be_made() -> None:
    small = knowing_world(1, people=4, groups=2)
    assert isinstance(small.facts[0], Fact)
    assert len(small.facts) == 24
