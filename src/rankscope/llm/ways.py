"""The ways of asking an LLM for an order: sliding windows, and sorts whose comparisons it makes.

A way is a generator. It yields the questions that may be asked beside each other, is sent how each was answered, and
returns the docs in their new order. It knows nothing of prompts, servers and files, so one code orders docs whether
answers come from a server, from the results of a batch, or from a file of earlier ones.

| way | |
|---|---|
| `listwise` | all docs of a window are ordered; windows slide from the bottom to the top (RankGPT, Sun et al. 2023) |
| `setwise` | heap sort; the best of a node and its children is chosen (Zhuang et al. 2024) |
| `pairwise` | heap sort; two docs are compared, in both orders (PRP, Qin et al. 2024) |
| `pairwise_sliding` | passes from the bottom to the top that swap neighbours, in both orders (PRP-Sliding-K) |

The heap sorts are those of the setwise paper's code: they find the `top` docs, and all others follow in the order in which
they were given. A comparison whose two orders are answered differently leaves the docs as they were.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rankscope.data.permutations import Permutation, applied, windows

LABELS = "ABCDEFGHIJKLMNOPQRSTUVW"
"""The labels of passages of which one is chosen, as in the setwise paper's code."""


class AskedQuestion(NamedTuple):
    """Docs that an LLM orders, or of which it chooses the best, in the order in which it is shown them."""

    doc_ids: tuple[str, ...]
    window: tuple[int, int] | None = None
    """Where they stand in the list, for those that replace it."""


class OrderedDocs(NamedTuple):
    """The docs of a query in their new order, and after each pass but the last."""

    ranking: list[str]
    before: tuple[list[str], ...] = ()


Asked = Generator[tuple[AskedQuestion, ...], tuple[Permutation, ...], OrderedDocs]
"""Questions asked beside each other; how each was answered, as the places of its docs, the best first."""


class SortShape(NamedTuple):
    """The numbers that a way is asked with."""

    window: int
    step: int
    passes: int
    top: int


def listwise(doc_ids: Sequence[str], shape: SortShape) -> Asked:
    """Windows from the bottom to the top; each begins with what the one below carried up. Passes repeat it."""
    ranking, passes = list(doc_ids), []
    for _ in range(shape.passes if len(ranking) > 1 else 0):
        for start, end in windows(len(ranking), shape.window, shape.step):
            (answer,) = yield (AskedQuestion(tuple(ranking[start:end]), (start, end)),)
            ranking = applied(ranking, start, end, answer.order)
        passes.append(ranking)
    return OrderedDocs(ranking, tuple(passes[:-1]))


def setwise(doc_ids: Sequence[str], shape: SortShape) -> Asked:
    """Heap sort whose nodes have `window` - 1 children; one question finds the best of a node and its children."""
    n_children = shape.window - 1

    def sift(heap: list[str], at: int, size: int) -> Asked:
        while children := range(n_children * at + 1, min(n_children * (at + 1) + 1, size)):
            places = [at, *children]
            (answer,) = yield (AskedQuestion(tuple(heap[place] for place in places)),)
            best = places[answer.order[0]]
            if best == at:
                break
            heap[at], heap[best] = heap[best], heap[at]
            at = best
        return OrderedDocs(heap)

    return (yield from _heap_sorted(doc_ids, shape.top, n_children, sift))


def pairwise(doc_ids: Sequence[str], shape: SortShape) -> Asked:
    """Heap sort with two children a node, of which each is compared with the better one so far."""

    def sift(heap: list[str], at: int, size: int) -> Asked:
        while True:
            best = at
            for child in range(2 * at + 1, min(2 * at + 3, size)):
                if (yield from _is_better(heap[child], heap[best])):
                    best = child
            if best == at:
                return OrderedDocs(heap)
            heap[at], heap[best] = heap[best], heap[at]
            at = best

    return (yield from _heap_sorted(doc_ids, shape.top, 2, sift))


def pairwise_sliding(doc_ids: Sequence[str], shape: SortShape) -> Asked:
    """`top` passes from the bottom; each swaps neighbours and so carries the best doc below its goal up to it."""
    ranking = list(doc_ids)
    for goal in range(min(shape.top, len(ranking) - 1)):
        for place in range(len(ranking) - 1, goal, -1):
            if (yield from _is_better(ranking[place], ranking[place - 1])):
                ranking[place - 1], ranking[place] = ranking[place], ranking[place - 1]
    return OrderedDocs(ranking)


