"""Changes of representations, neighbours and rankings between two rankers, layer by layer.

The rankers have one architecture: one was tuned from the other, or both from a third. Layers are numbered as in
`representations`.

Three kinds of change are kept apart, because they are easily confused. *Weights* (in `weights`): how far they moved,
and in how many directions. *States*: how far a text's own state moved; whether the geometry of the texts is the same
(linear CKA, which ignores rotation and scale); whether a text has the same nearest neighbours, compared with chance.
*Rankings*: whether the same docs come first. None of them says whether the change is an improvement.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.judged.plain import Estimate
from rankscope.core.words import counted

PERSISTENCE = 0.9
"""The persistence of rank-biased overlap: the top ten ranks carry 86 % of the weight (Webber et al. 2010)."""
BLOCKS = 20
"""The number of blocks of texts, or of groups, that a jackknife leaves out in turn."""
FEWEST_TEXTS = 4
"""With fewer texts, the unbiased double-centred matrix is not defined."""
LEVEL = 0.05
FLAT = 1e-12
"""Double-centred products below this share of the products' size are rounding."""

# -- states ---------------------------------------------------------------------------------------


def shifts(before: Tensor, after: Tensor) -> Tensor:
    """How far each text's own state moved: ||after - before|| / ||before||, (texts,), float64.

    states: (texts, width). Unlike CKA, it detects a rotation.
    """
    old = before.double()
    moved: Tensor = (after.double() - old).norm(dim=1) / old.norm(dim=1).clamp(min=1e-30)
    return moved


def varies(states: Tensor) -> bool:
    """Whether a layer's states differ between texts; the embedding of [CLS] before the first block does not."""
    deviation = states.double() - states.double().mean(0)
    return bool(deviation.norm() > 1e-5 * states.double().norm())


def cka(before: Tensor, after: Tensor, *, groups: Tensor | None = None) -> Estimate | None:
    """Unbiased linear CKA: 1 where the geometry of the texts is the same, 0 on average for unrelated geometries.

    CKA (Kornblith et al. 2019) is computed from unbiased double-centred matrices (Song et al. 2012; Szekely & Rizzo
    2014), as by Nguyen et al. (2021): the biased form approaches 1 for any two layers that have more dimensions than
    there are texts (Murphy et al. 2024). It may be negative.

    states: (texts, width) each; the widths may differ. Texts that depend on each other (pairs of one query) are
    alike in any two models: groups, (texts,) int, says which do, and only texts of different groups are compared. The
    interval is a jackknife's, which leaves out blocks of texts, or of groups. None where the states of either do not
    vary, or all texts are equally far apart. Raises BadInput for fewer than 4 texts or groups.
    """
    group_of = _groups(len(before), groups)
    if int(group_of.max()) + 1 < FEWEST_TEXTS:
        what = "texts" if groups is None else "groups of texts"
        raise BadInput(
            f"CKA needs at least {FEWEST_TEXTS} {what}, found {int(group_of.max()) + 1}."
        )
    if not (varies(before) and varies(after)):
        return None
    products = [_products(states) for states in (before, after)]
    value = _cosine(products, _rounds(group_of))
    if value is None:
        return None
    left_out = [_cosine(products, _rounds(group_of, kept)) for kept in _kept(group_of)]
    half = _jackknife_half([value for value in left_out if value is not None])
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))


def _products(states: Tensor) -> Tensor:
    """All dot products of the states minus their mean: (texts, texts), float64."""
    centred = states.double() - states.double().mean(0)
    return centred @ centred.mT


def _rounds(groups: Tensor, kept: Tensor | None = None) -> list[Tensor]:
    """The kept texts in rounds: the places of each group's first text, then of each group's second, and so on.

    So the texts of a round are independent. Rounds with fewer than `FEWEST_TEXTS` texts are left out.
    """
    seen: Counter[int] = Counter()
    rounds: dict[int, list[int]] = {}
    for place in range(len(groups)) if kept is None else kept.tolist():
        group = int(groups[place])
        rounds.setdefault(seen[group], []).append(place)
        seen[group] += 1
    return [torch.tensor(places) for places in rounds.values() if len(places) >= FEWEST_TEXTS]


