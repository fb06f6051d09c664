"""What an answer says: an order of the docs shown, or the best of them, and what had to be mended for it.

Orders are read by `data.permutations`, as those of any teacher's file. An answer that should name the best passage is
read as the setwise paper's code does: the first `Passage X`, or a label that stands alone; an answer that names none
chooses the first passage shown, and is counted.
"""

import re
from collections.abc import Callable

from rankscope.data.answers import NO_LIST, malformed_kinds
from rankscope.data.permutations import (
    OUT_OF_RANGE,
    Permutation,
    after_thoughts,
    mended,
    mended_as_published,
)
from rankscope.llm.ways import AN_ORDER, LABELS

Reader = Callable[[str, int], Permutation]
"""Reads the answer to a question about n docs."""

NO_LABEL = "no label"
NAMED = re.compile(r"\bPassage[ \t]*[:#]?[ \t]*[\"'\[(*`]*([A-Z])\b", re.IGNORECASE)
ALONE = re.compile(r"[\"'\[(*`\s]*([A-Za-z])[\"'\])*`.:\s]*")


def reader(kind: str, malformed: str) -> Reader:
    """How answers to prompts of that kind are read."""
    if kind != AN_ORDER:
        return chosen
    return mended_as_published if malformed == "repair_as_published" else mended


def chosen(answer: str, n_docs: int) -> Permutation:
    """The place of the passage that is chosen, before all others; of the first where none is."""
    text = after_thoughts(answer)
    match = NAMED.search(text) or ALONE.fullmatch(text)
    place = LABELS.find(match[1].upper()) if match else -1
    is_shown = 0 <= place < n_docs
    best = place if is_shown else 0
    faults = () if is_shown else (OUT_OF_RANGE if match else NO_LABEL,)
    return Permutation((best, *(other for other in range(n_docs) if other != best)), faults)


def faults_of(answer: str, read: Permutation) -> tuple[str, ...]:
    """How an answer is malformed, by the names that a teacher's report has for it."""
    kinds = malformed_kinds(answer, read.repairs)
    return (NO_LABEL,) if kinds == (NO_LIST,) and NO_LABEL in read.repairs else kinds