def _is_better(
    one: str, other: str
) -> Generator[tuple[AskedQuestion, ...], tuple[Permutation, ...], bool]:
    """Whether one doc is preferred to another whichever of them stands first."""
    first, second = yield (AskedQuestion((one, other)), AskedQuestion((other, one)))
    return first.order[0] == 0 and second.order[0] == 1


def _heap_sorted(
    doc_ids: Sequence[str], top: int, n_children: int, sift: Callable[[list[str], int, int], Asked]
) -> Asked:
    """The `top` docs by heap sort, then the others as they were given."""
    heap = list(doc_ids)
    for at in range(len(heap) // n_children, -1, -1):
        yield from sift(heap, at, len(heap))
    for last in range(len(heap) - 1, 0, -1):
        heap[0], heap[last] = heap[last], heap[0]
        if len(heap) - last == top:
            break
        yield from sift(heap, 0, last)
    best = heap[::-1][:top]
    found = {*best}
    return OrderedDocs([*best, *(doc_id for doc_id in doc_ids if doc_id not in found)])


# -- the number of requests -------------------------------------------------------------------------


def n_windows(n_docs: int, shape: SortShape) -> int:
    """Requests of `listwise`: the windows of each pass."""
    return shape.passes * sum(1 for _ in windows(n_docs, shape.window, shape.step)) if n_docs > 1 else 0  # fmt: skip


def most_of_setwise(n_docs: int, shape: SortShape) -> int:
    """Requests of `setwise` at most: each doc that is sifted sinks to the bottom."""
    return _levels_sunk(n_docs, shape.window - 1, shape.top)


def most_of_pairwise(n_docs: int, shape: SortShape) -> int:
    """Requests of `pairwise` at most: at each level two children are compared, each in two orders."""
    return 4 * _levels_sunk(n_docs, 2, shape.top)


def n_sliding(n_docs: int, shape: SortShape) -> int:
    """Requests of `pairwise_sliding`: pass i compares n - 1 - i neighbours, each in two orders."""
    return 2 * sum(n_docs - 1 - goal for goal in range(min(shape.top, n_docs - 1)))


def _levels_sunk(n_docs: int, n_children: int, top: int) -> int:
    """Levels by which docs can sink in a heap sort of the top docs: while it is built, and after each that is taken out."""

    def levels(at: int, size: int) -> int:
        n = 0
        while n_children * at + 1 < size:
            at, n = n_children * at + 1, n + 1
        return n

    built = sum(levels(at, n_docs) for at in range(n_docs // n_children + 1))
    sifted = range(n_docs - 1, max(0, n_docs - top), -1)
    return built + sum(levels(0, size) for size in sifted)


# -- the table --------------------------------------------------------------------------------------

AN_ORDER, THE_BEST = "an order", "the best passage"
"""What a prompt asks for."""


@dataclass(frozen=True)
class WayOfAsking:
    """A way of asking, its prompt, its numbers where none are given, and the options that it has."""

    ordered: Callable[[Sequence[str], SortShape], Asked]
    requests: Callable[[int, SortShape], int]
    """The number of requests for so many docs, or the most of it."""
    is_exact: bool
    kind: str
    prompt: str
    window: int
    top: int
    options: tuple[str, ...]
    smallest: int = 2
    largest: int = 1000

    def max_tokens(self, window: int) -> int:
        """Tokens of an answer, at most: `[20] > ` has five or six, and a label is a word or two."""
        return 10 * window + 50 if self.kind == AN_ORDER else 50


WAYS: Mapping[str, WayOfAsking] = {
    "listwise": WayOfAsking(
        listwise, n_windows, True, AN_ORDER, "rankgpt", 20, 0, ("step", "passes")
    ),
    "setwise": WayOfAsking(
        setwise, most_of_setwise, False, THE_BEST, "setwise", 3, 10, ("top",), 3, len(LABELS)
    ),
    "pairwise": WayOfAsking(
        pairwise, most_of_pairwise, False, THE_BEST, "pairwise", 2, 10, ("top",), 2, 2
    ),
    "pairwise_sliding": WayOfAsking(
        pairwise_sliding, n_sliding, True, THE_BEST, "pairwise", 2, 10, ("top",), 2, 2
    ),
}
