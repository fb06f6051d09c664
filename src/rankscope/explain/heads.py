"""A scoring head refitted on frozen states, which separates forgetting in the encoder from drift of the head.

A ranker that lost quality on a collection may have lost the information in its states, or only the mapping from states
to scores. Tao et al. (2023, "Can BERT refrain from forgetting?") separate the two by training a new decoder on the
frozen encoder. The refitted head here is the sound linear probe of pairs (`probes.DOCS_ALONE`): it reads the
standardised states of the token that the old head reads, its loss is the relevant doc's cross-entropy among its
candidates, minimised to convergence, and its penalty is chosen on held-out training queries. A head is refitted on the
encoder before tuning, too: a head that learns from the collection's own queries may beat the original head of either
encoder.
"""

from dataclasses import dataclass

from torch import Tensor

from rankscope.explain import probe_fits, probes
from rankscope.explain.probes import Candidates, States
from rankscope.explain.probing import split


@dataclass(frozen=True)
class Refitted:
    """A refitted head's scores of pairs, and its fit."""

    scores: Tensor
    """(pairs,)."""
    penalty: float
    has_converged: bool


def refitted(states: Tensor, train: Candidates, *, seed: int) -> Refitted:
    """A linear head refitted on the states of pairs of query and doc, with its score of every pair.

    states: (pairs, width); `train`: examples whose docs are places among the pairs. The other pairs, which are to be
    ranked, are used neither in the fit nor for the means and deviations of standardisation. The seed decides which
    training queries are held out to choose the penalty.
    """
    no_queries = states.new_zeros(int(train.queries.max()) + 1, states.shape[1])
    made = probe_fits.standardised(States(no_queries, states), [train])
    learnt, held_out = split(train, seed)
    fit = probe_fits.fitted(
        probes.DOCS_ALONE, made, [learnt], [held_out], seeds=[seed], how=probe_fits.Fitting()
    )
    return Refitted(made.docs @ fit.parameters[0], fit.penalties[0], bool(fit.has_converged[0]))
