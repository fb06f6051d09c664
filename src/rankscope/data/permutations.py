"""Orders as LLMs write them, `[5] > [18] > ...`: read, mended or refused, and applied to rankings.

An LLM is shown n docs, numbered from 1, and answers with the numbers, best first; or with something
else. Two studies deal with that in two ways, and both are here:

* RankGPT (Sun et al. 2023) mends: the first mention of a doc counts, numbers that are no doc's are left
  out, docs not named follow in the order they were shown in.
* Study B (Pezzuti et al. 2025) drops an answer that is not n numbers with ` > ` between them. It does not
  look for repeats: an answer of n numbers, some of them twice, is kept.

RankGPT's program takes every number for a doc's, wherever it stands (`mended_as_published`). Here only the numbers
of an order are ids: numbers in thoughts, numbers of list items, scores and years are not. The first form that fits
is read:

| form | such as |
|---|---|
| nothing but ids | `[5] > [3] > [1]`, `5, 3 and 1`, `[5, 3, 1]`, `["5", "3"]` |
| the last chain of ids that names all docs, else all that other chains name | `Ranking: **[5]** (0.9) > Passage 3 > [1]. [5] says ...` |
| a list with an id a line | `1. [5]` `2. [3]: it says ...`, `- [5]`, `Rank 1: Passage 5` |
| the last ids parted by commas, if they are all docs | `{"order": [5, 3, 1]}`, `Best first: 5, 3, 1` |

All after the last end of thoughts (`</think>` and its kin), and within the last `<answer>` where there is one.
Words beside the ids are counted as WORDS. These are no order, are counted as NO_IDS or NO_ORDER and never guessed
at: a thought that does not end, prose, chains of `<`, ranges (`[1]-[5]`), ranks or scores by id (`[1]: 3`), a 0
among ids that do not name all docs from 1 (they may count from 0), an order from worst to best, remarks on the docs as
they were shown, a part of a chain, and two orders of which the second is another.

More docs than an LLM can be shown at once are ordered in windows that slide from the bottom of a
ranking to its top; each begins with what the one before it carried up.
"""

# ruff: noqa: RUF001 -- brackets, bars and dashes that models write

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

NO_IDS, REPEATS, OUT_OF_RANGE, MISSING = "no ids", "repeats", "out of range", "missing"
NO_ORDER = "numbers in no order"
WORDS, TOO_FEW, TOO_MANY = "words beside the ids", "too few ids", "too many ids"

NUMBER = re.compile("[0-9]+")
LONGEST = 9
"""Digits; a longer number is no doc's."""


class Permutation(NamedTuple):
    """An order of n docs, as places from 0 in what was shown, and what had to be mended for it."""

    order: tuple[int, ...]
    repairs: tuple[str, ...] = ()


class _Written(NamedTuple):
    """The ids of an order as they are written, and whether all of the answer is read."""

    ids: list[str]
    has_words: bool


def mended(answer: str, n_docs: int) -> Permutation:
    """The order an answer gives to n docs, as RankGPT mends it; an answer without an order changes none."""
    written = _order(answer, n_docs)
    if _counts_from_0(written.ids, n_docs):
        written = _Written([], has_words=True)
    return _mended(answer, written, n_docs)


def _counts_from_0(ids: Sequence[str], n_docs: int) -> bool:
    """Whether an order may count docs from 0: it names a 0, and not every doc by its number from 1."""
    return any(not number.strip("0") for number in ids) and not _names_all(ids, n_docs)


def mended_as_published(answer: str, n_docs: int) -> Permutation:
    """The order that RankGPT's program gives: every number is an id, wherever it stands.

    A defect: `1. [5] > [3]` is read as 1, 5, 3. Runs that were published rest on it.
    """
    return _mended(answer, _Written(NUMBER.findall(answer), has_words=False), n_docs)


