"""Vega-Lite charts of section data.

A chart is a plain specification with its data inside. It sets no colours of text, axes or background: the page adds
them when it draws the chart, so that charts follow the light and the dark theme. Whatever a colour shows, a shape, a
dash or a position shows, too. The colours are those of Okabe and Ito.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from rankscope.report.forests import Forest
from rankscope.report.queries import Differences
from rankscope.report.steps import RankerTraining
from rankscope.report.systems import SystemRow
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import clipped
from rankscope.report.wording.verdicts import VERDICTS

Spec = dict[str, Any]

CHECKS: list[Callable[[Spec], object]] = []
"""Called with each finished chart; the tests put a check against Vega-Lite's schema here."""


@contextmanager
def unchecked_parts() -> Iterator[None]:
    """Inside the block altair checks no part of a chart when it is made."""
    with debug_mode(False):
        yield


def chart_of(rows: Iterable[Mapping[str, Any]]) -> alt.Chart:
    """A chart with its data inside.

    Altair copies a chart at every step of its making, with lists of rows but not with a tuple of them.
    """
    return alt.Chart(alt.InlineData(values=tuple(rows)))


BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"

LINES = [BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", GREY, "#000000"]
"""The colours of the curves in one chart."""

VERDICT_COLOURS = {"better": BLUE, "worse": VERMILION, "equivalent": GREEN, "cannot tell": GREY}

VERDICT_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "equivalent": "square",
    "cannot tell": "circle",
}

AXIS = alt.Axis(tickCount=6)
"""Few enough ticks for the width of a phone."""

LONG_LABEL = 20
"""Longer labels of comparisons are broken before the minus and before each value of a sweep."""

SWEPT = re.compile(r"\.[A-Za-z][^=\n]*=")
"""Where a value begins in the name of a sweep's member: C-D, .learning_rate=1e-06, .group_size=8."""

LINE, ROW = 13, 28
"""The height of a label's line, and the least height of a row, in pixels."""

VERDICT_GLYPHS = {"better": "▲", "worse": "▼", "equivalent": "■", "cannot tell": "●"}


def forest(data: Forest) -> Spec:
    """The forest plot: differences with their intervals, the zero line and the band of the margin."""
    rows = [
        {
            "comparison": f"{row.system} \u2212 {row.baseline}",
            "label": "\n".join(comparison_lines(row.system, row.baseline)),
            "difference": row.judged.difference,
            "low": row.judged.interval.low,
            "high": row.judged.interval.high,
            "verdict": row.judged.verdict.value,
            "corrected p": row.judged.corrected_p,
            "fragility": cautions.figure(row.judged.fragility),
        }
        for row in data.rows
    ]
    n_lines = max(len(comparison_lines(row.system, row.baseline)) for row in data.rows)
    verdicts = [
        mark.word
        for verdict, mark in VERDICTS.items()
        if any(row.judged.verdict == verdict for row in data.rows)
    ]
    y = alt.Y(
        "label:N",
        sort=[str(row["label"]) for row in rows],
        title=None,
        axis=_labels(n_lines),
    )
    title = f"difference in {data.measure}, {data.interval}"
    base = chart_of(rows)
    intervals = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=title, axis=AXIS), x2="high:Q", y=y, color=_colours(verdicts)
    )
    points = base.mark_point(filled=True, opacity=1, size=90).encode(
        x=alt.X("difference:Q", title=title, axis=AXIS),
        y=y,
        color=_colours(verdicts),
        shape=alt.Shape(
            "verdict:N",
            scale=alt.Scale(domain=verdicts, range=[VERDICT_SHAPES[word] for word in verdicts]),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("comparison:N"),
            alt.Tooltip("verdict:N"),
            alt.Tooltip("difference:Q", format="+.3f"),
            *(
                alt.Tooltip(f"{end}:Q", format="+.3f", title=f"{end}, {data.interval}")
                for end in ("low", "high")
            ),
            alt.Tooltip("corrected p:Q", format=".3f"),
            alt.Tooltip("fragility:N"),
        ],
    )
    layers = [*_band(data.margin), _rule_at(0.0).encode(x="at:Q"), intervals, points]
    chart = alt.layer(*layers).properties(
        width="container", height=alt.Step(max(ROW, LINE * n_lines + 8)), title=_key(verdicts)
    )
    return finished(chart, f"Differences in {data.measure}, each with its {data.interval}")


def comparison_lines(system: str, baseline: str) -> list[str]:
    """A comparison on one line, or on several, so that the values that distinguish members of a sweep are visible."""
    whole = f"{system} \u2212 {baseline}"
    if len(whole) <= LONG_LABEL:
        return [whole]
    return SWEPT.sub(r"\n\g<0>", f"{system}\n\u2212 {baseline}").split("\n")


