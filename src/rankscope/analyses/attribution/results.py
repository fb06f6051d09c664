"""What attributions say of rankers' neurons, as plain data: where, how concentrated, and which in two rankers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rankscope.analyses.attribution.attributed import Side, integration_of, threshold_of
from rankscope.analyses.attribution.plan import NeuronsParams
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.core.judged.margins import Margin
from rankscope.core.records import Choice
from rankscope.evaluate.pairs.comparison import Pair, compared
from rankscope.evaluate.pairs.verdicts import Judged, judged
from rankscope.explain import ablation, neurons
from rankscope.explain.attributing import Attributions
from rankscope.explain.intervals import mean_interval

Sides = Mapping[str, Side]
"""A ranker's, by their names."""
BINS = 10
"""Of a site's neurons, in their order, as the paper draws them."""
EXAMPLES_SHOWN, NEURONS_SHOWN = 20, 5
PUBLISHED_WARNINGS = (
    "As published (study A): the target is the norm of a representation, which says nothing of relevance; of what a "
    "LayerNorm with equal weights gives it is a constant, and the attributions are rounding noise.",
    "As published: sums of absolute values of single weights do not add up to any change of the target, and grow with "
    "the inputs of a matrix: layers, kinds of matrices and models cannot be compared by them.",
    "As published: what counts as active hangs on the largest value of each example, and what is active at least "
    "once grows with the number of examples. Read the concentration beside it.",
    "Not as published: padding is no part of a mean and never the last token (the released code reads it, so that its "
    "numbers hang on the batch), and texts are cut where the ranker cuts them, not at 256 tokens.",
)
CONCENTRATION_VERDICTS = {"better": "more concentrated", "worse": "less concentrated"}
"""A higher coefficient is neither better nor worse."""


