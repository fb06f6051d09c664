"""What answers say: the passage that is chosen, and how an answer is malformed."""

import pytest

from rankscope.data.answers import malformed_kinds
from rankscope.data.permutations import mended
from rankscope.llm.reading import chosen, faults_of


@pytest.mark.parametrize(
    ("answer", "place", "faults"),
    [
        ("Passage B", 1, ()),
        ("passage b.", 1, ()),
        ("B", 1, ()),
        ('"C"', 2, ()),
        ("**Passage C** is the best; Passage A is not.", 2, ()),
        ("<think>Passage A? No.</think> Passage B", 1, ()),
        ("Passage D", 0, ("out of range",)),
        ("None of them.", 0, ("no label",)),
        ("A good question", 0, ("no label",)),
        ("", 0, ("empty",)),
        ("I'm sorry, I cannot compare these.", 0, ("refusal",)),
    ],
)
def test_a_label_is_read(answer: str, place: int, faults: tuple[str, ...]) -> None:
    read = chosen(answer, 3)
    assert read.order[0] == place
    assert sorted(read.order) == [0, 1, 2]
    assert faults_of(answer, read) == faults


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("[2] > [1] > [3]", ()),
        ("Ranking: [2] > [1] > [3]", ()),
        ("[2] > [2] > [1]", ("repeated", "missing")),
        ("[2] > [1] > [3] > [4]", ("out of range",)),
        ("[2] > [1]", ("missing",)),
        ("  \n", ("empty",)),
        ("None of the passages is relevant.", ("no list",)),
        ("In 1999 there were 3 of them.", ("no list",)),
        ("I'm sorry, but I can't rank these passages.", ("refusal",)),
        ("As an AI language model, I do not rank.", ("refusal",)),
    ],
)
def test_malformed_orders_by_kind(answer: str, kinds: tuple[str, ...]) -> None:
    found = malformed_kinds(answer, mended(answer, 3).repairs)
    assert sorted(found) == sorted(kinds)
