"""The stored results of attribution as rows, tables and sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

from rankscope.analyses.attribution.stored import (
    AblationCurves,
    ActiveOverlap,
    ConcentrationDifference,
    MeanOverExamples,
    PairedSite,
    SideNumbers,
    StoredAttribution,
)
from rankscope.core.judged.plain import as_plain
from rankscope.core.words import counted
from rankscope.report.wording.numbers import p_text, signed
from rankscope.report.wording.verdicts import UNCORRECTED

SIDES = {"query": "queries", "document": "docs", "pairs": "pairs"}
HEADLINE = 20
"""The number of ablated neurons in the sentence about ablation."""
GAP_TO_SAY = 0.01
"""A sentence names a completeness gap above this share of the attributions' sizes."""
NOISE_TO_SAY = 0.05
"""A sentence names noise at more than this share of the examples' matrices."""
CAVEAT = (
    "A neuron's attribution is its part in the change of the margin when its layer is scaled from zero to its values and "
    "the rest of the model stays as it is. It does not say what a neuron stands for. Shares compare sizes; signed parts of "
    "two layers do not add up to the margin, since each layer is a path of its own."
)
COLUMNS = [
    "ranker", "side", "layer", "matrix", "share", "Gini", "neurons that carry it", "gap", "active once",
]  # fmt: skip

LEFT_OUT_FIRST = (
    "active once", "gap", "active, baseline", "active", "in both", "Gini, baseline", "Gini", UNCORRECTED, "by chance",
)  # fmt: skip
"""Columns of its tables that a narrow terminal leaves out, the least needed first."""


def named(results: StoredAttribution) -> list[tuple[str, SideNumbers]]:
    """Every ranker's sides, each with its title and its results."""
    return [(f"{name}, {SIDES[side]}", side_results) for name, side, side_results in results.sides]


def significant(number: float) -> str:
    """A number with its sign and three significant digits: margins have the scale of a ranker's scores, which may be tiny."""
    return f"{number:+.3g}".replace("-", "\u2212") if number else "0"


def is_published(results: StoredAttribution) -> bool:
    """Whether the method is study A's."""
    return results.method == "as_published"


def thresholds(results: StoredAttribution) -> str:
    """The shares above which neurons are active, in words; rankers may have different ones."""
    return " or ".join(
        sorted({f"{side_results.threshold:g}" for _, _, side_results in results.sides})
    )


# -- tables ---------------------------------------------------------------------------------------


def layer_table(results: StoredAttribution) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix: its share of the attribution, its concentration, and its completeness gap."""
    rows = []
    for name, side, side_results in results.sides:
        for site in side_results.sites:
            concentration = site.concentration
            gap = "\u2013" if site.gap is None else _percent(site.gap["largest"])
            rows.append(
                [
                    name,
                    side,
                    str(site.layer + 1),
                    site.name,
                    f"{site.share.value:.1%}",
                    f"{concentration['gini'].value:.3f}",
                    f"{concentration['effective_number'].value:.0f} of {site.n_neurons}",
                    gap,
                    f"{site.active_once} of {site.n_neurons}",
                ]
            )
    return COLUMNS, rows


def _percent(share: float) -> str:
    return f"{share:.3%}" if share >= 1e-5 else "<0.001%"


def comparison_table(results: StoredAttribution) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix of two rankers: the concentration of one compared with the other's."""
    columns = [
        "ranker", "baseline", "side", "layer", "matrix", "Gini, baseline", "Gini", "difference",
        UNCORRECTED, "corrected p", "verdict",
    ]  # fmt: skip
    rows = [
        [
            *_names_of_pair(row.site),
            f"{row.before:.3f}",
            f"{row.after:.3f}",
            signed(row.difference),
            f"{signed(row.low)} to {signed(row.high)}",
            p_text(row.corrected_p),
            row.verdict,
        ]
        for row in results.comparisons
    ]
    return columns, rows


def overlap_table(results: StoredAttribution) -> tuple[list[str], list[list[str]]]:
    """A row for each matrix of two rankers: the overlap of the neurons active on the same example."""
    columns = [
        "ranker", "baseline", "side", "layer", "matrix", "active, baseline", "active", "in both", "Jaccard index",
        "interval", "by chance",
    ]  # fmt: skip
    rows = [
        [
            *_names_of_pair(row.site),
            *(f"{number:.1f}" for number in (row.n_second, row.n_first, row.n_both)),
            *_jaccard(row),
        ]
        for row in results.overlaps
    ]
    return columns, rows


def _jaccard(row: ActiveOverlap) -> tuple[str, str, str]:
    index = row.jaccard
    if index.value is None:
        return ("none active", "", "")
    return (f"{index.value:.2f}", f"{index.low:.2f} to {index.high:.2f}", f"{row.by_chance:.2f}")


