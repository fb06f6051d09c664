import json
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Fact
from rankscope.data.facts import read_facts, write_facts

RELATION = {
    "template": "[X] works in [Y] .",
    "patterns": ["[X] works in [Y].", "[Y] is where [X] works."],
    "question": "where does [X] work?",
}


def folder_of(place: Path, *facts: object, relation: object = RELATION) -> Path:
    (place / "facts.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")
    (place / "relations.json").write_text(json.dumps({"works": relation}), "utf-8")
    return place


ADA = {
    "fact_id": "f1",
    "relation": "works",
    "subject": "Ada",
    "object": "Ulm",
    "doc_ids": ["d1", "d2"],
}


def test_facts_are_read_with_what_their_relation_says(tmp_path: Path) -> None:
    """LAMA's template and the paraphrase that differs by a space alone are one."""
    folder = folder_of(tmp_path, ADA)
    (fact,) = read_facts(folder)
    assert read_facts(folder / "facts.jsonl") == [fact]
    assert fact.templates == ("[X] works in [Y] .", "[Y] is where [X] works.")
    assert fact.question == "where does Ada work?"
    assert fact.stated(fact.templates[1]) == "Ulm is where Ada works."
    assert fact.cloze(fact.templates[0], "[MASK]") == "Ada works in [MASK] ."


def test_an_object_named_as_a_place_is_put_in_as_it_is() -> None:
    fact = Fact("f", "r", "[Y]", "[X]")
    assert fact.stated("[X] is [Y] .") == "[Y] is [X] ."


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    shared = {"templates": ("[X] in [Y]", "[Y] has [X]"), "question_forms": ("where is [X] ? [Y]",)}
    facts = [
        Fact("f1", "in", "ada", "ulm", ("d1",), "where is ada", held_out=("[Y] has [X]",), alias="mul", group="2", **shared),
        Fact("f2", "in", "bob", "jena", **shared),
    ]  # fmt: skip
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    assert [fact.seen for fact in facts] == [("[X] in [Y]",), ("[X] in [Y]", "[Y] has [X]")]


def test_facts_of_a_relation_share_their_templates(tmp_path: Path) -> None:
    facts = [
        Fact("f1", "in", "ada", "ulm", templates=("[X] in [Y]",)),
        Fact("f2", "in", "bob", "jena"),
    ]
    with pytest.raises(BadInput, match="several sets of templates .first: f2"):
        write_facts(tmp_path, facts)


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ({**ADA, "object": " "}, "line 1: it has no `object`"),
        ({**ADA, "fact_id": None}, "it has no `fact_id`"),
        ({**ADA, "relation": "lives"}, "the relation 'lives' is not in relations.json"),
        ({**ADA, "held_out": ["[X] or [Y]"]}, "is held out and no template"),
        ({**ADA, "subject": 3}, "`subject` is 3"),
    ],
)
def test_a_fact_that_is_none_is_told(tmp_path: Path, fact: object, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_facts(folder_of(tmp_path, fact))
    assert said in str(caught.value)


def test_other_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 2: the fact 'f1' stands twice"):
        read_facts(folder_of(tmp_path, ADA, ADA))
    with pytest.raises(
        BadInput, match=r"has no place for subject and object. Write \[X\] and \[Y\]"
    ):
        read_facts(folder_of(tmp_path, ADA, relation={"template": "[X] works"}))
    with pytest.raises(BadInput, match="neither `template` nor `patterns`"):
        read_facts(folder_of(tmp_path, ADA, relation={}))
    with pytest.raises(BadInput, match="holds no fact"):
        read_facts(folder_of(tmp_path))
    (tmp_path / "relations.json").write_text("[]", "utf-8")
    with pytest.raises(BadInput, match="Give a table of relations by name"):
        read_facts(tmp_path)


def test_the_facts_of_t_rex_are_read(real_data: Path) -> None:
    facts = read_facts(real_data / "trex-facts")
    assert len(facts) == 20128
    assert facts[0].question == "in which field does Alan Turing work?"
    assert all(fact.templates and fact.doc_ids for fact in facts)