def _labels(n_lines: int) -> alt.Axis:
    """Labels of several lines, each in the middle of its row."""
    offsets = [
        {"test": f"length(split(datum.label, '\\n')) == {n}", "value": -6 * (n - 1)}
        for n in range(2, n_lines + 1)
    ]
    return alt.Axis(
        labelExpr="split(datum.label, '\\n')",
        labelOffset={"condition": offsets, "value": 0} if offsets else 0,
    )


def _band(margin: float | None) -> list[alt.Chart]:
    if margin is None:
        return []
    values = [{"from": -margin, "to": margin}]
    band = chart_of(values).mark_rect(color=GREEN, opacity=0.16)
    return [band.encode(x="from:Q", x2="to:Q")]


def _rule_at(value: float) -> alt.Chart:
    rule: alt.Chart = chart_of([{"at": value}]).mark_rule(color=GREY)
    return rule


def _colours(verdicts: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=verdicts, range=[VERDICT_COLOURS[word] for word in verdicts])
    return alt.Color("verdict:N", scale=scale, legend=None)


def _key(verdicts: Sequence[str]) -> alt.Title:
    """The legend as one line of text, which fits where a legend would be cut off."""
    words = "\u2003".join(f"{VERDICT_GLYPHS[word]} {word}" for word in verdicts)
    return alt.Title(words, anchor="start", frame="bounds", fontSize=12, fontWeight="normal")


def query_differences(data: Differences) -> Spec:
    """A dot per query on a stem to zero, from the biggest win to the biggest loss.

    Dragging over the dots sets the signal `picked` to the places that lie under the brush; the page
    lists their queries. It does not zoom: the wheel belongs to the page.
    """
    rows = [
        {
            "place": place,
            "difference": row.difference,
            "outcome": _outcome(row.difference),
            "query": clipped(row.text, 100) or row.query_id,
            "system": row.system_value,
            "baseline": row.baseline_value,
            **({"seeds": data.pair.means} if data.pair.means else {}),
        }
        for place, row in data.drawn
    ]
    picked = alt.selection_interval(
        name="picked",
        encodings=["x"],
        zoom=False,
        mark=alt.BrushConfig(fill=GREY, fillOpacity=0.2, stroke=GREY, strokeOpacity=0.6),
    )
    base = chart_of(rows).encode(
        x=alt.X(
            "place:Q",
            title="queries, sorted",
            axis=alt.Axis(tickCount=6, tickMinStep=1, grid=False),
            scale=alt.Scale(domain=[0.25, len(data.rows) + 0.75], nice=False),
        ),
        y=alt.Y("difference:Q", title=f"difference in {data.measure}"),
        color=alt.Color(
            "outcome:N",
            scale=alt.Scale(domain=["above", "below", "same"], range=[BLUE, VERMILION, GREY]),
            legend=None,
        ),
        opacity=alt.condition(picked, alt.value(1), alt.value(0.4)),
    )
    stems = base.mark_rule(strokeWidth=1).encode(y2=alt.datum(0))
    dots = (
        base.mark_point(filled=True, size=50 if len(rows) <= 100 else 22)
        .encode(
            tooltip=[
                alt.Tooltip("query:N"),
                alt.Tooltip("difference:Q", format="+.3f"),
                alt.Tooltip("system:Q", title=data.pair.system, format=".3f"),
                alt.Tooltip("baseline:Q", title=data.pair.baseline, format=".3f"),
                *([alt.Tooltip("seeds:N")] if data.pair.means else []),
            ],
        )
        .add_params(picked)
        .properties(
            name="dots"
        )  # without a name, altair makes one up, which differs between versions
    )
    zero = _rule_at(0.0).encode(y="at:Q")
    chart = alt.layer(zero, stems, dots).properties(
        width="container", height=200, view=alt.ViewBackground(cursor="crosshair")
    )
    pair = f"{data.pair.system} minus {data.pair.baseline}"
    return finished(chart, f"{data.measure} by query: {pair}")


def _outcome(difference: float) -> str:
    if difference == 0:
        return "same"
    return "above" if difference > 0 else "below"


def loss_curve(data: RankerTraining) -> Spec:
    """The logged loss (light) and its running mean."""
    rows = [{"update": p.update, "loss": p.loss, "smoothed": p.smoothed} for p in data.loss]
    base = chart_of(rows).encode(x=alt.X("update:Q", title="update", axis=AXIS))
    raw = base.mark_line(color=BLUE, opacity=0.3, strokeWidth=1).encode(
        y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=False))
    )
    smoothed = base.mark_line(color=BLUE, strokeWidth=2).encode(
        y=alt.Y("smoothed:Q", title="loss", scale=alt.Scale(zero=False)),
        tooltip=[alt.Tooltip("update:Q"), alt.Tooltip("smoothed:Q", format=".4f")],
    )
    chart = alt.layer(raw, smoothed).properties(width="container", height=150)
    return finished(chart, f"Training loss of {data.ranker}")


