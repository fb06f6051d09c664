"""The forgetting matrix, as a Vega-Lite chart."""

import altair as alt

from rankscope.analyses.forgetting import words as forgetting
from rankscope.analyses.forgetting.matrix import Matrix
from rankscope.report.charts import (
    GREY,
    NO_INK,
    ROW,
    VERDICT_COLOURS,
    Spec,
    _order,
    chart_of,
    finished,
)
from rankscope.report.wording.verdicts import VERDICTS


def matrix(stored: Matrix) -> Spec:
    """Rankers down, collections across: the difference as a number, the verdict as colour and mark."""
    rows = forgetting.cells(stored)
    verdicts = [
        word
        for word in (*VERDICTS, forgetting.REFERENCE)
        if any(row["verdict"] == word for row in rows)
    ]
    base = chart_of(rows).encode(
        x=alt.X(
            "collection:N",
            sort=_order(rows, "collection"),
            title=None,
            axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False),
        ),
        y=alt.Y("ranker:N", sort=_order(rows, "ranker"), title=None),
    )
    colours = alt.Scale(
        domain=verdicts, range=[VERDICT_COLOURS.get(word, NO_INK) for word in verdicts]
    )
    squares = base.mark_rect(fillOpacity=0.3, stroke=GREY, strokeWidth=0.4).encode(
        color=alt.Color("verdict:N", scale=colours, legend=alt.Legend(title=None, orient="bottom")),
        tooltip=[
            alt.Tooltip("ranker:N"),
            alt.Tooltip("collection:N"),
            alt.Tooltip("taught:N"),
            alt.Tooltip("verdict:N"),
            alt.Tooltip("difference:Q", format="+.3f"),
            alt.Tooltip("interval:N", title=forgetting.interval(stored)),
            *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("mean", "before")),
            alt.Tooltip("corrected p:Q", format=".3f"),
            alt.Tooltip("fragility:N"),
        ],
    )
    numbers = base.mark_text(fontSize=12).encode(text="shown:N")
    chart = alt.layer(squares, numbers).properties(width="container", height=alt.Step(ROW))
    return finished(chart, f"Differences in {stored.measure} by ranker and collection")
