"""Orders joined into their central one, against all orders that there are."""

from itertools import permutations

import pytest

from rankscope.core.rng import stream
from rankscope.llm.joining import EXACT, distance, joined


def test_a_distance_by_hand() -> None:
    """`cab` has two pairs (a c, b c) the other way round than `abc`, and one (a c) than `acb`: 2 + 1."""
    assert distance("cab", ["abc"]) == 2
    assert distance("cab", ["abc", "acb"]) == 3


def test_the_majority_decides_each_pair() -> None:
    assert joined(["abc", "abc", "cba"]).doc_ids == ["a", "b", "c"]
    assert joined(["abcd"]).doc_ids == list("abcd")
    assert joined([[]]).doc_ids == []


def test_a_circle_of_majorities_is_solved_too() -> None:
    """abc, bca, cab: each of the three has distance 0 + 2 + 2; the others have 3 + 1 + 1 more."""
    found = joined(["abc", "bca", "cab"])
    assert found.is_exact
    assert distance(found.doc_ids, ["abc", "bca", "cab"]) == 4
    assert distance("cba", ["abc", "bca", "cab"]) == 5


@pytest.mark.parametrize("n_orders", [2, 3, 4, 5])
@pytest.mark.parametrize("n_docs", [3, 5, 7])
def test_no_order_is_more_central(n_orders: int, n_docs: int) -> None:
    for draw in range(4):
        rng = stream(draw, "orders", n_orders, n_docs)
        docs = [f"d{at}" for at in range(n_docs)]
        orders = [rng.sample(docs, n_docs) for _ in range(n_orders)]
        found = joined(orders)
        assert found.is_exact
        lowest = min(distance(each, orders) for each in permutations(docs))
        assert distance(found.doc_ids, orders) == lowest


def test_noisy_orders_lead_back_to_the_true_one() -> None:
    """What it is for: each order has neighbours exchanged at random, and the joined one is nearer to the truth than any."""
    docs = [f"d{at:03}" for at in range(100)]
    orders = []
    for seed in range(7):
        rng = stream(seed, "noise")
        orders.append(sorted(docs, key=lambda doc_id: int(doc_id[1:]) + rng.uniform(0, 12)))
    found = joined(orders)
    ours = distance(found.doc_ids, [docs])
    assert ours < min(distance(order, [docs]) for order in orders)


def test_a_large_circle_is_told_as_approximate_and_is_no_worse_than_any_of_its_orders() -> None:
    docs = [f"d{at}" for at in range(EXACT + 6)]
    orders = [docs[at:] + docs[:at] for at in range(0, len(docs), 3)]
    found = joined(orders)
    assert not found.is_exact
    assert sorted(found.doc_ids) == sorted(docs)
    assert distance(found.doc_ids, orders) <= min(distance(order, orders) for order in orders)
