"""Ways of asking with an answerer that knows the grades: the order they find, and how often they ask for it."""

from collections.abc import Sequence
from itertools import product

import pytest

from rankscope.data.permutations import Permutation
from rankscope.llm.ways import WAYS, AskedQuestion, OrderedDocs, SortShape

Seen = list[tuple[AskedQuestion, ...]]


def sorted_by(grades: dict[str, int], docs: Sequence[str], way: str, shape: SortShape) -> tuple[OrderedDocs, Seen]:  # fmt: skip
    """The rankings that a way finds where all answers go by the grades, and the questions it asked."""
    seen: Seen = []
    asking = WAYS[way].ordered(docs, shape)
    answers: tuple[Permutation, ...] | None = None
    try:
        while True:
            group = next(asking) if answers is None else asking.send(answers)
            seen.append(group)
            answers = tuple(
                Permutation(
                    tuple(
                        sorted(range(len(asked.doc_ids)), key=lambda at: -grades[asked.doc_ids[at]])
                    )
                )
                for asked in group
            )
    except StopIteration as done:
        return done.value, seen


def drawn(n: int, seed: int = 3) -> dict[str, int]:
    """So many docs in an order, each of another grade."""
    return {f"d{at}": (at * 37 + seed * 11) % 101 for at in range(n)}


def test_windows_slide_from_the_bottom_to_the_top() -> None:
    """100 docs in windows of 20 that move by 10: (100 - 20) / 10 + 1 = 9 requests; the best ten come up in one pass."""
    grades = drawn(100)
    found, seen = sorted_by(grades, list(grades), "listwise", SortShape(20, 10, 1, 0))
    assert [asked.window for (asked,) in seen] == [(at, at + 20) for at in range(80, -1, -10)]
    best = sorted(grades, key=lambda doc_id: -grades[doc_id])
    assert found.ranking[:10] == best[:10]
    assert found.ranking != best, "one pass sorts the top only"
    assert found.before == ()


def test_passes_go_on_from_where_the_last_one_ended() -> None:
    grades = drawn(50)
    shape = SortShape(20, 10, 5, 0)
    found, seen = sorted_by(grades, list(grades), "listwise", shape)
    assert found.ranking == sorted(grades, key=lambda doc_id: -grades[doc_id])
    assert len(seen) == WAYS["listwise"].requests(50, shape) == 5 * 4
    once, _ = sorted_by(grades, list(grades), "listwise", shape._replace(passes=1))
    assert found.before[0] == once.ranking
    assert len(found.before) == 4


def test_a_window_of_all_docs_is_one_request() -> None:
    grades = drawn(60)
    found, seen = sorted_by(grades, list(grades), "listwise", SortShape(100, 50, 1, 0))
    assert [asked.window for (asked,) in seen] == [(0, 60)]
    assert found.ranking == sorted(grades, key=lambda doc_id: -grades[doc_id])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 30])
