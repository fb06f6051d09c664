"""The accuracy of probes by layer, as Vega-Lite charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from rankscope.analyses.probes.stored import LayerAccuracy, PublishedAccuracy
from rankscope.analyses.probes.words import LayerCurves
from rankscope.report.charts import GREY, LINES, Spec, _rule_at, chart_of, finished

FIELDS = ("layer", "accuracy", "low", "high")
"""The numbers of a point that are drawn."""


def layers_of_rankers(
    points: Sequence[LayerAccuracy],
    published: Sequence[PublishedAccuracy] = (),
    *,
    chance: float,
    first_stage: float,
) -> Spec:
    """One probe's accuracy by layer, a line and a band of intervals for each ranker, with chance and the first stage.

    A ranker's control is dashed in its colour, and a paper's curve of it dotted.
    """
    return _by_layer(
        [
            *(_row(point.ranker, point) for point in points),
            *(_published_row(point) for point in published),
        ],
        list(dict.fromkeys(point.ranker for point in points)),
        [(chance, "chance"), (first_stage, "first stage")],
        "Accuracy of the probe by layer and ranker",
    )


def layers_of_probes(data: LayerCurves) -> Spec:
    """Every probe and control of one ranker by layer; controls dashed."""
    return _by_layer(
        [_row(point.probe, point) for point in data.points],
        list(dict.fromkeys(point.probe for point in data.points)),
        [(1 / data.n, "chance"), (data.first_stage, "first stage")],
        f"Probes and controls of {data.ranker} by layer",
    )


def _row(name: str, point: LayerAccuracy) -> dict[str, Any]:
    """A point of the curve with that name."""
    return {
        "name": name,
        "kind": point.kind,
        **{field: getattr(point, field) for field in FIELDS},
    }


def _published_row(point: PublishedAccuracy) -> dict[str, Any]:
    """A paper's point, which has no interval."""
    ends = dict.fromkeys(("accuracy", "low", "high"), point.accuracy)
    return {"name": point.ranker, "kind": "published", "layer": point.layer, **ends}


def _by_layer(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    lines: Sequence[tuple[float, str]],
    description: str,
) -> Spec:
    layers = sorted({row["layer"] for row in rows})
    base = chart_of(rows).encode(
        x=alt.X("layer:Q", title="layer", axis=alt.Axis(values=layers, format="d")),
        color=alt.Color(
            "name:N",
            scale=alt.Scale(domain=list(names), range=LINES[: len(names)]),
            legend=alt.Legend(title=None, orient="bottom", columns=3, symbolOpacity=1),
        ),
    )
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(zero=False))
    bands = base.mark_area(opacity=0.12).encode(
        y=alt.Y("low:Q", title="accuracy"), y2="high:Q", detail="kind:N"
    )
    curves = base.mark_line(strokeWidth=2).encode(
        y=y,
        strokeDash=alt.StrokeDash(
            "kind:N",
            scale=alt.Scale(
                domain=["probe", "control", "published"], range=[[1, 0], [5, 3], [1, 3]]
            ),
            legend=None,
        ),
    )
    dots = base.mark_point(filled=True, size=45).encode(
        y=y,
        shape=alt.Shape("name:N", scale=alt.Scale(domain=list(names)), legend=None),
        tooltip=[
            alt.Tooltip("name:N"),
            alt.Tooltip("layer:Q"),
            *(alt.Tooltip(f"{field}:Q", format=".3f") for field in FIELDS[1:]),
        ],
    )
    rules = [
        _rule_at(value).encode(y="at:Q", strokeDash=alt.value([2, 4]), tooltip=alt.value(name))
        for value, name in lines
    ]
    labels = [
        chart_of([{"at": value, "name": name}])
        .mark_text(align="left", baseline="bottom", dx=4, dy=-2, color=GREY)
        .encode(x=alt.value(0), y="at:Q", text="name:N")
        for value, name in lines
    ]
    chart = alt.layer(*rules, bands, curves, dots, *labels).properties(
        width="container", height=240
    )
    return finished(chart, description)
