"""What attribution found in the neurons of rankers: rows, curves and words, from what was stored of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rankscope.report.wording.numbers import p_text, signed
from rankscope.report.wording.verdicts import UNCORRECTED

Found = Mapping[str, Any]
SIDES = {"query": "queries", "document": "docs", "pairs": "pairs"}
HEADLINE = 20
"""Neurons switched off in the sentence about ablation."""
GAP_TO_SAY = 0.01
"""A completeness gap above this share of the attributions' sizes is said."""
NOISE_TO_SAY = 0.05
"""Noise at more than this share of the examples' matrices is said."""
CAVEAT = (
    "A neuron's attribution is its part in what the margin changes by when its layer is scaled from nothing to what it "
    "is, the rest of the model as it is. It does not say what a neuron stands for. Shares compare sizes; signed parts of "
    "two layers do not add up to the margin, since each layer is a path of its own."
)
COLUMNS = [
    "ranker", "side", "layer", "matrix", "share", "Gini", "neurons that carry it", "gap", "active once",
]  # fmt: skip


def sides(found: Found) -> Iterator[tuple[str, str, Found]]:
    """Every ranker's sides: its name, the side's, and what was found."""
    for name, of_ranker in found["rankers"].items():
        for side, each in of_ranker.items():
            yield name, side, each


def named(found: Found) -> list[tuple[str, Found]]:
    """Every ranker's sides, each with what it is called, and what was found."""
    return [(f"{name}, {SIDES[side]}", each) for name, side, each in sides(found)]


def significant(number: float) -> str:
    """With its sign and three significant digits: margins have the scale of a ranker's scores, which may be tiny."""
    return f"{number:+.3g}".replace("-", "\u2212") if number else "0"


def is_published(found: Found) -> bool:
    """Whether the method is study A's."""
    return bool(found["method"] == "as_published")


def thresholds(found: Found) -> str:
    """The shares above which neurons are active: one, if no ranker has another."""
    return " or ".join(sorted({f"{each['threshold']:g}" for _, _, each in sides(found)}))


# -- tables ---------------------------------------------------------------------------------------


def layer_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix: its share of the attribution, how concentrated it is, and what is missing."""
    rows = []
    for name, side, each in sides(found):
        for site in each["sites"]:
            concentration = site["concentration"]
            gap = "\u2013" if site["gap"] is None else _percent(site["gap"]["largest"])
            rows.append(
                [
                    name,
                    side,
                    str(site["layer"] + 1),
                    site["name"],
                    f"{site['share']['value']:.1%}",
                    f"{concentration['gini']['value']:.3f}",
                    f"{concentration['effective_number']['value']:.0f} of {site['n_neurons']}",
                    gap,
                    f"{site['active_once']} of {site['n_neurons']}",
                ]
            )
    return COLUMNS, rows


def _percent(share: float) -> str:
    return f"{share:.3%}" if share >= 1e-5 else "<0.001%"


def comparison_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix of two rankers: how concentrated the one is beside the other."""
    columns = [
        "ranker", "baseline", "side", "layer", "matrix", "Gini, baseline", "Gini", "difference",
        UNCORRECTED, "corrected p", "verdict",
    ]  # fmt: skip
    rows = [
        [
            *_of_two(row),
            f"{row['before']:.3f}",
            f"{row['after']:.3f}",
            signed(row["difference"]),
            f"{signed(row['low'])} to {signed(row['high'])}",
            p_text(row["corrected_p"]),
            row["verdict"],
        ]
        for row in found["comparisons"]
    ]
    return columns, rows


