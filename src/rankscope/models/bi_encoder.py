"""Query and doc read apart: two vectors, one similarity.

A bi-encoder is a sentence-transformers model: one tower or two, each a transformer, a pooling and
perhaps more (`towers`); prompts and similarity travel in its folder. Texts are tokenised and put into batches
by us, by length and always padded on the right, so that an embedding does not depend on what else is in
the batch or on which side a tokenizer would pad.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, final

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router
from torch import Tensor, nn
from torch.nn.functional import normalize

from rankscope.core.errors import BadInput
from rankscope.core.progress import Advance, untold
from rankscope.models import adapters, backbone
from rankscope.models.fast import lengths, passes
from rankscope.models.fast.packed import packed_weights
from rankscope.models.files import folders
from rankscope.models.files.encoders import encoders_in
from rankscope.models.inputs import PROMPTS_USED, left_out
from rankscope.models.location import Location, downloaded, is_cross_encoder
from rankscope.models.ranker import SIDES, Side
from rankscope.models.towers import PROBE, Input, Towers, by_sentence_transformers, tower_of


@final
class BiEncoder:
    """A ranker by the similarity of two embeddings."""

    sides: tuple[Side, ...] = SIDES
    joiner = None
    prompts_used = PROMPTS_USED

    def __init__(self, inner: SentenceTransformer) -> None:
        self.model = Towers(inner)
        self.fresh: tuple[str, ...] = ()
        """Weights that the loaded model lacks: at most those of poolers, which are then left out."""
        self.unused: tuple[str, ...] = ()
        """Weights of the loaded model that have no place here."""
        self.queries_per_block = 128  # many, because a doc is embedded once a block
        self.texts_per_batch: int | None = None
        for side in SIDES:
            self.model.check_preparation(side)

    @classmethod
    def load(cls, location: Location) -> "BiEncoder":
        """A sentence-transformers model; one whose encoder is left partly at random is refused."""
        folder = downloaded(location)
        if not folders.modules(folder):
            raise BadInput(
                f"{folder}: a cross-encoder, which reads query and doc together and so has no embedding of a doc. "
                "Re-rank a run with it (`rankscope rerank`), or give a bi-encoder."
                if is_cross_encoder(folder)
                else f"{folder}: no modules.json, so its pooling and similarity are unknown. "
                "Give a model saved by sentence-transformers, or `backbone` and `pooling`."
            )
        encoders = encoders_in(folder)
        try:
            with by_sentence_transformers(folder) as how:
                made = cls(SentenceTransformer(str(folder), **how))
        except BadInput:
            for encoder in encoders.values():  # which says what is wrong with a checkpoint
                backbone.check_encoder(Location(location.name, encoder))
            raise
        unmatched = {
            encoder: _unmatched(Location(location.name, encoder), made.tower(side).model)
            for side, encoder in encoders.items()
        }
        for side, encoder in encoders.items():
            adapters.require_whole(encoder, made.tower(side).model)
        made.fresh = tuple(name for fresh, _ in unmatched.values() for name in fresh)
        made.unused = tuple(name for _, unused in unmatched.values() for name in unused)
        for side in SIDES:
            fresh, _ = unmatched[encoders[side]]
            if fresh:
                backbone.leave_out_pooler(made.tower(side).model)
        with folders.library_answers(folder, "the model cannot embed a text"):
            for side in SIDES:
                made.embed([PROBE], side)
        return made

    @classmethod
    def on(
        cls,
        query: backbone.Encoder,
        doc: backbone.Encoder | None = None,
        *,
        pooling: str,
        similarity: Literal["dot", "cosine"] = "dot",
        prefixes: Mapping[Side, str] | None = None,
        max_length: Mapping[Side, int],
    ) -> "BiEncoder":
        """Bare encoders with a pooling; with one encoder, queries and docs share the tower.

        `cosine` makes embeddings of length 1. Prefixes are put before every text of their side.
        """
        towers = [
            tower_of(encoder, pooling, similarity, max_length)
            for encoder in ([query] if doc is None else [query, doc])
        ]
        modules: list[nn.Module]
        modules = towers[0] if doc is None else [Router.for_query_document(towers[0], towers[1])]
        prompts: dict[str, str] = {side: (prefixes or {}).get(side, "") for side in SIDES}
        with backbone.quiet():
            model = SentenceTransformer(
                modules=modules,
                prompts=prompts,
                similarity_fn_name=similarity,
                device="cpu",
            )
        return cls(model)

    def separated(self) -> "BiEncoder":
        """The same ranker with a tower of its own for each side; itself if it has two."""
        if not self.is_shared:
            return self
        first, second = ([*deepcopy(self.inner).children()] for _ in SIDES)
        prompts: dict[str, str] = {s: self.inner.prompts.get(s) or "" for s in SIDES}
        with backbone.quiet():
            model = SentenceTransformer(
                modules=[Router.for_query_document(first, second)],  # type: ignore[arg-type]
                prompts=prompts,
                similarity_fn_name=self.inner.similarity_fn_name,
                device=str(self.where),
            )
        return BiEncoder(model)

    def at_random(self, seed: int) -> "BiEncoder":
        """The same architecture, pooling and prefixes with random weights, to compare a probe's accuracy with."""
        copied = BiEncoder(deepcopy(self.inner))
        for number, tower in enumerate(copied.model.distinct()):
            with torch.random.fork_rng():
                torch.manual_seed(seed + number)
                fresh = type(tower.model)(tower.model.config)
            drawn = fresh.state_dict()  # a tower may lack the pooler that its class makes
            tower.model.load_state_dict({name: drawn[name] for name in tower.model.state_dict()})
        return copied

    def save(self, folder: Path) -> None:
        """Write the model as sentence-transformers does, without a model card."""
        with backbone.quiet():
            self.inner.save(str(folder), create_model_card=False)

    # -- training --

    def frozen_weights(self, parts: Sequence[str], n_layers: int) -> list[Tensor]:
        """The weights of parts: query_tower, doc_tower, and what a backbone can freeze in each tower."""
        return self.model.frozen_weights(parts, n_layers)

    def adapt(self, lora: adapters.LoRA, *, base: Path, seed: int, but: Sequence[str] = ()) -> None:
        """Put fresh LoRA adapters into every tower `but` the frozen; only they need a gradient."""
        self.model.adapt(lora, base=base, seed=seed, but=but)

    def merge(self) -> None:
        """Add the adapters into the towers' own weights."""
        self.model.merge()

    def save_adapter(
        self, folder: Path, *, base: Path | None = None, carried_to: Path | None = None
    ) -> None:
        """Write the adapters as PEFT does: of the one tower, or of each into a folder of its own.

        They stand beside the whole model and are not loaded again, so they need not refer to their base.
        """
        self.model.save_adapters(folder)

    # -- towers --

    @property
    def inner(self) -> SentenceTransformer:
        """The sentence-transformers model."""
        return self.model.inner

    @property
    def where(self) -> torch.device:
        """The device the towers are on."""
        return next(self.model.parameters()).device

    def modules(self, side: Side) -> list[nn.Module]:
        """The modules that a side's texts go through: a transformer, a pooling, and perhaps more."""
        return self.model.parts(side)

    @property
    def unread(self) -> list[nn.Module]:
        """The towers' poolers: no pooling of ours reads them."""
        return self.model.poolers

    def tower(self, side: Side) -> Any:
        """The transformer module of a side, sentence-transformers' own; both sides may share it."""
        return self.modules(side)[0]

    def encoder(self, side: Side) -> Any:
        """The transformer that reads a side."""
        return self.tower(side).model

    def tokenizer_of(self, side: Side) -> Any:
        """The tokenizer of the side's tower."""
        return self.tower(side).tokenizer

    def prompt_of(self, side: Side) -> str:
        """The text that is put before the side's texts."""
        return self.model.prompt_of(side)

    @property
    def is_shared(self) -> bool:
        """Whether one tower reads queries and docs."""
        return self.model.is_shared

    @property
    def width(self) -> int:
        """Numbers in an embedding."""
        n_numbers = self.inner.get_embedding_dimension()
        assert n_numbers is not None
        return n_numbers

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the folder's prompts that no text gets."""
        return left_out(self.inner.prompts)

    @property
    def compares_by(self) -> str | None:
        """The model's similarity; cosine of embeddings that are of length 1, whatever it is called."""
        return "cosine" if self.is_normalised else self.inner.similarity_fn_name

    @property
    def is_normalised(self) -> bool:
        """Whether only the direction of an embedding counts."""
        modules = self.modules("query")
        return self.inner.similarity_fn_name == "cosine" or any(
            isinstance(module, Normalize) for module in modules
        )

    @property
    def is_projected(self) -> bool:
        """Whether something with weights stands between the pooled states and the embedding."""
        return any(
            weight.numel()
            for side in SIDES
            for module in self.modules(side)[1:]
            for weight in module.parameters()
        )

    def most_tokens(self, side: Side) -> int:
        """Tokens of a text that are read, special ones included."""
        return self.model.most_tokens(side)

    # -- texts to embeddings --

    def inputs(self, texts: Sequence[str], side: Side) -> list[Input]:
        """Each text as the tower reads it: prefixed, cut, with special tokens."""
        return self.model.inputs(texts, side)

    def n_cut(self, pairs: Sequence[tuple[str, str]]) -> int:
        """The number of docs that fill the tokens that are read of a doc, or are cut there."""
        docs = self.inputs([doc for _, doc in pairs], "document")
        return sum(len(doc.ids) >= self.most_tokens("document") for doc in docs)

    @property
    def cut_at(self) -> str:
        """The length at which docs are cut, as the end of a sentence: each doc alone."""
        return f"fill the {self.most_tokens('document')} tokens that are read of a doc, or are cut there"

    @staticmethod
    def batches(inputs: Sequence[Input], where: torch.device) -> list[list[int]]:
        """Places of texts in batches of similar length, as many tokens as the device holds."""
        return list(lengths.by_length([len(i.ids) for i in inputs], lengths.budget(where)))

    def embeddings(self, model: nn.Module, inputs: Sequence[Input], side: Side) -> Tensor:
        """The embeddings of one batch: (texts, width), float32, in their order.

        `model` is the bi-encoder's own, perhaps wrapped for several devices or compiled.
        """
        where = next(model.parameters()).device
        moved = {
            name: tensor.to(where, non_blocking=True)
            for name, tensor in self.padded(inputs, side).items()
        }
        embedded: Tensor = model(side, self.prompt_length(side), **moved)
        return embedded.float()

    # -- inside a tower --

    def n_layers(self, side: Side) -> int:
        """Layers of the side's tower."""
        return int(self.tower(side).model.config.num_hidden_layers)

    def hidden_width(self, side: Side) -> int:
        """Numbers in a token's state."""
        return int(self.tower(side).model.config.hidden_size)

    def pooling(self, side: Side) -> str:
        """The pooling of the side's token states: cls, mean or last; another is refused."""
        return self.model.pooling(side)

    def hidden_states(self, inputs: Sequence[Input], side: Side) -> tuple[Sequence[Tensor], Tensor]:
        """The states of one batch at every layer, the tower's input first: (texts, tokens, width) each.

        With the mask of the tokens that are pooled, (texts, tokens).
        """
        moved = {name: array.to(self.where) for name, array in self.padded(inputs, side).items()}
        states = self.tower(side).model(**moved, output_hidden_states=True).hidden_states
        return states, self.pooled_mask(moved["attention_mask"], side)

    def pooled_mask(self, mask: Tensor, side: Side) -> Tensor:
        """The tokens that are pooled, (texts, tokens): not padding, nor a prompt that the model leaves out."""
        return self.model.pooled_mask(mask, side)

    def prompt_length(self, side: Side) -> int | None:
        """The number of the prompt's tokens, for poolings that leave it out."""
        return self.model.prompt_length(side)

    def padded(self, inputs: Sequence[Input], side: Side) -> Mapping[str, Tensor]:
        """One batch as a tower takes it, padded on the right: ids and masks, (texts, tokens) each."""
        return self.model.padded(inputs, side)

    def embed(self, texts: Sequence[str], side: Side, told: Advance = untold) -> Tensor:
        """(texts, width), float32, on the model's device; one by one or together, the same; `told` of texts done."""
        self.model.eval()
        inputs = self.inputs(texts, side) if texts else []
        n_ids, budget = [len(each.ids) for each in inputs], lengths.budget(self.where)
        batches = [*lengths.by_length(n_ids, budget, self.texts_per_batch)]

        def embedded(places: list[int]) -> Tensor:
            made = self.embeddings(self.model, [inputs[place] for place in places], side)
            told(len(places))
            return made

        with torch.inference_mode(), packed_weights(self.model, sum(n_ids)):
            parts = passes.carried_out(embedded, batches, self.model)
        stacked = torch.cat([torch.empty(0, self.width, device=self.where), *parts])
        places = torch.tensor([place for batch in batches for place in batch], dtype=torch.int64)
        return stacked[places.argsort().to(stacked.device)]

    def embed_queries(self, queries: Sequence[str]) -> Tensor:
        """(queries, width), float32."""
        return self.embed(queries, "query")

    def embed_docs(self, docs: Sequence[str], told: Advance = untold) -> Tensor:
        """(docs, width), float32."""
        return self.embed(docs, "document", told)

    # -- embeddings to scores --

    def searchable(self, embeddings: Tensor) -> Tensor:
        """Embeddings whose dot products are the model's similarities."""
        name = self.inner.similarity_fn_name
        if name == "cosine":
            return normalize(embeddings, dim=-1)
        if name != "dot":
            raise BadInput(
                f"The model's similarity is {name!r}, which no dot product gives, so it cannot be "
                "searched. Save it with `similarity_fn_name` cosine or dot."
            )
        return embeddings

    def similarity(self, queries: Tensor, docs: Tensor) -> Tensor:
        """(queries, docs), by the model's own similarity."""
        return self.searchable(queries) @ self.searchable(docs).T

    def score(self, query: str, docs: Sequence[str]) -> list[float]:
        """One similarity per doc, in their order."""
        return self.score_all([(query, docs)])[0]

    def score_all(self, groups: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """The similarities of the docs of several queries; a doc of several queries is embedded once."""
        places = {
            doc: n for n, doc in enumerate(dict.fromkeys(d for _, docs in groups for d in docs))
        }
        if not places:
            return [[] for _ in groups]
        queries = self.searchable(self.embed_queries([query for query, _ in groups]))
        docs = self.searchable(self.embed_docs([*places]))
        return [
            (docs[[places[doc] for doc in wanted]] @ query).tolist() if wanted else []
            for query, (_, wanted) in zip(queries, groups, strict=True)
        ]


def _unmatched(location: Location, model: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The missing and unused weights of a bare encoder's checkpoint, as `backbone.check_encoder` gives and refuses them.

    model: the encoder, loaded. Where the checkpoint has its weights by name and shape, and no other, none is missing,
    and it is not loaded again.
    """
    folder = downloaded(location)
    stored = {name: tuple(tensor.shape) for name, tensor in folders.weights(folder).items()}
    loaded = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    if stored != loaded:
        return backbone.check_encoder(location)
    backbone.require_room(folder, model, backbone.read_tokenizer(folder))
    return (), ()
