import json
from dataclasses import replace

import pytest
import vl_convert
from jsonschema_rs import ValidationError

from rankscope.report import charts, queries, steps
from rankscope.report.forests import forests
from rankscope.report.wording.verdicts import VERDICTS


def drawn(spec):
    """Every data row of a chart."""
    return [row for rows in spec["datasets"].values() for row in rows]


def specs(results):
    found = [charts.forest(forest) for forest in forests(results.evaluation)]
    for training in steps.trainings(results):
        found += [charts.loss_curve(training), charts.validation_curve(training)]
    differences = queries.differences(queries.pairs(results.evaluation)[0], results)
    return [*found, charts.query_differences(differences)]


def test_contract_of_every_chart(results):
    for spec in specs(results):
        assert vl_convert.vegalite_to_vega(spec)["marks"], "Vega-Lite accepts it"
        assert spec["width"] == "container", "fits a phone"
        assert "config" not in spec, "leaves the theme to the page"
        assert spec["description"]
        assert "url" not in json.dumps(spec), "brings its data along"


def test_a_chart_that_vega_lite_does_not_know_fails_a_test(results):
    spec = charts.forest(forests(results.evaluation)[0])
    layers = [{**layer, "mark": {"type": "rulle"}} for layer in spec["layer"]]
    with pytest.raises(ValidationError):
        charts.CHECKS[0](spec | {"layer": layers})


def test_a_forest_has_a_shape_for_each_verdict_and_a_band_where_there_is_a_margin(results):
    first, second = (charts.forest(forest) for forest in forests(results.evaluation))
    assert {"from": -0.05, "to": 0.05} in drawn(first)
    assert not any("from" in row for row in drawn(second))
    assert [row["difference"] for row in drawn(second) if "low" in row] == [
        row.judged.difference for row in forests(results.evaluation)[1].rows
    ]
    assert charts.VERDICT_GLYPHS.keys() == charts.VERDICT_SHAPES.keys()
    assert charts.VERDICT_SHAPES.keys() == charts.VERDICT_COLOURS.keys() == VERDICTS.keys()
    assert first["title"]["text"] == "▲ better\u2003▼ worse\u2003■ equivalent"
    assert len(set(charts.VERDICT_SHAPES.values())) == len(VERDICTS)


def test_dots_are_one_a_query(results):
    found = queries.differences(queries.pairs(results.evaluation)[0], results)
    dots = [row for row in drawn(charts.query_differences(found)) if "difference" in row]
    assert [dot["place"] for dot in dots] == list(range(1, 41))
    assert [(dot["difference"], dot["system"], dot["baseline"]) for dot in dots] == [
        (row.difference, row.system_value, row.baseline_value) for row in found.rows
    ]
    assert dots[0]["query"].startswith("who built the")


def test_the_brush_has_the_signals_that_the_page_listens_to_and_clears(results):
    """report.js reads `picked` and sets `picked_x`, which Vega-Lite names after the brush."""
    found = queries.differences(queries.pairs(results.evaluation)[0], results)
    spec = charts.query_differences(found)
    signals = {
        signal["name"]: json.dumps(signal)
        for signal in vl_convert.vegalite_to_vega(spec)["signals"]
    }
    assert [param["views"] for param in spec["params"]] == [["dots"]]
    assert {"picked", "picked_x"} <= signals.keys()
    assert '"field": "place", "channel": "x"' in signals["picked_tuple_fields"]
    assert not any("wheel" in signal for signal in signals.values()), "the wheel scrolls the page"


@pytest.mark.parametrize(
    ("difference", "outcome"), [(0.1, "above"), (-0.1, "below"), (0.0, "same")]
)
def test_outcomes(results, difference, outcome):
    found = queries.differences(queries.pairs(results.evaluation)[0], results)
    one = replace(found, rows=(replace(found.rows[0], difference=difference, text=""),))
    rows = drawn(charts.query_differences(one))
    assert {"outcome": outcome, "query": found.rows[0].query_id}.items() <= next(
        row.items() for row in rows if "outcome" in row
    )


def test_of_many_queries_evenly_spaced_ones_cover_the_axis(results):
    found = queries.differences(queries.pairs(results.evaluation)[0], results)
    many = replace(found, rows=tuple(found.rows[0] for _ in range(1000)))
    spec = charts.query_differences(many)
    dots = [row for row in drawn(spec) if "difference" in row]
    assert [dot["place"] for dot in dots] == [place for place, _ in many.drawn]
    low, high = spec["layer"][-1]["encoding"]["x"]["scale"]["domain"]
    assert 0 < low < dots[0]["place"]
    assert dots[-1]["place"] == 1000 < high < 1001


def test_the_kept_update_is_marked_where_there_is_one(results):
    kept, _ = steps.trainings(results)
    assert {"at": 300} in drawn(charts.validation_curve(kept))
    assert not any(
        "at" in row for row in drawn(charts.validation_curve(replace(kept, kept_update=None)))
    )
