import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.data.permutations import applied, mended, refused_for, windows

PIECES = st.sampled_from(
    ["[1]", "[2]", "[20]", "[0]", "[21]", " > ", ">", "[", "]", "\n", " ", "²", "٣", "-3", "1e3", "1_0",
     "9" * 30, "9" * 5000, "0" * 5000 + "4", "[ ]", "No passage is relevant.", "\ud800", "\x00"]
)  # fmt: skip
ANSWERS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


def written(*numbers: int) -> str:
    return " > ".join(f"[{number}]" for number in numbers)


@pytest.mark.parametrize(
    ("answer", "order", "repairs"),
    [
        ("[3] > [1] > [2]", (2, 0, 1), ()),
        ("3, 1 and 2", (2, 0, 1), ()),  # every number counts, wherever it stands
        ("[3] > [3] > [1]", (2, 0, 1), ("repeats", "missing")),
        ("[4] > [0] > [2] > [1] > [3]", (1, 0, 2), ("out of range",)),
        ("[2]", (1, 0, 2), ("missing",)),
        ("None of them is relevant.", (0, 1, 2), ("no ids",)),
        ("", (0, 1, 2), ("no ids",)),
        ("[9] > [8]", (0, 1, 2), ("out of range", "missing")),
        ("[1]2", (0, 1, 2), ("missing",)),
    ],
)
def test_answers_are_mended_as_rankgpt_does(
    answer: str, order: tuple[int, ...], repairs: tuple[str, ...]
) -> None:
    assert mended(answer, 3) == (order, repairs)


ORDERS = [  # each of them means 5 3 1 2 4
    "1. [5]\n2. [3]\n3. [1]\n4. [2]\n5. [4]",
    "1. 5\n2. 3\n3. 1\n4. 2\n5. 4",
    "1) **Passage [5]**: good\n2) **Passage [3]**\n3) **Passage [1]**\n4) **Passage [2]**\n5) Passage 4",
    "1. [5] (score 9)\n2. [3] - because of [1]\n\n3. Passage 1\n4. [2]\n5. [4]",
    "0. [5]\n1. [3]\n2. [1]\n3. [2]\n4. [4]",
    "0. [1]\n1. [2]\n\nFinal:\n0. [5]\n1. [3]\n2. [1]\n3. [2]\n4. [4]",
    "1. [5] > [3] > [1] > [2] > [4]",
    "1. [5] > 2. [3] > 3. [1] > 4. [2] > 5. [4]",
    "1. [5] 2. [3] 3. [1] 4. [2] 5. [4]",
    "Rank 1: [5]\nRank 2: [3]\nRank 3: [1]\nRank 4: [2]\nRank 5: [4]",
    "- [5]\n- [3]\n- [1]\n- [2]\n- [4]",
    "<think>[1] is off topic, [2] too; of the 5 passages [5] answers.</think>[5] > [3] > [1] > [2] > [4]",
    "[1] > [2]? No.</thinking>\n[5] > [3] > [1] > [2] > [4]",
    "[THINK]4 > 2[/THINK][5] > [3] > [1] > [2] > [4]",
    "<|channel|>analysis<|message|>[1] > [2]<|end|><|channel|>final<|message|>[5] > [3] > [1] > [2] > [4]",
    "<answer>[5] > [3] > [1] > [2] > [4]</answer> as [1] > [2] > [3] > [4] > [5] is wrong",
    "First [1] > [2] > [3] > [4] > [5].\nFinal: [5] > [3] > [1] > [2] > [4]",
    "[5] > [3] > [1] > [2] > [4]. Note that [1] > [2], as it names it.",
    "[5] (0.98) > [3] (0.91) > [1] (0.5) > [2] (8) > [4] (1)",
    "[5] [0.98] > [3] [0.91] > [1] [0.5] > [2] [0.3] > [4] [0.1]",
    "**[5]** > **[3]** > **[1]** > **[2]** > **[4]**",
    "Passage 5 > Passage 3 > Passage 1 > Passage 2 > Passage 4",
    "[5] > [3] >\n[1] > [2] > [4]",
    "[5] > [3] > [1]\n[2] > [4]",
    "[5, 3, 1, 2, 4]",
    '["5", "3", "1", "2", "4"]',
    '{"ranking": [5, 3, 1, 2, 4]}',
    "```json\n[5, 3, 1, 2, 4]\n```",
    "Sure! Best first: [5], [3], [1], [2] and [4].",
    "Ranked from most to least relevant, best first: [5] > [3] > [1] > [2] > [4]",
    "Most relevant to least relevant (most relevant first): [5] > [3] > [1] > [2] > [4]",
    "[5] > [3] > [1] > [2] > [4]\n[4] is the least relevant, as it is about the first world war",
    "All name at least the first of them: [5] > [3] > [1] > [2] > [4]",
    "[5] > [3] > [1] > [2] > [4]. Least relevant to most of the query is [4].",
    "[5] > [3] > [1] > [2] > [4]\nThe first discusses sorting in ascending order.",
]
NO_ORDERS = [
    "<think>[5] > [3] > [1]",
    "Passage 5 is the most relevant, then 3 and 1.",
    "[4] < [2] < [1] < [3] < [5]",
    "[1]-[5]",
    "[1] to [5]",
    "[5] > [3] > [1]-[2] > [4]",
    "[5] = [3] > [1] > [2] > [4]",
    "[1]: 3\n[2]: 4\n[3]: 2\n[4]: 5\n[5]: 1",
    "- [1]: 3\n- [2]: 4\n- [3]: 2",
    "5 [9] > 3 [8] > 1 [7] > 2 [6] > 4 [5]",
    "5. [4]\n4. [2]\n3. [1]\n2. [3]\n1. [5]",
    "[1], [2] are off topic.",
    "Of the 5 passages, 2 > 1 holds.",
    "[1] > [5]\n[2] > [3]\n[3] > [1]\n[4] > [2]\n[5] > [4]",
]


