"""Representations, neighbours and rankings before and after: what moved, layer by layer.

For two rankers of one architecture, of which one was tuned from the other or both from a third. Layers are
numbered as in `representations`.

Three things that are easily taken for one another are kept apart. *Weights* (in `weights`): how far they moved, and in how
many directions. *States*: how far a text's own state moved; whether the texts lie to one another as before
(linear CKA, which rotation and scale leave as it is); whether the nearest of a text are the same, against the
level that chance gives. *Rankings*: whether the same docs come first. None of them says what the change is
good for.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.explain.intervals import Estimate

PERSISTENCE = 0.9
"""Of rank-biased overlap: the top ten ranks then carry 86 % of the weight (Webber et al. 2010)."""
BLOCKS = 20
"""Of texts, or of groups of them, which a jackknife leaves out in turn."""
FEWEST_TEXTS = 4
"""Below, no double-centred matrix without bias is defined."""
LEVEL = 0.05
FLAT = 1e-12
"""Double-centred products of less than this share of the products' size are rounding."""

# -- states ---------------------------------------------------------------------------------------


def shifts(before: Tensor, after: Tensor) -> Tensor:
    """How far each text's own state moved: ||after - before|| / ||before||, (texts,), float64.

    states: (texts, width). Unlike CKA it sees a rotation.
    """
    old = before.double()
    moved: Tensor = (after.double() - old).norm(dim=1) / old.norm(dim=1).clamp(min=1e-30)
    return moved


def varies(states: Tensor) -> bool:
    """Whether a layer's states differ between texts; an embedded [CLS] that has read nothing does not."""
    deviation = states.double() - states.double().mean(0)
    return bool(deviation.norm() > 1e-5 * states.double().norm())


def cka(before: Tensor, after: Tensor, *, groups: Tensor | None = None) -> Estimate | None:
    """Linear CKA without bias: 1 where texts lie to one another as before, 0 where chance does as well.

    CKA is that of Kornblith et al. (2019), with double-centred matrices whose products have no bias
    (Song et al. 2012; Szekely & Rizzo 2014), as Nguyen et al. (2021) have it: the plain one nears 1 for any
    two layers that have more dimensions than there are texts (Murphy et al. 2024). It may fall below 0.

    states: (texts, width) each; the widths may differ. Texts that depend on each other (pairs of one query) are
    alike in any two models: groups, (texts,) int, says which, and only texts of different groups are held
    against each other. The interval is a jackknife's, which leaves out blocks of texts, or of groups.
    None where the states of either do not vary, or all texts lie equally far apart. Raises BadInput for fewer
    than 4 texts or groups.
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
    """All dot products of the states less their mean: (texts, texts), float64."""
    centred = states.double() - states.double().mean(0)
    return centred @ centred.mT


def _rounds(groups: Tensor, kept: Tensor | None = None) -> list[Tensor]:
    """The texts kept, in rounds: places of each group's first text, of each one's second, and so on.

    So the texts of a round are independent. Rounds of fewer than `FEWEST_TEXTS` are left out.
    """
    seen: Counter[int] = Counter()
    rounds: dict[int, list[int]] = {}
    for place in range(len(groups)) if kept is None else kept.tolist():
        group = int(groups[place])
        rounds.setdefault(seen[group], []).append(place)
        seen[group] += 1
    return [torch.tensor(places) for places in rounds.values() if len(places) >= FEWEST_TEXTS]


def _double_centred(products: Tensor) -> Tensor:
    """Rows and columns less their means, without what a text has in common with itself.

    Szekely & Rizzo (2014), definition 2: then sums of elementwise products estimate without bias.
    """
    n = len(products)
    own = products.clone().fill_diagonal_(0)
    rows = own.sum(1)
    centred = own - (rows[:, None] + rows[None, :]) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0)


def _cosine(products: Sequence[Tensor], rounds: Sequence[Tensor]) -> float | None:
    """Of two double-centred matrices, summed over the rounds; None where there is nothing but rounding in one."""
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
    """Each text's group, numbered from 0; each its own where none are given."""
    if groups is None:
        return torch.arange(n_texts)
    numbers: Tensor = torch.unique(groups, return_inverse=True)[1]
    return numbers


