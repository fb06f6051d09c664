"""Masked-language pre-training of a small encoder on a collection's own text (Devlin et al. 2019).

Of the tokens, 15 % are to be predicted; of these 80 % are masked, 10 % replaced by a random token,
10 % left as they are. The draws come from the loop's random state, which the update's number sets.

Where it is told what the salient spans of a text are, one of them, drawn anew each time, is masked as a whole, and the
share of the other tokens as above: salient span masking of REALM (Guu et al. 2020), by which a small model learns facts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rankscope.core.rng import stream
from rankscope.train.objectives.objective import BatchOutcome

PREDICTED, MASKED, RANDOM = 0.15, 0.8, 0.1
Spans = Sequence[Sequence[tuple[int, int]]]
"""The salient things of a text, each with the intervals of characters that name it."""


@final
@dataclass
class MaskedLanguageObjective:
    """Predict the hidden tokens of docs, for the training loop."""

    tokenizer: Any
    n_docs: int
    text: Callable[[int], str]
    """The text of the doc at a place."""
    docs_per_update: int
    max_length: int
    seed: int
    predicted: float = PREDICTED
    """The share of tokens that are to be predicted, beside salient spans."""
    salient: Callable[[str], Spans] | None = None
    """The salient spans of a text; where None, there are none."""
    splits_batches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._epoch = -1
        self._order: list[int] = []

    def batches(self, update: int) -> list[Sequence[str]]:
        """The texts of one update, in one batch."""
        start = update * self.docs_per_update
        return [
            [self.text(self._doc(place)) for place in range(start, start + self.docs_per_update)]
        ]

    def shares(self, batches: Sequence[Sequence[str]]) -> list[float]:
        """The one batch is the update."""
        return [1.0 for _ in batches]

    def prepared(self, batch: Sequence[str]) -> Any:
        """The tokens of the texts, padded: (docs, tokens) each; `salient` has the number of a token's span, from 1."""
        tokens = self.tokenizer(
            list(batch),
            truncation=True,
            max_length=self.max_length,
            padding=True,
            return_special_tokens_mask=True,
            return_offsets_mapping=self.salient is not None,
            return_tensors="pt",
        )
        if self.salient is not None:
            places = tokens.pop("offset_mapping")
            spans = [self.salient(text) for text in batch]
            tokens["salient"] = torch.stack(list(map(_numbered, places, spans)))
        return tokens

    def _doc(self, place: int) -> int:
        epoch, within = divmod(place, self.n_docs)
        if epoch != self._epoch:
            self._order, self._epoch = list(range(self.n_docs)), epoch
            stream(self.seed, "docs", epoch).shuffle(self._order)
        return self._order[within]

    def looked_at(self, batch: Mapping[str, Tensor]) -> None:
        """Nothing: no doc is scored."""

    def outcome(self, model: nn.Module, batch: Mapping[str, Tensor]) -> BatchOutcome:
        """Mean cross-entropy of the hidden tokens."""
        inputs = dict(batch)
        special = inputs.pop("special_tokens_mask").bool()
        salient = inputs.pop("salient", None)
        hidden, predicted = self._hidden(inputs["input_ids"], special)
        if salient is not None:
            chosen = _one_each(salient)
            predicted |= chosen
            hidden = hidden.masked_fill(chosen, self.tokenizer.mask_token_id)
        where = next(model.parameters()).device
        model_inputs = {name: tensor.to(where) for name, tensor in inputs.items()} | {
            "input_ids": hidden.to(where)
        }
        logits = model(**model_inputs).logits.float()
        truth = inputs["input_ids"].to(where)
        return BatchOutcome(cross_entropy(logits[predicted], truth[predicted]))

    def _hidden(self, ids: Tensor, special: Tensor) -> tuple[Tensor, Tensor]:
        """(tokens as the model reads them, whether each is to be predicted): both (docs, tokens)."""
        chance = torch.rand(ids.shape).masked_fill(special, 1.0)
        predicted = chance < self.predicted
        predicted[0, 1] = True  # a batch of short docs may have no hidden token at all
        fate = torch.rand(ids.shape)
        hidden = ids.masked_fill(predicted & (fate < MASKED), self.tokenizer.mask_token_id)
        replaced = predicted & (fate >= MASKED) & (fate < MASKED + RANDOM)
        return torch.where(
            replaced, torch.randint(len(self.tokenizer), ids.shape), hidden
        ), predicted


def _numbered(places: Tensor, spans: Spans) -> Tensor:
    """(tokens,): the number of the span, from 1, that each token lies in, 0 for none; places: (tokens, 2)."""
    numbers = torch.zeros(len(places), dtype=torch.long)
    for number, intervals in enumerate(spans, start=1):
        for start, end in intervals:
            numbers[(places[:, 0] < end) & (places[:, 1] > start)] = number
    return numbers


def _one_each(salient: Tensor) -> Tensor:
    """(docs, tokens): True for the tokens of one span of each doc that has any, drawn evenly."""
    drawn = torch.rand(len(salient)) * salient.amax(dim=1)
    return salient == (1 + drawn.long())[:, None]
