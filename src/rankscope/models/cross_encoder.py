"""Query and doc read together: one score.

The score is the head's float32 logit. No sigmoid: of 297 distinct logits, 3 are left after a
sigmoid in bfloat16. A saved folder loads as it is in transformers and in
`sentence_transformers.CrossEncoder`, which then gives the same logits.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import adapters, backbone, lengths, passes, processes
from rankscope.models.first_token import first_token_only
from rankscope.models.location import Location
from rankscope.models.pairs import Joiner, Pair, Text, Tokens


@final
class CrossEncoder:
    """A ranker on any `AutoModelForSequenceClassification` with one label."""

    def __init__(self, model: nn.Module, tokenizer: Any, max_length: int) -> None:
        limit = backbone.longest(model, tokenizer)
        if max_length > limit:
            raise BadInput(
                f"max_length {max_length} is more than the {limit} tokens {type(model).__name__} "
                "can read. Lower `max_length`."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.joiner = Joiner(tokenizer)
        if max_length < self.joiner.n_special + 2:
            raise BadInput(
                f"max_length {max_length} leaves no room for a query and a doc beside the "
                f"{self.joiner.n_special} special tokens. Raise `max_length`."
            )
        self.max_length = max_length
        self.queries_per_block = 16  # enough that batches of similar length are full

    @classmethod
    def from_backbone(cls, loaded: backbone.Backbone, *, max_length: int) -> "CrossEncoder":
        """A loaded backbone as a ranker that reads query and doc in `max_length` tokens."""
        return cls(loaded.model, loaded.tokenizer, max_length)

    @classmethod
    def load(cls, folder: Path) -> "CrossEncoder":
        """A cross-encoder from a folder; one without a trained head is refused."""
        base = adapters.base_of(folder) if adapters.is_adapter(folder) else folder
        loaded = backbone.load_scorer(Location(folder.name, base), seed=0)
        if loaded.fresh:
            raise BadInput(
                f"{base}: no trained scoring head in it (missing: {', '.join(loaded.fresh)}). "
                "Tune the model first, or give a folder with a tuned cross-encoder."
            )
        model = loaded.model if base == folder else adapters.merged_with(loaded.model, folder)
        return cls(model, loaded.tokenizer, backbone.longest(model, loaded.tokenizer))

    def at_random(self, seed: int) -> "CrossEncoder":
        """The same architecture with random weights: what a probe finds in no model."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = type(self.model)(self.model.config)
        return CrossEncoder(fresh, self.tokenizer, self.max_length)

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer."""
        self._declare()
        with backbone.quiet():
            self.model.save_pretrained(folder)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter of a model that has one, its scoring head, and the tokenizer."""
        self._declare()
        adapters.save_adapter(self.model, folder)
        with backbone.quiet():
            self.tokenizer.save_pretrained(folder)

    def _declare(self) -> None:
        config: Any = self.model.config
        config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length

    @property
    def pooling(self) -> str:
        """Whose last state the head reads: `cls`, `last` or `mean`; a pooler counts as part of the head.

        A decoder's reads the last token, which alone has seen all; ModernBERT's the one its configuration names.
        """
        if any(getattr(module, "is_causal", False) for module in self.model.modules()):
            return "last"
        return str(getattr(self.model.config, "classifier_pooling", "cls"))

    @property
    def n_layers(self) -> int:
        """Blocks of the encoder."""
        config: Any = self.model.config
        return int(config.num_hidden_layers)

    @property
    def hidden_width(self) -> int:
        """Numbers in a token's state."""
        config: Any = self.model.config
        return int(config.hidden_size)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The token ids of texts alone; they stand for the texts wherever pairs are asked for."""
        return self.joiner.tokens(texts)

    def pairs(self, asked: Sequence[tuple[Text, Sequence[Text]]]) -> list[Pair]:
        """Every query with each of its docs, the longer side cut first, not padded."""
        texts = [text for query, docs in asked for text in (query, *docs)]
        spelt = [text for text in texts if isinstance(text, str)]
        made = iter(self.tokens(spelt) if spelt else ())
        joined = []
        for query, docs in asked:
            first = next(made) if isinstance(query, str) else query
            for doc in docs:
                second = next(made) if isinstance(doc, str) else doc
                joined.append(self.joiner.join(first, second, max_length=self.max_length))
        return joined

    def score(self, query: Text, docs: Sequence[Text]) -> list[float]:
        """One float32 logit per doc, in their order."""
        return self.score_all([(query, docs)])[0]

    def score_all(self, asked: Sequence[tuple[Text, Sequence[Text]]]) -> list[list[float]]:
        """The scores of the docs of several queries."""
        self.model.eval()
        with torch.inference_mode(), first_token_only(self.model):
            flat = iter(self.logits(self.model, self.pairs(asked)).tolist())
        return [[next(flat) for _ in docs] for _, docs in asked]

    def logits(self, model: nn.Module, pairs: Sequence[Pair]) -> Tensor:
        """The scores of pairs, in their order: (pairs,), float32.

        Pairs of similar length share a batch, so that little is computed for padding; all share one
        for a model in shards, which all processes must call equally often. `model` is the ranker's
        own, perhaps wrapped for several devices or compiled.
        """
        where = next(model.parameters()).device
        budget = sys.maxsize if processes.is_sharded(model) else lengths.budget(where)
        batches = list(lengths.by_length([len(pair.ids) for pair in pairs], budget))

        def scored(batch: list[int]) -> Tensor:
            inputs = self.joiner.pad([pairs[place] for place in batch])
            moved = {name: tensor.to(where, non_blocking=True) for name, tensor in inputs.items()}
            logits: Tensor = model(**moved).logits.squeeze(-1).float()
            return logits

        parts = [torch.empty(0, device=where), *passes.carried_out(scored, batches, model)]
        places = torch.tensor([place for batch in batches for place in batch], dtype=torch.int64)
        return torch.cat(parts)[places.argsort().to(where)]