def _double_centred(products: Tensor) -> Tensor:
    """The products minus the means of rows and columns, with a diagonal of 0.

    By definition 2 of Szekely & Rizzo (2014), sums of elementwise products of such matrices are unbiased estimates.
    """
    n = len(products)
    own = products.clone().fill_diagonal_(0)
    rows = own.sum(1)
    centred = own - (rows[:, None] + rows[None, :]) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0)


def _cosine(products: Sequence[Tensor], rounds: Sequence[Tensor]) -> float | None:
    """The cosine of two double-centred matrices, summed over the rounds; None where one of them is only rounding."""
    both = mine = theirs = 0.0
    for places in rounds:
        a, b = (_double_centred(matrix[places][:, places]) for matrix in products)
        both += float((a * b).sum())
        mine += float((a * a).sum())
        theirs += float((b * b).sum())
    is_rounding = (
        size <= (FLAT * float(matrix.norm())) ** 2
        for size, matrix in zip((mine, theirs), products, strict=True)
    )
    return None if any(is_rounding) else both / math.sqrt(mine * theirs)


def _groups(n_texts: int, groups: Tensor | None) -> Tensor:
    """Each text's group, numbered from 0; without groups, each text is a group of its own."""
    if groups is None:
        return torch.arange(n_texts)
    numbers: Tensor = torch.unique(groups, return_inverse=True)[1]
    return numbers


def _kept(groups: Tensor) -> list[Tensor]:
    """The places of the texts that stay, for each block of groups that is left out."""
    n_blocks = min(BLOCKS, int(groups.max()) + 1)
    return [(groups % n_blocks != block).nonzero().flatten() for block in range(n_blocks)]


def _jackknife_half(left_out: Sequence[float]) -> float:
    """Half the width of a t interval by the delete-a-block jackknife (Efron & Tibshirani 1993, ch. 11)."""
    n = len(left_out)
    if n < 2:
        return math.inf
    values = torch.tensor(left_out, dtype=torch.float64)
    variance = (n - 1) / n * float((values - values.mean()).square().sum())
    return float(stats.t.ppf(1 - LEVEL / 2, n - 1)) * math.sqrt(variance)


def shared_neighbours(
    before: Tensor, after: Tensor, *, k: int, groups: Tensor | None = None
) -> Estimate | None:
    """The share of a text's k nearest neighbours, by cosine, that is the same: the mean over texts.

    Two unrelated layers share `chance_of_neighbours`. Groups are as for `cka`: texts of its own group are no
    neighbours of a text. A text's neighbours are among the texts over which the mean is taken, so a bootstrap over
    texts gives intervals that are too narrow; the jackknife used here is rather too wide. None where the states of
    either do not vary, so that no text is nearer than another. Raises BadInput for more than `most_neighbours`.
    """
    group_of = _groups(len(before), groups)
    if not 1 <= k <= (most := most_neighbours(len(before), groups)):
        raise BadInput(
            f"{k} neighbours, where {most} is the most that {counted(len(before), 'text allows', 'texts allow')}. Give at least 1, and no more."
        )
    if not (varies(before) and varies(after)):
        return None
    alike = [_likeness(states, group_of) for states in (before, after)]
    value = _share(alike, k)
    half = _jackknife_half(
        [_share([cosines[kept][:, kept] for cosines in alike], k) for kept in _kept(group_of)]
    )
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def most_neighbours(n_texts: int, groups: Tensor | None = None) -> int:
    """The largest k for which each text has k neighbours, whichever block of texts, or of groups, is left out."""
    group_of = _groups(n_texts, groups)
    return min(
        (int(_eligible(group_of[kept]).min()) for kept in _kept(group_of) if len(kept)), default=0
    )


def _likeness(states: Tensor, groups: Tensor) -> Tensor:
    """The cosines of texts of different groups, and -inf for texts of one group: (texts, texts)."""
    directions = nn.functional.normalize(states.double(), dim=1)
    return (directions @ directions.mT).masked_fill(groups[:, None] == groups, -torch.inf)


