"""What attribution found in the neurons of rankers: rows, curves and words, from what was stored of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
SIDES = {"query": "queries", "document": "docs", "pairs": "pairs"}
HEADLINE = 20
"""Neurons switched off in the sentence about ablation."""
GAP_TO_SAY = 0.01
"""A completeness gap above this share of the largest target is said."""
COLUMNS = [
    "ranker", "side", "layer", "matrix", "share", "Gini", "neurons that carry it", "gap", "active once",
]  # fmt: skip


def sides(found: Found) -> Iterator[tuple[str, str, Found]]:
    """Every ranker's sides: its name, the side's, and what was found."""
    for name, of_ranker in found["rankers"].items():
        for side, each in of_ranker.items():
            yield name, side, each


# -- tables ---------------------------------------------------------------------------------------


def layer_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix: its share of the attribution, how concentrated it is, and what is missing."""
    rows = []
    for name, side, each in sides(found):
        for site in each["sites"]:
            concentration = site["concentration"]
            gap = "" if site["gap"] is None else f"{site['gap']['largest']:.1e}"
            rows.append(
                [
                    name,
                    side,
                    str(site["layer"] + 1),
                    site["name"],
                    f"{site['share']:.1%}",
                    f"{concentration['gini']['mean']:.3f}",
                    f"{concentration['effective_number']['mean']:.0f} of {site['n_neurons']}",
                    gap,
                    str(site["active_once"]),
                ]
            )
    return COLUMNS, rows


def full_rows(found: Found) -> tuple[list[str], list[list[str]]]:
    """Everything that is a number, a row each: of sites, of ablation, of comparisons."""
    columns = [
        "ranker", "baseline", "side", "layer", "matrix", "what", "value", "low", "high", "verdict",
    ]  # fmt: skip
    rows = [
        ["" if row.get(column) is None else str(row[column]) for column in columns]
        for row in _long(found)
    ]
    return columns, rows


def _long(found: Found) -> Iterator[dict[str, Any]]:
    for name, side, each in sides(found):
        of = {"ranker": name, "side": side}
        yield of | {"what": "target", "value": each["target"]["mean"]} | _ends(each["target"])
        for measure, value in each["whole"].items():
            yield of | {"what": measure, "value": value["mean"]} | _ends(value)
        for site in each["sites"]:
            at = of | {"layer": site["layer"] + 1, "matrix": site["name"]}
            for what in ("share", "change", "active", "active_once"):
                yield at | {"what": what, "value": site[what]}
            if site["gap"] is not None:
                yield at | {"what": "largest gap", "value": site["gap"]["largest"]}
            for measure, value in site["concentration"].items():
                yield at | {"what": measure, "value": value["mean"]} | _ends(value)
        yield from (of | row for row in _of_ablation(each["ablation"]))
    for row in found["comparisons"]:
        yield {
            **{key: row[key] for key in ("ranker", "baseline", "side", "low", "high", "verdict")},
            "layer": row["layer"] + 1,
            "matrix": row["name"],
            "what": f"difference in {row['measure']}",
            "value": row["difference"],
        }
    for row in found["overlaps"]:
        yield {
            **{key: row[key] for key in ("ranker", "baseline", "side", "low", "high")},
            "layer": row["layer"] + 1,
            "matrix": row["name"],
            "what": "Jaccard index of active neurons",
            "value": row["jaccard"],
        }


def _ends(value: Mapping[str, float]) -> dict[str, float]:
    return {"low": value["low"], "high": value["high"]}


