"""Contrastive, pairwise, listwise, distillation: functions of (scores, labels, mask).

scores, labels: (queries, docs), float32. mask: the same shape, True where there is a doc. Every
loss is a mean over its units: queries, pairs or docs. The functions here sum over them, and their
`Loss` divides by their number; so the losses of an update's batches add up to that of the update.

Value and gradient are the same whatever stands in the padding (not-a-number included) and in
whatever order a query's docs come. All but the pointwise one see differences of scores only. In the
formulas s is a doc's score, y its label, and i, j, k are docs of one query.

Labels come from qrels (1 and 0) or a teacher (its order as n, n-1, ..., 1, or its scores); `needs`
says what each loss can learn from. Where sentence-transformers has the same loss, the values are
the same, and a test compares them; but its RankNet and LambdaLoss have binary logarithms by default,
and here all are natural.

Not here: losses over several queries' docs (in-batch negatives), position-aware ListMLE, and
temperatures: dividing the scores by one is the caller's to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from rankscope.core.errors import EmptyBatch
from rankscope.train import masked

Total = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(scores, labels, mask) to a sum over units; 0, with a gradient of zeros, where there is none."""
Units = Callable[[Tensor, Tensor], Tensor]
"""(labels, mask) to the number of units."""


@final
@dataclass(frozen=True)
class Loss:
    """A mean over units, as a sum and a number of units, so that it can be taken over several batches.

    The weight of a batch's mean in that of its update is its share of the update's units, which depend on
    labels alone.
    """

    total: Total
    units: Units
    refuse: Callable[[Tensor, Tensor], None]
    """Raises EmptyBatch for labels (and their mask) from which nothing can be learnt."""

    def __call__(self, scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """The mean over the units; EmptyBatch where the labels teach nothing."""
        self.refuse(labels, mask)
        return self.mean(scores, labels, mask)

    def mean(self, scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """The mean over the units; 0 where there is none, as in a batch of an update that has some elsewhere."""
        return self.total(scores, labels, mask) / self.units(labels, mask).clamp(min=1)


def mean_over(units: Units, *, refuse: Callable[[Tensor, Tensor], None]) -> Callable[[Total], Loss]:
    """Make a loss of the function that sums over the units."""
    return lambda total: Loss(total, units, refuse)


# --- units, over which a loss is a mean --------------------------------------------------------


def queries(labels: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG001
    """The number of queries with a doc."""
    return mask.any(dim=1).sum()


def docs(labels: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG001
    """The number of docs."""
    return mask.sum()


def pairs(labels: Tensor, mask: Tensor) -> Tensor:
    """The number of pairs with y_i > y_j, counted without (docs, docs): an update may have many."""
    known = labels.masked_fill(~mask, float("inf")).contiguous()
    n_below = torch.searchsorted(
        known.sort(dim=1).values, known
    )  # labels of the query that are lower
    return n_below[mask].sum()


def pairs_of_grades(labels: Tensor, mask: Tensor) -> Tensor:
    """The number of pairs whose labels differ as grades."""
    return pairs(masked.grades(labels, mask), mask)


def pairs_with_top(labels: Tensor, mask: Tensor) -> Tensor:
    """The number of pairs (t, j), t a doc with the query's highest label and j any other."""
    return (masked.top(labels, mask).sum(dim=1) * (mask.sum(dim=1) - 1)).sum()


# --- labels from which a loss cannot learn -----------------------------------------------------


def _not_one_positive(labels: Tensor, mask: Tensor) -> None:
    if not (((labels > 0) & mask).sum(dim=1) == 1).all():
        raise EmptyBatch(
            "localized_contrastive needs exactly one positive doc a query. "
            "Draw samples with `labels: qrels`, or use ranknet for a teacher's order."
        )


def _not_both_kinds(labels: Tensor, mask: Tensor) -> None:
    positive, negative = (labels > 0) & mask, ~(labels > 0) & mask
    if not (positive.any(dim=1) & negative.any(dim=1)).all():
        raise EmptyBatch(
            "info_nce needs a positive and a negative doc (label above 0, and not) in every query. "
            "Draw samples with `labels: qrels`, or use ranknet for a teacher's order."
        )


def _all_alike(labels: Tensor, mask: Tensor) -> None:
    if not pairs(labels, mask):
        raise EmptyBatch(
            "No two docs of one query differ in label: there is nothing to rank. Raise `group_size`, or "
            "`min_relevance`, or leave out the queries whose docs are all alike."
        )


def _grades_all_alike(labels: Tensor, mask: Tensor) -> None:
    _all_alike(masked.grades(labels, mask), mask)


def _nothing_to_rank(labels: Tensor, mask: Tensor) -> None:  # noqa: ARG001
    n = mask.sum(dim=1)
    if not ((n > 0).all() and (n > 1).any()):
        raise EmptyBatch("Every query needs a doc, and at least one query two, to learn a ranking.")


def _no_order(labels: Tensor, mask: Tensor) -> None:
    _nothing_to_rank(labels, mask)
    _all_alike(labels, mask)


def _no_margin(labels: Tensor, mask: Tensor) -> None:
    if not pairs_with_top(labels, mask):
        raise EmptyBatch("No query has two docs: there is no margin to learn.")


def _no_probabilities(labels: Tensor, mask: Tensor) -> None:
    y = labels[mask]
    if not len(y):
        raise EmptyBatch("There is no doc: there is nothing to learn.")
    if not ((y >= 0) & (y <= 1)).all():
        raise EmptyBatch(
            "pointwise_binary_cross_entropy needs labels from 0 to 1. "
            "Draw samples with `labels: qrels`, or use ranknet for a teacher's order."
        )


# --- the losses --------------------------------------------------------------------------------


@mean_over(queries, refuse=_not_one_positive)
def localized_contrastive(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of -log softmax(scores) at the query's one positive.

    (LCE: Gao, Dai, Callan 2021; in study B, L = -log(exp s(q,d+) / sum over {d+} and N_q).)
    The positive is the doc whose label is above 0. A query with none or several is refused: the
    released code takes a random negative for the positive there.
    """
    return -masked.log_softmax(scores, mask)[(labels > 0) & mask].sum()


@mean_over(queries, refuse=_not_both_kinds)
def info_nce(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of the mean over their positives p of -log(e^s_p / (e^s_p + sum_n e^s_n)).

    (van den Oord, Li, Vinyals 2018, with several positives.) Docs with a label above 0 are
    positives, the others negatives n; how far above does not matter. A positive stands against
    itself and the negatives, never against another positive, so positives do not push each other
    down. A query counts once, however many positives it has; with one it is localized_contrastive.
    A query without a positive or without a negative is refused.
    """
    positive, negative = (labels > 0) & mask, ~(labels > 0) & mask
    # log(1 + sum of e^(s_n - s_p)); never (docs, docs), for a batch may have a hundred thousand negatives
    scores = scores.masked_fill(~mask, 0)
    rivals = scores.masked_fill(~negative, float("-inf")).logsumexp(dim=1, keepdim=True)
    surprise = softplus(rivals - scores)
    per_query = surprise.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return per_query.sum()


@mean_over(pairs, refuse=_all_alike)
def ranknet(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all pairs with y_i > y_j of log(1 + exp(s_j - s_i)).

    (Burges et al. 2005; study B's distillation loss, where the labels are a teacher's order.)
    Docs that tie in label make no pair; an update without a pair is refused. Long lists weigh more
    than short ones, as published.
    """
    return softplus(-masked.margins(scores)[masked.pairs(labels, mask)]).sum()


@mean_over(pairs, refuse=_all_alike)
def weighted_ranknet(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all pairs with y_i > y_j of log(1 + exp(s_j - s_i)) / (r_i + r_j).

    (FIRST: Reddy et al. 2024.) r is a doc's rank in the *labels'* order, 1 for the best, so pairs
    at the teacher's top weigh most. Docs that tie in label share the mean of their ranks and make
    no pair; FIRST's code gives them ranks in the order they come in. The mean divides by the number
    of pairs, as FIRST's does, not by the sum of the weights. An update without a pair is refused.
    """
    return _rank_weighted(scores, masked.pairs(labels, mask), ranks=masked.ranks(labels, mask))


@mean_over(pairs, refuse=_all_alike)
def student_weighted_ranknet(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """weighted_ranknet with a known defect: r is a doc's rank in the *student's* scores.

    Study B's released code has this defect (Pezzuti et al. 2025), and calls the loss FIRST's.
    It is here for comparison; use weighted_ranknet. The weight follows what the student believes,
    not what the teacher says: a doc the teacher puts first and the student last counts least, and
    the same pair weighs differently from update to update. Ranks carry no gradient. Docs that tie
    in score share the mean of their ranks (in the released code, any order); docs that tie in label
    make no pair; an update without a pair is refused.
    """
    return _rank_weighted(scores, masked.pairs(labels, mask), ranks=masked.ranks(scores, mask))


@mean_over(pairs_of_grades, refuse=_grades_all_alike)
def lambdarank(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all pairs with y_i > y_j of w_ij log(1 + exp(s_j - s_i)).

    w_ij = |2^y_i - 2^y_j| / ideal DCG * |1/log2(1 + r_i) - 1/log2(1 + r_j)| is the change of nDCG
    if the two docs changed places, r being the ranks by score (LambdaRank: Burges, Ragno,
    Le 2006; as a loss: Wang et al. 2018, LambdaRankScheme in sentence-transformers). nDCG is of the
    whole group, without a cutoff. Ranks carry no gradient.

    Labels are grades: 0 is worth nothing, below 0 counts as 0, and each grade is worth twice the
    one below: in a teacher's order n, ..., 1 nearly all weight falls on the first places. Docs that
    tie in score are ranked worst grade first, so that a tie is a mistake worth mending (a shared
    rank would give it the weight 0); of the same grade too, they share the mean of their ranks.
    Docs that tie in label make no pair; an update without a pair is refused.
    """
    grades = masked.grades(labels, mask)
    better = masked.pairs(grades, mask)
    top = grades.amax(dim=1, keepdim=True)
    gains = torch.exp2(grades - top) - torch.exp2(-top)  # all by 2^top: cancels, cannot overflow
    places = torch.arange(1, grades.shape[1] + 1, dtype=grades.dtype, device=grades.device)
    best_first = gains.sort(dim=1, descending=True).values
    ideal = (best_first / torch.log2(1 + places)).sum(dim=1, keepdim=True)
    discounts = 1 / torch.log2(1 + masked.ranks(scores, mask, before=-grades))
    # A query without gains is 0 / 0 here; it has no pair, so nothing of it is taken.
    weights = (masked.margins(gains / ideal) * masked.margins(discounts)).abs()
    return (weights[better] * softplus(-masked.margins(scores)[better])).sum()


@mean_over(queries, refuse=_nothing_to_rank)
def listnet(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of -sum over i of p_i log q_i, p = softmax(labels), q = softmax(scores).

    (ListNet, top one: Cao et al. 2007.) Labels are taken for scores: the least loss, the entropy of
    p, is where the scores equal them up to a constant, so docs that tie in label are taught to tie.
    Labels 0 and 1 make a flat target, a teacher's order n, ..., 1 the same steep one whatever the
    query. An update in which no query has two docs, or one has none, is refused.
    """
    teacher, student = masked.log_softmax(labels, mask), masked.log_softmax(scores, mask)
    return -(teacher.exp() * student).sum()  # 1 * 0 in the padding


@mean_over(queries, refuse=_no_order)
def listmle(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of sum over i of log(e^s_i + sum over y_j < y_i of e^s_j) - s_i.

    (ListMLE: Xia et al. 2008: minus the log-likelihood, in the Plackett-Luce model, of the order of
    the labels.) Only their order matters. Where labels tie, that order is not one but many, and a
    sort would teach whichever the docs came in; here a doc stands against itself and the docs with
    a lower label, so nothing is learnt about ties. Long lists weigh more than short ones. An update
    in which no two docs of one query differ in label, or a query has no doc, is refused.
    """
    worse = masked.pairs(labels, mask)  # entry i, j: j is worse than i
    surprise = masked.surprise(scores, rivals=worse, mask=mask)
    return surprise.masked_fill(~mask, 0).sum()


@mean_over(pairs_with_top, refuse=_no_margin)
def margin_mse(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over the pairs (t, j), j any doc but t, of ((s_t - s_j) - (y_t - y_j))^2.

    (MarginMSE: Hofstätter et al. 2020.) Labels are a teacher's scores. t is the query's doc with
    the highest label; in the paper it is the judged positive, which labels alone do not name. Where
    several docs tie at the top, each of them is t in turn. The mean is over the pairs of all
    queries. An update in which no query has two docs is refused.
    """
    is_pair = masked.top(labels, mask)[:, :, None] & mask[:, None, :] & ~masked.own(mask)
    return (masked.margins(scores)[is_pair] - masked.margins(labels)[is_pair]).square().sum()


@mean_over(queries, refuse=_nothing_to_rank)
def kl(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of sum of p_i log(p_i / q_i), p = softmax(labels), q = softmax(scores).

    (Kullback-Leibler divergence of the student from the teacher; Hinton, Vinyals, Dean 2015, at
    temperature 1.) Labels are a teacher's scores. It is listnet less the teacher's own entropy: the
    same gradient, and a value that is 0 where the student agrees. Docs that tie in label are taught
    to tie. An update in which no query has two docs, or one has none, is refused.
    """
    teacher, student = masked.log_softmax(labels, mask), masked.log_softmax(scores, mask)
    return (teacher.exp() * (teacher - student)).sum()  # 1 * (0 - 0) in the padding


@mean_over(docs, refuse=_nothing_to_rank)
def adr_mse(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all docs of (r_i - a_i)^2 / log2(1 + r_i), a_i a smooth rank by score.

    a_i = 1 + sum over j != i of sigmoid(s_j - s_i); r is a doc's rank in the labels' order, and
    nothing else of them matters (approximate discounted rank MSE, Rank-DistiLLM: Schlatt et al.
    2024). Docs that tie in label share the mean of their ranks and so are taught to tie. Where a
    ranking is far wrong the sigmoids are flat, and the gradient vanishes. An update in which no query
    has two docs, or one has none, is refused.
    """
    ranks = masked.ranks(labels, mask)
    others = mask[:, None, :] & ~masked.own(mask)
    leads = -masked.margins(scores.masked_fill(~mask, 0))  # entry i, j: how far j is ahead of i
    beaten = torch.sigmoid(leads)
    approximate = 1 + beaten.masked_fill(~others, 0).sum(dim=2)
    return ((ranks - approximate).square() / torch.log2(1 + ranks))[mask].sum()


@mean_over(docs, refuse=_no_probabilities)
def pointwise_binary_cross_entropy(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all docs of -y log sigmoid(s) - (1 - y) log(1 - sigmoid(s)).

    (The monoBERT loss: Nogueira, Cho 2019.) Labels are probabilities of being relevant, 0 and 1
    or between; others (grades, a teacher's order) are refused rather than cut to fit. The one loss
    that sees the scores themselves and not their differences; ties mean nothing to it.
    """
    return binary_cross_entropy_with_logits(scores[mask], labels[mask], reduction="sum")


LOSSES: dict[str, Loss] = {
    "localized_contrastive": localized_contrastive,
    "info_nce": info_nce,
    "ranknet": ranknet,
    "weighted_ranknet": weighted_ranknet,
    "student_weighted_ranknet": student_weighted_ranknet,
    "lambdarank": lambdarank,
    "listnet": listnet,
    "listmle": listmle,
    "margin_mse": margin_mse,
    "kl": kl,
    "adr_mse": adr_mse,
    "pointwise_binary_cross_entropy": pointwise_binary_cross_entropy,
}


def _rank_weighted(scores: Tensor, better: Tensor, *, ranks: Tensor) -> Tensor:
    """RankNet with the weight 1 / (r_i + r_j) for each pair."""
    weights = 1 / (ranks[:, :, None] + ranks[:, None, :])
    return (weights[better] * softplus(-masked.margins(scores)[better])).sum()
