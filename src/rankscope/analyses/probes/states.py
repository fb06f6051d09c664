"""The states of a ranker's layers for the examples of probes, stored, and every probe on every layer of them.

A bi-encoder has a state for each text, query or doc; a cross-encoder one for each pair that it reads together,
with the true query and, for the control, with another's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rankscope.analyses.probes.examples import Examples, seeds_of
from rankscope.analyses.probes.plan import ProbeParams
from rankscope.core.progress import Progress
from rankscope.core.records import Choice
from rankscope.core.rng import stream
from rankscope.explain import representations
from rankscope.explain.probes import States
from rankscope.explain.probing import Outcome, Pairs, Probing, pairs_of, with_other_queries
from rankscope.models.processes import ALONE
from rankscope.models.ranker import PAIR, SIDES, Side, TrainableRanker
from rankscope.store.rows import ProcessGroup


@dataclass(frozen=True)
class How:
    """How states are made of tokens, and stored."""

    pooling: str | None = None
    """As the ranker pools, if None."""
    dtype: str = "float32"


HOW = How()


def represented(
    ranker: TrainableRanker,
    given: Examples,
    folder: Path,
    *,
    seed: int,
    how: How = HOW,
    processes: ProcessGroup = ALONE,
    progress: Progress,
) -> None:
    """The states of every layer for the examples, in folders of `folder`; what is missing is made.

    `seed` draws the other queries of a cross-encoder's control, whose states are those its head reads if `how`
    does not say.
    """
    for side in ranker.sides:
        texts = _texts(given, side, seed)
        representations.store(
            folder / side,
            lambda at, side=side, texts=texts: representations.of_texts(  # type: ignore[misc]
                ranker, [texts[place] for place in at], side, pooling=how.pooling
            ),
            dtype=how.dtype,
            n_texts=len(texts),
            n_layers=ranker.n_layers(side) + 1,
            width=ranker.hidden_width(side),
            processes=processes,
            progress=progress,
        )


def _texts(given: Examples, side: Side, seed: int) -> list[Any]:
    """What of the examples a ranker reads on a side."""
    if side == PAIR:
        pairs = _all_pairs(given, seed).pairs
        return [(given.queries[query_id], given.docs[doc_id]) for query_id, doc_id in pairs]
    if side == "query":
        return [given.queries[query_id] for query_id in given.texts.query_ids]
    return [given.docs[doc_id] for doc_id in given.texts.doc_ids]


def _shuffled(given: Examples, seed: int) -> list[list[Choice]]:
    """Training and test choices, with other queries of their own part."""
    return [with_other_queries(part, seed) for part in (given.train, given.test)]


def _all_pairs(given: Examples, seed: int) -> Pairs:
    others = [choice for part in _shuffled(given, seed) for choice in part]
    return pairs_of([*given.train, *given.test, *others])


def similarity_of(ranker: TrainableRanker) -> str | None:
    """The probe without parameters that is the ranker's own way to compare; a cross-encoder has none."""
    return ranker.compares_by and ("cosine" if ranker.compares_by == "cosine" else "dot")


def notes_of(name: str, ranker: TrainableRanker) -> list[str]:
    """What must be known of a ranker beside what its layers show."""
    if not ranker.is_projected:
        return []
    return [
        f"{name}: a dense layer makes its embeddings out of what the probes read at the last layer."
    ]


def outcomes(
    folder: Path,
    given: Examples,
    params: ProbeParams,
    *,
    similarity: str | None,
    progress: Progress,
) -> Iterator[tuple[int, Outcome]]:
    """(layer, outcome) of every probe and control on every stored layer, lowest first."""
    spec = params.spec
    asked = Probing(similarity or "dot", spec.ns, seeds_of(spec), spec.rank, with_mlp=spec.mlp)
    of_layer = _of_pairs if similarity is None else _of_texts
    n_layers = representations.n_layers(folder / (PAIR if similarity is None else "query"))
    with progress.task("probe layers", n_layers, "layers") as task:
        for layer in range(n_layers):
            for outcome in of_layer(folder, layer, asked, given, params):
                yield layer, outcome
            task.advance()


def _of_texts(
    folder: Path, layer: int, asked: Probing, given: Examples, params: ProbeParams
) -> list[Outcome]:
    texts = given.texts
    read = States(*(representations.layer(folder / side, layer) for side in SIDES))
    train, test = (texts.candidates(choices) for choices in (given.train, given.test))
    if params.spec.is_published:
        return asked.layer_as_published(read, train, test)
    drawn = _drawn_labels(texts.doc_ids, params.seed)
    return asked.layer(read, train, test, drawn_labels=drawn)


def _of_pairs(
    folder: Path, layer: int, asked: Probing, given: Examples, params: ProbeParams
) -> list[Outcome]:
    pairs = _all_pairs(given, params.seed)
    true, shuffled = (
        tuple(pairs.candidates(part) for part in parts)
        for parts in ((given.train, given.test), _shuffled(given, params.seed))
    )
    drawn = _drawn_labels([doc_id for _, doc_id in pairs.pairs], params.seed)
    read = representations.layer(folder / PAIR, layer)
    return asked.layer_of_pairs(
        read, (true[0], true[1]), (shuffled[0], shuffled[1]), drawn_labels=drawn
    )


def _drawn_labels(doc_ids: Sequence[str], seed: int) -> Tensor:
    return torch.tensor([stream(seed, "random label", doc_id).random() for doc_id in doc_ids])
