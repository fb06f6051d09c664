"""What moved between two rankers, as Vega-Lite charts."""

import altair as alt

from rankscope.analyses.changes import chart_data
from rankscope.analyses.changes.stored import StoredChanges
from rankscope.analyses.changes.words import layer_name
from rankscope.report.charts import (
    BLUE,
    GREY,
    LINES,
    NO_INK,
    Spec,
    _order,
    chart_of,
    finished,
)

CELL = 22
"""Pixels of a row of the change map."""
LABEL = 180
"""Pixels of the longest name of a module."""


def change_map(stored: StoredChanges) -> Spec:
    """Modules down, layers across: the more ink, the further its weights moved; no ink, no change."""
    rows = chart_data.map_cells(stored)
    layers = sorted({row.layer for row in stored.modules if row.displacement is not None})
    chart = (
        chart_of(rows)
        .mark_rect(stroke=GREY, strokeWidth=0.4)
        .encode(
            x=alt.X(
                "layer:N",
                sort=[layer_name(layer, stored.depth) for layer in layers],
                title=None,
                axis=alt.Axis(labelAngle=-40),
            ),
            y=alt.Y(
                "part:N",
                sort=_order(rows, "part"),
                title=None,
                axis=alt.Axis(labelLimit=LABEL),
            ),
            color=alt.Color(
                "displacement:Q",
                scale=alt.Scale(domainMin=0, range=[NO_INK, BLUE]),
                legend=alt.Legend(
                    title="displacement", orient="bottom", format=".2~%", tickCount=3
                ),
            ),
            tooltip=[
                alt.Tooltip("part:N"),
                alt.Tooltip("layer:N"),
                alt.Tooltip("displacement:Q", format=".3%"),
                alt.Tooltip("effective rank:Q", format=".1f"),
                alt.Tooltip("of:Q", title="of at most"),
            ],
        )
        .properties(width="container", height=alt.Step(CELL))
    )
    return finished(chart, f"How far each module of {stored.after} moved from {stored.before}")


def likeness(stored: StoredChanges, what: str) -> Spec:
    """CKA or shared neighbours by layer, a line and a band for each side; dashed: the level of chance."""
    points = [point for point in chart_data.curves(stored) if point.what == what]
    names = list(dict.fromkeys(point.side for point in points))
    base = chart_of([point._asdict() for point in points]).encode(
        x=alt.X(
            "layer:Q",
            title="layer",
            axis=alt.Axis(values=sorted({point.layer for point in points}), format="d"),
        ),
        color=alt.Color(
            "side:N",
            scale=alt.Scale(domain=names, range=LINES[: len(names)]),
            legend=alt.Legend(title=None, orient="bottom", symbolOpacity=1),
        ),
    )
    lowest = min([0.0, *(point.low for point in points)])
    y = alt.Y("value:Q", title=what, scale=alt.Scale(domain=[lowest, 1]))
    chance = base.mark_line(strokeDash=[2, 4], strokeWidth=1).encode(y="chance:Q")
    bands = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=what), y2="high:Q")
    curves = base.mark_line(strokeWidth=2).encode(y=y)
    dots = base.mark_point(filled=True, size=45).encode(
        y=y,
        shape=alt.Shape("side:N", scale=alt.Scale(domain=names), legend=None),
        tooltip=[
            alt.Tooltip("side:N"),
            alt.Tooltip("layer:Q"),
            *(
                alt.Tooltip(f"{name}:Q", format=".3f")
                for name in ("value", "low", "high", "chance")
            ),
        ],
    )
    chart = alt.layer(chance, bands, curves, dots).properties(width="container", height=200)
    return finished(chart, f"{what} of {stored.after} and {stored.before} by layer")
