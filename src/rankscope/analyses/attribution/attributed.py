"""Attribution of rankers' neurons over the same examples of a collection."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.analyses.attribution.plan import AttributeParams
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.examples import notes_on, with_texts
from rankscope.core.errors import BadInput
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Run
from rankscope.core.rng import seed_for, stream
from rankscope.core.words import counted
from rankscope.data.by_words import ByWords
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics
from rankscope.explain import ablation, attributing
from rankscope.explain.attributing import Attributions, Preference, Reading
from rankscope.explain.attribution import Integration, as_published, gauss_legendre, shortened
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.models.ranker import Side as RankerSide

NAMES: dict[RankerSide, str] = {"query": "query", "document": "document", PAIR: "pairs"}
"""A ranker's side to its name in attributions, in the order in which sides are shown."""
FEWEST = 2
THRESHOLD, PUBLISHED_FOR_GATED = 0.1, 0.01
"""The shares above which neurons are active; study A takes the lower one for gated blocks such as LLaMA's."""


def threshold_of(spec: AttributionSpec, attributions: Attributions) -> float:
    """The share of an example's largest value above which a neuron of these is active."""
    if spec.threshold is not None:
        return spec.threshold
    is_gated = any(name == "gate" for _, name in attributions.sites)
    return PUBLISHED_FOR_GATED if spec.is_published and is_gated else THRESHOLD


def integration_of(spec: AttributionSpec) -> Integration:
    """The path, nodes and memory with which attributions are integrated."""
    memory = int(spec.memory * 1e9)
    if spec.is_published:
        return Integration(rule=shortened(as_published()), is_published=True, memory=memory)
    return Integration(spec.path, gauss_legendre(spec.nodes), memory=memory)


class AttributedExamples(NamedTuple):
    """Queries, each with a relevant doc and a hard negative, and their texts."""

    choices: tuple[Choice, ...]
    texts: tuple[Preference, ...]


class AttributedSide(NamedTuple):
    """The attributions of one side of a ranker's reading, and its ablation."""

    attributions: Attributions
    curves: ablation.Curves | None
    """None for the published method, and where ablation is turned off."""


def drawn(choices: Sequence[Choice], n: int, *, seed: int) -> list[Choice]:
    """One choice for each of at most n queries, drawn by the seed; sorted by query.

    Raises BadInput where there are too few queries for intervals over them.
    """
    by_query: dict[str, list[Choice]] = {}
    for choice in choices:
        by_query.setdefault(choice.query_id, []).append(choice)
    if len(by_query) < FEWEST:
        raise BadInput(
            f"{counted(len(by_query), 'query has', 'queries have')} a relevant doc and a hard negative; {FEWEST} are needed for intervals over "
            "queries. Give a collection with more judged queries."
        )
    rng = stream(seed, "attributed queries")
    query_ids = sorted(rng.sample(sorted(by_query), min(n, len(by_query))))
    return [rng.choice(by_query[query_id]) for query_id in query_ids]


def examples(
    choices: Sequence[Choice], queries: Mapping[str, str], docs: Mapping[str, str]
) -> AttributedExamples:
    """The choices with their texts."""
    texts = (
        Preference(queries[choice.query_id], *(docs[doc_id] for doc_id in choice.doc_ids))
        for choice in choices
    )
    return AttributedExamples(tuple(choices), tuple(texts))


def examples_of(
    topics: Topics, run: Run, docs: StoredDocs, params: AttributeParams
) -> tuple[AttributedExamples, list[str]]:
    """A collection's examples, with negatives from a run, and notes on what was left out."""
    spec = params.spec
    topics, n_lost = with_texts(topics, docs)
    drawn_choices = choices_from_qrels(
        topics.qrels,
        run,
        n_docs=2,
        depth=spec.depth,
        skip_top=spec.skip_top,
        min_relevance=spec.min_relevance,
        seed=params.seed,
        by_words=ByWords(topics, docs.key),
    )
    choices = drawn(drawn_choices.choices, spec.examples, seed=params.seed)
    doc_ids = sorted({doc_id for choice in choices for doc_id in choice.doc_ids})
    texts = dict(zip(doc_ids, docs.texts(doc_ids), strict=True))
    notes = notes_on(0, Choices((), {}), drawn_choices, n_lost=n_lost)
    queries = {query.query_id: query.text for query in topics.queries}
    return examples(choices, queries, texts), notes