def concluded(
    by_ranker: Mapping[str, Sides],
    given: Sequence[Choice],
    params: NeuronsParams,
    *,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything: each side of each ranker, and how concentrated it is beside the baselines'."""
    asked, baselines = params.spec, params.baselines
    told = [*(PUBLISHED_WARNINGS if asked.is_published else ()), *notes]
    how = integration_of(asked)
    return {
        "method": asked.method,
        "path": how.path,
        "nodes": len(how.rule.nodes),
        "n_examples": len(given),
        "baselines": list(baselines),
        "rankers": {
            name: {side: _of_side(each, given, params) for side, each in sides.items()}
            for name, sides in by_ranker.items()
        },
        "comparisons": [*_comparisons(by_ranker, given, params)],
        "overlaps": [*_overlaps(by_ranker, params)],
        "notes": [*told, *_not_compared(by_ranker, baselines)],
    }


def _of_side(side: Side, given: Sequence[Choice], params: NeuronsParams) -> dict[str, Any]:
    found, seed = side.found, params.seed
    threshold = threshold_of(params.spec, found)
    is_active = neurons.active(found.values, threshold)
    sizes = torch.stack([each.abs().double().sum(1) for each in found.values], 1)
    shares = sizes / sizes.sum(1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
    gaps = found.gap_shares
    return {
        "target": _mean(found.targets, seed),
        "threshold": threshold,
        "share_of_noise": found.share_of_noise,
        "is_degenerate": found.is_degenerate,
        "whole": _concentration(torch.cat(found.values, 1), seed),
        "sites": [
            {
                "layer": layer,
                "name": name,
                "n_neurons": values.shape[1],
                "share": _mean(shares[:, n], seed),
                "change": _mean(found.changes[:, n], seed),
                "gap": None if gaps is None else _gap(gaps[:, n]),
                "active": _mean(active.double().sum(1), seed),
                "active_once": int(active.any(0).sum()),
                "bins": _bins(active),
                "concentration": _concentration(values, seed),
            }
            for n, ((layer, name), values, active) in enumerate(
                zip(found.sites, found.values, is_active, strict=True)
            )
        ],
        "ablation": None if side.curves is None else _of_curves(side.curves, seed),
        "examples": _shown(found, given, params.spec),
    }


def _mean(values: Tensor, seed: int) -> dict[str, float]:
    return mean_interval(values, seed=seed)._asdict()


def _concentration(values: Tensor, seed: int) -> dict[str, dict[str, float]]:
    return {name: _mean(of(values), seed) for name, of in neurons.CONCENTRATIONS.items()}


def _gap(shares: Tensor) -> dict[str, float] | None:
    """The completeness gap over the sizes of the values, over examples without noise; None where there is none."""
    known = shares[~shares.isnan()].double()
    if not len(known):
        return None
    return {"median": float(known.quantile(0.5)), "largest": float(known.max())}


def _bins(active: Tensor) -> list[float]:
    """The highest frequency in each of ten bins of neurons, as the paper draws them."""
    shares = neurons.frequencies(active)
    return [float(part.max()) for part in torch.tensor_split(shares, min(BINS, len(shares)))]


def _of_curves(curves: ablation.Curves, seed: int) -> dict[str, Any]:
    """Means over examples, and by how much the top neurons beat random ones at every count."""
    shown = ("deleted", "deleted_random", "inserted", "inserted_random")
    return {
        "counts": list(curves.counts),
        "whole": float(curves.whole.mean()),
        "none": float(curves.none.mean()),
        **{name: getattr(curves, name).mean(0).tolist() for name in shown},
        "advantage": [curves.advantage(count, seed=seed)._asdict() for count in curves.counts],
    }


def _shown(
    found: Attributions, given: Sequence[Choice], asked: AttributionSpec
) -> list[dict[str, Any]]:
    """The examples of the lowest targets: where their targets come from, by site and neuron."""
    n_read = 1 if asked.is_published else None  # of a query's docs, the relevant one first
    rows = []
    for place in found.targets.argsort(stable=True)[:EXAMPLES_SHOWN].tolist():
        of_sites = [
            (*site, values[place]) for site, values in zip(found.sites, found.values, strict=True)
        ]
        top = [
            (float(values[n]), layer, name, int(n))
            for layer, name, values in of_sites
            for n in values.abs().topk(min(NEURONS_SHOWN, len(values))).indices
        ]
        top.sort(key=lambda row: -abs(row[0]))
        rows.append(
            {
                "query_id": given[place].query_id,
                "doc_ids": list(given[place].doc_ids[:n_read]),
                "target": float(found.targets[place]),
                "parts": [
                    {"layer": layer, "name": name, "value": float(values.sum())}
                    for layer, name, values in of_sites
                ],
                "neurons": [
                    {"layer": layer, "name": name, "neuron": n, "value": value}
                    for value, layer, name, n in top[:NEURONS_SHOWN]
                ],
            }
        )
    return rows


# -- two rankers ----------------------------------------------------------------------------------


def _pairs(
    by_ranker: Mapping[str, Sides], baselines: Sequence[str]
) -> Iterator[tuple[str, str, str, Attributions, Attributions | None]]:
    """Every ranker's side beside the baseline's of that name; None where the baseline has no such side."""
    for name, sides in by_ranker.items():
        for baseline in baselines:
            if name != baseline:
                for side, mine in sides.items():
                    theirs = by_ranker[baseline].get(side)
                    yield name, baseline, side, mine.found, theirs.found if theirs else None


def _alike(
    by_ranker: Mapping[str, Sides], baselines: Sequence[str]
) -> Iterator[tuple[str, str, str, Attributions, Attributions]]:
    """The pairs that have the same sites of the same sizes, and say something."""
    for name, baseline, side, mine, theirs in _pairs(by_ranker, baselines):
        is_noise = mine.is_degenerate or (theirs and theirs.is_degenerate)
        if theirs and not is_noise and _shape(mine) == _shape(theirs):
            yield name, baseline, side, mine, theirs


def _shape(found: Attributions) -> list[tuple[tuple[int, str], int]]:
    return [(site, values.shape[1]) for site, values in zip(found.sites, found.values, strict=True)]


def _not_compared(by_ranker: Mapping[str, Sides], baselines: Sequence[str]) -> list[str]:
    """Why pairs are left out, a sentence each."""
    told = []
    for name, baseline, side, mine, theirs in _pairs(by_ranker, baselines):
        if theirs is None:
            told.append(
                f"{name} and {baseline} are not compared: one reads query and doc together, the other apart."
            )
        elif _shape(mine) != _shape(theirs):
            told.append(
                f"{name} and {baseline} ({side}) have other feed-forward blocks, so no layer of one is compared with a "
                "layer of the other."
            )
        elif mine.is_degenerate or theirs.is_degenerate:
            told.append(f"{name} and {baseline} ({side}) are not compared: rounding noise.")
    return list(dict.fromkeys(told))


def _comparisons(
    by_ranker: Mapping[str, Sides], given: Sequence[Choice], params: NeuronsParams
) -> Iterator[dict[str, Any]]:
    """The Gini coefficient of every site against the baseline's: a family is two rankers' side."""
    for name, baseline, side, mine, theirs in _alike(by_ranker, params.baselines):
        pairs = [
            Pair(
                [_by_query(given, neurons.gini(own))],
                [_by_query(given, neurons.gini(other))],
                margin=Margin(params.spec.margin),
            )
            for own, other in zip(mine.values, theirs.values, strict=True)
        ]
        for (layer, site), row in zip(mine.sites, judged(compared(pairs)), strict=True):
            yield _named(name, baseline, side, layer, site) | {"measure": "gini", **_plain(row)}


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


def _overlaps(by_ranker: Mapping[str, Sides], params: NeuronsParams) -> Iterator[dict[str, Any]]:
    """How far the same neurons are active in two rankers, site by site."""
    for name, baseline, side, *both in _alike(by_ranker, params.baselines):
        active = [neurons.active(each.values, threshold_of(params.spec, each)) for each in both]
        for (layer, site), first, second in zip(both[0].sites, *active, strict=True):
            found = neurons.overlap(first, second, seed=params.seed)._asdict()
            jaccard = found.pop("jaccard")
            ends = dict.fromkeys(("value", "low", "high")) if jaccard is None else jaccard._asdict()
            yield _named(name, baseline, side, layer, site) | found | {"jaccard": ends}


def _named(ranker: str, baseline: str, side: str, layer: int, site: str) -> dict[str, Any]:
    return {"ranker": ranker, "baseline": baseline, "side": side, "layer": layer, "name": site}
