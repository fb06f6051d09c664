"""The protocols of rankers, no code: scoring, and what training and analyses need beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from rankscope.models.adapters import LoRA
    from rankscope.models.pairs import Joiner

Side = Literal["query", "document", "pair"]
"""The texts that a ranker reads at once: a query or a doc alone, or both together."""
PAIR: Side = "pair"
SIDES: tuple[Side, Side] = ("query", "document")
"""The sides of a ranker that reads query and doc apart."""


class Ranker(Protocol):
    """Anything that scores docs for queries; higher is better."""

    queries_per_block: int
    """Queries to give `score_all` at once where there are many."""
    texts_per_batch: int | None
    """Texts, or pairs, of one forward pass without gradients; as many as suit the device, if None."""

    @property
    def joiner(self) -> "Joiner | None":
        """Joins the tokens of a query and a doc, which are made once; None for a ranker that takes texts."""
        ...

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the folder's prompts that no text gets."""
        ...

    @property
    def prompts_used(self) -> str:
        """Which texts get which prompt, as a part of a sentence."""
        ...

    def score_all(self, groups: Sequence[tuple[Any, Sequence[Any]]]) -> list[list[float]]:
        """For each (query, docs) one score per doc, in their order; the same alone and among others.

        Queries and docs are texts; a ranker may also take other forms of a text, such as its tokens.
        """
        ...


class TrainableRanker(Ranker, Protocol):
    """A ranker that a stage trains, and that analyses read.

    A side's texts are queries or docs, or (query, doc) of the side `pair`. The input made of each (`inputs`) has `ids`,
    (tokens,), and is the same whatever else is in the batch.
    """

    @property
    def model(self) -> nn.Module:
        """Its weights; perhaps with adapters in it."""
        ...

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides it reads: query and document, each alone, or pairs of both."""
        ...

    @property
    def where(self) -> torch.device:
        """The device its weights are on."""
        ...

    # -- training --

    def frozen_weights(self, parts: Sequence[str], n_layers: int) -> list[Tensor]:
        """The weights that stay as they are where parts of the model, or its lowest layers, are frozen."""
        ...

    def adapt(self, lora: "LoRA", *, base: Path, seed: int, but: Sequence[str] = ()) -> None:
        """Put fresh LoRA adapters into it, except into the towers named in `but`; nothing else but a head needs a gradient.

        `base` is the folder it was loaded from.
        """
        ...

    def merge(self) -> None:
        """Add the adapters into its own weights."""
        ...

    def save(self, folder: Path) -> None:
        """Write the whole model as the libraries load it."""
        ...

    def save_adapter(
        self, folder: Path, *, base: Path | None = None, carried_to: Path | None = None
    ) -> None:
        """Write the adapters alone; one that is loaded again refers to its `base` as `adapters.refer` does."""
        ...

    def n_cut(self, pairs: Sequence[tuple[Any, Any]]) -> int:
        """The number of docs of (query, doc) that may not be read to their end."""
        ...

    @property
    def cut_at(self) -> str:
        """What happens to such docs, as the end of a sentence."""
        ...

    # -- inside --

    def at_random(self, seed: int) -> Self:
        """The same architecture with random weights, on the same device."""
        ...

    def encoder(self, side: Side) -> Any:
        """The transformer that reads a side."""
        ...

    def modules(self, side: Side) -> list[nn.Module]:
        """The modules that a side's texts go through, in this order."""
        ...

    @property
    def unread(self) -> list[nn.Module]:
        """Modules that no score depends on."""
        ...

    def tokenizer_of(self, side: Side) -> Any:
        """The tokenizer of a side's texts."""
        ...

    def prompt_of(self, side: Side) -> str:
        """The text that is put before a side's texts, or before the queries of pairs."""
        ...

    def most_tokens(self, side: Side) -> int:
        """Tokens of a text that are read, special ones included."""
        ...

    def n_layers(self, side: Side) -> int:
        """Layers of the side's transformer."""
        ...

    def hidden_width(self, side: Side) -> int:
        """Numbers in a token's state."""
        ...

    def pooling(self, side: Side) -> str:
        """The pooling of a side's token states: cls, mean or last."""
        ...

    def inputs(self, texts: Sequence[Any], side: Side) -> Sequence[Any]:
        """Each text, or pair, as the transformer reads it: cut, with special tokens."""
        ...

    def padded(self, inputs: Sequence[Any], side: Side) -> Mapping[str, Tensor]:
        """One batch as the transformer takes it: ids and masks, (texts, tokens) each."""
        ...

    def hidden_states(self, inputs: Sequence[Any], side: Side) -> tuple[Sequence[Tensor], Tensor]:
        """The hidden states of one batch, the first layer's input first: (texts, tokens, width) each.

        With the mask of the tokens that are pooled, (texts, tokens).
        """
        ...

    def pooled_mask(self, mask: Tensor, side: Side) -> Tensor:
        """The tokens that are pooled, given those that are no padding: (texts, tokens) both."""
        ...

    @property
    def compares_by(self) -> str | None:
        """The similarity of two vectors that is a score; None for one that has no vectors."""
        ...

    @property
    def is_projected(self) -> bool:
        """Whether something with weights stands between the pooled states and a text's vector."""
        ...
