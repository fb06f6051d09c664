"""What moved between two rankers: weights, the states of drawn texts, and how a collection is ranked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import Progress
from rankscope.core.records import Query, Run
from rankscope.core.rng import seed_for, stream
from rankscope.data.collections import words
from rankscope.evaluate.resampling import Floats, Resampling
from rankscope.explain import changes, representations
from rankscope.explain.changes import PERSISTENCE, ModuleChange
from rankscope.explain.intervals import Estimate
from rankscope.models.bi_encoder import SIDES, BiEncoder
from rankscope.models.cross_encoder import CrossEncoder

TEXTS_AT_ONCE = 128
FEWEST_TEXTS = 20
"""Below, an interval over texts says nothing."""
PAIR = "pair"
"""What a cross-encoder has states of; a bi-encoder's sides are query and document."""


@dataclass(frozen=True)
class Settings:
    """What of the states and rankings is compared."""

    depth: int = 20
    """Docs of each query that both re-rank."""
    texts: int = 500
    """States compared at most, of queries and of docs (or of pairs)."""
    neighbours: int = 10
    persistence: float = PERSISTENCE
    seed: int = 42
    """Of the drawn texts, and of the resamples."""


@dataclass(frozen=True)
class Side:
    """Texts whose states are compared: queries, docs, or pairs of both."""

    name: str
    texts: Sequence[str] | Sequence[tuple[str, str]]
    groups: Tensor | None
    """(texts,): which pairs have one query; None where each text stands for itself."""


class StateChange(NamedTuple):
    """What moved in the states of one layer; None where the states of a layer do not vary."""

    side: str
    layer: int
    n_texts: int
    shift: Estimate
    cka: Estimate | None
    neighbours: Estimate | None
    k: int
    chance: float
    """The share of neighbours that two layers share which have nothing to do with each other."""


@dataclass(frozen=True)
class RankingChange:
    """How far two rankers order the same docs alike, as means over queries."""

    n_queries: int
    depth: int
    persistence: float
    overlap: Estimate
    """Rank-biased overlap, extrapolated."""
    chance: float
    """The overlap of two drawn orders of the same docs."""
    tau: Estimate
    """Kendall's, of the scores."""
    same_first: Estimate
    """The share of queries with the same doc first."""


@dataclass(frozen=True)
class Changes:
    """What moved between two rankers over a collection."""

    before: str
    after: str
    collection: str
    modules: tuple[ModuleChange, ...]
    states: tuple[StateChange, ...]
    rankings: RankingChange

    @property
    def depth(self) -> int:
        """Blocks of an encoder: the states' last layer."""
        return max(row.layer for row in self.states)


# -- texts ----------------------------------------------------------------------------------------


def sides(
    ranker: BiEncoder | CrossEncoder,
    queries: Sequence[Query],
    run: Run,
    texts: Mapping[str, str],
    settings: Settings,
) -> list[Side]:
    """The texts whose states are compared, drawn from the queries and the top of their rankings.

    `texts` has that of every doc in the top. Two queries or docs of the same words are one: each would
    always be the other's nearest. Raises BadInput where too few are left.
    """
    ranked = sorted(query for query in queries if run.rankings.get(query.query_id))
    if len(ranked) < 2:
        raise BadInput(
            f"{len(ranked)} queries have a ranking; an interval needs 2. Give more queries."
        )
    tops = {
        query: [doc.doc_id for doc in run.rankings[query.query_id][: settings.depth]]
        for query in ranked
    }
    if isinstance(ranker, CrossEncoder):
        every = [(place, doc_id) for place, top in enumerate(tops.values()) for doc_id in top]
        drawn = _drawn(every, PAIR, settings)
        pairs = [(ranked[place].text, texts[doc_id]) for place, doc_id in drawn]
        found = [Side(PAIR, pairs, torch.tensor([place for place, _ in drawn]))]
    else:
        doc_ids = sorted({doc_id for top in tops.values() for doc_id in top})
        of_side = {
            SIDES[0]: [query.text for query in ranked],
            SIDES[1]: [texts[doc_id] for doc_id in doc_ids],
        }
        found = [
            Side(name, _drawn(_distinct(mine), name, settings), None)
            for name, mine in of_side.items()
        ]
    for side in found:
        fewest = max(FEWEST_TEXTS, settings.neighbours + 1)
        if len(side.texts) < fewest:
            raise BadInput(
                f"{len(side.texts)} texts ({side.name}) to compare states of; {fewest} are needed, for an "
                f"interval and {settings.neighbours} neighbours. Take more queries, or a greater depth."
            )
    return found


def _distinct(texts: Sequence[str]) -> list[str]:
    return [*{words(text): text for text in texts}.values()]


def _drawn(every: list[Any], name: str, settings: Settings) -> list[Any]:
    """As many as are asked for, in a drawn order."""
    stream(settings.seed, "texts whose states are compared", name).shuffle(every)
    return every[: settings.texts]


# -- comparisons ----------------------------------------------------------------------------------