def _mended(answer: str, written: _Written, n_docs: int) -> Permutation:
    places = [_place(number) for number in written.ids]
    known = [place for place in places if 0 <= place < n_docs]
    named = dict.fromkeys(known)
    left = [place for place in range(n_docs) if place not in named]
    repairs = {
        NO_IDS: not NUMBER.search(answer),
        NO_ORDER: not written.ids and bool(NUMBER.search(answer)),
        REPEATS: len(named) < len(known),
        OUT_OF_RANGE: len(known) < len(places),
        MISSING: bool(left and places),
        WORDS: bool(places) and written.has_words,
    }
    return Permutation(
        (*named, *left), tuple(kind for kind, is_needed in repairs.items() if is_needed)
    )


def _place(number: str) -> int:
    """From 0; -1 for a number that is no doc's."""
    digits = number.lstrip("0")
    return int(digits or 0) - 1 if len(digits) <= LONGEST else -1


def refused_for(answer: str, n_docs: int) -> str | None:
    """Why study B drops the answer, or None where it keeps it.

    A number that is no doc's ends its program; here the answer is dropped.
    """
    if not NUMBER.search(answer):
        return NO_IDS
    parts = answer.replace("[", "").replace("]", "").split(" > ")
    if not all(NUMBER.fullmatch(part.strip()) for part in parts):
        return WORDS
    if len(parts) != n_docs:
        return TOO_FEW if len(parts) < n_docs else TOO_MANY
    return None if all(0 <= _place(part.strip()) < n_docs for part in parts) else OUT_OF_RANGE


# -- what of an answer is an order -----------------------------------------------------------------

_THOUGHT = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad)"
THOUGHT_ENDS = re.compile(
    rf"</\s*(?:\w+:)?{_THOUGHT}\s*>|\[/think(?:ing)?\]|[◁◀]/{_THOUGHT}[▷▶]"
    rf"|<[|｜](?:/|end[_▁]of[_▁]|end[_▁]){_THOUGHT}[|｜]>|<[|｜]{_THOUGHT}[_▁]end[|｜]>"
    r"|<\|channel\|>\s*final\s*(?:<\|message\|>)?",
    re.IGNORECASE,
)
THOUGHT_BEGINS = re.compile(
    rf"<\s*(?:\w+:)?{_THOUGHT}\s*>|\[think(?:ing)?\]|[◁◀]{_THOUGHT}[▷▶]"
    rf"|<[|｜](?:begin[_▁]of[_▁]|begin[_▁])?{_THOUGHT}(?:[_▁](?:begin|start))?[|｜]>"
    r"|<\|channel\|>\s*analysis",
    re.IGNORECASE,
)
ANSWERED = re.compile(
    r"<\s*(answer|ranking|output|result|response)\s*>(.*?)</\s*\1\s*>", re.IGNORECASE | re.DOTALL
)

_NAME = r"\b(?:passage|document|doc|text|id|item|candidate|result)s?[ \t]*[#_:]?[ \t]*"
_MARKS = r"[*_`\"'~]*"
_BRACKETED = rf"[\[［【]\s*(?:{_NAME})?#?\s*[0-9]+\s*[\]］】]"
_NAMED = rf"(?:{_NAME})(?:{_BRACKETED}|#?[0-9]+(?![0-9]|[.,][0-9]))"
_BARE = r"(?<![0-9.,\w])#?[0-9]+(?![0-9]|[.,][0-9])"
_ID = rf"{_MARKS}(?:{_NAMED}|{_BRACKETED}|{_BARE}){_MARKS}"
_BESIDE = r"(?:[ \t]*(?:\([^()\n<>]*\)|[\[{]\s*-?[0-9]*\.[0-9]+\s*[\]}]|:[ \t]*-?[0-9]*\.[0-9]+))?"
"""What may follow an id: a remark or score in round brackets, or a fraction."""
_ABOVE = r"\s*(?:>+|≻|≫|→|⟩|›|&gt;|->|=>)\s*"
_OTHERWISE = r"[ \t]*(?:<|≺|&lt;|=|≈|,|;|[-–—~]|\.\.+|…|\bto\b|\bthrough\b)?[ \t]*"
"""What separates ids that do not stand best first: a chain upwards, a tie, a range, a score."""

