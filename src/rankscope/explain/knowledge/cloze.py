"""Cloze tests of a masked language model: whether its first guess for a fact's masked object is right (Petroni et al. 2019).

A fact is asked by every statement of its relation and by every form of its question. What an answer says depends on what
pre-training showed, so accuracy is told apart by it:

    seen              the template stood in the text with this fact in it: recall of a sentence
    unseen            the text states the fact, but not in this template: the fact is known beyond its sentences
    question          a question followed by its answer, which stood in the text with this fact in it
    question unseen   a question that the text does not answer for this fact, though it states it
    never stated      no text names its subject and its object

The first guess is over the whole vocabulary. An object of several tokens has as many masks, and all of them must be right
at once; its probability is the product of theirs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.data.facts import Fact, Shown

SEEN, UNSEEN, QUESTION, QUESTION_UNSEEN, NEVER = (
    "seen", "unseen", "question", "question unseen", "never stated",
)  # fmt: skip
FORMS = (SEEN, UNSEEN, QUESTION, QUESTION_UNSEEN, NEVER)
PER_BATCH = 256
KNOWN = 0.5
"""Below this accuracy in every form that asks beyond a sentence, a base counts as knowing nothing."""


class Asked(NamedTuple):
    """A fact asked by a template, and what pre-training showed of it there."""

    fact: Fact
    template: str
    form: str


class Guess(NamedTuple):
    """A base's answer to one cloze."""

    asked: Asked
    is_right: bool
    """Whether the first guess is the object."""
    probability: float
    """Of the object."""


def asked(facts: Iterable[Fact], shown: Shown) -> Iterator[Asked]:
    """Every fact by every one of its templates and forms of questions."""
    for fact in facts:
        seen = shown.templates.get(fact.fact_id, frozenset())
        is_stated = fact.fact_id in shown.stated
        for templates, forms in (
            (fact.templates, (SEEN, UNSEEN)),
            (fact.question_forms, (QUESTION, QUESTION_UNSEEN)),
        ):
            for template in templates:
                form = forms[0] if template in seen else forms[1]
                yield Asked(fact, template, form if is_stated else NEVER)


def guesses(model: nn.Module, tokenizer: Any, questions: Sequence[Asked]) -> list[Guess]:
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


def _of_batch(model: nn.Module, tokenizer: Any, part: Sequence[Asked]) -> Iterator[Guess]:
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


def _guess(each: Asked, logs: Tensor, ids: Tensor, *, is_known: bool) -> Guess:
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


def by_form(found: Iterable[Guess]) -> dict[str, Accuracy]:
    """Accuracy by what pre-training showed; only forms that were asked, in the order of `FORMS`."""
    groups: Mapping[str, list[Guess]] = _grouped(found, lambda guess: guess.asked.form)
    return {form: Accuracy.of(groups[form]) for form in FORMS if form in groups}


def by_template(found: Iterable[Guess]) -> dict[tuple[str, str, str], Accuracy]:
    """Accuracy by relation, template and what pre-training showed, in the order in which they were asked."""
    groups = _grouped(
        found, lambda guess: (guess.asked.fact.relation, guess.asked.template, guess.asked.form)
    )
    return {name: Accuracy.of(group) for name, group in groups.items()}


def _grouped(found: Iterable[Guess], key: Any) -> dict[Any, list[Guess]]:
    groups: dict[Any, list[Guess]] = defaultdict(list)
    for guess in found:
        groups[key(guess)].append(guess)
    return groups