def _share(alike: Sequence[Tensor], k: int) -> float:
    mine, theirs = (cosines.topk(k, dim=1).indices for cosines in alike)
    return float((mine[:, :, None] == theirs[:, None, :]).any(2).double().mean())


def _eligible(groups: Tensor) -> Tensor:
    """The number of texts of other groups, for each text: (texts,)."""
    sizes = torch.unique(groups, return_counts=True, return_inverse=True)
    n_eligible: Tensor = len(groups) - sizes[2][sizes[1]]
    return n_eligible


def chance_of_neighbours(k: int, n_texts: int, groups: Tensor | None = None) -> float:
    """The expected share in common of two random sets of k neighbours: the mean over texts of k over the others."""
    return float((k / _eligible(_groups(n_texts, groups)).double()).mean())


# -- rankings -------------------------------------------------------------------------------------


def extrapolated_rank_biased_overlap(
    ranking: Sequence[str], other: Sequence[str], *, persistence: float = PERSISTENCE
) -> float:
    """Extrapolated rank-biased overlap: the agreement of two rankings, top-weighted, in [0, 1].

    By equation 32 of Webber et al. (2010): below the last seen rank, the agreement is taken to continue; the rankings
    may have unequal lengths. It is computed as 1 minus the disagreement, so that a ranking with itself has exactly 1.
    (`evaluate.reproduction.rank_biased_overlap_to_depth` is cut at a depth and divided by its highest value there.)
    """
    short, long = sorted((ranking, other), key=len)
    if not short:
        return 1.0 if not long else 0.0
    seen: tuple[set[str], set[str]] = (set(), set())
    at_short, apart = 0.0, 0.0
    for depth in range(1, len(long) + 1):
        for docs, known in zip((short, long), seen, strict=True):
            known.update(docs[depth - 1 : depth])
        common = float(len(seen[0] & seen[1]))
        if depth <= len(short):
            at_short = common
        beyond = max(0, depth - len(short))
        # the rest of the short ranking is taken to agree as often as its seen part
        agreement = (common + at_short * beyond / len(short)) / depth
        apart += (1 - persistence) * persistence ** (depth - 1) * (1 - agreement)
    at_end = (common - at_short) / len(long) + at_short / len(short)
    return 1.0 - apart - persistence ** len(long) * (1 - at_end)


def chance_of_overlap(n_docs: int, *, persistence: float = PERSISTENCE) -> float:
    """The expected rank-biased overlap of two random orders of the same docs.

    Their first d docs agree in a share of d / n on average. It is far above 0, because the last docs always agree.
    """
    seen = sum(
        (1 - persistence) * persistence ** (depth - 1) * depth / n_docs
        for depth in range(1, n_docs + 1)
    )
    return seen + persistence**n_docs


def kendall_tau_b(before: Sequence[float], after: Sequence[float]) -> float:
    """Kendall's tau-b of two rankers' scores for the same docs of one query.

    It is 1 for identical scores, and 0 where one ranker scores all docs alike, because then there is no order.
    Raises BadInput for fewer than 2 docs.
    """
    _check_scores(before)
    if list(before) == list(after):
        return 1.0
    tau = float(stats.kendalltau(before, after).statistic)
    return 0.0 if math.isnan(tau) else tau


def score_agreement(before: Sequence[float], after: Sequence[float]) -> float:
    """Pearson's correlation of two rankers' scores for the same docs of one query.

    Scale and offset do not matter. It is 1 for identical scores, and 0 where one ranker scores all docs alike.
    Raises BadInput for fewer than 2 docs.
    """
    _check_scores(before)
    if list(before) == list(after):
        return 1.0
    if len(set(before)) == 1 or len(set(after)) == 1:
        return 0.0
    return float(np.corrcoef(before, after)[0, 1])


def _check_scores(scores: Sequence[float]) -> None:
    if len(scores) < 2:
        raise BadInput("Agreement of scores needs at least 2 docs. Give queries with more docs.")
