"""Attribution of a ranker's neurons: the targets and the texts, for bi-encoders and cross-encoders.

**Sound.** The target is the margin of a query's relevant doc over a hard negative. A bi-encoder reads query
and docs separately, so attribution goes a side at a time, with the other side's embeddings fixed:
`query` scales a matrix where it reads the query, `document` where it reads both docs. In a cross-encoder a matrix is
scaled where it reads both pairs.

**As published** (Yao et al. 2025): the target is the norm of a text's representation, after
the pooler where a model has one and reads [CLS]. This target does not depend on relevance: the norm of a state behind
a LayerNorm with unit weights is a constant, whatever the text.
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
"""A change of at most so many units in the last place of the largest target is rounding noise."""


class Preference(NamedTuple):
    """The texts of a query, a relevant doc, and another doc that should rank below it."""

    query: str
    relevant: str
    other: str


@dataclass(frozen=True)
class Attributions:
    """The attributions of examples."""

    sites: tuple[tuple[int, str], ...]
    """Layer (from 0) and name of every site."""
    values: tuple[Tensor, ...]
    """The attributions at every site: (examples, neurons), on the CPU."""
    targets: Tensor
    """(examples,)."""
    changes: Tensor
    """(examples, sites): the change of the target along the site's path."""
    gaps: Tensor | None
    """(examples, sites): the completeness gaps, the sums of the values minus the changes; None as published."""

    @property
    def is_noise(self) -> Tensor:
        """(examples, sites), bool: whether the target changes only by rounding, so that the values are noise."""
        rounding = ROUNDING * torch.finfo(self.targets.dtype).eps * self.targets.abs().max()
        return self.changes.abs() <= rounding

    @property
    def share_of_noise(self) -> float:
        """The share of examples' sites where the values are noise."""
        return float(self.is_noise.double().mean())

    @property
    def is_degenerate(self) -> bool:
        """Whether the values are noise at most examples' sites."""
        return self.share_of_noise > 0.5

    @property
    def gap_shares(self) -> Tensor | None:
        """(examples, sites): each gap divided by the sum of the values' sizes; nan where the values are noise."""
        if self.gaps is None:
            return None
        sizes = torch.stack([values.abs().sum(1) for values in self.values], 1)
        return torch.where(self.is_noise, torch.nan, self.gaps.abs() / sizes)


class Reading(NamedTuple):
    """Examples of a ranker, with how it reads them."""

    model: nn.Module
    layers: Sequence[nn.Module]
    n_tokens: Sequence[int]
    """The length of each example's longest text (or pair)."""
    per_example: int
    """The number of texts an example."""
    batch: Callable[[list[int]], Batch]
    """Places of examples to the batch of these examples."""


def attributions(
    reading: Reading, how: Integration, *, progress: Progress = SILENT
) -> Attributions:
    """The attributions of all examples, in their order.

    They do not depend on how examples are batched, up to rounding. Raises BadInput for an example whose gradients
    need more than `how.memory`, and for a model whose layers share their weights.
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
    """Batches of examples of similar length, as large as memory allows with a copy for each node of the rule."""
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


# -- readings -------------------------------------------------------------------------------------


def of_queries(ranker: BiEncoder, examples: Sequence[Preference]) -> Reading:
    """The reading of queries; the targets are margins."""
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
    """The reading of docs, the relevant one and the other; the targets are margins."""
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
    """The reading of pairs, the query with the relevant doc and with the other; the targets are margins."""
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
"""Side to the function that makes its reading with margins as targets."""


def of_norms(ranker: TrainableRanker, texts: Sequence[Any], side: Side) -> Reading:
    """The reading of texts, or pairs, with the published target: the norm of the representation.

    Study A has only bi-encoders. For a cross-encoder, the representation is the state that its head reads; a pooler
    counts as part of the head, which may be untrained.
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
    """The representation in study A's code: the pooler's output for [CLS] where there is one, else pooled states."""
    pooled = getattr(read, "pooler_output", None)
    if pooling == "cls" and pooled is not None and side != PAIR:
        return pooled  # type: ignore[no-any-return]
    return POOLINGS[pooling](read.last_hidden_state, mask)


def _embedded_docs(ranker: BiEncoder, examples: Sequence[Preference]) -> tuple[Tensor, Tensor]:
    """Embeddings of the relevant docs and of the others, ready for dot products: (examples, width) each."""
    docs = ranker.embed_docs([doc for example in examples for doc in example[1:]])
    embeddings = ranker.searchable(docs)
    return embeddings[::2], embeddings[1::2]


def _embedding(
    ranker: BiEncoder, inputs: Sequence[Any], side: Side, target: Callable[[Tensor], Tensor]
) -> Batch:
    """A batch whose output are the embeddings of texts."""
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
