"""A ranker's neurons attributed: what is explained of which texts, for bi-encoders and cross-encoders.

**Sound.** The target is the margin of a query's relevant doc over a hard negative. A bi-encoder reads query
and docs apart, so it is attributed a side at a time, with the other side's embeddings as they are:
`query` scales a matrix where it reads the query, `document` where it reads both docs. A cross-encoder is
scaled where it reads both pairs.

**As published** (Yao et al. 2025; papers.md A.5): the target is the norm of a text's representation, after
the pooler where a model has one and reads [CLS]. It says nothing of relevance: of a state that a LayerNorm
with unit weights gives, the norm is a constant, whatever the text (A.8-5).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.explain.attribution import (
    Attributed,
    Batch,
    Integration,
    attributed,
    reached,
    tokens_at_once,
)
from rankscope.explain.representations import POOLINGS
from rankscope.models import anatomy
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast import lengths
from rankscope.models.ranker import PAIR, Side, TrainableRanker

ROUNDING = 64
"""A change of less than so many units in the last place of the largest target is rounding noise."""


class Preference(NamedTuple):
    """A query, a relevant doc, and one that should stand below it: their texts."""

    query: str
    relevant: str
    other: str


@dataclass(frozen=True)
class Attributions:
    """The attributions of examples."""

    sites: tuple[tuple[int, str], ...]
    """Layer (from 0) and name of every site."""
    values: tuple[Tensor, ...]
    """Of every site: (examples, neurons), on the processor."""
    targets: Tensor
    """(examples,)."""
    changes: Tensor
    """(examples, sites): what the target changes by along the site's path."""
    gaps: Tensor | None
    """(examples, sites): the sums of the values less the changes; None as published."""

    @property
    def is_noise(self) -> Tensor:
        """(examples, sites), bool: whether the target changes by no more than rounding, so that values are noise."""
        rounding = ROUNDING * torch.finfo(self.targets.dtype).eps * self.targets.abs().max()
        return self.changes.abs() <= rounding

    @property
    def share_of_noise(self) -> float:
        """At how many examples' sites there is noise."""
        return float(self.is_noise.double().mean())

    @property
    def is_degenerate(self) -> bool:
        """Whether there is noise at most examples' sites."""
        return self.share_of_noise > 0.5

    @property
    def gap_shares(self) -> Tensor | None:
        """(examples, sites): each gap over the sum of the sizes of its values; nan where these are noise."""
        if self.gaps is None:
            return None
        sizes = torch.stack([values.abs().sum(1) for values in self.values], 1)
        return torch.where(self.is_noise, torch.nan, self.gaps.abs() / sizes)


class Reading(NamedTuple):
    """Examples of a ranker: how each is read, and what of it is explained."""

    model: nn.Module
    layers: Sequence[nn.Module]
    n_tokens: Sequence[int]
    """Of each example's longest text (or pair)."""
    per_example: int
    """Texts of an example."""
    batch: Callable[[list[int]], Batch]
    """The places of some examples to their batch."""


def attributions(
    reading: Reading, how: Integration, *, progress: Progress = SILENT
) -> Attributions:
    """The attributions of all examples, in their order.

    The same in every batch up to rounding. An example whose gradients need more than `how.memory` is
    refused.
    """
    reading.model.eval()
    batches: list[tuple[Tensor, list[Attributed]]] = []
    places: list[int] = []
    with progress.task("attribute neurons", len(reading.n_tokens), "examples") as task:
        for chunk in _batches(reading, how):
            batch = reading.batch(chunk)
            by_site = attributed(reading.model, reading.layers, batch, how)
            with torch.no_grad():
                batches.append((reached(batch)[0], by_site))
            places += chunk
            task.advance(len(chunk))
    order = torch.tensor(places).argsort()
    wanted = how.sites(reading.layers)

    def together(part_of: Callable[[Attributed], Tensor | None], site: int) -> Tensor:
        return torch.cat([part_of(parts[site]) for _, parts in batches]).cpu()[order]  # type: ignore[misc]

    numbers = range(len(wanted))
    return Attributions(
        sites=tuple((site.layer, site.name) for site in wanted),
        values=tuple(together(lambda part: part.values, n) for n in numbers),
        targets=torch.cat([targets for targets, _ in batches]).cpu()[order],
        changes=torch.stack([together(lambda part: part.change, n) for n in numbers], 1),
        gaps=None
        if how.is_published
        else torch.stack([together(lambda part: part.gap, n) for n in numbers], 1),
    )