def _kept(groups: Tensor) -> list[Tensor]:
    """Places of the texts that stay when each block of groups is left out."""
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
    """Which share of a text's k nearest others, by cosine, is the same: the mean over texts.

    Two layers that have nothing to do with each other share `chance_of_neighbours`. Groups as for `cka`: texts
    of its own group are no neighbours of a text. A text's neighbours are among the same texts over which the
    mean goes, so a bootstrap over texts gives intervals that are too narrow; a jackknife's, as here, is rather
    too wide. None where the states of either do not vary: then nothing is near or far. Raises BadInput for more
    than `most_neighbours`.
    """
    group_of = _groups(len(before), groups)
    if not 1 <= k <= (most := most_neighbours(len(before), groups)):
        raise BadInput(
            f"{k} neighbours, where {most} is the most that {len(before)} texts allow. Give at least 1, and no more."
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
    """How many others each text has, whichever block of texts, or of groups, is left out."""
    group_of = _groups(n_texts, groups)
    return min(
        (int(_eligible(group_of[kept]).min()) for kept in _kept(group_of) if len(kept)), default=0
    )


def _likeness(states: Tensor, groups: Tensor) -> Tensor:
    """Cosines of texts of different groups, the others lowest: (texts, texts)."""
    directions = nn.functional.normalize(states.double(), dim=1)
    return (directions @ directions.mT).masked_fill(groups[:, None] == groups, -torch.inf)


def _share(alike: Sequence[Tensor], k: int) -> float:
    mine, theirs = (cosines.topk(k, dim=1).indices for cosines in alike)
    return float((mine[:, :, None] == theirs[:, None, :]).any(2).double().mean())


def _eligible(groups: Tensor) -> Tensor:
    """How many texts of other groups each text has: (texts,)."""
    sizes = torch.unique(groups, return_counts=True, return_inverse=True)
    n_eligible: Tensor = len(groups) - sizes[2][sizes[1]]
    return n_eligible


def chance_of_neighbours(k: int, n_texts: int, groups: Tensor | None = None) -> float:
    """The share that two drawn sets of k neighbours have in common: k over the others, the mean over texts."""
    return float((k / _eligible(_groups(n_texts, groups)).double()).mean())


# -- rankings -------------------------------------------------------------------------------------


def extrapolated_rank_biased_overlap(
    ranking: Sequence[str], other: Sequence[str], *, persistence: float = PERSISTENCE
) -> float:
    """Rank-biased overlap, extrapolated: how far two rankings agree, the top counting most, in [0, 1].

    Webber et al. (2010), equation 32: behind what is seen, agreement goes on as it was at the end; the
    rankings may be of unequal length. Counted from 1 downwards, so that a ranking with itself has exactly 1.
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
        # of the short ranking's docs still to come, as many would agree as of those seen
        agreement = (common + at_short * beyond / len(short)) / depth
        apart += (1 - persistence) * persistence ** (depth - 1) * (1 - agreement)
    at_end = (common - at_short) / len(long) + at_short / len(short)
    return 1.0 - apart - persistence ** len(long) * (1 - at_end)


def chance_of_overlap(n_docs: int, *, persistence: float = PERSISTENCE) -> float:
    """The mean rank-biased overlap of two drawn orders of the same docs.

    Of their first d docs they share d / n on average. It is far above 0: at the end, all docs are the same.
    """
    seen = sum(
        (1 - persistence) * persistence ** (depth - 1) * depth / n_docs
        for depth in range(1, n_docs + 1)
    )
    return seen + persistence**n_docs


def kendall_tau_b(before: Sequence[float], after: Sequence[float]) -> float:
    """Kendall's tau-b of the orders that two rankers' scores give the same docs of one query.

    1 for the same scores; 0 where one of them scores all docs alike, since no order agrees with none.
    Raises BadInput for fewer than 2 docs.
    """
    _check_scores(before)
    if list(before) == list(after):
        return 1.0
    tau = float(stats.kendalltau(before, after).statistic)
    return 0.0 if math.isnan(tau) else tau


def score_agreement(before: Sequence[float], after: Sequence[float]) -> float:
    """Pearson's correlation of two rankers' scores of the same docs of one query.

    Scale and offset do not count. 1 for the same scores; 0 where one of them scores all docs alike.
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
        raise BadInput("Scores agree or not over at least 2 docs.")
