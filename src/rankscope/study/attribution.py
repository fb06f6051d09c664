"""Attribute rankers' neurons over a collection, and say what may be concluded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Run
from rankscope.core.rng import seed_for, stream
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import Source, StoredDocs, Topics, judged_topics, write_docs
from rankscope.evaluate.comparison import Pair, compared
from rankscope.evaluate.verdicts import Judged, judged
from rankscope.explain import ablation, attributing, neurons
from rankscope.explain.attributing import Attributions, Preference, Reading
from rankscope.explain.attribution import (
    MEMORY,
    NODES,
    Integration,
    PathKind,
    as_published,
    gauss_legendre,
)
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve import bm25
from rankscope.study import probe_examples

PATHS: dict[str, PathKind] = {"activations": "activations", "weights": "weights"}
BINS = 10
"""Of a site's neurons, in their order, as the paper draws them."""
EXAMPLES_SHOWN, NEURONS_SHOWN = 20, 5
FEWEST = 2
PUBLISHED_WARNINGS = (
    "As published (study A): the target is the norm of a representation, which says nothing of relevance; of what a "
    "LayerNorm with equal weights gives it is a constant, and the attributions are rounding noise.",
    "As published: sums of absolute values of single weights do not add up to any change of the target, and grow with "
    "the inputs of a matrix: layers, kinds of matrices and models cannot be compared by them.",
    "As published: what counts as active hangs on the largest value of each example, and what is active at least "
    "once grows with the number of examples. Read the concentration beside it.",
)


@dataclass(frozen=True)
class Settings:
    """What is asked of every ranker."""

    as_published: bool = False
    path: PathKind = "activations"
    """Of the sound method; the published one scales weights."""
    nodes: int = NODES
    """Of the sound rule; the published one has 20."""
    examples: int = 100
    """Queries, each with one relevant doc and one hard negative."""
    depth: int = 100
    """Ranks that the negatives are drawn from."""
    threshold: float = 0.1
    """Above this share of an example's largest value a neuron is active."""
    ablate: bool = True
    """Whether neurons are switched off to check the sound attributions."""
    memory: int = MEMORY
    """Bytes for gradients."""
    seed: int = 42

    def integration(self) -> Integration:
        """How attributions are computed."""
        if self.as_published:
            return Integration(rule=as_published(), is_published=True, memory=self.memory)
        return Integration(self.path, gauss_legendre(self.nodes), memory=self.memory)


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
    topics: Topics,
    run: Run,
    docs: StoredDocs,
    settings: Settings,
    *,
    skip_top: int = 0,
    min_relevance: int = 1,
) -> tuple[Examples, list[str]]:
    """A collection's examples, with negatives out of a run, and what was left out."""
    topics, n_lost = probe_examples.with_texts(topics, docs)
    made = choices_from_qrels(
        topics.qrels,
        run,
        n_docs=2,
        depth=settings.depth,
        skip_top=skip_top,
        min_relevance=min_relevance,
        seed=settings.seed,
    )
    choices = drawn(made.choices, settings.examples, seed=settings.seed)
    wanted = sorted({doc_id for choice in choices for doc_id in choice.doc_ids})
    texts = dict(zip(wanted, docs.texts(wanted), strict=True))
    notes = probe_examples.notes_on(0, Choices((), {}), made, n_lost=n_lost)
    queries = {each.query_id: each.text for each in topics.queries}
    return examples(choices, queries, texts), notes


# -- attribution ----------------------------------------------------------------------------------


def attribute(
    rankers: Mapping[str, BiEncoder | CrossEncoder],
    source: Source,
    settings: Settings,
    *,
    baselines: Sequence[str],
    progress: Progress,
) -> dict[str, Any]:
    """Every ranker's neurons over the same examples of a collection, as plain data; negatives by BM25.

    Raises UnknownChoice for a baseline there is none of.
    """
    for name in baselines:
        choose(rankers, name, what="baseline")
    topics = judged_topics(source)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_docs(source.docs(), folder)
        docs = StoredDocs(folder)
        bm25.build(docs, folder)
        index = bm25.Index.load(folder)
        run = bm25.search(index, topics.queries, depth=settings.depth, progress=progress)
        given, notes = examples_of(topics, run, docs, settings)
    by_ranker = {}
    for name, ranker in rankers.items():
        ranker.model.to(backbone.device())
        by_ranker[name] = attributed(ranker, given, settings, progress)
    return concluded(by_ranker, given.choices, settings, baselines=baselines, notes=notes)


def attributed(
    ranker: BiEncoder | CrossEncoder, given: Examples, settings: Settings, progress: Progress
) -> dict[str, Side]:
    """Each side of a ranker's reading: query and document, or pairs."""
    how = settings.integration()
    return {
        side: _side(reading, how, settings, progress)
        for side, reading in _readings(ranker, given, settings)
    }