def validation_curve(data: RankerTraining) -> Spec:
    """The validation measure by update, with a dashed line at the update that was kept."""
    rows = [{"update": update, "value": value} for update, value in data.validation]
    line = (
        chart_of(rows)
        .mark_line(color=VERMILION, strokeWidth=2, point=alt.OverlayMarkDef(color=VERMILION))
        .encode(
            x=alt.X("update:Q", title="update", axis=AXIS),
            y=alt.Y("value:Q", title=data.validation_measure, scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("update:Q"), alt.Tooltip("value:Q", format=".4f")],
        )
    )
    kept = (
        []
        if data.kept_update is None
        else [_rule_at(data.kept_update).encode(x="at:Q", strokeDash=alt.value([4, 3]))]
    )
    chart = alt.layer(*kept, line).properties(width="container", height=150)
    return finished(chart, f"Validation of {data.ranker} by update")


def means(means: Mapping[str, Mapping[str, float]], measures: Sequence[str]) -> Spec:
    """A dot for each system's mean, a panel for each measure; system and measure to the mean."""
    rows = [
        {"system": system, "measure": measure, "mean": values[measure]}
        for system, values in means.items()
        for measure in measures
    ]
    panels = [
        chart_of(row for row in rows if row["measure"] == measure)
        .mark_point(filled=True, size=60, color=BLUE)
        .encode(
            x=alt.X("mean:Q", title=measure, axis=AXIS, scale=alt.Scale(zero=True)),
            y=alt.Y("system:N", title=None, sort=None),
            tooltip=["system:N", alt.Tooltip("mean:Q", format=".4f")],
        )
        for measure in measures
    ]
    words = "Means of each system"
    return below_each_other(
        [finished(panel, f"{words}, {name}") for panel, name in zip(panels, measures, strict=True)]
    )


def cost(rows: Sequence[SystemRow], measure: str) -> Spec:
    """Each system's mean over the seconds of all its stages; what nobody trained is at 0."""
    points = [
        {"system": row.system, "seconds": row.seconds, "mean": row.mean}
        for row in rows
        if row.mean is not None
    ]
    base = chart_of(points).encode(
        x=alt.X("seconds:Q", title="Seconds of training, all stages", axis=AXIS),
        y=alt.Y("mean:Q", title=measure, axis=AXIS, scale=alt.Scale(zero=False)),
        tooltip=["system:N", "seconds:Q", alt.Tooltip("mean:Q", format=".4f")],
    )
    dots = base.mark_point(filled=True, size=70, color=BLUE)
    names = base.mark_text(align="left", dx=8, dy=-6).encode(text="system:N")
    chart = (dots + names).properties(width="container", height=220)
    return finished(chart, f"{measure} of each system over the seconds of its training")


def query_cost(points: Sequence[Mapping[str, Any]], measure: str, unit: str) -> Spec:
    """Each system's mean over what a query costs it, on a logarithmic axis. A point has system, cost, mean and is_llm."""
    base = chart_of(points).encode(
        x=alt.X("cost:Q", title=f"{unit} a query", axis=AXIS, scale=alt.Scale(type="log")),
        y=alt.Y("mean:Q", title=measure, axis=AXIS, scale=alt.Scale(zero=False)),
        tooltip=["system:N", "cost:Q", alt.Tooltip("mean:Q", format=".4f")],
    )
    dots = base.mark_point(filled=True, size=70).encode(
        color=alt.Color(
            "is_llm:N", scale=alt.Scale(domain=[False, True], range=[BLUE, VERMILION]), legend=None
        ),
        shape=alt.Shape(
            "is_llm:N",
            scale=alt.Scale(domain=[False, True], range=["circle", "square"]),
            legend=None,
        ),
    )
    names = base.mark_text(align="left", dx=8, dy=-6).encode(text="system:N")
    chart = (dots + names).properties(width="container", height=240)
    return finished(chart, f"{measure} of each system over the {unit.lower()} of a query")


def below_each_other(panels: Sequence[Spec]) -> Spec:
    """Charts as one, each below the one before; a single one as it is."""
    if len(panels) == 1:
        return panels[0]
    return {
        "$schema": panels[0]["$schema"],
        "datasets": {name: rows for panel in panels for name, rows in panel["datasets"].items()},
        "vconcat": [
            {name: value for name, value in panel.items() if name not in WHOLE_CHART}
            for panel in panels
        ],
    }


def finished(chart: alt.Chart | alt.LayerChart | alt.FacetChart, description: str) -> Spec:
    """A chart as wide as its place, with a description for screen readers, and without the page's colours."""
    spec: Spec = chart.properties(
        description=description, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).to_dict(validate=False)
    del spec["config"]  # the page brings its own, light or dark
    for check in CHECKS:
        check(spec)
    return spec


WHOLE_CHART = ("$schema", "datasets", "autosize")
"""Fields of a chart that are those of the whole where it is a part."""

NO_INK = f"{BLUE}00"


ROW = 34
"""The height of a row of the forgetting matrix, in pixels."""


def _order(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows))
