"""The towers of a bi-encoder and their pooling: one for queries and one for docs, or one for both.

They are sentence-transformers' modules: a transformer, a pooling and perhaps more for each side; here they are one
module, to be trained, frozen in part and given adapters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import adapters, anatomy, backbone, freezing
from rankscope.models.files import folders
from rankscope.models.ranker import SIDES, Side

POOLINGS = {"cls": "cls", "mean": "mean", "last": "lasttoken"}
"""Our names of poolings, and sentence-transformers'; all read real tokens only."""
TOWERS: dict[str, Side] = {"query_tower": "query", "doc_tower": "document"}
"""The names of the towers in a study."""
PROBE = "It's a probe: one, two."
LONG = 4_096
"""Tokens, about, of the longest text that is compared with sentence-transformers' own preparation."""
TOKENIZING = Lock()
"""Held while a text is cut: the length is set in the tokenizer, which the sides and threads share."""


@contextmanager
def by_sentence_transformers(folder: Path) -> Iterator[dict[str, Any]]:
    """The arguments by which sentence-transformers loads a folder inside the block; its errors are one sentence."""
    with (
        backbone.quiet(),
        folders.library_answers(folder, "sentence-transformers cannot load the model"),
    ):
        yield {
            "trust_remote_code": False,
            "model_kwargs": {"dtype": torch.float32, "use_safetensors": True},
            "device": "cpu",
        }


