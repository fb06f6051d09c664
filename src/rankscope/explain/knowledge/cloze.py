"""Cloze tests of a masked language model: whether its first guess for a fact's masked object is right (Petroni et al. 2019).

The first guess is over the whole vocabulary. An object of several tokens has as many masks, and all of them must be right
at once; its probability is the product of theirs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.records import Cloze, Form

PER_BATCH = 256
KNOWN = 0.5
"""Below this accuracy over all clozes of the facts that its text states, a base counts as knowing nothing."""


class Guess(NamedTuple):
    """A base's answer to one cloze."""

    cloze: Cloze
    is_right: bool
    """Whether the first guess is the object."""
    probability: float
    """Of the object."""


def guesses(model: nn.Module, tokenizer: Any, questions: Sequence[Cloze]) -> list[Guess]:
    """The model's first guess for every masked object, and the object's probability, in the order of the questions.

    The model is a masked language model that gives `logits`, and is left in the mode it was in. BadInput for a
    tokenizer without a mask, and for a cloze that is longer than the model reads.
    """
    if getattr(tokenizer, "mask_token_id", None) is None:
        raise BadInput(
            f"{type(tokenizer).__name__} has no mask token, so no object can be asked for. Give a masked language model."
        )
    was_training = model.training
    model.eval()
    order = sorted(range(len(questions)), key=lambda place: len(questions[place].template))
    found: dict[int, Guess] = {}
    try:
        for start in range(0, len(order), PER_BATCH):
            places = order[start : start + PER_BATCH]
            part = [questions[place] for place in places]
            found |= dict(zip(places, _of_batch(model, tokenizer, part), strict=True))
    finally:
        model.train(was_training)
    return [found[place] for place in range(len(questions))]


def _of_batch(model: nn.Module, tokenizer: Any, part: Sequence[Cloze]) -> Iterator[Guess]:
    mask, unknown = tokenizer.mask_token, tokenizer.unk_token_id
    objects = [tokenizer(each.fact.object, add_special_tokens=False).input_ids for each in part]
    texts = [
        each.fact.cloze(each.template, " ".join([mask] * len(ids)))
        for each, ids in zip(part, objects, strict=True)
    ]
    tokens = tokenizer(
        texts,
        truncation=True,
        max_length=min(tokenizer.model_max_length, 100_000),
        padding=True,
        return_tensors="pt",
    )
    masked = tokens["input_ids"] == tokenizer.mask_token_id
    where = next(model.parameters()).device
    with torch.no_grad():
        logits = model(**{name: each.to(where) for name, each in tokens.items()}).logits
    logs = logits.float().log_softmax(dim=-1).cpu()
    for each, ids, row, places, text in zip(part, objects, logs, masked, texts, strict=True):
        if not ids or places.sum() != len(ids):
            raise BadInput(
                f"The cloze {text!r} of {each.fact.fact_id} has {int(places.sum())} masks where the model reads it, and "
                f"its object {each.fact.object!r} has {len(ids)} tokens. Shorten it, or leave the fact out."
            )
        yield _guess(each, row[places], torch.tensor(ids), is_known=unknown not in ids)


def _guess(each: Cloze, logs: Tensor, ids: Tensor, *, is_known: bool) -> Guess:
    """logs: (masks, vocabulary); ids: (masks,). An object with an unknown token is never right."""
    right = is_known and bool((logs.argmax(dim=1) == ids).all())
    probability = logs.gather(1, ids[:, None]).sum().exp().item() if is_known else 0.0
    return Guess(each, right, probability)


@dataclass(frozen=True)
class Accuracy:
    """What share of clozes were right, and the mean probability of the object."""

    n: int
    right: float
    probability: float

    @classmethod
    def of(cls, found: Sequence[Guess]) -> "Accuracy":
        """Of guesses, at least one."""
        n = len(found)
        right = sum(guess.is_right for guess in found) / n
        return cls(n, right, sum(guess.probability for guess in found) / n)

    def as_plain(self) -> dict[str, float]:
        """As plain values, for a manifest."""
        return {"n": self.n, "right": self.right, "probability": self.probability}


def unknown(found: Iterable[Guess]) -> str | None:
    """The sentence for a base that knows less than half of what pre-training stated; None for one that knows more."""
    stated = [guess for guess in found if guess.cloze.form != "never stated"]
    if not stated:
        return (
            "Pre-training states none of the facts that it is to know: no text names a fact's subject and its object. "
            "Give the facts of this text."
        )
    overall = Accuracy.of(stated)
    if overall.right >= KNOWN:
        return None
    each = ", ".join(
        f"{form} {accuracy.right:.3f} of {accuracy.n:,}"
        for form, accuracy in by_form(stated).items()
    )
    return (
        f"The base does not know its facts: its first guess for the masked object is right in {overall.right:.3f} of "
        f"{overall.n:,} clozes ({each}), below {KNOWN:g}, so whatever is asked of its knowledge measures nothing. Give "
        "pre-training more `passes`, `dropout: 0` and a higher `learning_rate`, and mask whole objects."
    )


def by_form(found: Iterable[Guess]) -> dict[str, Accuracy]:
    """Accuracy by what pre-training showed; only forms that were asked, in the order of `Form`."""
    groups: Mapping[str, list[Guess]] = _grouped(found, lambda guess: guess.cloze.form)
    return {form: Accuracy.of(groups[form]) for form in get_args(Form) if form in groups}


def by_template(found: Iterable[Guess]) -> dict[tuple[str, str, str], Accuracy]:
    """Accuracy by relation, template and what pre-training showed, in the order in which they were asked."""
    groups = _grouped(
        found, lambda guess: (guess.cloze.fact.relation, guess.cloze.template, guess.cloze.form)
    )
    return {name: Accuracy.of(group) for name, group in groups.items()}


def _grouped(found: Iterable[Guess], key: Any) -> dict[Any, list[Guess]]:
    groups: dict[Any, list[Guess]] = defaultdict(list)
    for guess in found:
        groups[key(guess)].append(guess)
    return groups
