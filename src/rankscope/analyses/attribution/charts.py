"""The attribution of neurons as Vega-Lite charts."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

import altair as alt

from rankscope.analyses.attribution import chart_data
from rankscope.analyses.attribution import words as attribution
from rankscope.analyses.attribution.stored import (
    AblationCurves,
    MeanOverExamples,
    SideNumbers,
    StoredAttribution,
)
from rankscope.report.charts import BLUE, GREY, LINES, VERMILION, Spec, chart_of, finished

CELL, LEAST, TALLEST = 22, 9, 520
"""Pixels of a heat map: the most and the least for a row, and the height of the map above which rows become lower."""
NONE = "rgba(138, 138, 138, 0)"
"""No ink: the page's background shows through, light or dark."""
SIGN = 0.1
"""A difference of at least this share of the largest has its sign written into its cell."""


def heat_maps(results: StoredAttribution, side: str) -> list[tuple[str, Spec]]:
    """A map for each ranker that has the side, all on one scale."""
    rankers = attribution.of_side(results, side)
    largest = max(
        max(site.bins) for side_results in rankers.values() for site in side_results.sites
    )
    return [
        (name, heat_map(side_results, name, largest=largest))
        for name, side_results in rankers.items()
    ]


def difference_maps(results: StoredAttribution, side: str) -> list[tuple[tuple[str, str], Spec]]:
    """A map for each ranker and baseline of the same shape, all on one scale."""
    rankers = attribution.of_side(results, side)
    rows = {
        (ranker, baseline): chart_data.difference_cells(rankers[ranker], rankers[baseline])
        for ranker, baseline in attribution.pairs(results, side)
    }
    largest = max((abs(cell["active"]) for cells in rows.values() for cell in cells), default=0.0)
    return [(names, difference_map(cells, names, largest=largest)) for names, cells in rows.items()]


def concentrations(results: StoredAttribution) -> list[tuple[str, Spec]]:
    """A chart for each side and kind of matrix, with its title, all on one scale."""
    points = chart_data.gini_points(results)
    domain = gini_domain(points)
    n_matrices = len({point["matrix"] for point in points})
    titled = []
    for side, matrix in dict.fromkeys((point["side"], point["matrix"]) for point in points):
        title = attribution.SIDES[side] + (f", {matrix}" if n_matrices > 1 else "")
        rows = [point for point in points if (point["side"], point["matrix"]) == (side, matrix)]
        titled.append((title, concentration(rows, list(results.rankers), domain, title)))
    return titled


def heat_map(side_results: SideNumbers, ranker: str, *, largest: float) -> Spec:
    """Layers down, tenths of their neurons across: how often the most active neuron is active.

    `largest` is the highest frequency of all rankers side by side, so that the same ink is the same frequency.
    """
    rows = chart_data.heat_cells(side_results)
    colours = alt.Scale(domain=[0, largest or 1], range=[NONE, BLUE])
    ticks = [0, (largest or 1) / 2, largest or 1]
    chart = _cells(rows, colours, "active on", ticks, ".0%").encode(
        tooltip=[*_where(), alt.Tooltip("active:Q", title="active on", format=".1%")]
    )
    words = f"How often neurons of {ranker} are active, by layer and tenth of its neurons"
    return finished(_sized(chart, rows), words)


def difference_map(
    cells: Sequence[dict[str, Any]], names: tuple[str, str], *, largest: float
) -> Spec:
    """A ranker's heat map minus a baseline's: blue where it is active more often, vermilion where less, with the sign."""
    at = largest or 1
    rows = [cell | {"sign": _sign(cell["active"], SIGN * at)} for cell in cells]
    colours = alt.Scale(domain=[-at, 0, at], range=[VERMILION, NONE, BLUE])
    squares = _cells(rows, colours, "difference", [-at, 0, at], "+.0%").encode(
        tooltip=[
            *_where(),
            alt.Tooltip("active:Q", title="difference", format="+.1%"),
            alt.Tooltip("ranker:Q", title=names[0], format=".1%"),
            alt.Tooltip("baseline:Q", title=names[1], format=".1%"),
        ]
    )
    signs = chart_of(rows).mark_text(fontSize=12).encode(x=_across(), y=_down(rows), text="sign:N")
    words = f"How much more often neurons of {names[0]} are active than those of {names[1]}"
    return finished(_sized(alt.layer(squares, signs), rows), words)


def _sign(difference: float, least: float) -> str:
    if abs(difference) < least:
        return ""
    return "+" if difference > 0 else "\u2212"


def _cells(
    rows: Sequence[Mapping[str, Any]],
    colours: alt.Scale,
    title: str,
    shown: Sequence[float],
    shape: str,
) -> alt.Chart:
    chart: alt.Chart = (
        chart_of(rows)
        .mark_rect(stroke=GREY, strokeWidth=0.4, strokeOpacity=0.6)
        .encode(
            x=_across(),
            y=_down(rows),
            color=alt.Color(
                "active:Q",
                scale=colours,
                legend=alt.Legend(
                    title=title,
                    orient="bottom",
                    direction="horizontal",
                    format=shape,
                    values=shown,
                    gradientLength=160,
                    gradientThickness=10,
                    gradientStrokeColor=GREY,
                ),
            ),
        )
    )
    return chart


def _across() -> alt.X:
    return alt.X(
        "part:O",
        title="tenth of the neurons",
        axis=alt.Axis(labelAngle=0, domain=False, ticks=False),
    )


