"""Query and doc read together: one score.

The score is the head's float32 logit. No sigmoid: of 297 distinct logits, 3 are left after a
sigmoid in bfloat16. A saved folder loads as it is in transformers and in
`sentence_transformers.CrossEncoder`, which then gives the same logits.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import adapters, anatomy, backbone, freezing, processes
from rankscope.models.fast import lengths, passes
from rankscope.models.fast.first_token import first_token_only
from rankscope.models.fast.packed import packed_weights
from rankscope.models.files import folders
from rankscope.models.location import Location, downloaded
from rankscope.models.pairs import JoinedPair, Joiner, Text, Tokens
from rankscope.models.ranker import PAIR, Side

PROBE = ("who asks what", ["one, two; three.", "a"])
"""A query and docs that a model scores as soon as it is loaded."""


def _require_head(folder: Path, missing: Sequence[str]) -> None:
    if missing:
        raise BadInput(
            f"{folder}: no trained scoring head in it (missing: {', '.join(missing)}). "
            "Tune the model first, or give a folder with a tuned cross-encoder."
        )


def _with_adapter(folder: Path) -> backbone.Backbone:
    """The base model of an adapter with the adapter added in; the head may be in either.

    The tokenizer is the adapter's own, where its folder has one.
    """
    base, whole = adapters.base_of(folder), adapters.saved_whole(folder)
    own = folder if folders.has_tokenizer(folder) else None
    where = Location(folder.name, base)
    loaded = backbone.load_scorer(where, seed=0, head=whole, tokenizer_in=own)
    _require_head(folder, [name for name in loaded.fresh if name not in whole])
    model = adapters.merged_with(loaded.model, folder)
    if loaded.labels:
        backbone.make_one_label(model)
    return replace(loaded, model=model, fresh=())


@final
class CrossEncoder:
    """A ranker on any `AutoModelForSequenceClassification` with one label.

    It has one side, the pair of query and doc, so its methods ignore the side that a `TrainableRanker` is given.
    """

    sides: tuple[Side, ...] = (PAIR,)
    compares_by = None
    is_projected = False
    prompts_used = "`default_prompt_name` names the one before queries"

    def __init__(
        self, model: nn.Module, tokenizer: Any, max_length: int, *, prompt: str = ""
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.prompt = prompt
        """Text before every query."""
        self.labels: tuple[str, ...] = ()
        """The two labels of the folder's head, if it had two: scores are the second's logit less the first's."""
        self.left_out: tuple[str, ...] = ()
        """The names of the folder's prompts that no text gets."""
        self.joiner = Joiner(tokenizer)
        self.limit(max_length)
        self.queries_per_block = 16  # enough that batches of similar length are full
        self.texts_per_batch: int | None = None

    def limit(self, max_length: int) -> None:
        """Read so many tokens of query and doc together; BadInput for more than the model can read, or no room for both."""
        limit = backbone.longest(self.model, self.tokenizer)
        if max_length > limit:
            raise BadInput(
                f"max_length {max_length} is more than the {limit} tokens {type(self.model).__name__} can read. Lower `max_length`."
            )
        if max_length < self.joiner.n_special + 2:
            raise BadInput(
                f"max_length {max_length} leaves no room for a query and a doc beside the {self.joiner.n_special} special tokens. Raise `max_length`."
            )
        self.max_length = max_length

    @classmethod
    def from_backbone(cls, loaded: backbone.Backbone, *, max_length: int) -> "CrossEncoder":
        """A loaded backbone as a ranker that reads query and doc in `max_length` tokens."""
        return cls(loaded.model, loaded.tokenizer, max_length)

    @classmethod
    def load(cls, folder: Path) -> "CrossEncoder":
        """A cross-encoder from a folder, with the prompt and length it names; one without a trained head is refused."""
        made, loaded = cls.start(Location(folder.name, folder), seed=0)
        _require_head(folder, loaded.fresh)
        return made

    @classmethod
    def start(
        cls, location: Location, *, seed: int, max_length: int | None = None
    ) -> tuple["CrossEncoder", backbone.Backbone]:
        """A ranker from a cross-encoder or a bare encoder, and its backbone as loaded; a missing head is drawn.

        The prompt is the one its folder names; the length too, where none is given.
        """
        where = downloaded(location)
        card = folders.scorer_card(where)
        if adapters.is_adapter(card.encoder):
            loaded = _with_adapter(card.encoder)
        else:
            loaded = backbone.load_scorer(Location(location.name, card.encoder), seed=seed)
        if location.folder is None:
            config: Any = loaded.model.config
            config._commit_hash = where.name  # a snapshot is called by its commit
        if loaded.fresh:
            loaded.tokenizer.chat_template = (
                None  # or sentence-transformers would write pairs by it
            )
        elif loaded.tokenizer.chat_template and card.takes_messages:
            raise BadInput(
                f"{where}: its tokenizer has a chat template, by which sentence-transformers writes the pairs that it "
                "scores, and that is not supported. If the model was trained on plain pairs, take `chat_template` out "
                "of tokenizer_config.json, and delete chat_template.jinja."
            )
        if card.lowercase:
            backbone.read_lowercase(loaded.tokenizer)
        if card.max_length:  # which sentence-transformers takes for the tokenizer's own
            loaded.tokenizer.model_max_length = card.max_length
        limit = backbone.longest(loaded.model, loaded.tokenizer)
        length = min(limit, card.max_length or limit) if max_length is None else max_length
        made = cls(loaded.model, loaded.tokenizer, length, prompt=card.prompt)
        made.labels, made.left_out = loaded.labels, card.left_out
        made._settle_padding(where)
        return made, loaded

    def _settle_padding(self, folder: Path) -> None:
        """Pad on the side where padding changes no score: XLNet's head reads a text's end, GPT-2 counts from its start.

        The tokenizer's own side is taken where both will do. The scoring also tests that the folder's parts fit together.
        """
        query, docs = PROBE
        own = self.tokenizer.padding_side
        for side in (own, "left" if own == "right" else "right"):
            self.tokenizer.padding_side = self.tokenizer.init_kwargs["padding_side"] = side
            self.joiner = Joiner(self.tokenizer)
            with folders.library_answers(folder, "the model cannot score a pair of texts"):
                alone = torch.tensor([self.score(query, [doc])[0] for doc in docs])
                together = torch.tensor(self.score(query, docs))
            if torch.allclose(alone, together, atol=1e-4, rtol=1e-4, equal_nan=True):
                return
        raise BadInput(
            f"{folder}: the score of a text depends on its padding, on either side. Give a model that masks "
            "padding."
        )

    def at_random(self, seed: int) -> "CrossEncoder":
        """The same architecture with random weights, to compare a probe's accuracy with."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = type(self.model)(self.model.config)
        return CrossEncoder(
            fresh.to(self.where), self.tokenizer, self.max_length, prompt=self.prompt
        )

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and tokenizer."""
        self._declare()
        with backbone.quiet():
            self.model.save_pretrained(folder)  # type: ignore[operator]
            self.tokenizer.save_pretrained(folder)
        if self.prompt:
            adapters.write_card(folder, self.prompt)

    def save_adapter(
        self, folder: Path, *, base: Path | None = None, carried_to: Path | None = None
    ) -> None:
        """Write the adapter of a model that has one, its scoring head, and the tokenizer; and where its base is."""
        self._declare()
        adapters.save_adapter(self.model, folder, prompt=self.prompt)
        with backbone.quiet():
            self.tokenizer.save_pretrained(folder)
        if base is not None:
            adapters.refer(folder, base, carried_to=carried_to)

    def merge(self) -> None:
        """Add the adapter into the model's own weights."""
        self.model = adapters.merged(self.model)

    def _declare(self) -> None:
        config: Any = self.model.config
        config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
        self.tokenizer.model_max_length = self.max_length

    # -- training --

    def frozen_weights(self, parts: Sequence[str], n_layers: int) -> list[Tensor]:
        """The weights of parts that a backbone can freeze."""
        return freezing.frozen_weights(self.model, parts, n_layers)

    def adapt(self, lora: adapters.LoRA, *, base: Path, seed: int, but: Sequence[str] = ()) -> None:
        """Put fresh LoRA adapters into the encoder, which has no towers to leave out."""
        self.model = adapters.adapted(self.model, lora, base=base, seed=seed)

    def n_cut(self, pairs: Sequence[tuple[Text, Text]]) -> int:
        """The number of (query, doc) pairs that are longer than `max_length`."""
        whole = self.joiner.n_special - self.max_length
        tokens = (
            (_tokens(self.query_tokens, query), _tokens(self.tokens, doc)) for query, doc in pairs
        )
        return sum(len(query) + len(doc) + whole > 0 for query, doc in tokens)

    @property
    def cut_at(self) -> str:
        """The length at which pairs are cut, as the end of a sentence: query and doc together."""
        return f"are cut at {self.max_length} tokens (query and doc together)"

    # -- inside --

    @property
    def where(self) -> torch.device:
        """The device the weights are on."""
        return next(self.model.parameters()).device

    def encoder(self, side: Side = PAIR) -> Any:
        """The transformer without the scoring head."""
        (whole,) = anatomy.encoders(self.model)
        return whole.base_model

    def modules(self, side: Side = PAIR) -> list[nn.Module]:
        """The model, head and all."""
        return [self.model]

    @property
    def unread(self) -> list[nn.Module]:
        """None: a pooler is part of the head."""
        return []

    def tokenizer_of(self, side: Side = PAIR) -> Any:
        """The one tokenizer."""
        return self.tokenizer

    def prompt_of(self, side: Side = PAIR) -> str:
        """The text before every query."""
        return self.prompt

    def most_tokens(self, side: Side = PAIR) -> int:
        """Tokens of a pair that are read, special ones included."""
        return self.max_length

    def pooling(self, side: Side = PAIR) -> str:
        """The token whose last state the head reads: `cls`, `last` or `mean`; a pooler counts as part of the head.

        A decoder's reads the last token, which alone has seen all, as do T5's and XLNet's; ModernBERT's the one
        its configuration names.
        """
        config: Any = self.model.config
        if getattr(config, "is_encoder_decoder", False) or config.model_type == "xlnet":
            return "last"
        if any(getattr(module, "is_causal", False) for module in self.model.modules()):
            return "last"
        return str(getattr(self.model.config, "classifier_pooling", "cls"))

    def n_layers(self, side: Side = PAIR) -> int:
        """Blocks of the encoder."""
        config: Any = self.model.config
        if config.is_encoder_decoder:
            raise BadInput(
                f"{type(self.model).__name__}: an encoder-decoder, whose layers are two stacks, cannot be looked "
                "into layer by layer. Give an encoder or a decoder."
            )
        return int(config.num_hidden_layers)

    def hidden_width(self, side: Side = PAIR) -> int:
        """Numbers in a token's state."""
        config: Any = self.model.config
        return int(config.hidden_size)

    def inputs(self, texts: Sequence[tuple[Text, Text]], side: Side = PAIR) -> list[JoinedPair]:
        """Each (query, doc) as one sequence, the longer side cut first."""
        return self.pairs([(query, [doc]) for query, doc in texts])

    def padded(self, inputs: Sequence[JoinedPair], side: Side = PAIR) -> Mapping[str, Tensor]:
        """One batch as the model takes it: ids and masks, (pairs, tokens) each."""
        return self.joiner.pad(inputs)

    def hidden_states(
        self, inputs: Sequence[JoinedPair], side: Side = PAIR
    ) -> tuple[Sequence[Tensor], Tensor]:
        """The hidden states of one batch, the first layer's input first: (pairs, tokens, width) each.

        With the mask of the tokens that are no padding, (pairs, tokens).
        """
        moved = {name: tensor.to(self.where) for name, tensor in self.padded(inputs).items()}
        states = self.model(**moved, output_hidden_states=True).hidden_states
        return states, moved["attention_mask"]

    def pooled_mask(self, mask: Tensor, side: Side = PAIR) -> Tensor:
        """All tokens but padding."""
        return mask

    # -- pairs to scores --

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The token ids of texts alone; `pairs` and `score` take them in place of the texts."""
        return self.joiner.tokens(texts)

    def query_tokens(self, queries: Sequence[str]) -> list[Tokens]:
        """The token ids of queries, each behind the prompt."""
        return self.joiner.tokens([self.prompt + query for query in queries])

    def pairs(self, groups: Sequence[tuple[Text, Sequence[Text]]]) -> list[JoinedPair]:
        """Every query behind the prompt with each of its docs, the longer side cut first, not padded.

        Tokens of a query are taken as `query_tokens` gives them.
        """
        prompted = ((self.prompt + q if isinstance(q, str) else q, docs) for q, docs in groups)
        texts = [text for query, docs in prompted for text in (query, *docs)]
        spelt = [text for text in texts if isinstance(text, str)]
        made = iter(self.tokens(spelt) if spelt else ())
        joined = []
        for query, docs in groups:
            first = next(made) if isinstance(query, str) else query
            for doc in docs:
                second = next(made) if isinstance(doc, str) else doc
                joined.append(self.joiner.join(first, second, max_length=self.max_length))
        return joined

    def score(self, query: Text, docs: Sequence[Text]) -> list[float]:
        """One float32 logit per doc, in their order."""
        return self.score_all([(query, docs)])[0]

    def score_all(self, groups: Sequence[tuple[Text, Sequence[Text]]]) -> list[list[float]]:
        """The scores of the docs of several queries."""
        self.model.eval()
        pairs = self.pairs(groups)
        n = sum(len(pair.ids) for pair in pairs)
        with torch.inference_mode(), first_token_only(self.model), packed_weights(self.model, n):
            flat = iter(self.logits(self.model, pairs).tolist())
        return [[next(flat) for _ in docs] for _, docs in groups]

    def logits(self, model: nn.Module, pairs: Sequence[JoinedPair]) -> Tensor:
        """The scores of pairs, in their order: (pairs,), float32.

        Pairs of similar length share a batch, so that little is computed for padding; all share one
        for a model in shards, which all processes must call equally often. `model` is the ranker's
        own, perhaps wrapped for several devices or compiled.
        """
        where = next(model.parameters()).device
        budget = sys.maxsize if processes.is_sharded(model) else lengths.budget(where)
        groups, most = self._by_ends(pairs), self.texts_per_batch
        n_ids = [len(pair.ids) for pair in pairs]
        if processes.is_sharded(model) and len(groups) > 1:
            raise BadInput(
                f"{type(self.model).__name__}: its head reads the last {self.tokenizer.eos_token}, and needs equally many in "
                "all pairs that shards score together; some texts spell it. Take it out of the texts, or train without FSDP."
            )
        batches = [
            [places[at] for at in batch]
            for places in groups
            for batch in lengths.by_length([n_ids[at] for at in places], budget, most)
        ]

        def scored(batch: list[int]) -> Tensor:
            inputs = self.joiner.pad([pairs[place] for place in batch])
            moved = {name: tensor.to(where, non_blocking=True) for name, tensor in inputs.items()}
            logits: Tensor = model(**moved).logits.squeeze(-1).float()
            return logits

        parts = [torch.empty(0, device=where), *passes.carried_out(scored, batches, model)]
        places = torch.tensor([place for batch in batches for place in batch], dtype=torch.int64)
        return torch.cat(parts)[places.argsort().to(where)]

    def _by_ends(self, pairs: Sequence[JoinedPair]) -> list[list[int]]:
        """The places of pairs that may share a batch: all, but for encoder-decoders.

        T5's and BART's heads read the last end token, and refuse a batch whose pairs have unequally many: a
        text that spells `</s>` has one more.
        """
        config: Any = self.model.config
        if not getattr(config, "is_encoder_decoder", False):
            return [[*range(len(pairs))]]
        by_number: dict[int, list[int]] = {}
        for place, pair in enumerate(pairs):
            n_ends = int((pair.ids == config.eos_token_id).sum())
            by_number.setdefault(n_ends, []).append(place)
        return list(by_number.values())


def _tokens(made: Callable[[Sequence[str]], list[Tokens]], text: Text) -> Tokens:
    return made([text])[0] if isinstance(text, str) else text
