"""What moved between two rankers, as Vega-Lite charts."""

import altair as alt

from rankscope.analyses.changes import chart_data, words
from rankscope.report.charts import (
    BLUE,
    GREY,
    LINES,
    NO_INK,
    Spec,
    _order,
    finished,
)

CELL = 22
"""Pixels of a row of the change map."""
LABEL = 180
"""Pixels of the longest name of a module."""


def change_map(stored: words.StoredChanges) -> Spec:
    """Modules down, layers across: the more ink, the further its weights moved; no ink, no change."""
    rows = chart_data.map_cells(stored)
    layers = [words.layer_name(n, stored["depth"]) for n in range(stored["depth"] + 2)]
    present = {row["layer"] for row in rows}
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(stroke=GREY, strokeWidth=0.4)
        .encode(
            x=alt.X(
                "layer:N",
                sort=[layer for layer in layers if layer in present],
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
    return finished(
        chart, f"How far each module of {stored['after']} moved from {stored['before']}"
    )


def likeness(stored: words.StoredChanges, what: str) -> Spec:
    """CKA or shared neighbours by layer, a line and a band for each side; dashed: the level of chance."""
    rows = [row for row in chart_data.curves(stored) if row["what"] == what]
    names = list(dict.fromkeys(row["side"] for row in rows))
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "layer:Q",
            title="layer",
            axis=alt.Axis(values=sorted({row["layer"] for row in rows}), format="d"),
        ),
        color=alt.Color(
            "side:N",
            scale=alt.Scale(domain=names, range=LINES[: len(names)]),
            legend=alt.Legend(title=None, orient="bottom", symbolOpacity=1),
        ),
    )
    lowest = min([0.0, *(row["low"] for row in rows)])
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
    return finished(chart, f"{what} of {stored['after']} and {stored['before']} by layer")