def _of_ablation(curves: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if curves is None:
        return
    for place, (count, won) in enumerate(zip(curves["counts"], curves["advantage"], strict=True)):
        for what in ("deleted", "deleted_random", "inserted", "inserted_random"):
            yield {"what": f"target, {count} {what}", "value": curves[what][place]}
        yield {"what": f"{count} deleted against random", "value": won["mean"]} | _ends(won)


# -- words ----------------------------------------------------------------------------------------


def in_words(found: Found) -> list[str]:
    """What may be concluded, and what not."""
    said = [_noise(name, side) for name, side, each in sides(found) if each["is_degenerate"]]
    heard = [(name, side, each) for name, side, each in sides(found) if not each["is_degenerate"]]
    for name, side, each in heard:
        said.append(_where(name, side, each))
        if each["ablation"]:
            said.append(_ablated(name, side, each["ablation"]))
        said += _incomplete(name, side, each)
    said += _differences(found)
    if found["method"] == "sound":
        said.append(
            "A neuron's attribution is its part in what the margin changes by when its layer is scaled from nothing to "
            "what it is, the rest of the model as it is. It does not say what a neuron stands for, and the parts of "
            "two layers do not add up to anything: each is a path of its own."
        )
    return said


def _noise(name: str, side: str) -> str:
    return (
        f"{name}, {SIDES[side]}: the target changes at no matrix by more than rounding, so its attributions are "
        "rounding noise scaled up. Nothing may be concluded from them. Take another target: the sound method's."
    )


def _where(name: str, side: str, each: Found) -> str:
    """The layer with the largest share, and how many neurons it comes to."""
    by_layer: dict[int, float] = {}
    for site in each["sites"]:
        by_layer[site["layer"]] = by_layer.get(site["layer"], 0.0) + site["share"]
    layer = max(by_layer, key=lambda key: (by_layer[key], -key))
    number, n = each["whole"]["effective_number"], sum(s["n_neurons"] for s in each["sites"])
    return (
        f"{name}, {SIDES[side]}: layer {layer + 1} of {len(by_layer)} has the largest share of the attribution "
        f"({by_layer[layer]:.0%}). It is spread over {number['mean']:,.0f} of {n:,} neurons in effect "
        f"[{number['low']:,.0f}, {number['high']:,.0f}]."
    )


def _ablated(name: str, side: str, curves: Mapping[str, Any]) -> str:
    at = max((n for n, k in enumerate(curves["counts"]) if k <= HEADLINE), default=0)
    count, won = curves["counts"][at], curves["advantage"][at]
    numbers = f"{won['mean']:+.3f} [{won['low']:+.3f}, {won['high']:+.3f}]"
    if won["low"] > 0:
        return (
            f"{name}, {SIDES[side]}: without each example's top {count} neurons the margin of {curves['whole']:.3f} "
            f"falls further than without {count} random ones, by {numbers}: the attributions hold."
        )
    return (
        f"{name}, {SIDES[side]}: without each example's top {count} neurons the margin does not clearly fall further "
        f"than without {count} random ones ({numbers}): these attributions are not to be relied on."
    )


def _incomplete(name: str, side: str, each: Found) -> list[str]:
    gaps = [(site["gap"]["largest"], site) for site in each["sites"] if site["gap"]]
    if not gaps:
        return []
    largest, site = max(gaps, key=lambda pair: pair[0])
    if largest <= GAP_TO_SAY:
        return []
    return [
        f"{name}, {SIDES[side]}: in layer {site['layer'] + 1} ({site['name']}) the attributions of some example miss "
        f"{largest:.1%} of the largest target. Take more nodes."
    ]


def _differences(found: Found) -> Iterator[str]:
    """Which layers became more or less concentrated, by rankers and side."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in found["comparisons"]:
        groups.setdefault((row["ranker"], row["baseline"], row["side"]), []).append(row)
    for (name, baseline, side), rows in groups.items():
        told = []
        for verdict in ("more concentrated", "less concentrated"):
            places = [f"{r['layer'] + 1} ({r['name']})" for r in rows if r["verdict"] == verdict]
            if places:
                told.append(f"{verdict} in {_listed(places)}")
        ends = "; ".join(told) if told else "no layer's concentration can be told apart"
        yield f"{name} against {baseline}, {SIDES[side]}: {ends} (Gini coefficient, corrected over {len(rows)} matrices)."


def _listed(places: Sequence[str]) -> str:
    return "layer " + places[0] if len(places) == 1 else "layers " + ", ".join(places)
