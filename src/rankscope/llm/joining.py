"""Several orders of the same docs joined into one: permutation self-consistency (Tang et al. 2023).

The joined order is the central one: the sum of its Kendall-tau distances to all orders, that is the number of pairs of docs
that it has the other way round, is the lowest that any order has (Kemeny). Finding it is hard in general, but not where most
orders agree: a doc that no majority puts behind another can stand before it at no cost, so only docs that majorities put in a
circle have to be looked at together. A circle of up to `EXACT` docs is solved exactly (dynamic programming over its subsets);
a larger one much as the paper's code does it: from the most central of the orders and of that by mean rank (Borda), by
exchanges of two docs as long as one lowers the distance; so the joined order is no less central than any given one. Of
equally central orders, the one that begins with the doc of the better mean rank is taken.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT = 12
"""Docs of a circle that is solved exactly, at most: the work doubles with each."""


class Joined(NamedTuple):
    """A joined order, and whether it is known to be a central one."""

    doc_ids: list[str]
    is_exact: bool


def joined(orders: Sequence[Sequence[str]]) -> Joined:
    """The central order of several orders of the same docs."""
    first = list(orders[0])
    ranks = [{doc_id: at for at, doc_id in enumerate(order)} for order in orders]
    places = np.array([[of_order[doc_id] for doc_id in first] for of_order in ranks])
    borda = [int(at) for at in np.lexsort((np.arange(len(first)), places.mean(axis=0)))]
    cost = (places[:, :, None] > places[:, None, :]).sum(axis=0)  # orders against i before j
    ranking: list[int] = []
    is_exact = True
    for circle in _circles(cost, borda):
        is_exact = is_exact and len(circle) <= EXACT
        starts = [circle, *(sorted(circle, key=of_order.__getitem__) for of_order in places)]
        ranking += _exact(cost, circle) if len(circle) <= EXACT else _exchanged(cost, starts)
    return Joined([first[at] for at in ranking], is_exact)


def distance(order: Sequence[str], orders: Sequence[Sequence[str]]) -> int:
    """The sum of the Kendall-tau distances of an order to others of the same docs: pairs that stand the other way round."""
    n = 0
    for other in orders:
        place = {doc_id: at for at, doc_id in enumerate(other)}
        ranks = [place[doc_id] for doc_id in order]
        n += sum(a > b for at, a in enumerate(ranks) for b in ranks[at + 1 :])
    return n


def _circles(cost: NDArray[Any], borda: Sequence[int]) -> list[list[int]]:
    """Docs that majorities put in a circle, each circle by mean rank, in an order that no majority is against."""
    n = len(cost)
    reaches = (cost < cost.T) | np.eye(n, dtype=bool)  # more orders have i before j than behind it
    while True:
        further = (reaches.astype(np.float32) @ reaches) > 0
        if (further == reaches).all():
            break
        reaches = further
    together = reaches & reaches.T
    above = reaches & ~together  # docs that stand before another, and are in no circle with it
    left = np.ones(n, dtype=bool)
    circles = []
    while left.any():
        is_free = left & ~above[left].any(axis=0)
        first = next(at for at in borda if is_free[at])
        circles.append([at for at in borda if left[at] and together[first, at]])
        left &= ~together[first]
    return circles


def _exact(cost: NDArray[Any], docs: Sequence[int]) -> list[int]:
    """The order of the docs with the lowest cost; `best[s]` is that of the last docs, those in the set s."""
    n = len(docs)
    if n < 2:
        return list(docs)
    costs = [[int(cost[a, b]) for b in docs] for a in docs]
    best = [0] * (1 << n)
    head = [0] * (1 << n)
    for members in range(1, 1 << n):
        inside = [at for at in range(n) if members >> at & 1]
        options = [
            (best[members ^ 1 << at] + sum(costs[at][other] for other in inside if other != at), at)
            for at in inside
        ]
        best[members], head[members] = min(options)
    ranking, members = [], (1 << n) - 1
    while members:
        ranking.append(docs[head[members]])
        members ^= 1 << head[members]
    return ranking


def _exchanged(cost: NDArray[Any], starts: Sequence[Sequence[int]]) -> list[int]:
    """The start with the lowest cost, and two of its docs exchanged as long as that lowers it."""
    costs = [int(np.triu(cost[np.ix_(order, order)], 1).sum()) for order in starts]
    order = list(starts[costs.index(min(costs))])
    gain = (cost - cost.T).astype(np.int64)  # what i before j costs more than j before i
    is_better = True
    while is_better:
        is_better = False
        for i in range(len(order)):
            for j in range(i + 1, len(order)):
                a, b, between = order[i], order[j], order[i + 1 : j]
                change = gain[b, a] + sum(gain[b, c] + gain[c, a] for c in between)
                if change < 0:
                    order[i], order[j] = b, a
                    is_better = True
    return order