def _down(rows: Sequence[Mapping[str, Any]]) -> alt.Y:
    order = list(dict.fromkeys(str(row["row"]) for row in rows))
    is_layer_alone = all(label.isdigit() for label in order)
    return alt.Y(
        "row:N",
        sort=order,
        title="layer" if is_layer_alone else None,
        axis=alt.Axis(ticks=False, labelOverlap="greedy"),
    )


def _where() -> list[alt.Tooltip]:
    return [alt.Tooltip("layer:Q"), alt.Tooltip("matrix:N"), alt.Tooltip("neurons:N")]


def _sized(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart, rows: Sequence[Mapping[str, Any]]
) -> alt.Chart | alt.LayerChart | alt.FacetChart:
    n_rows = len({row["row"] for row in rows})
    height = alt.Step(max(LEAST, min(CELL, TALLEST // n_rows)))
    return chart.properties(width="container", height=height)


def concentration(
    points: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    domain: tuple[float, float],
    title: str,
) -> Spec:
    """The Gini coefficient by layer, a line and a band of its interval for each ranker, on a scale that others share."""
    colours = alt.Scale(domain=list(names), range=LINES[: len(names)])
    base = chart_of(points).encode(
        x=alt.X(
            "layer:Q",
            title="layer",
            axis=alt.Axis(values=sorted({point["layer"] for point in points}), format="d"),
            scale=alt.Scale(zero=False),
        ),
        color=alt.Color(
            "ranker:N",
            scale=colours,
            legend=alt.Legend(title=None, orient="bottom", columns=3, symbolOpacity=1),
        ),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    y = alt.Y("Gini:Q", title="Gini coefficient", scale=scale)
    bands = base.mark_area(opacity=0.15).encode(
        y=alt.Y("low:Q", title="Gini coefficient", scale=scale), y2="high:Q"
    )
    curves = base.mark_line(strokeWidth=2).encode(y=y)
    dots = base.mark_point(filled=True, size=45).encode(
        y=y,
        shape=alt.Shape("ranker:N", scale=alt.Scale(domain=list(names)), legend=None),
        tooltip=[
            alt.Tooltip("ranker:N"),
            alt.Tooltip("layer:Q"),
            *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("Gini", "low", "high")),
        ],
    )
    chart = alt.layer(bands, curves, dots).properties(width="container", height=200)
    return finished(chart, f"Concentration of the attributions of {title} by layer and ranker")


def gini_domain(points: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """From the lowest to the highest end of any interval, in whole twentieths."""
    low = min(point["low"] for point in points)
    high = max(point["high"] for point in points)
    return max(0.0, floor(low * 20) / 20), min(1.0, ceil(high * 20) / 20)


def ablation(curves: AblationCurves, title: str) -> Spec:
    """The target by the number of ablated neurons, or of the only ones kept; top neurons in full, random ones dashed."""
    points = chart_data.ablation_points(curves)
    advantages = dict(zip(curves.counts, curves.advantage, strict=True))
    rows = [
        {**point, "name": f"{point['neurons']} {point['what']}"}
        | (
            {"further": _interval(advantages[point["count"]])}
            if (point["what"], point["neurons"]) == ("deleted", "top")
            else {}
        )
        for point in points
    ]
    kinds = ["deleted", "inserted"]
    base = chart_of(rows).encode(
        x=alt.X(
            "count:Q",
            title="neurons of each example",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(values=curves.counts, format="d", grid=False),
        ),
        y=alt.Y("target:Q", title="target", scale=alt.Scale(zero=False)),
        color=alt.Color(
            "what:N",
            scale=alt.Scale(domain=kinds, range=[BLUE, VERMILION]),
            legend=alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolOpacity=1),
        ),
    )
    lines = base.mark_line(strokeWidth=2).encode(
        strokeDash=alt.StrokeDash(
            "neurons:N",
            scale=alt.Scale(domain=["top", "random"], range=[[1, 0], [5, 3]]),
            legend=alt.Legend(title=None, orient="bottom", symbolType="stroke"),
        )
    )
    dots = base.mark_point(filled=True, opacity=1, size=45).encode(
        y=alt.Y("target:Q", axis=None, scale=alt.Scale(zero=False)),
        shape=alt.Shape("what:N", scale=alt.Scale(domain=kinds), legend=None),
        tooltip=[
            alt.Tooltip("name:N"),
            alt.Tooltip("count:Q"),
            alt.Tooltip("target:Q", format=".3~g"),
            alt.Tooltip("further:N", title="further than random"),
        ],
    )
    chart = (
        alt.layer(_levels(curves), lines, dots)
        .resolve_axis(y="independent")
        .properties(width="container", height=200)
    )
    return finished(chart, f"The target of {title} with ablated neurons")


def _levels(curves: AblationCurves) -> alt.Chart:
    """Dotted lines at the target with all neurons and with none, named at the right."""
    rows = [{"at": curves.whole}, {"at": curves.none}]
    names = f"datum.value === {curves.whole} ? 'all neurons' : 'no neuron'"
    axis = alt.Axis(
        orient="right",
        values=[row["at"] for row in rows],
        labelExpr=names,
        title=None,
        grid=False,
        ticks=False,
        labelPadding=8,
        labelOverlap="greedy",
    )
    chart: alt.Chart = (
        chart_of(rows)
        .mark_rule(color=GREY, strokeDash=[2, 4])
        .encode(y=alt.Y("at:Q", axis=axis, scale=alt.Scale(zero=False)))
    )
    return chart


def _interval(advantage: MeanOverExamples) -> str:
    mean, low, high = map(attribution.significant, (advantage.value, advantage.low, advantage.high))
    return f"{mean} ({low} to {high})"