def _batches(reading: Reading, how: Integration) -> list[list[int]]:
    """Examples of similar length, so many that all copies of them for a rule fit."""
    if not reading.layers:
        raise BadInput(
            "The model's layers share their weights, so no neuron belongs to one of them. Give a model whose layers "
            "have weights of their own."
        )
    longest = max(range(len(reading.n_tokens)), key=reading.n_tokens.__getitem__)
    batch = reading.batch([longest])
    where = next(reading.model.parameters()).device
    at_once = tokens_at_once(reading.model, reading.layers, batch, how, where)
    budget = max(1, at_once // (len(how.rule.nodes) * reading.per_example))
    return list(lengths.by_length(reading.n_tokens, budget))


# -- what is read ---------------------------------------------------------------------------------


def of_queries(ranker: BiEncoder, examples: Sequence[Preference]) -> Reading:
    """Margins, where the ranker reads the queries."""
    with torch.no_grad():
        relevant, other = _embedded_docs(ranker, examples)
        directions = relevant - other
    inputs = ranker.inputs([example.query for example in examples], "query")

    def batch(places: list[int]) -> Batch:
        toward = directions[places]

        def margin(embeddings: Tensor) -> Tensor:
            return (ranker.searchable(embeddings) * toward).sum(-1)

        return _embedding(ranker, [inputs[place] for place in places], "query", margin)

    return Reading(
        ranker.model,
        anatomy.layers(ranker.encoder("query")),
        [len(text.ids) for text in inputs],
        1,
        batch,
    )


def of_docs(ranker: BiEncoder, examples: Sequence[Preference]) -> Reading:
    """Margins, where the ranker reads the docs: the relevant one and the other."""
    with torch.no_grad():
        queries = ranker.searchable(ranker.embed_queries([example.query for example in examples]))
    inputs = ranker.inputs([doc for example in examples for doc in example[1:]], "document")
    longest = [max(len(text.ids) for text in inputs[n : n + 2]) for n in range(0, len(inputs), 2)]

    def batch(places: list[int]) -> Batch:
        toward = queries[places][:, None]

        def margin(embeddings: Tensor) -> Tensor:
            pairs = ranker.searchable(embeddings).view(len(embeddings), -1, 2, ranker.width)
            scores = (pairs * toward).sum(-1)
            return scores[..., 0] - scores[..., 1]

        both = [inputs[2 * place + n] for place in places for n in (0, 1)]
        return _embedding(ranker, both, "document", margin)

    return Reading(ranker.model, anatomy.layers(ranker.encoder("document")), longest, 2, batch)


def of_pairs(ranker: CrossEncoder, examples: Sequence[Preference]) -> Reading:
    """Margins, where the ranker reads the query with the relevant doc and with the other."""
    pairs = ranker.pairs([(query, docs) for query, *docs in examples])
    longest = [max(len(pair.ids) for pair in pairs[n : n + 2]) for n in range(0, len(pairs), 2)]

    def margin(logits: Tensor) -> Tensor:
        pairs = logits.view(len(logits), -1, 2)
        return pairs[..., 0] - pairs[..., 1]

    def batch(places: list[int]) -> Batch:
        both = [pairs[2 * place + n] for place in places for n in (0, 1)]
        inputs = _moved(ranker.padded(both), ranker.where)
        return Batch(
            lambda copies: ranker.model(**_copied(inputs, copies)).logits.squeeze(-1),
            margin,
            len(both),
            inputs["input_ids"].numel(),
        )

    return Reading(ranker.model, anatomy.layers(ranker.encoder()), longest, 2, batch)


MARGINS: dict[Side, Callable[[Any, Sequence[Preference]], Reading]] = {
    "query": of_queries,
    "document": of_docs,
    PAIR: of_pairs,
}
"""What explains the margins of a ranker where it reads a side."""


def of_norms(ranker: TrainableRanker, texts: Sequence[Any], side: Side) -> Reading:
    """The norms of representations of texts, or pairs: the published target, of bi-encoders.

    Study A has no cross-encoders. Of theirs it is the states that the head reads; a pooler counts as part of the head,
    which may be fresh.
    """
    inputs = ranker.inputs(texts, side)
    encoder, pooling = ranker.encoder(side), ranker.pooling(side)

    def batch(places: list[int]) -> Batch:
        moved = _moved(ranker.padded([inputs[place] for place in places], side), ranker.where)
        mask = ranker.pooled_mask(moved["attention_mask"], side)

        def run(copies: int) -> Tensor:
            read = encoder(**_copied(moved, copies))
            return _representation(read, side, pooling, mask.repeat(copies, 1))

        return Batch(run, _norm, len(places), moved["input_ids"].numel())

    return Reading(
        ranker.model, anatomy.layers(encoder), [len(text.ids) for text in inputs], 1, batch
    )


def _norm(representations: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(representations, dim=-1)
    return norms


def _representation(read: Any, side: Side, pooling: str, mask: Tensor) -> Tensor:
    """What study A's code takes: the pooler's output of [CLS] where there is one, else the pooled states."""
    pooled = getattr(read, "pooler_output", None)
    if pooling == "cls" and pooled is not None and side != PAIR:
        return pooled  # type: ignore[no-any-return]
    return POOLINGS[pooling](read.last_hidden_state, mask)


def _embedded_docs(ranker: BiEncoder, examples: Sequence[Preference]) -> tuple[Tensor, Tensor]:
    """Of the relevant docs and of the others, ready for dot products: (examples, width) each."""
    docs = ranker.embed_docs([doc for example in examples for doc in example[1:]])
    embeddings = ranker.searchable(docs)
    return embeddings[::2], embeddings[1::2]


def _embedding(
    ranker: BiEncoder, inputs: Sequence[Any], side: Side, target: Callable[[Tensor], Tensor]
) -> Batch:
    """A batch of texts to their embeddings."""
    moved = _moved(ranker.padded(inputs, side), ranker.where)
    prompt = ranker.prompt_length(side)
    return Batch(
        lambda copies: ranker.model(side, prompt, **_copied(moved, copies)),
        target,
        len(inputs),
        moved["input_ids"].numel(),
    )


def _moved(inputs: Mapping[str, Tensor], where: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(where) for name, tensor in inputs.items()}


def _copied(inputs: Mapping[str, Tensor], copies: int) -> dict[str, Tensor]:
    return {name: tensor.repeat(copies, 1) for name, tensor in inputs.items()}
