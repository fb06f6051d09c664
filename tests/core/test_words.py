"""Counts in words."""

import re
from pathlib import Path

import pytest

import rankscope
from rankscope.core.words import counted, of_number


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (1, ("doc",), "1 doc"),
        (0, ("doc",), "0 docs"),
        (2, ("doc",), "2 docs"),
        (1, ("query", "queries"), "1 query"),
        (1234, ("query", "queries"), "1,234 queries"),
        (1, ("weight is", "weights are"), "1 weight is"),
    ],
)
def test_a_count_goes_with_its_noun(n: int, words: tuple[str, ...], said: str) -> None:
    assert counted(n, *words) == said
    assert of_number(n, *words) == said.partition(" ")[2]


PLURAL = re.compile(r"\{len\([a-z_.]+\)(:,)?\} (queries|docs|steps|runs|systems|examples|weights|seeds|texts|tests|rankers|lines)\b")  # fmt: skip
SEVERAL = re.compile(r"> 1|!= 1|>= 2|< 2|of_number\(")
"""A condition in the lines above, or the word for one in the same line."""


def test_no_message_counts_one_thing_as_several() -> None:
    """The kind: `f"{len(queries)} queries"`. Those that are known to be several say so by a condition in the lines above."""
    found = []
    for path in sorted(Path(rankscope.__path__[0]).rglob("*.py")):
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            above = " ".join(lines[max(0, number - 6) : number + 1])
            if PLURAL.search(line) and not SEVERAL.search(above):
                found.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert found == []