ITEM = re.compile(rf"({_ID}){_BESIDE}", re.IGNORECASE)
CHAIN = re.compile(rf"{_ID}{_BESIDE}(?:{_ABOVE}{_ID}{_BESIDE})+", re.IGNORECASE)
BEFORE = re.compile(rf"{_ID}{_OTHERWISE}$", re.IGNORECASE)
AFTER = re.compile(rf"{_OTHERWISE}{_ID}", re.IGNORECASE)
COMMAS = re.compile(rf"{_ID}(?:\s*(?:,\s*(?:and\b)?|\band\b)\s*{_ID})+", re.IGNORECASE)
LINE = re.compile(
    r"\s*(?:(?:rank|no\.?|place)?[ \t]*#?(?P<at>[0-9]+)[ \t]*[.):]|[-*•+])(?:[ \t]+|(?=\*\*|\[))"
    rf"(?P<id>{_ID})(?P<rest>.*)",
    re.IGNORECASE,
)
ZEROS, TOO_LONG = re.compile("(?<![0-9])0+(?=[0-9])"), re.compile(f"[0-9]{{{LONGEST + 1},}}")
CUT_BEFORE = re.compile(r"\S\s*(?:>|≻|→|&gt;|=>)\s*$")
CUT_AFTER = re.compile(rf"{_ABOVE}(?!\s*(?:\.\.+|…|etc\b|[\[(]?[0-9]*\s*$))", re.IGNORECASE)
"""A chain goes on before or after what is read of it: with something that is no id. One cut off at its end does not."""
LABEL = re.compile(
    r"(?:</?[\w-]+>|(?:rank\w*|order|answer|output|result)\W*(?:[-=]?>|→))\s*$", re.IGNORECASE
)
"""A tag, or a title with an arrow, before a chain."""
WORST_FIRST = re.compile(
    r"\bfrom (?:the )?(?:least|worst|lowest)\b[^.\n]{0,40}\bto (?:the )?(?:most|best|highest)\b"
    r"|(?<!\bat )\b(?:least|worst|lowest)(?:[ -](?:relevant|ranked|scored))?"
    r"(?: (?:passage|document|doc|one|item)s?)?,?[ -]first\b(?= *[:\n)])"
    r"|\bin (?:an )?(?:ascending|increasing) order\b(?: of relevance)? *[:)\n]"
    r"|\((?:in )?ascending order of relevance\)",
    re.IGNORECASE,
)
"""Words that say of the answer, not of a doc, that its order begins with the worst."""
INLINE = re.compile(
    r"(?<=\])[ \t]*[>,;]?[ \t]*(?=[0-9]{1,4}[.)][ \t]*\[)|(?<=[:.])[ \t]+(?=1[.)][ \t]*\[)"
)
"""The place between two items of a list that is numbered within one line: `1. [5] > 2. [3]`."""
RANGE = re.compile(r"[ \t]*(?:[-–—~]|\bto\b|\.\.+|…)[ \t]*\[?[0-9]+(?![0-9.])", re.IGNORECASE)
SCORED = re.compile(
    r"[ \t]*[\[({:=|-]*[ \t]*(?:score|rank)?[ \t]*[:=]?[ \t]*(-?[0-9]*\.?[0-9]+)", re.IGNORECASE
)
ONLY_IDS = re.compile(r"(?:[0-9\[\]>,;\s*_`\"'］［【】]|\band\b)*", re.IGNORECASE)


def _is_cut_before(line: str) -> bool:
    return bool(CUT_BEFORE.search(line)) and not LABEL.search(line)