def changed(
    rankers: tuple[BiEncoder | CrossEncoder, BiEncoder | CrossEncoder],
    compared: Sequence[Side],
    settings: Settings,
    progress: Progress,
) -> tuple[list[ModuleChange], list[StateChange]]:
    """What moved in the weights of two rankers, before and after, and in the states of texts.

    Raises BadInput where the architectures differ.
    """
    before, after = (changes.modules(ranker) for ranker in rankers)
    weights = changes.weight_changes(before, after)
    found = []
    for side in compared:
        states = [_states(ranker, side, progress) for ranker in rankers]
        for which, found_states in zip(("before", "after"), states, strict=True):
            if not found_states.isfinite().all():
                raise BadInput(
                    f"The ranker {which} gives states of texts ({side.name}) that are not finite, so they are neither "
                    "near nor far. Give a checkpoint from before its training broke."
                )
        found += state_changes(side, states[0], states[1], settings)
    return weights, found


def _states(ranker: BiEncoder | CrossEncoder, side: Side, progress: Progress) -> Tensor:
    """(texts, layers + 1, width)."""
    parts = []
    with progress.task(f"represent {side.name}", len(side.texts), "texts") as task:
        for start in range(0, len(side.texts), TEXTS_AT_ONCE):
            texts: Any = side.texts[start : start + TEXTS_AT_ONCE]
            if isinstance(ranker, CrossEncoder):
                parts.append(representations.of_pairs(ranker, texts))
            else:
                name = next(each for each in SIDES if each == side.name)
                parts.append(representations.of_texts(ranker, texts, name))
            task.advance(len(texts))
    return torch.cat(parts)


def state_changes(
    side: Side, before: Tensor, after: Tensor, settings: Settings
) -> list[StateChange]:
    """Every layer's change; states: (texts, layers + 1, width)."""
    k, layers = settings.neighbours, [*zip(before.unbind(1), after.unbind(1), strict=True)]
    shifts = [changes.shifts(old, new) for old, new in layers]
    shared = [changes.shared_neighbours(old, new, k=k) for old, new in layers]
    known = [each for each in shared if each is not None]
    means = iter(
        mean_estimates(torch.stack([*shifts, *known]).numpy(), settings.seed, groups=side.groups)
    )
    of_shifts = [next(means) for _ in shifts]
    of_shared = [None if each is None else next(means) for each in shared]
    return [
        StateChange(
            side=side.name,
            layer=layer,
            n_texts=len(side.texts),
            shift=of_shifts[layer],
            cka=changes.cka(old, new, groups=side.groups),
            neighbours=of_shared[layer],
            k=k,
            chance=changes.chance_of_neighbours(k, len(side.texts)),
        )
        for layer, (old, new) in enumerate(layers)
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


def ranking_change(before: Run, after: Run, settings: Settings) -> RankingChange:
    """How alike two re-rankings of one run order its top, over the queries with at least two docs."""
    overlaps, taus, firsts, by_chance = [], [], [], []
    for query_id in sorted(before.rankings.keys() & after.rankings.keys()):
        tops = [run.rankings[query_id][: settings.depth] for run in (before, after)]
        # best first, so that the order of the keys is the ranking
        old, new = ({doc.doc_id: doc.score for doc in top} for top in tops)
        if old.keys() != new.keys():
            raise BadInput(
                f"Query {query_id}: the two rankers re-ranked other docs. Re-rank one run, to one depth."
            )
        if len(old) < 2:
            continue
        overlaps.append(
            changes.rank_biased_overlap([*old], [*new], persistence=settings.persistence)
        )
        by_chance.append(changes.chance_of_overlap(len(old), persistence=settings.persistence))
        taus.append(changes.score_agreement([*old.values()], [new[doc_id] for doc_id in old]))
        firsts.append(float(next(iter(old)) == next(iter(new))))
    if len(overlaps) < 2:
        raise BadInput(
            f"{len(overlaps)} queries have at least two docs to order; an interval needs 2 queries. Give more."
        )
    chance = sum(by_chance) / len(by_chance)
    overlap, tau, first = mean_estimates(np.array([overlaps, taus, firsts]), settings.seed)
    return RankingChange(
        len(overlaps), settings.depth, settings.persistence, overlap, chance, tau, first
    )


# -- as plain data --------------------------------------------------------------------------------


def as_json(found: Changes) -> dict[str, Any]:
    """Everything, as the report reads it."""
    return {
        "before": found.before,
        "after": found.after,
        "collection": found.collection,
        "depth": found.depth,
        "displacement": changes.displacement(found.modules),
        "modules": [_module(change) for change in found.modules],
        "layers": _layers(found),
        "states": [
            {
                **{
                    name: getattr(row, name) for name in ("side", "layer", "n_texts", "k", "chance")
                },
                **_flat("shift", row.shift),
                **_flat("cka", row.cka),
                **_flat("neighbours", row.neighbours),
            }
            for row in found.states
        ],
        "rankings": {
            **{
                name: getattr(found.rankings, name)
                for name in ("n_queries", "depth", "persistence", "chance")
            },
            **_flat("overlap", found.rankings.overlap),
            **_flat("tau", found.rankings.tau),
            **_flat("same_first", found.rankings.same_first),
        },
    }


def _flat(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    value, low, high = estimate or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _module(change: ModuleChange) -> dict[str, Any]:
    plain = asdict(change) | change.place._asdict() | {"displacement": change.displacement}
    del plain["place"]
    return plain


def _layers(found: Changes) -> list[dict[str, Any]]:
    """Every layer of every tower, its modules together."""
    by_layer: dict[tuple[str, int], list[ModuleChange]] = {}
    for change in found.modules:
        by_layer.setdefault((change.place.tower, change.place.layer), []).append(change)
    return [
        {"tower": tower, "layer": layer, "displacement": changes.displacement(of)}
        for (tower, layer), of in sorted(by_layer.items())
    ]
