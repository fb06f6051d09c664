"""The changes between two rankers: in weights, in the states of drawn texts, and in rankings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rankscope.analyses.changes.plan import ChangeParams
from rankscope.analyses.changes.stored import (
    LayerDisplacement,
    ModuleDisplacement,
    RankingChange,
    StateChange,
    StoredChanges,
)
from rankscope.core.errors import BadInput
from rankscope.core.judged.plain import Estimate
from rankscope.core.progress import Progress
from rankscope.core.records import Query, Run
from rankscope.core.rng import seed_for, stream
from rankscope.core.trec.writing import with_ties
from rankscope.core.words import counted, words
from rankscope.evaluate.pairs.resampling import Floats, Resampling
from rankscope.explain import changes, representations, weights
from rankscope.explain.changes import PERSISTENCE
from rankscope.explain.weights import ModuleChange
from rankscope.models.ranker import PAIR, TrainableRanker
from rankscope.models.ranker import Side as RankerSide

FEWEST_TEXTS = 20
"""With fewer texts an interval over them says nothing."""
FEWEST_QUERIES = 5
"""Each query is left out in turn, so that at least 4 remain."""


@dataclass(frozen=True)
class SideTexts:
    """Texts whose states are compared: queries, docs, or pairs of both."""

    name: RankerSide
    texts: Sequence[str] | Sequence[tuple[str, str]]
    groups: Tensor | None
    """(texts,): which pairs have one query; None where each text stands for itself."""


# -- texts ----------------------------------------------------------------------------------------


def sides(
    ranker: TrainableRanker,
    queries: Sequence[Query],
    run: Run,
    texts: Mapping[str, str],
    params: ChangeParams,
) -> list[SideTexts]:
    """The texts whose states are compared, drawn from the queries and the top of their rankings.

    `texts` has the text of every doc in the top. Two queries or docs of the same words count as one: each would
    always be the other's nearest neighbour. Raises BadInput where too few are left.
    """
    run = compared_top(run, params)
    ranked = sorted(query for query in queries if run.rankings.get(query.query_id))
    ranked = [*{words(query.text): query for query in ranked}.values()]
    if len(ranked) < FEWEST_QUERIES:
        raise BadInput(
            f"{counted(len(ranked), 'query of its own words has', 'queries of different words have')} a ranking; {FEWEST_QUERIES} are needed. Give more queries."
        )
    tops = [[doc.doc_id for doc in run.rankings[query.query_id]] for query in ranked]
    drawn_sides = [_side(name, ranked, tops, texts, params) for name in ranker.sides]
    for side in drawn_sides:
        _check_enough(side, params)
    return drawn_sides


def _side(
    name: RankerSide,
    queries: Sequence[Query],
    tops: Sequence[Sequence[str]],
    texts: Mapping[str, str],
    params: ChangeParams,
) -> SideTexts:
    """The texts drawn for a side; `tops` has each query's docs."""
    if name == PAIR:
        candidates = [
            (place, text)
            for place, top in enumerate(tops)
            for text in _distinct([texts[doc_id] for doc_id in top])
        ]
        drawn = _drawn(candidates, PAIR, params)
        pairs = [(queries[place].text, text) for place, text in drawn]
        return SideTexts(PAIR, pairs, torch.tensor([place for place, _ in drawn]))
    if name == "query":
        return SideTexts(name, _drawn([query.text for query in queries], name, params), None)
    doc_ids = sorted({doc_id for top in tops for doc_id in top})
    return SideTexts(
        name, _drawn(_distinct([texts[doc_id] for doc_id in doc_ids]), name, params), None
    )