@pytest.mark.parametrize("answer", ORDERS)
def test_an_order_is_read_out_of_what_stands_around_it(answer: str) -> None:
    order, repairs = mended(answer, 5)
    assert [place + 1 for place in order] == [5, 3, 1, 2, 4]
    bare = re.sub(r"\bpassage\b|\band\b|json|^\s*(?:[0-9]+[.)]|-) ", "", answer, flags=re.I | re.M)
    has_words = re.search(r"[^\W\d_]|\d\.\d", bare) is not None
    assert repairs == (("words beside the ids",) if has_words else ())


@pytest.mark.parametrize(
    "answer", ["[2] >,[1] > [3]", "[2] > [1], [3]", "[2], [1] > [3]", "2; 1 > 3"]
)
def test_a_chain_with_another_mark_in_it_is_mended_and_counted(answer: str) -> None:
    """Before: read without a word, though a comma may part two docs that are alike, or an id may be lost."""
    assert mended(answer, 3) == ((1, 0, 2), ("words beside the ids",))


@pytest.mark.parametrize("title", ["<final_ranking>", "Ranking => ", "**Ranking** → "])
def test_a_title_before_a_part_of_the_docs_is_no_cut(title: str) -> None:
    order, repairs = mended(f"{title}[5] > [3]", 5)
    assert order == (4, 2, 0, 1, 3)
    assert "numbers in no order" not in repairs


@pytest.mark.parametrize("answer", NO_ORDERS)
def test_numbers_that_are_no_order_are_counted_and_never_read_as_one(answer: str) -> None:
    assert mended(answer, 5) == ((0, 1, 2, 3, 4), ("numbers in no order",))


@pytest.mark.parametrize(
    "part", ["*", " ", "[", "9", "> ", "[1] ", "1. ", "<think>", "passage ", "(1"]
)
def test_an_answer_of_one_thing_over_and_over_is_read_at_once(part: str) -> None:
    """Nothing here takes time that grows with the square of the answer: this would not end."""
    mended(part * 20_000, 20)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("[3] > [1] > [2]", None),
        ("3 > 1 > 2", None),
        ("[3] > [3] > [1]", None),  # study B does not look for repeats
        ("[3] > [1]", "too few ids"),
        ("[3] > [1] > [2] > [1]", "too many ids"),
        ("[3] > [1] > [4]", "out of range"),
        ("[3] [1] [2]", "words beside the ids"),
        ("[3] > [1] > [2]\nprocessed 10000 queries", "words beside the ids"),
        ("[ ] > [ ] > [ ]", "no ids"),
    ],
)
def test_answers_are_dropped_as_study_b_does(answer: str, reason: str | None) -> None:
    assert refused_for(answer, 3) == reason


@given(answer=ANSWERS, n_docs=st.integers(1, 25))
def test_whatever_is_answered_the_outcome_is_an_order(answer: str, n_docs: int) -> None:
    order, repairs = mended(answer, n_docs)
    assert sorted(order) == list(range(n_docs))
    assert len(set(repairs)) == len(repairs)
    if refused_for(answer, n_docs) is None:
        assert set(repairs) in (set(), {"repeats", "missing"}), "n numbers of docs: only repeats"


@given(order=st.permutations(range(1, 13)))
def test_an_order_needs_no_repair_and_is_kept(order: list[int]) -> None:
    assert mended(written(*order), 12) == (tuple(number - 1 for number in order), ())
    assert refused_for(written(*order), 12) is None