def _names_of_pair(site: PairedSite) -> list[str]:
    return [site.ranker, site.baseline, site.side, str(site.layer + 1), site.name]


def full_rows(results: StoredAttribution) -> tuple[list[str], list[list[str]]]:
    """A row for every number of sites, ablation and pairs of rankers; those of examples and maps are left out."""
    columns = [
        "method", "path", "nodes", "examples", "ranker", "baseline", "side", "layer", "matrix", "what", "value",
        "low", "high", "intervals", "corrected p", "verdict",
    ]  # fmt: skip
    common = {
        "method": results.method,
        "path": results.path,
        "nodes": results.nodes,
        "examples": results.n_examples,
    }
    rows = [
        ["" if row.get(column) is None else str(row[column]) for column in columns]
        for row in (common | numbers for numbers in (*_side_rows(results), *_pair_rows(results)))
    ]
    return columns, rows


def _row(what: str, value: Any) -> dict[str, Any]:
    """A row for a number, or for one with its interval."""
    return {"what": what, **(as_plain(value) if is_dataclass(value) else {"value": value})}


def _side_rows(results: StoredAttribution) -> Iterator[dict[str, Any]]:
    for name, side, side_results in results.sides:
        side_names = {"ranker": name, "side": side}
        for what in ("target", "threshold", "share_of_noise"):
            yield side_names | _row(what, getattr(side_results, what))
        for measure, value in side_results.whole.items():
            yield side_names | _row(measure, value)
        for site in side_results.sites:
            site_names = side_names | {"layer": site.layer + 1, "matrix": site.name}
            for what in ("n_neurons", "share", "change", "active", "active_once"):
                yield site_names | _row(what, getattr(site, what))
            for what, gap in (site.gap or {}).items():
                yield site_names | _row(f"{what} gap", gap)
            for measure, value in site.concentration.items():
                yield site_names | _row(measure, value)
        yield from (side_names | row for row in _ablation_rows(side_results.ablation))


def _ablation_rows(curves: AblationCurves | None) -> Iterator[dict[str, Any]]:
    if curves is None:
        return
    yield _row("target with all neurons", curves.whole)
    yield _row("target with none", curves.none)
    for place, (count, advantage) in enumerate(zip(curves.counts, curves.advantage, strict=True)):
        for what in ("deleted", "deleted_random", "inserted", "inserted_random"):
            yield _row(f"target, {count} {what}", getattr(curves, what)[place])
        yield _row(f"{count} deleted against random", advantage)


def _pair_rows(results: StoredAttribution) -> Iterator[dict[str, Any]]:
    for row in results.comparisons:
        columns = _site_names(row.site) | {"corrected p": row.corrected_p, "verdict": row.verdict}
        columns["intervals"] = UNCORRECTED
        numbers = {"value": row.difference, "low": row.low, "high": row.high}
        yield columns | {"what": f"difference in {row.measure}", **numbers}
    for overlap in results.overlaps:
        site_names = _site_names(overlap.site)
        yield site_names | _row("active", overlap.n_first)
        yield site_names | _row("active in the baseline", overlap.n_second)
        yield site_names | _row("active in both", overlap.n_both)
        yield site_names | _row("Jaccard index of the active", overlap.jaccard)
        yield site_names | _row("Jaccard index by chance", overlap.by_chance)


def _site_names(site: PairedSite) -> dict[str, Any]:
    names = {"ranker": site.ranker, "baseline": site.baseline, "side": site.side}
    return names | {"layer": site.layer + 1, "matrix": site.name}


# -- sides ---------------------------------------------------------------------------------------


def all_sides(results: StoredAttribution) -> list[str]:
    """Every side that any ranker has: query and document, or pairs, or all."""
    return list(dict.fromkeys(side for _, side, _ in results.sides))


def of_side(results: StoredAttribution, side: str) -> dict[str, SideNumbers]:
    """The rankers that have such a side, with its results."""
    return {
        name: side_results for name, side_name, side_results in results.sides if side_name == side
    }


def pairs(results: StoredAttribution, side: str) -> list[tuple[str, str]]:
    """Each ranker with the baselines that have matrices of the same sizes."""
    rows = (row for row in results.comparisons if row.site.side == side)
    return list(dict.fromkeys((row.site.ranker, row.site.baseline) for row in rows))


# -- words ----------------------------------------------------------------------------------------


def sentences(results: StoredAttribution) -> list[str]:
    """The conclusions, and their limits, a sentence each."""
    lines = [
        _noise(name, side, side_results)
        for name, side, side_results in results.sides
        if side_results.share_of_noise > NOISE_TO_SAY
    ]
    usable = [
        (name, side, side_results)
        for name, side, side_results in results.sides
        if not side_results.is_degenerate
    ]
    if is_published(results):
        return [*lines, "As published, so layers, matrices and rankers are not compared in words."]
    for name, side, side_results in usable:
        lines.append(_where(name, side, side_results))
        if side_results.ablation:
            lines += _ablated(name, side, side_results.target, side_results.ablation)
        lines += _incomplete(name, side, side_results)
    return [*lines, *_differences(results), CAVEAT]