def _check_enough(side: SideTexts, params: ChangeParams) -> None:
    """Raises BadInput where there are too few texts, or pairs of too few queries, for intervals or neighbours."""
    n_texts, k, groups = len(side.texts), params.spec.neighbours, side.groups
    n_queries = FEWEST_QUERIES if groups is None else len(torch.unique(groups))
    texts_there = f"{counted(n_texts, 'text')} ({side.name})" + (
        f" of {counted(n_queries, 'query', 'queries')}" if groups is not None else ""
    )
    if n_texts < FEWEST_TEXTS or n_queries < FEWEST_QUERIES:
        needed = f"{FEWEST_TEXTS}" + (f" of {FEWEST_QUERIES} queries" if groups is not None else "")
        raise BadInput(
            f"{texts_there} to compare states of; {needed} are needed for intervals. Take more queries, or a greater depth."
        )
    if k > (most := changes.most_neighbours(n_texts, groups)):
        raise BadInput(
            f"{k} neighbours: {texts_there} allow {most}. Set fewer neighbours, or take more queries."
        )


def _distinct(texts: Sequence[str]) -> list[str]:
    return [*{words(text): text for text in texts}.values()]


def _drawn(candidates: list[Any], name: str, params: ChangeParams) -> list[Any]:
    """As many as `texts` of the spec allows, in a drawn order."""
    stream(params.seed, "texts whose states are compared", name).shuffle(candidates)
    return candidates[: params.spec.texts]


# -- comparisons ----------------------------------------------------------------------------------


Both = tuple[TrainableRanker, TrainableRanker]
"""Two rankers, before and after."""


def weights_changed(rankers: Both) -> list[ModuleChange]:
    """The changes in the weights. Raises BadInput where the architectures differ, or weights are not finite."""
    before, after = (weights.modules(ranker) for ranker in rankers)
    return weights.weight_changes(before, after)


def states_changed(
    rankers: Both, compared: Sequence[SideTexts], params: ChangeParams, progress: Progress
) -> list[StateChange]:
    """The changes in the states of texts. Raises BadInput where states are not finite."""
    changed = []
    for side in compared:
        states = []
        for place, ranker in zip(("before", "after"), rankers, strict=True):
            try:
                states.append(_states(ranker, side, progress))
            except BadInput as error:
                raise BadInput(f"The ranker {place} ({side.name}): {error}") from error
        changed += state_changes(side, states[0], states[1], params)
    return changed


def _states(ranker: TrainableRanker, side: SideTexts, progress: Progress) -> Tensor:
    """(texts, layers + 1, width)."""
    return representations.in_parts(
        side.texts,
        lambda texts: representations.of_texts(ranker, texts, side.name),
        task=f"represent {side.name}",
        progress=progress,
    )


def state_changes(
    side: SideTexts, before: Tensor, after: Tensor, params: ChangeParams
) -> list[StateChange]:
    """Every layer's change; states: (texts, layers + 1, width)."""
    k, groups = params.spec.neighbours, side.groups
    layers = [*zip(before.unbind(1), after.unbind(1), strict=True)]
    shifts = torch.stack([changes.shifts(old, new) for old, new in layers])
    return [
        StateChange(
            side=side.name,
            layer=layer,
            n_texts=len(side.texts),
            k=k,
            chance=changes.chance_of_neighbours(k, len(side.texts), groups),
            shift=shift,
            cka=changes.cka(old, new, groups=groups),
            neighbours=changes.shared_neighbours(old, new, k=k, groups=groups),
        )
        for layer, ((old, new), shift) in enumerate(
            zip(layers, mean_estimates(shifts.numpy(), params.seed, groups=groups), strict=True)
        )
    ]


def mean_estimates(values: Floats, seed: int, *, groups: Tensor | None = None) -> list[Estimate]:
    """The means of rows with BCa bootstrap intervals over columns, or over whole groups of columns."""
    rows = np.concatenate([np.zeros((1, values.shape[1])), values])
    places = np.arange(1, len(rows))
    group_of = None if groups is None else np.unique(groups.numpy(), return_inverse=True)[1]
    intervals, _ = Resampling(seed=seed_for(seed, "resampling")).of_differences(
        rows, places, np.zeros_like(places), group_of=group_of, level=changes.LEVEL
    )
    return [
        Estimate(float(row.mean()), float(low), float(high))
        for row, (low, high) in zip(values, intervals, strict=True)
    ]