def test_windows_slide_from_the_bottom_and_reach_the_top() -> None:
    assert list(windows(100, 20, 10)) == [(end - 20, end) for end in range(100, 10, -10)]
    assert list(windows(45, 20, 10)) == [(25, 45), (15, 35), (5, 25), (0, 15)]
    assert list(windows(7, 20, 10)) == [(0, 7)]


@given(n_docs=st.integers(1, 120), size=st.integers(1, 30), data=st.data())
def test_windows_leave_no_doc_out_and_overlap(n_docs: int, size: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, size))
    spans = list(windows(n_docs, size, step))
    assert {place for start, end in spans for place in range(start, end)} == set(range(n_docs))
    assert all(below[0] <= above[1] for below, above in zip(spans, spans[1:], strict=False))


def test_a_window_moves_only_its_own_docs() -> None:
    assert applied("abcdef", 1, 4, (2, 0, 1)) == list("adbcef")


def test_every_malformed_answer_of_gpt35_is_mended_or_dropped(real_data: Path) -> None:
    """313 real answers about 20 docs: study B's rule refuses each, for a reason; each can be mended."""
    lines = (real_data / "teacher-permutations" / "malformed.jsonl").read_text("utf-8").splitlines()
    reasons, kinds = [], set()
    for line in lines:
        answer = json.loads(line)["output"]
        order, repairs = mended(answer, 20)
        assert sorted(order) == list(range(20))
        reasons.append(refused_for(answer, 20))
        kinds |= set(repairs)
    assert (len(lines), None in reasons) == (313, False)
    assert {reason: reasons.count(reason) for reason in set(reasons)} == {
        "too few ids": 122, "words beside the ids": 71, "too many ids": 67, "no ids": 53,
    }  # fmt: skip
    assert kinds == {
        "no ids", "numbers in no order", "repeats", "missing", "words beside the ids",
    }, "and no number out of range: those were of the words"  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "[4] > [2] > [0] > [1] > [3]",  # counted from 0
        "[0] > [2] > [1]",  # a part of such an order, or a slip: nobody can tell
        "[4] > [0] > [2]",
        "0, 2, 1",
        "[2] > [0] > [2] > [1]",
        "1. [0]\n2. [3]\n3. [1]",
        "[00] > [2] > [1]",
        "Least relevant first:\n1. [4]\n2. [2]\n3. [1]\n4. [3]\n5. [5]",
        "[4] > [2] > [1] > [3] > [5] (ascending order of relevance)",
        "- [1]: somewhat\n- [2]: no\n- [3]: yes\n- [4]: no\n- [5]: very",  # remarks in turn
        "1. [1] somewhat\n2. [2] no\n3. [3] yes\n4. [4] no\n5. [5] very",
        "[5]\u00b9 > [3] > [1] > [2] > [4]",  # a part of a chain
        "[5] > [3] > passage one > [2] > [4]",
        "[1] > [2], [5] > [3], [3] > [1], [2] > [4]",  # two by two
        "Draft: [2] > [1] > [3] > [4] > [5]\nFinal:\n1. [5]\n2. [3]\n3. [1]\n4. [2]\n5. [4]",
        "e.g. [2] > [1] > [3] > [4] > [5]. Mine: 1. [5] 2. [3] 3. [1] 4. [2] 5. [4]",
    ],
)
def test_what_is_an_order_of_something_else_is_none(answer: str) -> None:
    """Each was read as the order it is not."""
    order, repairs = mended(answer, 5)
    assert order == (0, 1, 2, 3, 4)
    assert "numbers in no order" in repairs


@pytest.mark.parametrize(
    "answer",
    [
        "- [1]: somewhat\n- [2]: no\n- [3]: yes\n- [4]: no\n- [5]: very\n\nSo: 5, 3, 1, 2, 4",
        "[5] > [3] > [1] > [2] > [4]\n\n1. [1] is a town\n2. [2] no\n3. [3] yes\n4. [4] no\n5. [5] yes",
        "> [5] > [3] > [1] > [2] > [4]",
        "1. [5]\n2. [3]\n3. [1]\n4. [2]\n5. [4]\nThese were 1, 2, 3, 4 and 5.",
    ],
)
def test_remarks_on_the_docs_as_shown_do_not_hide_the_order(answer: str) -> None:
    assert mended(answer, 5).order == (4, 2, 0, 1, 3)


def test_a_chain_that_is_cut_off_at_its_end_is_kept() -> None:
    for answer in ("[5] > [3] > [1] >", "[5] > [3] > [1] > [", "[5] > [3] > [1] > ..."):
        assert mended(answer, 5).order == (4, 2, 0, 1, 3)