def overlap_table(found: Found) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix of two rankers: how far the same neurons are active on the same example."""
    columns = [
        "ranker", "baseline", "side", "layer", "matrix", "active, baseline", "active", "in both", "Jaccard index",
        "interval", "by chance",
    ]  # fmt: skip
    rows = [
        [
            *_of_two(row),
            *(f"{row[name]:.1f}" for name in ("n_second", "n_first", "n_both")),
            *_jaccard(row),
        ]
        for row in found["overlaps"]
    ]
    return columns, rows


def _jaccard(row: Mapping[str, Any]) -> tuple[str, str, str]:
    index = row["jaccard"]
    if index["value"] is None:
        return ("none active", "", "")
    ends = f"{index['low']:.2f} to {index['high']:.2f}"
    return (f"{index['value']:.2f}", ends, f"{row['by_chance']:.2f}")


def _of_two(row: Mapping[str, Any]) -> list[str]:
    return [row["ranker"], row["baseline"], row["side"], str(row["layer"] + 1), row["name"]]


def full_rows(found: Found) -> tuple[list[str], list[list[str]]]:
    """Every number but the examples' and the maps', a row each: of sites, of ablation, of two rankers."""
    columns = [
        "method", "path", "nodes", "examples", "ranker", "baseline", "side", "layer", "matrix", "what", "value",
        "low", "high", "intervals", "corrected p", "verdict",
    ]  # fmt: skip
    of_all = {
        "method": found["method"],
        "path": found["path"],
        "nodes": found["nodes"],
        "examples": found["n_examples"],
    }
    rows = [
        ["" if row.get(column) is None else str(row[column]) for column in columns]
        for row in (of_all | each for each in (*_of_sides(found), *_of_pairs(found)))
    ]
    return columns, rows


def _row(what: str, value: Any) -> dict[str, Any]:
    """A number, or one with its interval."""
    if not isinstance(value, Mapping):
        return {"what": what, "value": value}
    return {"what": what, "value": value["value"], "low": value["low"], "high": value["high"]}


def _of_sides(found: Found) -> Iterator[dict[str, Any]]:
    for name, side, each in sides(found):
        of = {"ranker": name, "side": side}
        for what in ("target", "threshold", "share_of_noise"):
            yield of | _row(what, each[what])
        for measure, value in each["whole"].items():
            yield of | _row(measure, value)
        for site in each["sites"]:
            at = of | {"layer": site["layer"] + 1, "matrix": site["name"]}
            for what in ("n_neurons", "share", "change", "active", "active_once"):
                yield at | _row(what, site[what])
            for what, value in (site["gap"] or {}).items():
                yield at | _row(f"{what} gap", value)
            for measure, value in site["concentration"].items():
                yield at | _row(measure, value)
        yield from (of | row for row in _of_ablation(each["ablation"]))


def _of_ablation(curves: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if curves is None:
        return
    yield _row("target with all neurons", curves["whole"])
    yield _row("target with none", curves["none"])
    for place, (count, won) in enumerate(zip(curves["counts"], curves["advantage"], strict=True)):
        for what in ("deleted", "deleted_random", "inserted", "inserted_random"):
            yield _row(f"target, {count} {what}", curves[what][place])
        yield _row(f"{count} deleted against random", won)


def _of_pairs(found: Found) -> Iterator[dict[str, Any]]:
    for row in found["comparisons"]:
        of = _at(row) | {"corrected p": row["corrected_p"], "verdict": row["verdict"]}
        of["intervals"] = UNCORRECTED
        ends = {"value": row["difference"], "low": row["low"], "high": row["high"]}
        yield of | _row(f"difference in {row['measure']}", ends)
    for row in found["overlaps"]:
        yield _at(row) | _row("active", row["n_first"])
        yield _at(row) | _row("active in the baseline", row["n_second"])
        yield _at(row) | _row("active in both", row["n_both"])
        yield _at(row) | _row("Jaccard index of the active", row["jaccard"])
        yield _at(row) | _row("Jaccard index by chance", row["by_chance"])


def _at(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: row[name] for name in ("ranker", "baseline", "side")}
    return names | {"layer": row["layer"] + 1, "matrix": row["name"]}


# -- sides ---------------------------------------------------------------------------------------


def all_sides(found: Found) -> list[str]:
    """Every side that any ranker has: query and document, or pairs, or all."""
    return list(dict.fromkeys(side for _, side, _ in sides(found)))


def of_side(found: Found, side: str) -> dict[str, Found]:
    """The rankers that have such a side, and what was found of it."""
    return {name: each for name, of, each in sides(found) if of == side}


def pairs(found: Found, side: str) -> list[tuple[str, str]]:
    """Each ranker with the baselines that have matrices of the same sizes."""
    rows = (row for row in found["comparisons"] if row["side"] == side)
    return list(dict.fromkeys((row["ranker"], row["baseline"]) for row in rows))


# -- words ----------------------------------------------------------------------------------------


def in_words(found: Found) -> list[str]:
    """What may be concluded, and what not."""
    said = [
        _noise(name, side, each)
        for name, side, each in sides(found)
        if each["share_of_noise"] > NOISE_TO_SAY
    ]
    heard = [(name, side, each) for name, side, each in sides(found) if not each["is_degenerate"]]
    if is_published(found):
        return [*said, "As published, so layers, matrices and rankers are not compared in words."]
    for name, side, each in heard:
        said.append(_where(name, side, each))
        if each["ablation"]:
            said += _ablated(name, side, each)
        said += _incomplete(name, side, each)
    return [*said, *_differences(found), CAVEAT]


def _noise(name: str, side: str, each: Found) -> str:
    of = f"{name}, {SIDES[side]}"
    if not each["is_degenerate"]:
        return (
            f"{of}: at {each['share_of_noise']:.0%} of the examples' matrices the target changes by no more than "
            "rounding; what is attributed there is noise."
        )
    where = "no matrix" if each["share_of_noise"] == 1 else "few matrices"
    return (
        f"{of}: the target changes at {where} by more than rounding, so its attributions are rounding noise scaled "
        "up. Nothing may be concluded from them. Take another target: the sound method's."
    )


def _where(name: str, side: str, each: Found) -> str:
    """The layer with the largest share, and how many neurons it comes to."""
    by_layer: dict[int, float] = {}
    for site in each["sites"]:
        by_layer[site["layer"]] = by_layer.get(site["layer"], 0.0) + site["share"]["value"]
    layer = max(by_layer, key=lambda key: (by_layer[key], -key))
    number, n = each["whole"]["effective_number"], sum(s["n_neurons"] for s in each["sites"])
    return (
        f"{name}, {SIDES[side]}: of the sizes of all attributions layer {layer + 1} of {len(by_layer)} has the largest "
        f"share ({by_layer[layer]:.0%}). They are spread over {number['value']:,.0f} of {n:,} neurons in effect "
        f"[{number['low']:,.0f}, {number['high']:,.0f}]."
    )


def _ablated(name: str, side: str, each: Found) -> list[str]:
    """Whether top neurons carry more of the margin than random ones, and how much all of them carry."""
    curves, of = each["ablation"], f"{name}, {SIDES[side]}"
    at = max((n for n, k in enumerate(curves["counts"]) if k <= HEADLINE), default=0)
    count, won = curves["counts"][at], curves["advantage"][at]
    margin = f"the margin of {_with_interval(each['target']).removeprefix('+')}"
    if each["target"]["low"] <= 0 <= each["target"]["high"]:
        return [
            f"{of}: {margin} is not shown to be other than 0: there is no preference to explain."
        ]
    falls = (
        f"falls further than without {count} random ones, by {_with_interval(won)}: they carry more of it than chance"
        if won["low"] > 0
        else f"does not clearly fall further than without {count} random ones ({_with_interval(won)}): these "
        "attributions are not to be relied on"
    )
    return [
        f"{of}: without each example's top {count} neurons {margin} {falls}. With no neuron of any layer it is "
        f"{significant(curves['none'])}."
    ]


def _with_interval(value: Mapping[str, float]) -> str:
    low, high = significant(value["low"]), significant(value["high"])
    return f"{significant(value['value'])} [{low}, {high}]"


def _incomplete(name: str, side: str, each: Found) -> list[str]:
    gaps = [(site["gap"]["largest"], site) for site in each["sites"] if site["gap"]]
    if not gaps:
        return []
    largest, site = max(gaps, key=lambda pair: pair[0])
    if largest <= GAP_TO_SAY:
        return []
    return [
        f"{name}, {SIDES[side]}: in layer {site['layer'] + 1} ({site['name']}) some example's attributions do not add up: "
        f"{largest:.1%} of the sum of their sizes is missing. Take more nodes."
    ]


def _differences(found: Found) -> Iterator[str]:
    """Which layers became more or less concentrated, by rankers and side."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in found["comparisons"]:
        groups.setdefault((row["ranker"], row["baseline"], row["side"]), []).append(row)
    for (name, baseline, side), rows in groups.items():
        told = []
        for verdict in ("more concentrated", "less concentrated"):
            places = [_place(row, rows) for row in rows if row["verdict"] == verdict]
            if places:
                told.append(f"{verdict} in {_listed(places)}")
        ends = "; ".join(told) if told else "no layer's concentration can be told apart"
        yield f"{name} against {baseline}, {SIDES[side]}: {ends} (Gini coefficient, corrected over {len(rows)} matrices)."


def _place(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """A layer, and its matrix where there are several."""
    layer = str(row["layer"] + 1)
    return layer if len({each["name"] for each in rows}) == 1 else f"{layer} ({row['name']})"


def _listed(places: Sequence[str]) -> str:
    return "layer " + places[0] if len(places) == 1 else "layers " + ", ".join(places)