def _side(reading: Reading, how: Integration, settings: Settings, progress: Progress) -> Side:
    found = attributing.attributions(reading, how, progress=progress)
    if not all(torch.isfinite(each).all() for each in (*found.values, found.targets)):
        raise BadInput("Some attributions are not finite. Check the model's weights.")
    if settings.as_published or not settings.ablate:
        return Side(found, None)
    seed = seed_for(settings.seed, "random neurons")
    return Side(found, ablation.curves(reading, found, how, seed=seed, progress=progress))


def _readings(
    ranker: BiEncoder | CrossEncoder, given: Examples, settings: Settings
) -> Iterator[tuple[str, Reading]]:
    texts = given.texts
    if isinstance(ranker, CrossEncoder):
        if settings.as_published:
            pairs = [(each.query, each.relevant) for each in texts]
            yield "pairs", attributing.of_norms_of_pairs(ranker, pairs)
        else:
            yield "pairs", attributing.of_pairs(ranker, texts)
    elif settings.as_published:
        yield "query", attributing.of_norms(ranker, [each.query for each in texts], "query")
        docs = [each.relevant for each in texts]
        yield "document", attributing.of_norms(ranker, docs, "document")
    else:
        yield "query", attributing.of_queries(ranker, texts)
        yield "document", attributing.of_docs(ranker, texts)


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
    return {side: found[side] for side in ("query", "document", "pairs") if side in found}


_ORDER = ("intermediate", "gate", "up", "up_and_gate", "output", "down", "neurons")


# -- as plain data --------------------------------------------------------------------------------