# -- attribution ----------------------------------------------------------------------------------


def attributed(
    ranker: TrainableRanker,
    examples_read: AttributedExamples,
    params: AttributeParams,
    progress: Progress,
) -> dict[str, AttributedSide]:
    """The attributions of each side of a ranker's reading: query and document, or pairs."""
    return {
        side: _side(reading, params, progress)
        for side, reading in _readings(ranker, examples_read, params.spec)
    }


def _side(reading: Reading, params: AttributeParams, progress: Progress) -> AttributedSide:
    integration = integration_of(params.spec)
    attributions = attributing.attributions(reading, integration, progress=progress)
    if not all(
        torch.isfinite(tensor).all() for tensor in (*attributions.values, attributions.targets)
    ):
        raise BadInput("Some attributions are not finite. Check the model's weights.")
    if params.spec.is_published or not params.spec.ablate:
        return AttributedSide(attributions, None)
    seed = seed_for(params.seed, "random neurons")
    return AttributedSide(
        attributions,
        ablation.curves(reading, attributions, integration, seed=seed, progress=progress),
    )


def _readings(
    ranker: TrainableRanker, examples_read: AttributedExamples, spec: AttributionSpec
) -> Iterator[tuple[str, Reading]]:
    for side in ranker.sides:
        if spec.is_published:
            texts = [_read(side, example) for example in examples_read.texts]
            yield NAMES[side], attributing.of_norms(ranker, texts, side)
        else:
            yield NAMES[side], attributing.MARGINS[side](ranker, examples_read.texts)


def _read(side: RankerSide, example: Preference) -> str | tuple[str, str]:
    """The text whose norm is the published target: a query, its relevant doc, or the pair of them."""
    if side == PAIR:
        return example.query, example.relevant
    return example.query if side == "query" else example.relevant


# -- as tensors on disk ---------------------------------------------------------------------------


def as_tensors(sides: Mapping[str, AttributedSide]) -> dict[str, Tensor]:
    """All attributions and ablation curves as tensors, by names that `from_tensors` reads."""
    tensors: dict[str, Tensor] = {}
    for name, side in sides.items():
        attributions = side.attributions
        for (layer, site), values in zip(attributions.sites, attributions.values, strict=True):
            tensors[f"{name}.values.{layer:03d}.{site}"] = values.contiguous()
        tensors[f"{name}.targets"], tensors[f"{name}.changes"] = (
            attributions.targets,
            attributions.changes,
        )
        if attributions.gaps is not None:
            tensors[f"{name}.gaps"] = attributions.gaps
        if side.curves is not None:
            curves = asdict(side.curves) | {"counts": torch.tensor(side.curves.counts)}
            tensors |= {f"{name}.curves.{what}": tensor for what, tensor in curves.items()}
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def from_tensors(stored: Mapping[str, Tensor]) -> dict[str, AttributedSide]:
    """The sides that `as_tensors` stored, sites in the order of a layer's block."""
    sides: dict[str, AttributedSide] = {}
    for name in dict.fromkeys(key.split(".")[0] for key in stored):
        side_tensors = {
            key[len(name) + 1 :]: tensor
            for key, tensor in stored.items()
            if key.split(".")[0] == name
        }
        values = {
            (int(layer), site): tensor
            for (_, layer, site), tensor in (
                (key.split("."), tensor)
                for key, tensor in side_tensors.items()
                if key.startswith("values.")
            )
        }
        sites = sorted(values, key=lambda site: (site[0], _ORDER.index(site[1])))
        curves = {
            key.split(".")[1]: tensor
            for key, tensor in side_tensors.items()
            if key.startswith("curves.")
        }
        counts = curves.pop("counts", None)
        sides[name] = AttributedSide(
            Attributions(
                tuple(sites), tuple(values[site] for site in sites),
                side_tensors["targets"], side_tensors["changes"], side_tensors.get("gaps"),
            ),
            None if counts is None else ablation.Curves(tuple(counts.tolist()), **curves),
        )  # fmt: skip
    return {side: sides[side] for side in NAMES.values() if side in sides}


_ORDER = ("intermediate", "gate", "up", "up_and_gate", "output", "down", "neurons")
