"""What the charts of attribution draw: cells and points, from what was stored of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rankscope.analyses.attribution.words import Found, sides


def heat_cells(each: Found) -> list[dict[str, Any]]:
    """A cell for each tenth of a matrix's neurons: how often its most often active neuron is active.

    Matrices one below the other, the layers of each in order.
    """
    n_names = len({site["name"] for site in each["sites"]})
    return [
        {
            "row": str(site["layer"] + 1)
            if n_names == 1
            else f"{site['name']} {site['layer'] + 1}",
            "layer": site["layer"] + 1,
            "matrix": site["name"],
            "part": part,
            "neurons": neurons,
            "active": active,
        }
        for site in _by_matrix(each["sites"])
        for part, (neurons, active) in enumerate(
            zip(_parts(site["n_neurons"], len(site["bins"])), site["bins"], strict=True), start=1
        )
    ]


def difference_cells(mine: Found, theirs: Found) -> list[dict[str, Any]]:
    """The heat map of one ranker less that of another of the same shape."""
    return [
        {**own, "ranker": own["active"], "baseline": other["active"]}
        | {"active": own["active"] - other["active"]}
        for own, other in zip(heat_cells(mine), heat_cells(theirs), strict=True)
    ]


def _by_matrix(of_sites: Sequence[Found]) -> list[Found]:
    names = list(dict.fromkeys(site["name"] for site in of_sites))
    return sorted(of_sites, key=lambda site: (names.index(site["name"]), site["layer"]))


def _parts(n_neurons: int, n_parts: int) -> list[str]:
    """Which neurons each part holds, counted from 0: the first parts have one more where it does not come out even."""
    size, more = divmod(n_neurons, n_parts)
    starts = [part * size + min(part, more) for part in range(n_parts + 1)]
    return [f"{start}\u2013{end - 1}" for start, end in pairwise(starts)]


def gini_points(found: Found) -> list[dict[str, Any]]:
    """The Gini coefficient by layer, of every ranker, side and matrix."""
    return [
        {
            "ranker": name,
            "side": side,
            "matrix": site["name"],
            "layer": site["layer"] + 1,
            "Gini": site["concentration"]["gini"]["value"],
            "low": site["concentration"]["gini"]["low"],
            "high": site["concentration"]["gini"]["high"],
        }
        for name, side, each in sides(found)
        for site in each["sites"]
    ]


def ablation_points(curves: Found) -> list[dict[str, Any]]:
    """Targets by how many neurons are deleted or inserted, the top ones and random ones."""
    return [
        {"count": count, "what": what, "neurons": neurons, "target": target}
        for what in ("deleted", "inserted")
        for neurons, name in (("top", what), ("random", f"{what}_random"))
        for count, target in zip(curves["counts"], curves[name], strict=True)
    ]