def test_the_best_docs_come_first_and_none_is_lost(way: str, n: int) -> None:
    """A full sort where `top` is all; the top ten, then the docs as they were given, where it is ten."""
    grades = drawn(n)
    docs, best = list(grades), sorted(grades, key=lambda doc_id: -grades[doc_id])
    row = WAYS[way]
    for top in (3, 10, n + 1):
        shape = SortShape(row.window, max(1, row.window // 2), 3 if way == "listwise" else 1, top)
        found, seen = sorted_by(grades, docs, way, shape)
        assert sorted(found.ranking) == sorted(docs)
        assert found.ranking[:top] == best[:top]
        n_asked = sum(map(len, seen))
        most = row.requests(n, shape)
        assert n_asked == most if row.is_exact else n_asked <= most
        if way in ("setwise", "pairwise") and top < n:
            rest = [doc_id for doc_id in docs if doc_id not in best[:top]]
            assert found.ranking[top:] == rest, "below the top, docs stand as they were given"


def heap_questions(grades: Sequence[int], n_children: int, top: int) -> int:
    """Questions of a heap sort, counted by another program: a node is asked about as long as a child wins."""
    heap, n = list(grades), 0
    size = len(heap)

    def sink(at: int, size: int) -> int:
        asked = 0
        while True:
            below = [at * n_children + 1 + k for k in range(n_children)]
            below = [place for place in below if place < size]
            if not below:
                return asked
            asked += 1
            best = max(below, key=lambda place: heap[place])
            if heap[best] <= heap[at]:
                return asked
            heap[at], heap[best] = heap[best], heap[at]
            at = best

    for at in reversed(range(size)):
        n += sink(at, size)
    for taken in range(1, min(top, size)):
        heap[0] = heap[size - taken]
        heap[size - taken] = -1
        n += sink(0, size - taken)
    return n


@pytest.mark.parametrize(
    ("n", "n_children", "top"), [*product([5, 20, 100], [2, 3, 9], [1, 10, 100])]
)
def test_setwise_asks_as_often_as_the_heap_sort_compares(n: int, n_children: int, top: int) -> None:
    grades = drawn(n)
    _, seen = sorted_by(grades, list(grades), "setwise", SortShape(n_children + 1, 1, 1, top))
    assert len(seen) == heap_questions([*grades.values()], n_children, top)
    assert all(2 <= len(asked.doc_ids) <= n_children + 1 for (asked,) in seen)


def test_a_heap_that_is_in_order_is_built_with_a_question_a_node() -> None:
    """100 docs, the best first: the nodes with children are (100 - 2) // 3 + 1 = 33, and none of their docs sinks."""
    grades = {f"d{at}": 100 - at for at in range(100)}
    _, seen = sorted_by(grades, list(grades), "setwise", SortShape(4, 1, 1, 1))
    assert len(seen) == 33


def test_pairs_are_asked_in_both_orders_and_sliding_by_its_formula() -> None:
    """10 passes over 100 docs: 2 * (99 + 98 + ... + 90) = 1890 requests."""
    grades = drawn(100)
    shape = SortShape(2, 1, 1, 10)
    _, seen = sorted_by(grades, list(grades), "pairwise_sliding", shape)
    assert sum(map(len, seen)) == WAYS["pairwise_sliding"].requests(100, shape) == 1890
    assert all(b.doc_ids == a.doc_ids[::-1] for a, b in seen)


def test_pairwise_heap_sort_compares_each_child() -> None:
    """Three docs, the best last: root against its left child, the better against the right one: 2 pairs, 4 requests."""
    grades = {"a": 1, "b": 2, "c": 3}
    found, seen = sorted_by(grades, list(grades), "pairwise", SortShape(2, 1, 1, 1))
    assert [a.doc_ids for a, _ in seen] == [("b", "a"), ("c", "b")]
    assert found.ranking == ["c", "a", "b"]


def test_an_llm_that_always_takes_the_first_passage_moves_nothing() -> None:
    """The opposite: without the second order, a bias for the first place would carry the last doc to the top."""
    asking = WAYS["pairwise_sliding"].ordered(list("abcdef"), SortShape(2, 1, 1, 3))
    group = next(asking)
    with pytest.raises(StopIteration) as done:
        while True:
            group = asking.send(tuple(Permutation((0, 1)) for _ in group))
    assert done.value.value.ranking == list("abcdef")


def test_the_numbers_of_requests_in_the_guide() -> None:
    """docs/llm.md: 9 windows, 1,890 requests for pairs of neighbours; the heap sorts of 100 drawn docs are near its numbers."""
    numbers = {}
    for way, row in WAYS.items():
        grades = drawn(100)
        shape = SortShape(row.window, max(1, row.window // 2), 1, row.top)
        _, seen = sorted_by(grades, list(grades), way, shape)
        numbers[way] = sum(map(len, seen))
    assert (numbers["listwise"], numbers["pairwise_sliding"]) == (9, 1890)
    assert numbers["setwise"] == pytest.approx(140, rel=0.05)
    assert numbers["pairwise"] == pytest.approx(560, rel=0.05)