def _order(answer: str, n_docs: int) -> _Written:
    """The ids of the answer's order; none where there is none."""
    text = after_thoughts(answer)
    has_words = text.strip() != answer.strip()
    text = TOO_LONG.sub("9" * (LONGEST + 1), ZEROS.sub("", text))
    if text.count("```") == 2:
        text = re.sub(r"```[a-z]*", "", text)
    bare = INLINE.sub("\n", text.strip().rstrip("."))
    if (ids := _only_ids(bare)) is not None:
        return _Written(ids, has_words or _is_mixed(bare))
    if WORST_FIRST.search(bare):
        return _Written([], has_words=True)
    for read, form in ((_chain, CHAIN), (_lines, LINE), (_listed, COMMAS)):
        ids = read(bare, n_docs) or []
        if ids and not (read is _lines and _is_as_shown(ids, n_docs) and not _is_bare(bare)):
            other = _whole_order(bare[_end(form, bare) :], n_docs)
            is_one = other is None or _is_as_shown(other, n_docs) or other == ids
            return _Written(ids if is_one else [], has_words or not _is_bare(bare))
    return _Written([], has_words=True)


def _end(form: re.Pattern[str], text: str) -> int:
    """Where the last of a form ends; lists are matched line by line."""
    return max((match.end() for match in form.finditer(text)), default=len(text))


def _whole_order(text: str, n_docs: int) -> list[str] | None:
    """The order in a list of lines, or parted by commas, that names all docs; None where there is none."""
    orders = (_lines(text, n_docs), _listed(text, n_docs))
    return next((ids for ids in orders if ids and _names_all(ids, n_docs)), None)


def _is_as_shown(ids: Sequence[str], n_docs: int) -> bool:
    """Whether the docs stand in the order in which they were shown, as where each is remarked on in turn."""
    return [_place(number) for number in ids] == [*range(n_docs)]


def _is_bare(text: str) -> bool:
    """Whether a text has nothing but ids, the numbers of a list and separators."""
    lines = (re.sub(r"^\s*(?:[0-9]+[.):]|[-*•+])\s+", "", line) for line in text.splitlines())
    left = re.sub(rf"{_ID}|{_ABOVE}", "", "\n".join(lines), flags=re.IGNORECASE)
    return not left.strip(" \t\n,;.")


def after_thoughts(answer: str) -> str:
    """The final answer after all thoughts; empty where the last thought does not end."""
    ends = [match.end() for match in THOUGHT_ENDS.finditer(answer)]
    text = answer[ends[-1] :] if ends else answer
    begun = THOUGHT_BEGINS.search(text)
    text = text[: begun.start()] if begun else text
    answered = ANSWERED.findall(text)
    return answered[-1][1] if answered else text


def _only_ids(text: str) -> list[str] | None:
    """The numbers of a text that has nothing but ids and separators; None for any other text."""
    if not ONLY_IDS.fullmatch(text) or _counts_lines(text):
        return None
    parts = [part for part in re.split(r"[>,;]|\band\b", text, flags=re.IGNORECASE) if part.strip()]
    several = [part for part in parts if len(NUMBER.findall(part)) > 1]
    if len(parts) > 1 and not all(map(_is_broken_line, several)):
        return None
    ids = NUMBER.findall(text)
    if _is_mixed(text) and len(set(ids)) < len(ids):
        return None  # docs compared by two
    has_lines = any("\n" in part.strip() for part in several)
    return None if has_lines and len(set(ids)) < len(ids) else ids


def _is_mixed(text: str) -> bool:
    """Whether another mark stands in a chain of `>` (a tie, a slip, an id left out): counted as WORDS."""
    return ">" in text and ("," in text or ";" in text)


def _is_broken_line(part: str) -> bool:
    """Whether two ids in brackets are parted by the end of a line: the chain goes on in the next."""
    return re.fullmatch(r"\s*\[[0-9]+\][ \t]*\n\s*\[[0-9]+\]\s*", part) is not None


