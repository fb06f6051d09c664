"""Attribute rankers' neurons over the same examples of a collection."""

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
from rankscope.data.by_words import ByWords
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import StoredDocs, Topics
from rankscope.explain import ablation, attributing
from rankscope.explain.attributing import Attributions, Preference, Reading
from rankscope.explain.attribution import Integration, as_published, gauss_legendre
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.models.ranker import Side as RankerSide

NAMES: dict[RankerSide, str] = {"query": "query", "document": "document", PAIR: "pairs"}
"""What attributions call a ranker's sides, in the order in which they are shown."""
FEWEST = 2
THRESHOLD, PUBLISHED_FOR_GATED = 0.1, 0.01
"""Of the active; study A has the lower one for LLaMA."""


def threshold_of(asked: AttributionSpec, found: Attributions) -> float:
    """Of what counts as active among these."""
    if asked.threshold is not None:
        return asked.threshold
    is_gated = any(name == "gate" for _, name in found.sites)
    return PUBLISHED_FOR_GATED if asked.is_published and is_gated else THRESHOLD


def integration_of(asked: AttributionSpec) -> Integration:
    """How attributions are computed."""
    memory = int(asked.memory * 1e9)
    if asked.is_published:
        return Integration(rule=as_published(), is_published=True, memory=memory)
    return Integration(asked.path, gauss_legendre(asked.nodes), memory=memory)


class Examples(NamedTuple):
    """Queries, each with a relevant doc and a hard negative, and their texts."""

    choices: tuple[Choice, ...]
    texts: tuple[Preference, ...]


class Side(NamedTuple):
    """What was found of one side of a ranker's reading."""

    found: Attributions
    curves: ablation.Curves | None
    """None as published, or where it is not asked for."""


def drawn(choices: Sequence[Choice], n: int, *, seed: int) -> list[Choice]:
    """One choice of each of at most n queries, drawn by the seed; sorted by query.

    Raises BadInput where there are too few queries for intervals over them.
    """
    by_query: dict[str, list[Choice]] = {}
    for choice in choices:
        by_query.setdefault(choice.query_id, []).append(choice)
    if len(by_query) < FEWEST:
        raise BadInput(
            f"{len(by_query)} query has a relevant doc and a hard negative; {FEWEST} are needed for intervals over "
            "queries. Give a collection with more judged queries."
        )
    rng = stream(seed, "attributed queries")
    some = sorted(rng.sample(sorted(by_query), min(n, len(by_query))))
    return [rng.choice(by_query[query_id]) for query_id in some]


def examples(
    choices: Sequence[Choice], queries: Mapping[str, str], docs: Mapping[str, str]
) -> Examples:
    """The choices with their texts."""
    texts = (
        Preference(queries[each.query_id], *(docs[doc_id] for doc_id in each.doc_ids))
        for each in choices
    )
    return Examples(tuple(choices), tuple(texts))


def examples_of(
    topics: Topics, run: Run, docs: StoredDocs, params: AttributeParams
) -> tuple[Examples, list[str]]:
    """A collection's examples, with negatives out of a run, and what was left out."""
    asked = params.spec
    topics, n_lost = with_texts(topics, docs)
    made = choices_from_qrels(
        topics.qrels,
        run,
        n_docs=2,
        depth=asked.depth,
        skip_top=asked.skip_top,
        min_relevance=asked.min_relevance,
        seed=params.seed,
        by_words=ByWords(topics, docs.key),
    )
    choices = drawn(made.choices, asked.examples, seed=params.seed)
    wanted = sorted({doc_id for choice in choices for doc_id in choice.doc_ids})
    texts = dict(zip(wanted, docs.texts(wanted), strict=True))
    notes = notes_on(0, Choices((), {}), made, n_lost=n_lost)
    queries = {each.query_id: each.text for each in topics.queries}
    return examples(choices, queries, texts), notes


# -- attribution ----------------------------------------------------------------------------------


def attributed(
    ranker: TrainableRanker, given: Examples, params: AttributeParams, progress: Progress
) -> dict[str, Side]:
    """Each side of a ranker's reading: query and document, or pairs."""
    return {
        side: _side(reading, params, progress)
        for side, reading in _readings(ranker, given, params.spec)
    }


def _side(reading: Reading, params: AttributeParams, progress: Progress) -> Side:
    how = integration_of(params.spec)
    found = attributing.attributions(reading, how, progress=progress)
    if not all(torch.isfinite(each).all() for each in (*found.values, found.targets)):
        raise BadInput("Some attributions are not finite. Check the model's weights.")
    if params.spec.is_published or not params.spec.ablate:
        return Side(found, None)
    seed = seed_for(params.seed, "random neurons")
    return Side(found, ablation.curves(reading, found, how, seed=seed, progress=progress))


def _readings(
    ranker: TrainableRanker, given: Examples, asked: AttributionSpec
) -> Iterator[tuple[str, Reading]]:
    for side in ranker.sides:
        if asked.is_published:
            texts = [_read(side, each) for each in given.texts]
            yield NAMES[side], attributing.of_norms(ranker, texts, side)
        else:
            yield NAMES[side], attributing.MARGINS[side](ranker, given.texts)


def _read(side: RankerSide, example: Preference) -> str | tuple[str, str]:
    """What the published target is of: a query, its relevant doc, or the pair of them."""
    if side == PAIR:
        return example.query, example.relevant
    return example.query if side == "query" else example.relevant


# -- as tensors on disk ---------------------------------------------------------------------------


def as_tensors(sides: Mapping[str, Side]) -> dict[str, Tensor]:
    """Everything that was computed, by names that `from_tensors` reads."""
    made: dict[str, Tensor] = {}
    for name, side in sides.items():
        found = side.found
        for (layer, site), values in zip(found.sites, found.values, strict=True):
            made[f"{name}.values.{layer:03d}.{site}"] = values.contiguous()
        made[f"{name}.targets"], made[f"{name}.changes"] = found.targets, found.changes
        if found.gaps is not None:
            made[f"{name}.gaps"] = found.gaps
        if side.curves is not None:
            curves = asdict(side.curves) | {"counts": torch.tensor(side.curves.counts)}
            made |= {f"{name}.curves.{what}": each for what, each in curves.items()}
    return {name: each.contiguous() for name, each in made.items()}


def from_tensors(stored: Mapping[str, Tensor]) -> dict[str, Side]:
    """The sides that `as_tensors` stored, sites in the order of a layer's block."""
    found: dict[str, Side] = {}
    for name in dict.fromkeys(key.split(".")[0] for key in stored):
        of = {
            key[len(name) + 1 :]: each for key, each in stored.items() if key.split(".")[0] == name
        }
        values = {
            (int(layer), site): each
            for (_, layer, site), each in (
                (key.split("."), each) for key, each in of.items() if key.startswith("values.")
            )
        }
        sites = sorted(values, key=lambda site: (site[0], _ORDER.index(site[1])))
        curves = {key.split(".")[1]: each for key, each in of.items() if key.startswith("curves.")}
        counts = curves.pop("counts", None)
        found[name] = Side(
            Attributions(
                tuple(sites), tuple(values[site] for site in sites), of["targets"], of["changes"], of.get("gaps")
            ),
            None if counts is None else ablation.Curves(tuple(counts.tolist()), **curves),
        )  # fmt: skip
    return {side: found[side] for side in NAMES.values() if side in found}


_ORDER = ("intermediate", "gate", "up", "up_and_gate", "output", "down", "neurons")