def compared_top(run: Run, params: ChangeParams) -> Run:
    """The part of a run that is compared: its top, with the ties that a run read from a file has too.

    The docs below were not re-ranked.
    """
    rankings = {q: with_ties(ranking[: params.depth]) for q, ranking in run.rankings.items()}
    return Run(run.tag, rankings)


def ranking_change(before: Run, after: Run, params: ChangeParams) -> RankingChange:
    """How alike two re-rankings of one run order its top, over the queries with at least two docs."""
    runs = compared_top(before, params), compared_top(after, params)
    overlaps, taus, correlations, firsts, by_chance = [], [], [], [], []
    n_docs, n_tied = 0, [0, 0]
    for query_id in sorted(before.rankings.keys() & after.rankings.keys()):
        tops = [run.rankings[query_id] for run in runs]
        # best first, so that the order of the keys is the ranking
        old, new = ({doc.doc_id: doc.score for doc in top} for top in tops)
        if old.keys() != new.keys():
            raise BadInput(
                f"Query {query_id}: the two rankers re-ranked different docs. Re-rank one run, to one depth."
            )
        if len(old) < 2:
            continue
        overlaps.append(
            changes.extrapolated_rank_biased_overlap([*old], [*new], persistence=PERSISTENCE)
        )
        by_chance.append(changes.chance_of_overlap(len(old), persistence=PERSISTENCE))
        scores = [*old.values()], [new[doc_id] for doc_id in old]
        taus.append(changes.kendall_tau_b(*scores))
        correlations.append(changes.score_agreement(*scores))
        n_docs += len(old)
        for side, side_scores in enumerate(scores):
            n_tied[side] += sum(n for n in Counter(side_scores).values() if n > 1)
        firsts.append(float(next(iter(old)) == next(iter(new))))
    if len(overlaps) < 2:
        raise BadInput(
            f"{counted(len(overlaps), 'query has', 'queries have')} at least two docs to order; an interval needs 2 queries. Give more."
        )
    chance = sum(by_chance) / len(by_chance)
    rows = np.array([overlaps, taus, correlations, firsts])
    overlap, tau, correlation, first = mean_estimates(rows, params.seed)
    return RankingChange(
        n_queries=len(overlaps),
        depth=params.depth,
        persistence=PERSISTENCE,
        overlap=overlap,
        chance=chance,
        tau=tau,
        correlation=correlation,
        same_first=first,
        tied={"before": n_tied[0] / n_docs, "after": n_tied[1] / n_docs},
    )


# -- all changes ----------------------------------------------------------------------------------


def changes_between(
    runs: Sequence[Run],
    modules: Sequence[ModuleChange],
    states: Sequence[StateChange],
    params: ChangeParams,
) -> StoredChanges:
    """All changes between two rankers; `runs` are their re-rankings of one run, before and after, by their names."""
    before, after = runs
    return StoredChanges(
        before=before.tag,
        after=after.tag,
        collection=params.spec.over,
        depth=max(row.layer for row in states),
        displacement=weights.displacement(modules),
        modules=tuple(_module(change) for change in modules),
        layers=_layers(modules),
        states=tuple(states),
        rankings=ranking_change(before, after, params),
    )


def _module(change: ModuleChange) -> ModuleDisplacement:
    return ModuleDisplacement(
        module=change.module,
        n_weights=change.n_weights,
        moved=change.moved,
        size=change.size,
        effective_rank=change.effective_rank,
        highest_rank=change.highest_rank,
        **change.place._asdict(),
        displacement=change.displacement,
    )


def _layers(modules: Sequence[ModuleChange]) -> tuple[LayerDisplacement, ...]:
    """The displacement of every layer of every tower, over all its modules."""
    by_layer: dict[tuple[str, int], list[ModuleChange]] = {}
    for change in modules:
        by_layer.setdefault((change.place.tower, change.place.layer), []).append(change)
    return tuple(
        LayerDisplacement(tower, layer, weights.displacement(layer_modules))
        for (tower, layer), layer_modules in sorted(by_layer.items())
    )
