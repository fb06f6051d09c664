"""Orders as LLMs write them, `[5] > [18] > ...`: read, mended or refused, and applied to rankings.

An LLM is shown n docs, numbered from 1, and answers with the numbers, best first; or with something
else. Two studies deal with that in two ways, and both are here:

* RankGPT (Sun et al. 2023) mends: every number in the answer is read, wherever it stands; the first
  mention of a doc counts, numbers that are no doc's are left out, docs not named follow in the order
  they were shown in.
* Study B (Pezzuti et al. 2025) drops an answer that is not n numbers with ` > ` between them. It does not
  look for repeats: an answer of n numbers, some of them twice, is kept.

More docs than an LLM can be shown at once are ordered in windows that slide from the bottom of a
ranking to its top; each begins with what the one before it carried up.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

NO_IDS, REPEATS, OUT_OF_RANGE, MISSING = "no ids", "repeats", "out of range", "missing"
WORDS, TOO_FEW, TOO_MANY = "words beside the ids", "too few ids", "too many ids"

NUMBER = re.compile("[0-9]+")
LONGEST = 9
"""Digits; a longer number is no doc's."""


class Permutation(NamedTuple):
    """An order of n docs, as places from 0 in what was shown, and what had to be mended for it."""

    order: tuple[int, ...]
    repairs: tuple[str, ...] = ()


def mended(answer: str, n_docs: int) -> Permutation:
    """The order an answer gives to n docs, as RankGPT mends it; an answer without a number changes none."""
    written = NUMBER.findall(answer)
    short = [digits for number in written if len(digits := number.lstrip("0")) <= LONGEST]
    places = [int(digits or 0) - 1 for digits in short]
    known = [place for place in places if 0 <= place < n_docs]
    named = dict.fromkeys(known)
    left = [place for place in range(n_docs) if place not in named]
    repairs = {
        NO_IDS: not written,
        REPEATS: len(named) < len(known),
        OUT_OF_RANGE: len(known) < len(written),
        MISSING: bool(left and written),
    }
    return Permutation((*named, *left), tuple(kind for kind, found in repairs.items() if found))


def refused_for(answer: str, n_docs: int) -> str | None:
    """Why study B drops the answer, or None where it keeps it.

    A number that is no doc's ends its program; here the answer is dropped.
    """
    if not NUMBER.search(answer):
        return NO_IDS
    try:
        ids = [int(part) for part in answer.replace("[", "").replace("]", "").split(" > ")]
    except ValueError:
        return WORDS
    if len(ids) != n_docs:
        return TOO_FEW if len(ids) < n_docs else TOO_MANY
    return None if all(1 <= number <= n_docs for number in ids) else OUT_OF_RANGE


def windows(n_docs: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """Where each window begins and ends (from 0, the end not in it), from the bottom to the top.

    The last one begins at 0 whatever n is: RankGPT's own loop leaves docs at the top out where n minus the
    size is no multiple of the step, and orders nothing where there are fewer docs than the size.
    """
    assert 1 <= step <= size, "a larger step would leave docs between two windows"
    end = n_docs
    while True:
        start = max(end - size, 0)
        yield start, end
        if start == 0:
            return
        end -= step


def applied(ranking: Sequence[T], start: int, end: int, order: Sequence[int]) -> list[T]:
    """The ranking with the docs of one window in a new order, all others where they were."""
    shown = ranking[start:end]
    return [*ranking[:start], *(shown[place] for place in order), *ranking[end:]]