def _counts_lines(text: str) -> bool:
    """Whether each line begins with its own number: `1 [5]`, `2 [3]`."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and all(
        len(words) == 2 and words[0].strip("[]") == str(at)
        for at, words in enumerate(lines, start=1)
    )


def _chain(text: str, n_docs: int) -> list[str] | None:
    """The last chain that names all docs, else the last of those in brackets or by name."""
    chains = []
    for match in CHAIN.finditer(text):
        items = [item[1] for item in ITEM.finditer(match[0])]
        ids = [_number(item) for item in items]
        kinds = {item.strip("*_`\"'~#").isdigit() for item in items}
        is_whole = _names_all(ids, n_docs)
        if kinds == {True} and not is_whole:
            continue  # numbers compared in a sentence
        line = text[: match.start()].rpartition("\n")[2]
        after = text[match.end() :]
        is_order = len(kinds) == 1 and not (BEFORE.search(line[-40:]) or AFTER.match(after))
        if not is_whole and (_is_cut_before(line) or CUT_AFTER.match(after)):
            is_order = False
        chains.append((ids, is_whole, is_order))
    if not chains:
        return None
    ids, is_whole, is_order = ([chain for chain in chains if chain[1]] or chains)[-1]
    if not is_whole and any({*others} - {*ids} for others, *_ in chains):
        return []  # several, and the last one leaves out what others name: a rank and an id a line, say
    return ids if is_order else []


def _names_all(ids: Sequence[str], n_docs: int) -> bool:
    return {*range(n_docs)} <= {*map(_place, ids)}


def _lines(text: str, n_docs: int) -> list[str] | None:
    """The ids of the last list that has one a line; where the list is numbered, from 1 or 0 without a gap."""
    lists: list[list[str]] = []
    scores: list[float] = []
    before, first = "", 1
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None or _is_sentence(match):
            before = "" if line.strip() else before
            continue
        if RANGE.match(match["rest"]):
            return None
        number = None if match["at"] is None else int(match["at"][:LONGEST])
        is_second = number == 1 and bool(lists) and first == 0 and len(lists[-1]) == 1
        begins = before != "bullet" if number is None else number in (0, 1) and not is_second
        if begins:
            first = number or 0
            lists.append([])
            scores = []
        elif number is not None and (not lists or number != first + len(lists[-1])):
            return None  # counted down, or with gaps: the numbers are something else
        before = "bullet" if number is None else "number"
        lists[-1].append(_number(match["id"]))
        score = SCORED.match(match["rest"])
        scores += [float(score[1])] if score and number is None else []
        if scores != sorted(scores, reverse=True):
            return None  # ids with their scores or ranks, in another order than these
    whole = [ids for ids in lists if _names_all(ids, n_docs)]
    chosen = (whole or lists or [[]])[-1]
    return chosen if len(chosen) >= min(2, n_docs) else None


def _is_sentence(match: re.Match[str]) -> bool:
    """Whether a bare number begins a sentence: `1. 2020 was ...`."""
    is_bare = match["id"].strip("*_`\"'~#").isdigit()
    return is_bare and re.search(r"[^\W\d]", match["rest"]) is not None


def _listed(text: str, n_docs: int) -> list[str] | None:
    """The last ids parted by commas that name every doc once: fewer may be any ids in a sentence."""
    for listing in reversed([match[0] for match in COMMAS.finditer(text)]):
        ids = NUMBER.findall(listing)
        if len(ids) == n_docs and _names_all(ids, n_docs):
            return ids
    return None


def _number(item: str) -> str:
    """The number of an id, without its brackets and marks."""
    digits = NUMBER.search(item)
    assert digits is not None, "an id has a number"
    return digits[0]


# -- windows ---------------------------------------------------------------------------------------


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
