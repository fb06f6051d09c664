"""Which weights a training can move, and how far it moved them.

Each guard returns its sentence, or None.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rankscope.core.words import counted, of_number
from rankscope.train.guards import UNMOVED_SHARE

HEADS = frozenset({"classifier", "score"})
"""What transformers calls the last layer, which gives the score; a test goes through the architectures."""
ADAPTED = "base_model.model."
"""What PEFT puts before the names of a model with adapters."""


def stuck(weights: Iterable[Tensor], learning_rate: float) -> str | None:
    """A learning rate whose steps are lost in the rounding of the weights, in their own precision.

    AdamW moves a weight by about the learning rate. A step under half the distance to the next number
    leaves it as it is: study B's released second stage, 6e-12. In bfloat16 that
    distance is 65,536 times float32's: 1e-5 is lost there.
    """
    n_stuck = n_all = 0
    kinds = set()
    for weight in weights:
        values = weight.detach().abs()
        gap = torch.nextafter(values, torch.full_like(values, math.inf)) - values
        n_stuck += int((gap.float() / 2 > learning_rate).sum())
        n_all += weight.numel()
        kinds.add(str(weight.dtype).removeprefix("torch."))
    if n_all == 0:
        return "No weight is trainable: everything is frozen. Freeze less."
    if n_stuck <= UNMOVED_SHARE * n_all:
        return None
    remedy = (
        "Raise `learning_rate` (1e-7 to 1e-5 is usual for a second stage)."
        if kinds == {"float32"}
        else "Keep the weights in float32, or raise `learning_rate`."
    )
    return (
        f"The learning rate {learning_rate:g} cannot move the weights: for {n_stuck / n_all:.1%} of them a "
        f"step is under half the distance to the next {' or '.join(sorted(kinds))} number. {remedy}"
    )


def without_gradient(model: nn.Module) -> str | None:
    """Trainable weights that the last backward pass did not reach."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    left = [name for name, weight in trained if weight.grad is None]
    if not left:
        return None
    return (
        f"{len(left)} of {counted(len(trained), 'trainable weight')} {of_number(len(left), 'gets', 'get')} no gradient (first: "
        f"{left[0]}), so {of_number(len(left), 'it stays as it is', 'they stay as they are')}. If the score should depend on them, the model is not put together as you think; else "
        "freeze them."
    )


def head_frozen(model: nn.Module) -> str | None:
    """A scoring head that stays as it is while what is below it is trained, as under LoRA."""
    parts = [(set(name.split(".")), weight) for name, weight in model.named_parameters()]
    head = [weight for words, weight in parts if HEADS & words]
    if not head or any(weight.requires_grad for weight in head):
        return None
    if not any(weight.requires_grad for _, weight in parts):
        return None  # nothing is trained at all: `stuck` says so
    return (
        "The scoring head is frozen while the encoder, or its adapter, is trained: a fresh head would stay "
        "at random. Name it among the trained modules (LoRA: `modules_to_save`)."
    )


def displacement(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """How far the trained weights moved: ||after - before|| / ||before||, whole and by part.

    `before` holds the trained weights. "head" is what lies outside the encoder. `changed_share` is
    the share of weights that differ at all, among those outside the embedding tables (most rows of
    which belong to words that never occurred).
    """
    prefix = getattr(model, "base_model_prefix", "")
    encoder = f"{prefix}." if prefix else ""  # a bi-encoder has no head
    sums = {part: [0.0, 0.0] for part in ("all", "backbone", "head")}
    n_changed = n_counted = 0
    after = dict(model.named_parameters())
    for name, old in before.items():
        new = after[name].detach().to(old.device)
        moved, size = float((new - old).double().square().sum()), float(old.double().square().sum())
        is_inside = name.removeprefix(ADAPTED).startswith(encoder)
        for part in ("all", "backbone" if is_inside else "head"):
            sums[part][0] += moved
            sums[part][1] += size
        if "embeddings" not in name:
            n_changed += int((new != old).sum())
            n_counted += old.numel()
    shares = {part: math.sqrt(moved / size) for part, (moved, size) in sums.items() if size > 0}
    return {**shares, "changed_share": n_changed / n_counted if n_counted else 1.0}


def unmoved(displacement: Mapping[str, float], learning_rate: float) -> str | None:
    """A stage that ended where it began."""
    if displacement["changed_share"] >= 1 - UNMOVED_SHARE:
        return None
    return (
        f"The stage left {1 - displacement['changed_share']:.1%} of the trained weights as they were "
        f"(relative displacement {displacement['all']:.1e}, learning rate {learning_rate:g}): it changed "
        "nothing. Raise `learning_rate` or `max_updates`."
    )


@contextmanager
def frozen(weights: Sequence[Tensor]) -> Iterator[None]:
    """Inside the block, the weights require no gradient."""
    before = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight, was in zip(weights, before, strict=True):
            weight.requires_grad_(was)
