"""The data of the charts of attribution: cells and points from its stored results."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rankscope.analyses.attribution.stored import (
    AblationCurves,
    SideNumbers,
    SiteNumbers,
    StoredAttribution,
)


def heat_cells(side_results: SideNumbers) -> list[dict[str, Any]]:
    """A cell for each tenth of a matrix's neurons: how often its most often active neuron is active.

    Matrices follow each other, the layers of each in order.
    """
    n_names = len({site.name for site in side_results.sites})
    return [
        {
            "row": str(site.layer + 1) if n_names == 1 else f"{site.name} {site.layer + 1}",
            "layer": site.layer + 1,
            "matrix": site.name,
            "part": part,
            "neurons": neurons,
            "active": active,
        }
        for site in _by_matrix(side_results.sites)
        for part, (neurons, active) in enumerate(
            zip(_parts(site.n_neurons, len(site.bins)), site.bins, strict=True), start=1
        )
    ]


def difference_cells(mine: SideNumbers, theirs: SideNumbers) -> list[dict[str, Any]]:
    """The cells of one ranker's heat map minus those of another of the same shape."""
    return [
        {**own, "ranker": own["active"], "baseline": other["active"]}
        | {"active": own["active"] - other["active"]}
        for own, other in zip(heat_cells(mine), heat_cells(theirs), strict=True)
    ]


def _by_matrix(sites: Sequence[SiteNumbers]) -> list[SiteNumbers]:
    names = list(dict.fromkeys(site.name for site in sites))
    return sorted(sites, key=lambda site: (names.index(site.name), site.layer))


def _parts(n_neurons: int, n_parts: int) -> list[str]:
    """The range of neurons in each part, counted from 0; the first parts have one more where the division leaves a rest."""
    size, more = divmod(n_neurons, n_parts)
    starts = [part * size + min(part, more) for part in range(n_parts + 1)]
    return [f"{start}\u2013{end - 1}" for start, end in pairwise(starts)]


def gini_points(results: StoredAttribution) -> list[dict[str, Any]]:
    """The Gini coefficient by layer, of every ranker, side and matrix."""
    return [
        {
            "ranker": name,
            "side": side,
            "matrix": site.name,
            "layer": site.layer + 1,
            "Gini": site.concentration["gini"].value,
            "low": site.concentration["gini"].low,
            "high": site.concentration["gini"].high,
        }
        for name, side, side_results in results.sides
        for site in side_results.sites
    ]


def ablation_points(curves: AblationCurves) -> list[dict[str, Any]]:
    """Targets by the number of deleted or inserted neurons, for the top ones and random ones."""
    return [
        {"count": count, "what": what, "neurons": neurons, "target": target}
        for what in ("deleted", "inserted")
        for neurons, name in (("top", what), ("random", f"{what}_random"))
        for count, target in zip(curves.counts, getattr(curves, name), strict=True)
    ]