class Input(NamedTuple):
    """The token ids of one text, with its prompt and special tokens: (tokens,)."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64] | None


class Towers(nn.Module):
    """The towers as one module, for training: tensors of one side to embeddings."""

    def __init__(self, inner: SentenceTransformer) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, side: Side, prompt_length: int | None = None, **inputs: Tensor) -> Tensor:
        """(texts, width); inputs: ids and masks, (texts, tokens) each."""
        features: dict[str, Any] = {**inputs, "modality": "text"}
        if prompt_length is not None:
            features["prompt_length"] = prompt_length
        embeddings: Tensor = self.inner(features, task=side)["sentence_embedding"]
        return embeddings[:, : self.inner.truncate_dim]

    def parts(self, side: Side) -> list[nn.Module]:
        """The modules that a side's texts go through: a transformer, a pooling, and perhaps more."""
        first, *behind = self.inner.children()
        routes: Any = first
        return [*(routes.sub_modules[side] if isinstance(first, Router) else [first]), *behind]

    def tower(self, side: Side) -> Any:
        """The transformer module that reads a side."""
        return self.parts(side)[0]

    @property
    def is_shared(self) -> bool:
        """Whether one tower reads queries and docs."""
        return self.tower("query") is self.tower("document")

    def frozen_weights(self, parts: Sequence[str], n_layers: int) -> list[Tensor]:
        """The weights of parts: query_tower, doc_tower, and what a backbone can freeze in each tower.

        Poolers are among them: no pooling of ours reads them, so they could only decay.
        """
        weights: list[Tensor] = [
            weight for module in self.poolers for weight in module.parameters()
        ]
        for part, side in TOWERS.items():
            if part in parts:
                if self.is_shared:
                    raise BadInput(
                        f"freeze: {part}, but one tower reads queries and docs. Give the ranker "
                        "`towers: separate`."
                    )
                weights += self._frozen_tower(part, side)
        inside = [part for part in parts if part not in TOWERS]
        for encoder in anatomy.encoders(self):
            weights += freezing.frozen_weights(encoder, inside, n_layers)
        return list({id(weight): weight for weight in weights}.values())

    @property
    def poolers(self) -> list[nn.Module]:
        """The towers' poolers: no pooling of ours reads them."""
        poolers = (getattr(encoder, "pooler", None) for encoder in anatomy.encoders(self))
        return [pooler for pooler in poolers if isinstance(pooler, nn.Module)]

    def _frozen_tower(self, part: str, side: Side) -> Iterator[Tensor]:
        """Every weight that the side's texts go through, of modules behind the transformer too."""
        router, *behind = self.inner.children()
        if any(weight.numel() for module in behind for weight in module.parameters()):
            raise BadInput(
                f"freeze: {part}, but behind the towers the model has weights that both sides share. "
                "Give a model whose towers are apart to the end."
            )
        routes: Any = router
        return iter(routes.sub_modules[side].parameters())

    def adapt(self, lora: adapters.LoRA, *, base: Path, seed: int, but: Sequence[str] = ()) -> None:
        """Put fresh LoRA adapters into every tower `but` the frozen; only they need a gradient."""
        left = {TOWERS[part] for part in but if part in TOWERS}
        for number, (side, tower) in enumerate(zip(SIDES, self.distinct(), strict=False)):
            if side not in left:
                tower.model = adapters.adapted(tower.model, lora, base=base, seed=seed + number)

    def save_adapters(self, folder: Path) -> None:
        """Write the adapters as PEFT does: of the one tower, or of each into a folder of its own."""
        towers = self.distinct()
        for side, tower in zip(SIDES, towers, strict=False):
            if adapters.is_adapted(tower.model):
                adapters.save(tower.model, folder if len(towers) == 1 else folder / side)

    def merge(self) -> None:
        """Add the adapters into the towers' own weights."""
        for tower in self.distinct():
            if adapters.is_adapted(tower.model):
                tower.model = adapters.merged(tower.model)

    def distinct(self) -> list[Any]:
        """The towers, one if they are the same."""
        return [self.tower("query")] if self.is_shared else [self.tower(side) for side in SIDES]

    # -- how a side reads texts --

    def prompt_of(self, side: Side) -> str:
        """The text that is put before the side's texts."""
        return self.inner.prompts.get(side) or ""

    def most_tokens(self, side: Side) -> int:
        """Tokens of a text that are read, special ones included."""
        tower = self.tower(side)
        own = tower.query_length if side == "query" else tower.document_length
        limit = min(tower.max_seq_length or backbone.UNBOUNDED, backbone.UNBOUNDED)
        return int(limit if own is None else own)

    def inputs(self, texts: Sequence[str], side: Side) -> list[Input]:
        """Each text as the tower reads it: prefixed, cut, with special tokens."""
        prompt = self.prompt_of(side)
        with TOKENIZING:
            encoded = self.tower(side).tokenizer(
                [prompt + text for text in texts],
                truncation=True,
                max_length=self.most_tokens(side),
                padding=False,
                return_attention_mask=False,
            )
        types = encoded.get("token_type_ids") or [None] * len(texts)
        return [
            Input(np.array(i, dtype=np.int64), None if t is None else np.array(t, dtype=np.int64))
            for i, t in zip(encoded["input_ids"], types, strict=True)
        ]

    def pooled_mask(self, mask: Tensor, side: Side) -> Tensor:
        """The tokens that are pooled, (texts, tokens): not padding, nor a prompt that the model leaves out."""
        prompt = self.prompt_length(side)
        if prompt is not None and not self.pooler(side).include_prompt:
            mask = mask.clone()
            mask[:, :prompt] = 0
        return mask

    def prompt_length(self, side: Side) -> int | None:
        """The number of the prompt's tokens, for poolings that leave it out."""
        prompt = self.inner.prompts.get(side)
        length: int | None = (
            self.tower(side)._get_prompt_length(prompt, task=side) if prompt else None
        )
        return length

    def padded(self, inputs: Sequence[Input], side: Side) -> Mapping[str, Tensor]:
        """One batch as a tower takes it, padded on the right: ids and masks, (texts, tokens) each."""
        width = max(len(tokens.ids) for tokens in inputs)
        tokenizer = self.tower(side).tokenizer
        pad = tokenizer.pad_token_id
        ids = np.full((len(inputs), width), 0 if pad is None else pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        types = np.full_like(ids, tokenizer.pad_token_type_id)
        for row, tokens in enumerate(inputs):
            n = len(tokens.ids)
            ids[row, :n], mask[row, :n] = tokens.ids, 1
            if tokens.types is not None:
                types[row, :n] = tokens.types
        arrays = {"input_ids": ids, "attention_mask": mask}
        if inputs[0].types is not None:
            arrays["token_type_ids"] = types
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def pooling(self, side: Side) -> str:
        """The pooling of the side's token states: cls, mean or last; another is refused."""
        mode = self.pooler(side).pooling_mode
        names = {theirs: ours for ours, theirs in POOLINGS.items()}
        if mode not in names:
            raise BadInput(
                f"The model pools by {mode!r}, which is none of {', '.join(POOLINGS)}. Give a model that pools "
                "by one of them."
            )
        return names[mode]

    def pooler(self, side: Side) -> Pooling:
        """The module that pools a side's tower."""
        pooling: Pooling = next(m for m in self.parts(side) if isinstance(m, Pooling))
        return pooling

    def check_preparation(self, side: Side) -> None:
        """Refuse a model that does not prepare a text as we do: prompt, text, special tokens, cut."""
        prompt = self.inner.prompts.get(side) or None
        for text in (PROBE, PROBE * (1 + min(self.most_tokens(side), LONG) // 8)):
            theirs = self.inner.preprocess([text], prompt=prompt, task=side)
            ours = self.inputs([text], side)[0].ids
            if (
                theirs.get("modality") == "text"
                and theirs["input_ids"][0].tolist() == ours.tolist()
            ):
                continue
            raise BadInput(
                f"{type(self.tower(side).tokenizer).__name__}: the model adds more to its texts than a prompt and "
                "special tokens (a chat template, perhaps), which is not supported."
            )


def tower_of(
    encoder: backbone.Encoder, pooling: str, similarity: str, max_length: Mapping[Side, int]
) -> list[Any]:
    """The modules of one tower, in sentence-transformers' form."""
    limit = backbone.longest(encoder.model, encoder.tokenizer)
    for side, length in max_length.items():
        if length > limit:
            raise BadInput(
                f"max_length {length} ({side}) is more than the {limit} tokens "
                f"{type(encoder.model).__name__} can read. Lower it."
            )
    if pooling == "last":
        backbone.end_with_eos(encoder.tokenizer)
    bare: Any = encoder.model
    with TemporaryDirectory() as folder, backbone.quiet():
        bare.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        transformer = Transformer(
            folder,
            model_kwargs={"dtype": torch.float32},
            max_seq_length=max(max_length.values()),
            query_length=max_length["query"],
            document_length=max_length["document"],
        )
    if getattr(bare, "pooler", None) is None:
        backbone.leave_out_pooler(transformer.model)
    modules: list[Any] = [
        transformer, Pooling(transformer.get_embedding_dimension(), POOLINGS[pooling]),
    ]  # fmt: skip
    return [*modules, Normalize()] if similarity == "cosine" else modules
