"""A scoring head fitted anew on frozen states, to tell what an encoder forgot from what its head no longer reads.

A ranker that lost quality on a collection may have lost what the score needs, or only the way from its states
to a score. Tao et al. (2023, "Can BERT refrain from forgetting?") tell the two apart by a decoder that is
trained anew on the frozen encoder. Here it is the sound linear probe of pairs (`probes.DOCS_ALONE`): standardised
states of the token that the old head reads, the relevant doc's cross-entropy among its candidates, minimised to
convergence, the penalty chosen on held-out training queries. It is fitted on the encoder before, too: a head that
learns from the collection's own queries may beat any original one, on either encoder.
"""

from dataclasses import dataclass

from torch import Tensor

from rankscope.explain import probe_fits, probes
from rankscope.explain.probes import Candidates, States
from rankscope.explain.probing import split


@dataclass(frozen=True)
class Refitted:
    """What a head that was fitted anew makes of pairs."""

    scores: Tensor
    """(pairs,)."""
    penalty: float
    has_converged: bool


def refitted(states: Tensor, train: Candidates, *, seed: int) -> Refitted:
    """A linear head on the states of pairs of query and doc, and its score of every pair.

    states: (pairs, width); `train`: examples whose docs are places among the pairs. The other pairs, those to
    be ranked, take no part in the fit, nor in what states are standardised by. The seed decides which training
    queries choose the penalty.
    """
    no_queries = states.new_zeros(int(train.queries.max()) + 1, states.shape[1])
    made = probe_fits.standardised(States(no_queries, states), [train])
    learnt, held_out = split(train, seed)
    fit = probe_fits.fitted(
        probes.DOCS_ALONE, made, [learnt], [held_out], seeds=[seed], how=probe_fits.Fitting()
    )
    return Refitted(made.docs @ fit.parameters[0], fit.penalties[0], bool(fit.has_converged[0]))
