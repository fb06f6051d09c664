"""Query and doc read together: one score.

The score is the head's float32 logit. No sigmoid: of 297 distinct logits, 3 are left after a
sigmoid in bfloat16. A saved folder loads as it is in transformers and in
`sentence_transformers.CrossEncoder`, which then gives the same logits.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import backbone
from rankscope.models.location import Location

TOKENS_PER_BATCH = {"cpu": 2_048}
"""What fits the caches of a processor; measured, see docs/performance.md."""
TOKENS_PER_ACCELERATOR_BATCH = 65_536
COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
"""Model types whose positions begin behind the padding token's id."""


@final
class CrossEncoder:
    """A ranker on any `AutoModelForSequenceClassification` with one label."""

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int) -> None:
        limit = longest(model, tokenizer)
        if max_length > limit:
            raise BadInput(
                f"max_length {max_length} is more than the {limit} tokens {type(model).__name__} "
                "can read. Lower `max_length`."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length

    @classmethod
    def from_backbone(cls, loaded: backbone.Backbone, *, max_length: int) -> "CrossEncoder":
        """A loaded backbone as a ranker that reads query and doc in `max_length` tokens."""
        return cls(loaded.model, loaded.tokenizer, max_length)

    @classmethod
    def load(cls, folder: Path) -> "CrossEncoder":
        """A cross-encoder from a folder; one without a trained head is refused."""
        loaded = backbone.load_scorer(Location(folder.name, folder), seed=0)
        if loaded.fresh:
            raise BadInput(
                f"{folder}: no trained scoring head in it (missing: {', '.join(loaded.fresh)}). "
                "Tune the model first, or give a folder with a tuned cross-encoder."
            )
        return cls(loaded.model, loaded.tokenizer, longest(loaded.model, loaded.tokenizer))

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer."""
        config: Any = self.model.config
        config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length
        with backbone.quiet():
            self.model.save_pretrained(folder)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)

    def encode(self, pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, list[int]]]:
        """Token ids of (query, doc) pairs, the longer side cut first, not padded."""
        columns = self.tokenizer(
            [query for query, _ in pairs],
            [doc for _, doc in pairs],
            truncation=True,
            max_length=self.max_length,
            padding=False,
        )
        return [{name: columns[name][i] for name in columns} for i in range(len(pairs))]

    def pad(self, encoded: Sequence[Mapping[str, list[int]]]) -> dict[str, Tensor]:
        """Inputs of shape (pairs, tokens), padded to the longest of them, on the model's device."""
        padded = self.tokenizer.pad(list(encoded), return_tensors="pt")
        where = next(self.model.parameters()).device
        return {name: tensor.to(where) for name, tensor in padded.items()}

    def score(self, query: str, docs: Sequence[str]) -> list[float]:
        """One float32 logit per doc, in their order."""
        self.model.eval()
        with torch.inference_mode():
            encoded = self.encode([(query, doc) for doc in docs])
            return [float(score) for score in self.logits(self.model, encoded)]

    def logits(self, model: nn.Module, encoded: Sequence[Mapping[str, list[int]]]) -> Tensor:
        """The scores of encoded pairs, in their order: (pairs,), float32.

        Pairs of similar length share a batch, so that little is computed for padding. `model` is
        the ranker's own, perhaps wrapped for several devices.
        """
        where = next(self.model.parameters()).device.type
        budget = TOKENS_PER_BATCH.get(where, TOKENS_PER_ACCELERATOR_BATCH)
        places: list[int] = []
        parts = [torch.empty(0)]
        for batch in by_length([len(pair["input_ids"]) for pair in encoded], budget):
            inputs = self.pad([encoded[place] for place in batch])
            places += batch
            parts.append(model(**inputs).logits.squeeze(-1).float())
        scores = torch.cat([part.to(parts[-1].device) for part in parts])
        return scores[torch.tensor(places, dtype=torch.int64).argsort().to(scores.device)]


def longest(model: nn.Module, tokenizer: Any) -> int:
    """How many tokens the model has positions for and the tokenizer allows."""
    config: Any = model.config
    skipped = config.pad_token_id + 1 if config.model_type in COUNT_FROM_PADDING else 0
    return min(int(tokenizer.model_max_length), int(config.max_position_embeddings) - skipped)


def by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places in batches of similar length, each at most `budget` tokens with its padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
