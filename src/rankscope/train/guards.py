"""What stops a training run that has silently gone wrong.

Each guard says in one sentence what it saw and what to do. A stopped stage stores nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from rankscope.core.errors import TrainingStopped

UNMOVED_SHARE = 0.5
"""A stage is unmoved if more than this share of its weights cannot or did not change."""
COLLAPSED_SPREAD = 1e-5
"""Standard deviation of a query's scores under which they are one value."""
LOOK_EVERY = 10
"""Updates between two looks at the scores."""
COLLAPSED_LOOKS = 3
"""So many looks in a row must find one value."""


def can_move(weights: Iterable[nn.Parameter], learning_rate: float) -> None:
    """Refuse a learning rate whose steps are lost in the rounding of the weights.

    AdamW moves a weight by about the learning rate. A step under half the distance to the next
    number leaves it as it is: the released second stage of study B (6e-12) left 99.5 % of the
    weights unmoved (`papers.md` B.7-1).
    """
    n_stuck = n_all = 0
    for weight in weights:
        values = weight.detach().abs()
        gap = torch.nextafter(values, torch.full_like(values, math.inf)) - values
        n_stuck += int((gap / 2 > learning_rate).sum())
        n_all += weight.numel()
    if n_all == 0:
        raise TrainingStopped("No weight is trainable: everything is frozen. Freeze less.")
    if n_stuck > UNMOVED_SHARE * n_all:
        raise TrainingStopped(
            f"The learning rate {learning_rate:g} cannot move the weights: for {n_stuck / n_all:.1%} "
            "of them a step is under half the distance to the next float32 number. "
            "Raise `learning_rate` (1e-7 to 1e-5 is usual for a second stage)."
        )


def has_moved(displacement: Mapping[str, float], learning_rate: float) -> None:
    """Refuse a stage that ended where it began."""
    if displacement["changed_share"] < 1 - UNMOVED_SHARE:
        raise TrainingStopped(
            f"The stage left {1 - displacement['changed_share']:.1%} of the trained weights as they "
            f"were (relative displacement {displacement['all']:.1e}, learning rate {learning_rate:g}): "
            "it changed nothing. Raise `learning_rate` or `max_updates`."
        )


def finite(loss: float, gradient_norm: float, update: int) -> None:
    """Stop at a loss or gradient that is not a finite number."""
    for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
        if not math.isfinite(value):
            raise TrainingStopped(
                f"The {name} is {value} at update {update}. Lower `learning_rate` or `clip_norm`, "
                "and look at the samples of that update."
            )


def not_collapsed(spreads: Sequence[float], update: int) -> None:
    """Stop when a query's docs have had the same score at several looks in a row.

    `spreads` are of scores without dropout, whose noise would hide a collapse.
    """
    recent = spreads[-COLLAPSED_LOOKS:]
    if len(recent) == COLLAPSED_LOOKS and max(recent) < COLLAPSED_SPREAD:
        raise TrainingStopped(
            f"The scores have collapsed: at {COLLAPSED_LOOKS} looks up to update {update} all docs of "
            f"a query got the same score (spread under {COLLAPSED_SPREAD:g}). Lower `learning_rate`, "
            "lengthen `warmup`, or start from another ranker."
        )


def displacement(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """How far the trained weights moved: ||after - before|| / ||before||, whole and by part.

    `before` holds the trained weights. "head" is what lies outside the encoder. `changed_share` is
    the share of weights that differ at all, among those outside the embedding tables (most rows of
    which belong to words that never occurred).
    """
    encoder = f"{getattr(model, 'base_model_prefix', '')}."
    sums = {part: [0.0, 0.0] for part in ("all", "backbone", "head")}
    n_changed = n_counted = 0
    after = dict(model.named_parameters())
    for name, old in before.items():
        new = after[name].detach().to(old.device)
        moved, size = float((new - old).double().square().sum()), float(old.double().square().sum())
        for part in ("all", "backbone" if name.startswith(encoder) else "head"):
            sums[part][0] += moved
            sums[part][1] += size
        if "embeddings" not in name:
            n_changed += int((new != old).sum())
            n_counted += old.numel()
    shares = {part: math.sqrt(moved / size) for part, (moved, size) in sums.items() if size > 0}
    return {**shares, "changed_share": n_changed / n_counted if n_counted else 1.0}
