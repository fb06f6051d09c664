"""Values by hand, the laws every loss keeps, and agreement with sentence-transformers.

In the derivations, ln(1 + e^-m) is what a pair costs whose better doc leads by m: `cost(m)`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, final

import pytest
import torch
from sentence_transformers.cross_encoder import CrossEncoder
from sentence_transformers.cross_encoder import losses as theirs
from torch import Tensor, nn

from rankscope.core.errors import EmptyBatch
from rankscope.train.facts import spread
from rankscope.train.losses import (
    LOSSES,
    Loss,
    adr_mse,
    info_nce,
    kl,
    lambdarank,
    listmle,
    listnet,
    localized_contrastive,
    margin_mse,
    pointwise_binary_cross_entropy,
    ranknet,
    student_weighted_ranknet,
    weighted_ranknet,
)
from rankscope.train.masked import grid
from rankscope.train.needs import NEEDS

REAL = torch.ones(1, 3, dtype=torch.bool)
LABELS = torch.tensor([[1.0, 0.0, 0.0]])

every_loss = pytest.mark.parametrize("name", LOSSES)


def cost(margin: float) -> float:
    return math.log(1 + math.exp(-margin))


def of_one_query(loss: Loss, scores: list[float], labels: list[float]) -> float:
    mask = torch.ones(1, len(scores), dtype=torch.bool)
    return loss(torch.tensor([scores]).float(), torch.tensor([labels]).float(), mask).item()


# --- numbers by hand ---------------------------------------------------------------------------


def test_ranknet_by_hand() -> None:
    """labels 1,0,0 leave two pairs, with margins 2-1 and 2-0; the loss is the mean of ln(1+e^-margin)."""
    assert of_one_query(ranknet, [2, 1, 0], [1, 0, 0]) == pytest.approx((cost(1) + cost(2)) / 2)


def test_ranknet_of_a_teachers_order_counts_every_pair_once() -> None:
    """labels 3,2,1: pairs (0,1), (0,2), (1,2) with margins -1, 1, 2."""
    assert of_one_query(ranknet, [1, 2, 0], [3, 2, 1]) == pytest.approx(
        (cost(-1) + cost(1) + cost(2)) / 3
    )


def test_ranknet_is_the_mean_over_pairs_not_over_queries() -> None:
    """The first query has three pairs of margin 0, the second one of margin 1: a mean over four."""
    scores = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    labels = torch.tensor([[3.0, 2.0, 1.0], [2.0, 1.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert ranknet(scores, labels, mask).item() == pytest.approx((3 * cost(0) + cost(1)) / 4)


def test_weighted_ranknet_by_hand() -> None:
    """labels 3,2,1 have the ranks 1,2,3: pairs (0,1), (0,2), (1,2) weigh 1/3, 1/4, 1/5."""
    assert of_one_query(weighted_ranknet, [0, 2, 1], [3, 2, 1]) == pytest.approx(
        (cost(-2) / 3 + cost(-1) / 4 + cost(1) / 5) / 3
    )


def test_weighted_ranknet_gives_tied_labels_the_mean_of_their_ranks() -> None:
    """labels 1,0,0: ranks 1, 2.5, 2.5, so both pairs weigh 1/3.5."""
    assert of_one_query(weighted_ranknet, [2, 1, 0], [1, 0, 0]) == pytest.approx(
        (cost(1) + cost(2)) / 3.5 / 2
    )


def test_student_weighted_ranknet_by_hand() -> None:
    """scores 0,2,1 have the ranks 3,1,2: pairs (0,1), (0,2), (1,2) weigh 1/4, 1/5, 1/3.

    The defect: the right order of the teacher's last two, (1,2), weighs most.
    """
    assert of_one_query(student_weighted_ranknet, [0, 2, 1], [3, 2, 1]) == pytest.approx(
        (cost(-2) / 4 + cost(-1) / 5 + cost(1) / 3) / 3
    )


def test_student_weighted_ranknet_gives_tied_scores_the_mean_of_their_ranks() -> None:
    """scores 1,0,0: ranks 1, 2.5, 2.5; pairs weigh 1/3.5, 1/3.5 and 1/5, margins 1, 1, 0."""
    assert of_one_query(student_weighted_ranknet, [1, 0, 0], [3, 2, 1]) == pytest.approx(
        (2 * cost(1) / 3.5 + cost(0) / 5) / 3
    )


def test_lambdarank_by_hand() -> None:
    """labels 2,1,0 gain 3,1,0, ideal DCG 3 + 1/log2(3); scores 0,2,1 are ranks 3,1,2.

    Discounts 1/2, 1, 1/log2(3). Pair (0,1): 2 (1 - 1/2), (0,2): 3 (1/log2(3) - 1/2), (1,2):
    1 (1 - 1/log2(3)); all over the ideal; margins -2, -1, 1.
    """
    second = 1 / math.log2(3)
    weighted = 2 * (1 - 1 / 2) * cost(-2) + 3 * (second - 1 / 2) * cost(-1) + (1 - second) * cost(1)
    assert of_one_query(lambdarank, [0, 2, 1], [2, 1, 0]) == pytest.approx(
        weighted / (3 + second) / 3
    )


def test_lambdarank_ranks_tied_scores_worst_grade_first() -> None:
    """All scores 0: the grade 1 has rank 3, the grades 0 share 1.5; ideal 1, two pairs of margin 0."""
    weight = 1 / math.log2(2.5) - 1 / 2
    assert of_one_query(lambdarank, [0, 0, 0], [1, 0, 0]) == pytest.approx(weight * cost(0))


def test_lambdarank_takes_a_grade_below_0_for_0_and_leaves_out_queries_without_gain() -> None:
    """labels -2,0 are no pair, so the second query counts for nothing; nor does it spoil anything."""
    scores = torch.tensor([[0.0, 1.0], [3.0, 5.0]], requires_grad=True)
    labels = torch.tensor([[1.0, -1.0], [-2.0, 0.0]])
    mask = torch.ones(2, 2, dtype=torch.bool)
    loss = lambdarank(scores, labels, mask)
    assert loss.item() == pytest.approx((1 - 1 / math.log2(3)) * cost(-1))
    loss.backward()
    assert scores.grad is not None
    assert scores.grad[1].tolist() == [0, 0]


def test_lambdarank_of_a_long_teachers_order_does_not_overflow() -> None:
    """2^200 is no float32; but gains count only over the ideal: a half less for each place.

    Of labels 200, 199 with scores 0, 1: gains 1 and 1/2, ideal 1 + 1/(2 log2(3)).
    """
    second = 1 / math.log2(3)
    weight = (1 - 1 / 2) * (1 - second) / (1 + second / 2)
    assert of_one_query(lambdarank, [0, 1], [200, 199]) == pytest.approx(weight * cost(-1))


def test_localized_contrastive_by_hand() -> None:
    """-ln(e^2 / (e^2 + e^1 + e^0))."""
    assert of_one_query(localized_contrastive, [2, 1, 0], [1, 0, 0]) == pytest.approx(
        -math.log(math.e**2 / (math.e**2 + math.e + 1))
    )


def test_localized_contrastive_is_the_mean_over_queries() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    mask = torch.ones(2, 3, dtype=torch.bool)
    first = localized_contrastive(scores[:1], labels[:1], mask[:1])
    assert localized_contrastive(scores, labels, mask).item() == pytest.approx(
        (first.item() + math.log(3)) / 2
    )


def test_info_nce_by_hand_keeps_positives_apart() -> None:
    """scores 2,1,0, the first two positive: each against the third alone, with margins 2 and 1."""
    assert of_one_query(info_nce, [2, 1, 0], [1, 3, 0]) == pytest.approx((cost(2) + cost(1)) / 2)


def test_info_nce_counts_a_query_once_however_many_positives() -> None:
    """Two positives of cost(2) and cost(1), then one of cost(0): (mean of the two + cost(0)) / 2."""
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 0.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, False, True]])
    assert info_nce(scores, labels, mask).item() == pytest.approx(
        ((cost(2) + cost(1)) / 2 + cost(0)) / 2
    )


def test_info_nce_with_one_positive_is_localized_contrastive() -> None:
    case = CASES["one positive"]
    torch.testing.assert_close(info_nce(*case), localized_contrastive(*case))


def test_listnet_by_hand() -> None:
    """labels ln 3, 0 are p = 3/4, 1/4; scores 0, ln 3 are q = 1/4, 3/4."""
    assert of_one_query(listnet, [0, math.log(3)], [math.log(3), 0]) == pytest.approx(
        -(3 / 4 * math.log(1 / 4) + 1 / 4 * math.log(3 / 4))
    )


def test_kl_by_hand() -> None:
    """labels ln 3, 0 are p = 3/4, 1/4; scores 0, 0 are q = 1/2, 1/2."""
    assert of_one_query(kl, [0, 0], [math.log(3), 0]) == pytest.approx(
        3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)
    )


def test_kl_is_listnet_less_the_teachers_entropy() -> None:
    scores, labels, mask = CASES["scores"]
    entropy = listnet(labels, labels, mask)
    torch.testing.assert_close(kl(scores, labels, mask), listnet(scores, labels, mask) - entropy)


def test_listmle_by_hand() -> None:
    """The likelihood of the order 0,1,2 is e^1/(e^1+e^2+e^0) * e^2/(e^2+e^0) * 1."""
    e = math.e
    assert of_one_query(listmle, [1, 2, 0], [3, 2, 1]) == pytest.approx(
        -math.log(e / (e + e**2 + 1) * e**2 / (e**2 + 1))
    )


def test_listmle_teaches_nothing_about_ties() -> None:
    """labels 1,1,0,0, scores 2,1,0,0: each of the first two stands against the last two only."""
    scores = torch.tensor([[2.0, 1.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    loss = listmle(scores, labels, torch.ones(1, 4, dtype=torch.bool))
    assert loss.item() == pytest.approx(
        math.log(math.e**2 + 2) - 2 + math.log(math.e + 2) - 1, rel=1e-5
    )
    loss.backward()
    assert scores.grad is not None
    assert (scores.grad[0, :2] < 0).all(), "neither positive is pushed down by the other"


def test_margin_mse_by_hand() -> None:
    """The top is doc 0. Margins 1-0 and 1-3 of scores, 5-3 and 5-2 of labels: 1 and 25."""
    assert of_one_query(margin_mse, [1, 0, 3], [5, 3, 2]) == pytest.approx((1 + 25) / 2)


def test_margin_mse_takes_every_doc_at_a_tied_top_for_the_top() -> None:
    """Tops 0 and 1: pairs (0,1), (0,2), (1,0), (1,2) with errors 1-0, 1-2, -1-0, 0-2."""
    assert of_one_query(margin_mse, [1, 0, 0], [2, 2, 0]) == pytest.approx((1 + 1 + 1 + 4) / 4)


def test_adr_mse_by_hand() -> None:
    """Equal scores are smooth ranks 1 + 1/2 each; the ranks are 1 and 2, the discounts 1, log2(3)."""
    assert of_one_query(adr_mse, [0, 0], [2, 1]) == pytest.approx(
        (0.25 / 1 + 0.25 / math.log2(3)) / 2
    )


def test_adr_mse_gives_tied_labels_the_mean_of_their_ranks() -> None:
    """labels 1,1,0: ranks 1.5, 1.5, 3; equal scores are smooth ranks 2, 2, 2."""
    assert of_one_query(adr_mse, [0, 0, 0], [1, 1, 0]) == pytest.approx(
        (2 * 0.25 / math.log2(2.5) + 1 / 2) / 3
    )


def test_pointwise_binary_cross_entropy_by_hand() -> None:
    """Scores 0, ln 3 are chances 1/2, 3/4; labels 1, 0: ln 2 and -ln(1/4); a label of 1/2 at 0: ln 2."""
    loss = of_one_query(pointwise_binary_cross_entropy, [0, math.log(3), 0], [1, 0, 0.5])
    assert loss == pytest.approx((math.log(2) + math.log(4) + math.log(2)) / 3)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[[0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]])
def test_a_query_without_its_one_positive_is_refused(labels: list[list[float]]) -> None:
    with pytest.raises(EmptyBatch, match="exactly one positive"):
        localized_contrastive(torch.zeros(1, 3), torch.tensor(labels), REAL)


@pytest.mark.parametrize("labels", [[[0.0, 0.0, 0.0]], [[3.0, 2.0, 1.0]]])
def test_info_nce_refuses_a_query_without_both_kinds(labels: list[list[float]]) -> None:
    two = torch.cat([LABELS, torch.tensor(labels)])
    with pytest.raises(EmptyBatch, match="a positive and a negative doc"):
        info_nce(torch.zeros(2, 3), two, REAL.expand(2, 3))


@pytest.mark.parametrize("label", [-0.1, 1.1, math.nan])
def test_a_label_that_is_no_probability_is_refused(label: float) -> None:
    with pytest.raises(EmptyBatch, match="from 0 to 1"):
        pointwise_binary_cross_entropy(torch.zeros(1, 3), torch.tensor([[1.0, label, 0.0]]), REAL)


@pytest.mark.parametrize(
    "loss", [ranknet, weighted_ranknet, student_weighted_ranknet, lambdarank, listmle]
)
def test_labels_that_are_all_equal_give_nothing_to_rank(loss: Loss) -> None:
    with pytest.raises(EmptyBatch, match="nothing to rank"):
        loss(torch.zeros(1, 3), torch.zeros(1, 3), REAL)


@pytest.mark.parametrize("loss", [listnet, kl, listmle, adr_mse])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 0)], ids=str)
def test_a_list_of_one_or_no_doc_is_refused(loss: Loss, sizes: tuple[int, int]) -> None:
    mask = torch.arange(3) < torch.tensor(sizes)[:, None]
    with pytest.raises(EmptyBatch, match="needs a doc"):
        loss(torch.zeros(2, 3), LABELS.expand(2, 3), mask)


@every_loss
def test_a_batch_without_a_doc_is_refused(name: str) -> None:
    """Not a number, or 0 without a gradient, would be carried on with."""
    with pytest.raises(EmptyBatch):
        LOSSES[name](torch.zeros(1, 3), LABELS, ~REAL)


@pytest.mark.parametrize(
    "name", sorted(LOSSES.keys() - {"pointwise_binary_cross_entropy", "info_nce"})
)
def test_a_query_of_one_doc_teaches_nothing(name: str) -> None:
    """The pointwise loss does learn from it, and info_nce refuses it."""
    scores = torch.tensor([[0.3, -0.2, 1.1], [0.7, 0.0, 0.0]], requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    labels = LABELS.expand(2, 3)
    LOSSES[name](scores, labels, mask).backward()
    assert scores.grad is not None
    assert scores.grad[0].abs().sum() > 0
    assert scores.grad[1].tolist() == [0, 0, 0]


# --- laws of every loss ------------------------------------------------------------------------


class Case(NamedTuple):
    """A batch of three queries with 4, 2 and 3 docs, and labels of some kind."""

    scores: Tensor
    labels: Tensor
    mask: Tensor


def case(labels: list[list[float]]) -> Case:
    return Case(
        torch.tensor([[0.3, -0.2, 1.1, 0.6], [0.5, 0.4, 0.0, 0.0], [-2.0, 0.1, 0.25, 0.0]]),
        torch.tensor(labels).float(),
        torch.arange(4) < torch.tensor([4, 2, 3])[:, None],
    )


CASES = {
    "one positive": case([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]),
    "positives": case([[0, 1, 0, 1], [1, 0, 0, 0], [1, 0, 1, 0]]),
    "order": case([[1, 4, 2, 3], [2, 1, 0, 0], [3, 1, 1, 0]]),
    "grades": case([[0, 2, 1, 0], [0, 1, 0, 0], [3, 0, 1, 0]]),
    "scores": case([[0.5, 2.5, -1.0, 0.7], [-3.0, 0.2, 0, 0], [1.5, 1.5, 0.1, 0]]),
}


def value_and_gradient(name: str, case: Case) -> tuple[Tensor, Tensor]:
    scores = case.scores.clone().requires_grad_()
    loss = LOSSES[name](scores, case.labels, case.mask)
    loss.backward()
    assert scores.grad is not None
    return loss.detach(), scores.grad


def test_every_loss_says_what_it_needs() -> None:
    assert NEEDS.keys() == LOSSES.keys()
    assert set(NEEDS.values()) == CASES.keys()


@every_loss
def test_a_loss_is_one_float32(name: str) -> None:
    loss, _ = value_and_gradient(name, CASES[NEEDS[name]])
    assert (loss.shape, loss.dtype) == ((), torch.float32)


@every_loss
@pytest.mark.parametrize("garbage", [2.5, 99.0, -1e38, 1e38, math.inf, -math.inf, math.nan])
def test_padding_is_not_seen(name: str, garbage: float) -> None:
    """Neither what stands there nor how much of it: two columns of padding are added.

    2.5 is also the highest label of a query, 99 above all.
    """
    plain = CASES[NEEDS[name]]
    more = torch.zeros(3, 2)
    mask = torch.cat([plain.mask, more.bool()], dim=1)
    dirty = Case(
        torch.cat([plain.scores, more], dim=1).masked_fill(~mask, garbage),
        torch.cat([plain.labels, more], dim=1).masked_fill(~mask, garbage),
        mask,
    )
    (loss, gradient), (expected, expected_gradient) = (
        value_and_gradient(name, it) for it in (dirty, plain)
    )
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient[:, :4], expected_gradient)
    assert gradient[~mask].eq(0).all()
    assert gradient[mask].ne(0).any()


@every_loss
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied scores"])
def test_the_order_of_docs_is_not_seen(name: str, tied: bool) -> None:
    plain = CASES[NEEDS[name]]
    if tied:
        plain = plain._replace(scores=plain.scores.round())
    loss, gradient = value_and_gradient(name, plain)
    for order in ([2, 0, 3, 1], [3, 2, 1, 0], [1, 3, 0, 2]):
        moved = Case(*(tensor[:, order] for tensor in plain))
        moved_loss, moved_gradient = value_and_gradient(name, moved)
        torch.testing.assert_close(moved_loss, loss)
        torch.testing.assert_close(moved_gradient, gradient[:, order])


@every_loss
def test_the_order_of_queries_is_not_seen(name: str) -> None:
    plain = CASES[NEEDS[name]]
    moved = Case(*(tensor[[2, 0, 1]] for tensor in plain))
    torch.testing.assert_close(LOSSES[name](*moved), LOSSES[name](*plain))


@every_loss
def test_only_differences_of_scores_are_seen_but_by_the_pointwise_one(name: str) -> None:
    plain = CASES[NEEDS[name]]
    lifted = plain._replace(scores=plain.scores + torch.tensor([[7.0], [-3.0], [0.5]]))
    same = torch.isclose(LOSSES[name](*lifted), LOSSES[name](*plain), rtol=1e-5)
    assert same == (name != "pointwise_binary_cross_entropy")


@every_loss
def test_the_right_order_costs_less_than_the_wrong_one(name: str) -> None:
    labels = CASES[NEEDS[name]].labels
    right, wrong = (CASES[NEEDS[name]]._replace(scores=sign * (labels - 0.5)) for sign in (1, -1))
    assert LOSSES[name](*right) < LOSSES[name](*wrong)


@every_loss
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    plain = CASES[NEEDS[name]]
    scores = plain.scores.double().requires_grad_()
    labels = plain.labels.double()
    assert torch.autograd.gradcheck(lambda s: LOSSES[name](s, labels, plain.mask), scores)


@every_loss
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_scores_give_a_finite_value_and_gradient(name: str, size: float) -> None:
    """As far right and as far wrong as scores get."""
    plain = CASES[NEEDS[name]]
    loss, gradient = value_and_gradient(name, plain._replace(scores=size * (plain.labels - 0.5)))
    assert loss.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_a_ranker_that_gives_all_docs_one_score_can_learn(name: str) -> None:
    """As an untrained head may do: in every query the best doc is pulled above the worst."""
    scores, labels, mask = CASES[NEEDS[name]]
    _, gradient = value_and_gradient(name, Case(torch.zeros_like(scores), labels, mask))
    best = labels.masked_fill(~mask, -math.inf).argmax(dim=1, keepdim=True)
    worst = labels.masked_fill(~mask, math.inf).argmin(dim=1, keepdim=True)
    assert (gradient.gather(1, best) < gradient.gather(1, worst) - 1e-3).all()


@pytest.mark.parametrize("name", [name for name in LOSSES if NEEDS[name] != "scores"])
def test_the_right_order_with_wide_margins_costs_nothing(name: str) -> None:
    """adr_mse teaches tied labels to tie, which these scores do; the others do not mind."""
    plain = CASES[NEEDS[name]]
    right = plain._replace(scores=100 * (plain.labels - 0.5))
    assert LOSSES[name](*right).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in LOSSES if NEEDS[name] == "scores"])
def test_losses_on_scores_are_least_where_the_student_is_the_teacher(name: str) -> None:
    """... up to a constant: there the gradient is 0, and any other scores cost more."""
    _, labels, mask = CASES["scores"]
    agreed = Case(labels + 7, labels, mask)
    least, gradient = value_and_gradient(name, agreed)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)
    for place in mask.nonzero().tolist():
        for change in (-0.5, 0.5):
            scores = agreed.scores.clone()
            scores[tuple(place)] += change
            assert LOSSES[name](scores, labels, mask) > least
    entropy = 0.0 if name != "listnet" else listnet(labels, labels, mask).item()
    assert least.item() == pytest.approx(entropy, abs=1e-6)


# --- what a loss needs, and what it makes of other labels --------------------------------------


def of_labels(name: str, labels: Tensor) -> Tensor:
    return LOSSES[name](*CASES["order"]._replace(labels=labels))


@every_loss
def test_a_teachers_order_is_refused_by_losses_that_need_positives_and_by_no_other(
    name: str,
) -> None:
    order = CASES["order"].labels
    if "positive" in NEEDS[name]:
        with pytest.raises(EmptyBatch, match="teacher's order"):
            of_labels(name, order)
    else:
        assert of_labels(name, order) > 0


@pytest.mark.parametrize("name", [name for name in LOSSES if "positive" not in NEEDS[name]])
def test_needs_are_what_of_the_labels_is_seen(name: str) -> None:
    """Only their order: stretched, they teach the same. Their zero: moved, they do not."""
    labels = CASES["order"].labels
    plain, stretched, moved = (of_labels(name, it) for it in (labels, labels**2 - 5, labels + 1))
    assert torch.isclose(plain, stretched) == (NEEDS[name] == "order")
    assert torch.isclose(plain, moved) == (NEEDS[name] != "grades")


@every_loss
def test_several_positives_are_refused_by_the_loss_that_needs_one(name: str) -> None:
    several = CASES["positives"]
    if NEEDS[name] == "one positive":
        with pytest.raises(EmptyBatch, match="exactly one"):
            LOSSES[name](*several)
    else:
        assert LOSSES[name](*several) > 0


# --- agreement with sentence-transformers ------------------------------------------------------


@final
class Scripted(CrossEncoder):
    """A cross-encoder whose score for the doc "2,3" is entry 2, 3 of a matrix."""

    def __init__(self, scores: Tensor) -> None:
        nn.Module.__init__(self)
        self.table = scores

    num_labels = 1
    device = torch.device("cpu")

    def preprocess(self, inputs: list[tuple[str, str]], **_: object) -> dict[str, Tensor]:
        return {
            "places": torch.tensor([[int(n) for n in doc.split(",")] for _query, doc in inputs])
        }

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        row, place = batch["places"].T
        return {"scores": self.table[row, place][:, None]}


def random_case(needs: str, generator: torch.Generator, sizes: list[int]) -> Case:
    """Random scores without ties; labels with ties, but one positive where one is needed."""
    shape = (len(sizes), max(sizes))
    scores = 3 * torch.randn(shape, generator=generator)
    labels = {
        "one positive": lambda: nn.functional.one_hot(torch.zeros(len(sizes), dtype=int), shape[1]),
        "positives": lambda: torch.randint(0, 2, shape, generator=generator),
        "no ties": lambda: torch.rand(shape, generator=generator).argsort(dim=1),
        "grades": lambda: torch.randint(0, 4, shape, generator=generator),
        "scores": lambda: 3 * torch.randn(shape, generator=generator),
    }[needs]()
    return Case(scores, labels.float(), torch.arange(shape[1]) < torch.tensor(sizes)[:, None])


def lists(case: Case, loss: Callable[..., nn.Module]) -> Tensor:
    """Their loss on lists of docs."""
    sizes = case.mask.sum(dim=1).tolist()
    docs = [[f"{row},{place}" for place in range(size)] for row, size in enumerate(sizes)]
    labels = [case.labels[row, :size] for row, size in enumerate(sizes)]
    return loss(Scripted(case.scores))([["q"] * len(sizes), docs], labels)


def columns(case: Case, loss: Callable[..., nn.Module]) -> Tensor:
    """Their loss on columns of docs, the one with the highest label in the first."""
    best_first = case.labels.argsort(dim=1, descending=True)
    docs = [
        [f"{row},{place}" for place in places] for row, places in enumerate(best_first.tolist())
    ]
    labels = case.labels.gather(1, best_first)
    return loss(Scripted(case.scores))(
        [["q"] * len(docs), *map(list, zip(*docs, strict=True))], labels
    )


def one_by_one(case: Case, loss: Callable[..., nn.Module]) -> Tensor:
    """The mean over queries of their loss on columns: alone, a query has no in-batch negatives."""
    alone = []
    for row, size in enumerate(case.mask.sum(dim=1).tolist()):
        part = Case(*(tensor[row : row + 1, :size] for tensor in case))
        alone.append(columns(part, loss))
    return torch.stack(alone).mean()


def docs_alone(case: Case, loss: Callable[..., nn.Module]) -> Tensor:
    """Their loss on pairs of a query and a doc."""
    docs = [f"{row},{place}" for row, place in case.mask.nonzero().tolist()]
    return loss(Scripted(case.scores))([["q"] * len(docs), docs], case.labels[case.mask])


class Same(NamedTuple):
    """A loss of ours, and how to come by theirs."""

    name: str
    theirs: Callable[..., nn.Module]
    form: Callable[[Case, Callable[..., nn.Module]], Tensor]
    needs: str
    sizes: list[int]


def unscaled(model: CrossEncoder) -> nn.Module:
    return theirs.MultipleNegativesRankingLoss(model, scale=1.0, activation_fn=nn.Identity())


def sorted_by_label(model: CrossEncoder) -> nn.Module:
    return theirs.ListMLELoss(model, respect_input_order=False)


def natural(model: CrossEncoder) -> nn.Module:
    return theirs.RankNetLoss(model, reduction_log="natural")


def lambda_rank(model: CrossEncoder) -> nn.Module:
    return theirs.LambdaLoss(model, theirs.LambdaRankScheme(), reduction_log="natural")


RAGGED, AT_LEAST_TWO, EVEN = [6, 3, 1, 5], [6, 3, 2, 5], [5, 5, 5]

AGREE = [
    Same("ranknet", natural, lists, "grades", RAGGED),
    Same("lambdarank", lambda_rank, lists, "grades", RAGGED),
    Same("listnet", theirs.ListNetLoss, lists, "scores", RAGGED),
    Same("listmle", sorted_by_label, lists, "no ties", RAGGED),
    Same("adr_mse", theirs.ADRMSELoss, lists, "grades", RAGGED),
    Same("margin_mse", theirs.MarginMSELoss, columns, "scores", EVEN),
    Same("localized_contrastive", unscaled, one_by_one, "one positive", AT_LEAST_TWO),
    Same("info_nce", unscaled, one_by_one, "one positive", AT_LEAST_TWO),
    Same(
        "pointwise_binary_cross_entropy",
        theirs.BinaryCrossEntropyLoss,
        docs_alone,
        "positives",
        RAGGED,
    ),
]


@pytest.mark.parametrize("same", AGREE, ids=lambda same: same.name)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_those_of_sentence_transformers(same: Same, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    case = random_case(same.needs, generator, same.sizes)
    ours_value, ours_gradient = value_and_gradient(same.name, case)
    scores = case.scores.clone().requires_grad_()
    value = same.form(case._replace(scores=scores), same.theirs)
    value.backward()
    torch.testing.assert_close(ours_value, value.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours_gradient, scores.grad, rtol=1e-5, atol=1e-5)


# --- helpers of the loop -----------------------------------------------------------------------


def test_spread_by_hand_ignores_padding() -> None:
    """Scores 1, 3 have the standard deviation 1; a query of equal scores has 0; the mean is 0.5."""
    scores = torch.tensor([[1.0, 3.0, 99.0], [2.0, 2.0, 2.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert spread(scores, mask).value == pytest.approx(0.5)


def test_grid_puts_values_row_by_row() -> None:
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert grid(torch.arange(1.0, 6.0), mask).tolist() == [[1, 2, 0], [3, 4, 5]]