def _noise(name: str, side: str, side_results: SideNumbers) -> str:
    title = f"{name}, {SIDES[side]}"
    if not side_results.is_degenerate:
        return (
            f"{title}: at {side_results.share_of_noise:.0%} of the examples' matrices the target changes by no more than "
            "rounding; what is attributed there is noise."
        )
    where = "no matrix" if side_results.share_of_noise == 1 else "few matrices"
    return (
        f"{title}: the target changes at {where} by more than rounding, so its attributions are rounding noise scaled "
        "up. Nothing may be concluded from them. Take another target: the sound method's."
    )


def _where(name: str, side: str, side_results: SideNumbers) -> str:
    """A sentence on the layer with the largest share, and the effective number of neurons."""
    by_layer: dict[int, float] = {}
    for site in side_results.sites:
        by_layer[site.layer] = by_layer.get(site.layer, 0.0) + site.share.value
    layer = max(by_layer, key=lambda key: (by_layer[key], -key))
    number, n = (
        side_results.whole["effective_number"],
        sum(s.n_neurons for s in side_results.sites),
    )
    return (
        f"{name}, {SIDES[side]}: of the sizes of all attributions layer {layer + 1} of {len(by_layer)} has the largest "
        f"share ({by_layer[layer]:.0%}). They are spread over {number.value:,.0f} of {n:,} neurons in effect "
        f"[{number.low:,.0f}, {number.high:,.0f}]."
    )


def _ablated(name: str, side: str, target: MeanOverExamples, curves: AblationCurves) -> list[str]:
    """A sentence on whether ablation of the top neurons costs more of the margin than that of random ones."""
    title = f"{name}, {SIDES[side]}"
    place = max((n for n, k in enumerate(curves.counts) if k <= HEADLINE), default=0)
    count, advantage = curves.counts[place], curves.advantage[place]
    margin = f"the margin of {_with_interval(target).removeprefix('+')}"
    if target.low <= 0 <= target.high:
        return [
            f"{title}: {margin} is not shown to be other than 0: there is no preference to explain."
        ]
    falls = (
        f"falls further than without {counted(count, 'random one')}, by {_with_interval(advantage)}: they carry more of it than chance"
        if advantage.low > 0
        else f"does not clearly fall further than without {counted(count, 'random one')} ({_with_interval(advantage)}): these "
        "attributions are not to be relied on"
    )
    return [
        f"{title}: without each example's top {counted(count, 'neuron')} {margin} {falls}. With no neuron of any layer it is "
        f"{significant(curves.none)}."
    ]


def _with_interval(value: MeanOverExamples) -> str:
    low, high = significant(value.low), significant(value.high)
    return f"{significant(value.value)} [{low}, {high}]"


def _incomplete(name: str, side: str, side_results: SideNumbers) -> list[str]:
    gaps = [(site.gap["largest"], site) for site in side_results.sites if site.gap]
    if not gaps:
        return []
    largest, site = max(gaps, key=lambda pair: pair[0])
    if largest <= GAP_TO_SAY:
        return []
    return [
        f"{name}, {SIDES[side]}: in layer {site.layer + 1} ({site.name}) some example's attributions do not add up: "
        f"{largest:.1%} of the sum of their sizes is missing. Take more nodes."
    ]


def _differences(results: StoredAttribution) -> Iterator[str]:
    """Sentences on the layers that became more or less concentrated, by rankers and side."""
    groups: dict[tuple[str, str, str], list[ConcentrationDifference]] = {}
    for row in results.comparisons:
        site = row.site
        groups.setdefault((site.ranker, site.baseline, site.side), []).append(row)
    for (name, baseline, side), rows in groups.items():
        changes = []
        for verdict in ("more concentrated", "less concentrated"):
            places = [_place(row.site, rows) for row in rows if row.verdict == verdict]
            if places:
                changes.append(f"{verdict} in {_listed(places)}")
        summary = "; ".join(changes) if changes else "no layer's concentration is shown to differ"
        yield f"{name} against {baseline}, {SIDES[side]}: {summary} (Gini coefficient, corrected over {counted(len(rows), 'matrix', 'matrices')})."


def _place(site: PairedSite, rows: Sequence[ConcentrationDifference]) -> str:
    """A layer, and its matrix where there are several."""
    layer = str(site.layer + 1)
    return layer if len({row.site.name for row in rows}) == 1 else f"{layer} ({site.name})"


def _listed(places: Sequence[str]) -> str:
    return "layer " + places[0] if len(places) == 1 else "layers " + ", ".join(places)
