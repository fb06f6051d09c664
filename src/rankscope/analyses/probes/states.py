"""The stored states of a ranker's layers for the examples of probes, and every probe on every layer.

A bi-encoder has a state for each text, query or doc; a cross-encoder has one for each pair of a doc with its own
query and, for the control, with another query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rankscope.analyses.probes.examples import ProbeExamples, seeds_of
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
class StateSettings:
    """How states are pooled from tokens, and stored."""

    pooling: str | None = None
    """The pooling of states; the ranker's own, if None."""
    dtype: str = "float32"


DEFAULT_SETTINGS = StateSettings()


def represented(
    ranker: TrainableRanker,
    examples: ProbeExamples,
    folder: Path,
    *,
    seed: int,
    settings: StateSettings = DEFAULT_SETTINGS,
    processes: ProcessGroup = ALONE,
    progress: Progress,
) -> None:
    """Store the states of every layer for the examples, a folder for each side; stored parts are not made again.

    `seed` draws the other queries of a cross-encoder's control. Its states are those that its head reads, unless
    `settings` names a pooling.
    """
    for side in ranker.sides:
        texts = _texts(examples, side, seed)
        representations.store(
            folder / side,
            lambda at, side=side, texts=texts: representations.of_texts(  # type: ignore[misc]
                ranker, [texts[place] for place in at], side, pooling=settings.pooling
            ),
            dtype=settings.dtype,
            n_texts=len(texts),
            n_layers=ranker.n_layers(side) + 1,
            width=ranker.hidden_width(side),
            processes=processes,
            progress=progress,
        )


def _texts(examples: ProbeExamples, side: Side, seed: int) -> list[Any]:
    """The texts, or pairs, of the examples that a ranker reads on a side."""
    if side == PAIR:
        pairs = _all_pairs(examples, seed).pairs
        return [(examples.queries[query_id], examples.docs[doc_id]) for query_id, doc_id in pairs]
    if side == "query":
        return [examples.queries[query_id] for query_id in examples.texts.query_ids]
    return [examples.docs[doc_id] for doc_id in examples.texts.doc_ids]


def _shuffled(examples: ProbeExamples, seed: int) -> list[list[Choice]]:
    """Training and test choices, each with another query of its own part."""
    return [with_other_queries(part, seed) for part in (examples.train, examples.test)]


def _all_pairs(examples: ProbeExamples, seed: int) -> Pairs:
    shuffled = [choice for part in _shuffled(examples, seed) for choice in part]
    return pairs_of([*examples.train, *examples.test, *shuffled])


def similarity_of(ranker: TrainableRanker) -> str | None:
    """The probe without parameters that compares as the ranker does; a cross-encoder has none."""
    return ranker.compares_by and ("cosine" if ranker.compares_by == "cosine" else "dot")


def notes_of(name: str, ranker: TrainableRanker) -> list[str]:
    """Notes on a ranker that a reader of its layers must know."""
    if not ranker.is_projected:
        return []
    return [
        f"{name}: a dense layer makes its embeddings from the states that the probes read at the last layer."
    ]


def outcomes(
    folder: Path,
    examples: ProbeExamples,
    params: ProbeParams,
    *,
    similarity: str | None,
    progress: Progress,
) -> Iterator[tuple[int, Outcome]]:
    """(layer, outcome) for every probe and control on every stored layer, the lowest layer first."""
    spec = params.spec
    probing = Probing(similarity or "dot", spec.ns, seeds_of(spec), spec.rank, also=spec.also)
    layer_outcomes = _pair_outcomes if similarity is None else _text_outcomes
    n_layers = representations.n_layers(folder / (PAIR if similarity is None else "query"))
    with progress.task("probe layers", n_layers, "layers") as task:
        for layer in range(n_layers):
            for outcome in layer_outcomes(folder, layer, probing, examples, params):
                yield layer, outcome
            task.advance()


def _text_outcomes(
    folder: Path, layer: int, probing: Probing, examples: ProbeExamples, params: ProbeParams
) -> list[Outcome]:
    texts = examples.texts
    states = States(*(representations.layer(folder / side, layer) for side in SIDES))
    train, test = (texts.candidates(choices) for choices in (examples.train, examples.test))
    if params.spec.is_published:
        return probing.layer_as_published(states, train, test)
    labels = _drawn_labels(texts.doc_ids, params.seed)
    return probing.layer(states, train, test, drawn_labels=labels)


def _pair_outcomes(
    folder: Path, layer: int, probing: Probing, examples: ProbeExamples, params: ProbeParams
) -> list[Outcome]:
    pairs = _all_pairs(examples, params.seed)
    true_candidates, shuffled_candidates = (
        tuple(pairs.candidates(part) for part in parts)
        for parts in ((examples.train, examples.test), _shuffled(examples, params.seed))
    )
    labels = _drawn_labels([doc_id for _, doc_id in pairs.pairs], params.seed)
    states = representations.layer(folder / PAIR, layer)
    return probing.layer_of_pairs(
        states,
        (true_candidates[0], true_candidates[1]),
        (shuffled_candidates[0], shuffled_candidates[1]),
        drawn_labels=labels,
    )


def _drawn_labels(doc_ids: Sequence[str], seed: int) -> Tensor:
    return torch.tensor([stream(seed, "random label", doc_id).random() for doc_id in doc_ids])
