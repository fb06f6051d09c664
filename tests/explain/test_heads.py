"""A head fitted anew finds what is in the states, and only there."""

import torch

from rankscope.explain.heads import refitted
from rankscope.explain.probes import Candidates

N_QUERIES, N_DOCS, WIDTH = 60, 4, 6
TRAIN = Candidates(
    torch.arange(N_QUERIES), torch.arange(N_QUERIES * N_DOCS).view(N_QUERIES, N_DOCS)
)


def states(*, is_told: bool) -> torch.Tensor:
    """Twice as many pairs as are learnt from; every query's first doc is the relevant one."""
    found = torch.randn(2 * N_QUERIES * N_DOCS, WIDTH, generator=torch.Generator().manual_seed(1))
    if is_told:
        found[::N_DOCS, 2] += 6
    return found


def share_right(scores: torch.Tensor) -> float:
    """Of the queries that were not learnt from."""
    unseen = scores[N_QUERIES * N_DOCS :].view(N_QUERIES, N_DOCS)
    return float((unseen.argmax(1) == 0).float().mean())


def test_what_the_states_tell_is_found_and_what_they_do_not_tell_is_not() -> None:
    found, other = (refitted(states(is_told=True), TRAIN, seed=seed) for seed in (1, 2))
    assert found.has_converged
    assert share_right(found.scores) > 0.95
    assert not torch.equal(found.scores, other.scores)  # other queries are held out
    assert share_right(refitted(states(is_told=False), TRAIN, seed=1).scores) < 0.5


def test_the_pairs_that_are_ranked_take_no_part_in_the_fit() -> None:
    given = states(is_told=True)
    other = given.clone()
    other[N_QUERIES * N_DOCS :] *= 100
    learnt = slice(None, N_QUERIES * N_DOCS)
    first, second = (refitted(each, TRAIN, seed=1).scores[learnt] for each in (given, other))
    torch.testing.assert_close(first, second)