def concluded(
    by_ranker: Mapping[str, Mapping[str, Side]],
    given: Sequence[Choice],
    settings: Settings,
    *,
    baselines: Sequence[str],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything: each side of each ranker, and how concentrated it is beside the baselines'."""
    told = [*(PUBLISHED_WARNINGS if settings.as_published else ()), *notes]
    return {
        "method": "as_published" if settings.as_published else "sound",
        "path": settings.integration().path,
        "nodes": len(settings.integration().rule.nodes),
        "threshold": settings.threshold,
        "n_examples": len(given),
        "baselines": list(baselines),
        "rankers": {
            name: {
                side: _of_side(found, given, settings, f"{name}, {side}")
                for side, found in sides.items()
            }
            for name, sides in by_ranker.items()
        },
        "comparisons": [*_comparisons(by_ranker, given, baselines)],
        "overlaps": [*_overlaps(by_ranker, settings, baselines)],
        "notes": [*told, *_of_other_shapes(by_ranker, baselines)],
    }


def _of_side(side: Side, given: Sequence[Choice], settings: Settings, where: str) -> dict[str, Any]:
    found = side.found
    is_active = neurons.active(found.values, settings.threshold)
    total = sum(each.abs().double().sum(1) for each in found.values)
    assert isinstance(total, Tensor)
    return {
        "target": _interval(found.targets, where),
        "is_degenerate": found.is_degenerate,
        "whole": _concentration(torch.cat(found.values, 1), where),
        "sites": [
            {
                "layer": layer,
                "name": name,
                "n_neurons": values.shape[1],
                "share": float((values.abs().double().sum(1) / total.clamp(min=1e-300)).mean()),
                "change": float(found.changes[:, n].mean()),
                "gap": None if found.gaps is None else _gap(found, n),
                "active_once": int(active.any(0).sum()),
                "active": float(active.double().mean()),
                "bins": _bins(active),
                "concentration": _concentration(values, where),
            }
            for n, ((layer, name), values, active) in enumerate(
                zip(found.sites, found.values, is_active, strict=True)
            )
        ],
        "ablation": None if side.curves is None else _of_curves(side.curves),
        "examples": _shown(found, given),
    }


def _interval(values: Tensor, where: str) -> dict[str, float]:
    """A mean over examples with its interval; not finite is refused."""
    if not torch.isfinite(values).all():
        raise BadInput(f"{where}: attributions that are not finite. Check the model's weights.")
    return ablation.mean_interval(values)._asdict()


def _concentration(values: Tensor, where: str) -> dict[str, dict[str, float]]:
    return {
        name: _interval(measure(values), where) for name, measure in neurons.CONCENTRATIONS.items()
    }


def _gap(found: Attributions, site: int) -> dict[str, float]:
    """The completeness gap, as a share of the target's largest size among examples."""
    assert found.gaps is not None
    shares = found.gaps[:, site].abs().double() / found.targets.abs().max().double().clamp(
        min=1e-30
    )
    return {"median": float(shares.median()), "largest": float(shares.max())}


def _bins(active: Tensor) -> list[float]:
    """The highest frequency in each of ten bins of neurons, as the paper draws them."""
    shares = neurons.frequencies(active)
    return [float(part.max()) for part in torch.tensor_split(shares, min(BINS, len(shares)))]


def _of_curves(curves: ablation.Curves) -> dict[str, Any]:
    """Means over examples, and by how much the top neurons beat random ones at every count."""
    shown = ("deleted", "deleted_random", "inserted", "inserted_random")
    return {
        "counts": list(curves.counts),
        "whole": float(curves.whole.mean()),
        "none": float(curves.none.mean()),
        **{name: getattr(curves, name).mean(0).tolist() for name in shown},
        "advantage": [curves.advantage(count)._asdict() for count in curves.counts],
    }


def _shown(found: Attributions, given: Sequence[Choice]) -> list[dict[str, Any]]:
    """The examples of the lowest targets: where their targets come from, by layer and neuron."""
    depth = max(layer for layer, _ in found.sites) + 1
    rows = []
    for place in found.targets.argsort(stable=True)[:EXAMPLES_SHOWN].tolist():
        by_layer = [0.0] * depth
        for (layer, _), values in zip(found.sites, found.values, strict=True):
            by_layer[layer] += float(values[place].sum())
        top = [
            (float(values[place, n]), layer, name, int(n))
            for (layer, name), values in zip(found.sites, found.values, strict=True)
            for n in values[place].abs().topk(min(NEURONS_SHOWN, values.shape[1])).indices
        ]
        top.sort(key=lambda row: -abs(row[0]))
        rows.append(
            {
                "query_id": given[place].query_id,
                "doc_ids": list(given[place].doc_ids),
                "target": float(found.targets[place]),
                "by_layer": by_layer,
                "neurons": [
                    {"layer": layer, "name": name, "neuron": n, "value": value}
                    for value, layer, name, n in top[:NEURONS_SHOWN]
                ],
            }
        )
    return rows


# -- two rankers ----------------------------------------------------------------------------------


def _compared_with(
    by_ranker: Mapping[str, Mapping[str, Side]], baselines: Sequence[str]
) -> Iterator[tuple[str, str, str, Attributions, Attributions]]:
    """Every ranker's side beside the baseline's of the same sites and sizes."""
    for name, sides in by_ranker.items():
        for baseline in baselines:
            for side, mine in sides.items():
                theirs = by_ranker[baseline].get(side)
                if name != baseline and theirs and _shape(mine.found) == _shape(theirs.found):
                    yield name, baseline, side, mine.found, theirs.found


def _shape(found: Attributions) -> list[tuple[tuple[int, str], int]]:
    return [(site, values.shape[1]) for site, values in zip(found.sites, found.values, strict=True)]


def _of_other_shapes(
    by_ranker: Mapping[str, Mapping[str, Side]], baselines: Sequence[str]
) -> list[str]:
    shapes = {name: _shape(next(iter(sides.values())).found) for name, sides in by_ranker.items()}
    return [
        f"{name} and {baseline} have other feed-forward blocks, so no layer of one is compared with a layer of the other."
        for baseline in baselines
        for name, shape in shapes.items()
        if shape != shapes[baseline]
    ]  # fmt: skip


def _comparisons(
    by_ranker: Mapping[str, Mapping[str, Side]], given: Sequence[Choice], baselines: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The Gini coefficient of every site against the baseline's: a family is two rankers' side."""
    for name, baseline, side, mine, theirs in _compared_with(by_ranker, baselines):
        pairs = [
            Pair([_by_query(given, neurons.gini(own))], [_by_query(given, neurons.gini(other))])
            for own, other in zip(mine.values, theirs.values, strict=True)
        ]
        for (layer, site), row in zip(mine.sites, judged(compared(pairs)), strict=True):
            yield {
                "ranker": name,
                "baseline": baseline,
                "side": side,
                "layer": layer,
                "name": site,
                "measure": "gini",
                **_plain(row),
            }


def _by_query(given: Sequence[Choice], values: Tensor) -> dict[str, float]:
    ids = (choice.query_id for choice in given)
    return dict(zip(ids, values.tolist(), strict=True))


def _plain(row: Judged) -> dict[str, Any]:
    return {
        "before": row.comparison.baseline_mean,
        "after": row.comparison.system_mean,
        "difference": row.comparison.difference,
        "low": row.comparison.interval[0],
        "high": row.comparison.interval[1],
        "corrected_p": row.corrected_p,
        "verdict": CONCENTRATION_VERDICTS.get(str(row.verdict), str(row.verdict)),
    }


CONCENTRATION_VERDICTS = {"better": "more concentrated", "worse": "less concentrated"}
"""A higher coefficient is neither better nor worse."""


def _overlaps(
    by_ranker: Mapping[str, Mapping[str, Side]], settings: Settings, baselines: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Whether the same neurons are active in two rankers on a tenth of the examples, site by site."""
    for name, baseline, side, mine, theirs in _compared_with(by_ranker, baselines):
        active = [neurons.active(each.values, settings.threshold) for each in (mine, theirs)]
        for (layer, site), *both in zip(mine.sites, *active, strict=True):
            yield {
                "ranker": name,
                "baseline": baseline,
                "side": side,
                "layer": layer,
                "name": site,
                **neurons.overlap(*both, at_least=0.1, seed=settings.seed)._asdict(),
            }
