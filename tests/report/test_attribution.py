"""What the page says and draws of neurons: maps on one scale, links from losses to examples, files."""

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
import vl_convert

from rankscope.analyses.attribution import chart_data
from rankscope.analyses.attribution import charts as attribution_charts
from rankscope.analyses.attribution import examples as attribution_examples
from rankscope.analyses.attribution import words as attribution
from rankscope.analyses.attribution.attributed import AttributedSide
from rankscope.analyses.attribution.plan import NeuronsParams
from rankscope.analyses.attribution.results import concluded
from rankscope.analyses.attribution.section import shown
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.attribution.stored import (
    ConcentrationDifference,
    JaccardIndex,
    LowExample,
    MeanOverExamples,
    PairedSite,
    SideNumbers,
    SiteNumbers,
    SitePart,
    StoredAttribution,
)
from rankscope.core.errors import DamagedArtifact
from rankscope.core.judged.plain import as_stored, from_plain
from rankscope.core.records import Choice
from rankscope.explain.attributing import Attributions
from rankscope.pipeline.spec.fields import spec_of
from rankscope.report import page, queries
from rankscope.report.stored import StoredResults
from support import made_up_neurons
from support.made_up_study import run_of

OF_ONE = NeuronsParams(spec_of(AttributionSpec, over="test", first_stage="bm25"), ("one",), seed=42)


def with_neurons(results: StoredResults, found: dict[str, StoredAttribution]) -> StoredResults:
    """The results, with what attribution found."""
    return replace(results, sections=(shown(found, results.queries),))


@pytest.fixture(scope="module")
def found() -> StoredAttribution:
    return made_up_neurons.found(("plain", "C-D"), n_layers=3, n_examples=6)


@pytest.fixture(scope="module")
def published() -> StoredAttribution:
    return made_up_neurons.found(
        ("plain", "C"), n_examples=4, names=("intermediate", "output"), is_sound=False
    )


@pytest.fixture(scope="module")
def explained(results: StoredResults, found: dict[str, StoredAttribution]) -> StoredResults:
    return with_neurons(results, {"mine": found})


@pytest.fixture(scope="module")
def html(explained: StoredResults) -> str:
    return page.html(explained)


def a_ranker(*bins: list[float], name: str = "neurons", n_neurons: int = 25) -> SideNumbers:
    """A side of which only the bins matter, to a map."""
    one = MeanOverExamples(1.0, 1.0, 1.0)
    sites = [
        SiteNumbers(layer, name, n_neurons, one, one, None, one, 1, tuple(each), {})
        for layer, each in enumerate(bins)
    ]
    return SideNumbers(one, 0.1, 0.0, False, {}, tuple(sites), None, ())


def compared(
    rankers: dict[str, dict[str, SideNumbers]], *pairs: tuple[str, str]
) -> StoredAttribution:
    """Rankers of which each pair was compared, on its first queries' matrix."""
    differences = [
        ConcentrationDifference(
            PairedSite(*pair, "query", 0, "neurons"), "gini", 0, 0, 0, 0, 0, 1, "cannot tell"
        )
        for pair in pairs
    ]
    return StoredAttribution(
        "sound", "activations", 2, 1, (), rankers, tuple(differences), (), notes=()
    )


def drawn(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in spec["datasets"].values() for row in rows]


@pytest.mark.parametrize("method", ["found", "published"])
def test_the_stored_results_are_read_as_they_were_written(
    method: str, request: pytest.FixtureRequest
) -> None:
    written = request.getfixturevalue(method)
    stored = as_stored(written)
    assert from_plain(StoredAttribution, stored, where="neurons.json") == written
    del stored["rankers"]["plain"]["query"]["sites"][0]["share"]["low"]
    with pytest.raises(DamagedArtifact, match="entry 1: share lacks the key 'low'"):
        from_plain(StoredAttribution, stored, where="neurons.json")


# -- cells and curves -----------------------------------------------------------------------------


def test_cells_say_which_neurons_they_hold() -> None:
    """25 neurons in ten parts: five of 3 and five of 2, as torch.tensor_split cuts them."""
    cells = chart_data.heat_cells(a_ranker([0.1 * n for n in range(10)]))
    assert [cell["neurons"].replace("\u2013", " to ") for cell in cells] == [
        "0 to 2", "3 to 5", "6 to 8", "9 to 11", "12 to 14",
        "15 to 16", "17 to 18", "19 to 20", "21 to 22", "23 to 24",
    ]  # fmt: skip
    assert [cell["part"] for cell in cells] == list(range(1, 11))
    assert {cell["row"] for cell in cells} == {"1"}
    assert cells[7]["active"] == pytest.approx(0.7)


def test_matrices_stand_one_below_the_other(published: StoredAttribution) -> None:
    each = published.rankers["C"]["query"]
    rows = dict.fromkeys(cell["row"] for cell in chart_data.heat_cells(each))
    assert list(rows) == ["intermediate 1", "intermediate 2", "output 1", "output 2"]


def test_a_difference_is_cell_by_cell() -> None:
    mine, theirs = a_ranker([0.5, 0.25], [0.0, 1.0]), a_ranker([0.25, 0.5], [0.0, 0.5])
    cells = chart_data.difference_cells(mine, theirs)
    assert [cell["active"] for cell in cells] == [0.25, -0.25, 0.0, 0.5]
    assert [(cell["ranker"], cell["baseline"]) for cell in cells][:2] == [(0.5, 0.25), (0.25, 0.5)]
    spec = attribution_charts.difference_map(cells, ("C", "plain"), largest=0.5)
    assert [row["sign"] for row in drawn(spec)[:4]] == ["+", "\u2212", "", "+"]


def test_only_rankers_of_one_shape_are_subtracted() -> None:
    """What the study did not compare is not drawn."""
    of_one = {"query": a_ranker([0.5])}
    rankers = {"A": of_one, "B": of_one, "C": {"query": a_ranker([0.5], [0.5])}}
    found = compared(rankers, ("B", "A"))
    made = attribution_charts.difference_maps(found, "query")
    assert [names for names, _ in made] == [("B", "A")]
    assert len(attribution_charts.heat_maps(found, "query")) == 3
    assert attribution_charts.difference_maps(found, "document") == []


def test_points_are_those_that_were_stored(found: StoredAttribution) -> None:
    points = chart_data.gini_points(found)
    assert len(points) == 2 * 2 * 3
    site = found.rankers["C-D"]["document"].sites[2]
    (point,) = (
        each
        for each in points
        if (each["ranker"], each["side"], each["layer"]) == ("C-D", "document", 3)
    )
    gini = site.concentration["gini"]
    assert (point["Gini"], point["low"], point["high"]) == (
        gini.value,
        gini.low,
        gini.high,
    )
    curves = found.rankers["plain"]["query"].ablation
    of_random = [
        each["target"]
        for each in chart_data.ablation_points(curves)
        if (each["what"], each["neurons"]) == ("inserted", "random")
    ]
    assert tuple(of_random) == curves.inserted_random


def test_tables_of_two_rankers_have_a_row_a_matrix(found: StoredAttribution) -> None:
    columns, rows = attribution.comparison_table(found)
    assert len(rows) == len(found.comparisons) == 6
    first = dict(zip(columns, rows[0], strict=True))
    assert (first["ranker"], first["baseline"], first["layer"]) == ("C-D", "plain", "1")
    assert first["Gini"] == f"{found.comparisons[0].after:.3f}"
    columns, rows = attribution.overlap_table(found)
    assert [dict(zip(columns, row, strict=True))["in both"] for row in rows] == [
        f"{row.n_both:.1f}" for row in found.overlaps
    ]
    nothing = replace(found.overlaps[0], jaccard=JaccardIndex(None, None, None))
    none_active = replace(found, overlaps=(nothing,))
    assert attribution.overlap_table(none_active)[1][0][-3:] == ["none active", "", ""]


# -- charts ---------------------------------------------------------------------------------------


def specs(of: StoredAttribution) -> list[dict[str, Any]]:
    maps = [
        spec
        for side in attribution.all_sides(of)
        for draw in (attribution_charts.heat_maps, attribution_charts.difference_maps)
        for _, spec in draw(of, side)
    ]
    curves = [spec for _, spec in attribution_charts.concentrations(of)]
    ablated = [
        attribution_charts.ablation(each.ablation, title)
        for title, each in attribution.named(of)
        if each.ablation
    ]
    return [*maps, *curves, *ablated]


@pytest.mark.parametrize("method", ["found", "published"])
def test_contract_of_every_chart(method: str, request: pytest.FixtureRequest) -> None:
    made = specs(request.getfixturevalue(method))
    assert len(made) == {"found": 6 + 2 + 4, "published": 6 + 4}[method]
    for spec in made:
        assert vl_convert.vegalite_to_vega(spec)["marks"], "Vega-Lite accepts it"
        assert spec["width"] == "container"
        assert "config" not in spec
        assert spec["description"]


def test_what_stands_side_by_side_has_one_scale(found: StoredAttribution) -> None:
    for side in ("query", "document"):
        domains = [
            spec["encoding"]["color"]["scale"]["domain"]
            for _, spec in attribution_charts.heat_maps(found, side)
        ]
        of_side = attribution.of_side(found, side).values()
        assert domains == [[0, max(max(site.bins) for each in of_side for site in each.sites)]] * 2
    ys = [
        spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
        for _, spec in attribution_charts.concentrations(found)
    ]
    points = chart_data.gini_points(found)
    assert ys[0] == ys[1]
    assert ys[0][0] <= min(point["low"] for point in points)
    assert ys[0][1] >= max(point["high"] for point in points)


def test_nothing_active_anywhere_is_an_empty_map() -> None:
    of_one = {"query": a_ranker([0.0, 0.0])}
    found = compared({"A": of_one, "B": of_one}, ("B", "A"))
    for draw in (attribution_charts.heat_maps, attribution_charts.difference_maps):
        for _, spec in draw(found, "query"):
            assert vl_convert.vegalite_to_vega(spec)["marks"]
            assert {row.get("sign", "") for row in drawn(spec)} == {""}


def test_many_layers_have_lower_rows() -> None:
    def step(n_layers: int) -> int:
        each = a_ranker(*[[0.5, 0.1]] * n_layers)
        return int(attribution_charts.heat_map(each, "C", largest=1)["height"]["step"])

    assert (step(6), step(40), step(200)) == (22, 13, 9)


# -- examples -------------------------------------------------------------------------------------


def test_no_two_examples_have_one_anchor_and_none_needs_an_escape() -> None:
    anchors = [
        attribution_examples.anchor(*names)
        for names in (
            ("k", "C-D", "1"),
            ("k", "C", "D-1"),
            ("k-C", "D", "1"),
            ("k", "C", 'é "1" <b>/&#?%20'),
        )
    ]
    assert anchors[0] == "attribution-k-C%2DD-1"
    assert len(set(anchors)) == 4
    assert all(re.fullmatch(r"[\w.~%-]+", anchor, re.ASCII) for anchor in anchors)


def test_sides_of_a_query_stand_together_the_lowest_target_first(found: StoredAttribution) -> None:
    of = attribution_examples.examples("mine", found, {"q01": "who built the mill?"})
    assert list(of) == ["plain", "C-D"]
    assert [row.query_id for row in of["C-D"]] == [f"q{n:02d}" for n in range(6)]
    row = of["C-D"][1]
    assert (row.text, row.doc_ids) == ("who built the mill?", ("q01-d1", "q01-d3"))
    assert [part.side for part in row.parts] == ["queries", "docs"]
    stored = found.rankers["C-D"]["document"].examples[1]
    part = row.parts[1]
    values = [each.value for each in stored.parts]
    assert [bar.value for bar in part.bars] == values
    assert part.neurons[0].startswith(f"layer {stored.neurons[0].layer + 1}, neuron ")
    assert part.largest.value == max(values, key=abs)


def test_bars_stand_on_zero_and_share_a_scale() -> None:
    """Parts from -1 to +3 on 34 pixels: 8.5 a unit, zero at 25.5."""
    rows = [
        LowExample(str(n), ("a", "b"), target=0.0, neurons=(), parts=parts)
        for n, parts in enumerate(
            [
                tuple(SitePart(at, "neurons", value) for at, value in enumerate(values))
                for values in ([3.0, -1.0], [0.0, 1.0])
            ]
        )
    ]
    found = compared({"C": {"pairs": replace(a_ranker([0.5]), examples=tuple(rows))}})
    first, second = attribution_examples.examples("k", found, {})["C"]
    (one,), (other,) = first.parts, second.parts
    assert (one.zero, other.zero) == (25.5, 25.5)
    assert [(bar.y, bar.height) for bar in one.bars] == [(0.0, 25.5), (25.5, 8.5)]
    assert [(bar.y, bar.height) for bar in other.bars] == [(25.5, 0.0), (17.0, 8.5)]


def test_numbers_keep_their_digits_at_any_scale() -> None:
    assert [attribution.significant(each) for each in (2.2641, -0.00004512, 0.0)] == [
        "+2.26", "\u22124.51e\u221205", "0",
    ]  # fmt: skip


def test_a_case_links_to_the_rows_of_its_query(
    explained: StoredResults, found: StoredAttribution, html: str
) -> None:
    runs = {
        run_of("C-D"): {"nDCG@10": {"q01": 0.2, "q30": 0.1}},
        run_of("plain"): {"nDCG@10": {"q01": 0.5, "q30": 0.5}},
    }
    pair = next(each for each in queries.pairs(explained.evaluation) if each.system == "C-D")
    pair = replace(pair, baseline="plain", baseline_run=run_of("plain"))
    lost = replace(explained, per_query=runs)
    cases = queries.cases(queries.differences(pair, lost), lost).losses
    assert {
        case.query.query_id: [link.words for _, links in case.links for link in links]
        for case in cases
    } == {
        "q30": [],  # is not among the examples
        "q01": ["C-D", "plain"],
    }
    elsewhere = with_neurons(lost, {"mine": replace(found, collection="test")})
    cases = queries.cases(queries.differences(pair, elsewhere), elsewhere).losses
    assert not any(case.links for case in cases)
    led_to = set(re.findall(r'href="#(attribution-[^"]+)"', html))
    ids = re.findall(r'id="(attribution-[^"]+)"', html)
    assert led_to
    assert led_to <= set(ids)
    assert len(ids) == len(set(ids)) == 2 * 6


def test_of_an_unknown_collection_no_query_is_guessed(
    results: StoredResults, found: StoredAttribution
) -> None:
    nameless = replace(found, collection=None)
    html = page.html(with_neurons(results, {"mine": nameless}))
    assert "Through which neurons:" not in html
    assert "over None" not in html
    assert html.count('<tbody id="attribution-mine-') == 2 * 6
    assert 'rowspan="2">q00\n' in html


# -- the page -------------------------------------------------------------------------------------


def test_the_page_has_the_section_and_all_words(found: StoredAttribution, html: str) -> None:
    assert "<h2>Through which neurons</h2>" in html
    for sentence in attribution.sentences(found):
        assert sentence.replace("'", "&#39;") in html
    for title in ("plain, queries", "C-D \u2212 plain, docs", "Concentration: docs"):
        assert f"<h4>{title}</h4>" in html
    assert "Neuron ablation: C-D, docs" in html
    assert "who built the mill of town 1?" in html
    assert html.count('<svg class="layers"') == 2 * 2 * 6


def test_as_published_has_warnings_and_no_ablation(
    results: StoredResults, published: StoredAttribution
) -> None:
    html = page.html(with_neurons(results, {"paper": published}))
    assert html.count('<p class="warning">As published') == 3
    assert "Neuron ablation" not in html
    assert "Concentration: docs, output" in html


def test_noise_is_said_in_words() -> None:
    """A target that nothing changes by more than rounding, and one that few matrices do not change."""
    choices = [Choice(f"q{n}", (f"q{n}a", f"q{n}b")) for n in range(4)]
    for changed, said in (
        (0.0, "rounding noise scaled up"),
        (0.9, "what is attributed there is noise"),
    ):
        of = Attributions(
            tuple((n, "neurons") for n in range(10)),
            (torch.randn(4, 6, generator=torch.Generator().manual_seed(1)),) * 10,
            torch.ones(4),
            (torch.arange(10) < 10 * changed).float().expand(4, 10),
            torch.full((4, 10), 1e-3),
        )
        both = {name: {"query": AttributedSide(of, None)} for name in ("one", "two")}
        found = concluded(both, choices, OF_ONE)
        words = attribution.sentences(found)
        assert [each for each in words if said in each]
        n_heard = 2 if changed else 0
        assert len([each for each in words if "largest share" in each]) == n_heard
        assert len([each for each in words if "two against one" in each]) == n_heard / 2
        assert bool(found.comparisons) == bool(found.overlaps) == bool(changed)
        assert any("rounding noise" in note for note in found.notes) != bool(changed)


def test_of_layers_with_equal_shares_the_lowest_is_named() -> None:
    of = Attributions(
        tuple((layer, "neurons") for layer in range(3)),
        (torch.full((3, 2), 0.1), torch.ones(3, 2), torch.ones(3, 2)),
        torch.ones(3),
        torch.full((3, 3), 2.0),
        torch.full((3, 3), 1e-3),
    )
    choices = [Choice(f"q{n}", (f"q{n}a", f"q{n}b")) for n in range(3)]
    found = concluded({"one": {"query": AttributedSide(of, None)}}, choices, OF_ONE)
    (told,) = (each for each in attribution.sentences(found) if "largest share" in each)
    assert "layer 2 of 3 has the largest share (48%)" in told


def test_two_thresholds_are_both_told(found: StoredAttribution) -> None:
    assert attribution.thresholds(found) == "0.1"
    other = replace(found.rankers["plain"]["query"], threshold=0.01)
    told = attribution.thresholds(
        replace(found, rankers={**found.rankers, "LLaMA": {"query": other}})
    )
    assert told == "0.01 or 0.1"


def test_a_gap_of_noise_is_not_said() -> None:
    of = Attributions(
        ((0, "neurons"), (1, "neurons")),
        (torch.ones(3, 2), torch.full((3, 2), 1e-9)),
        torch.ones(3),
        torch.tensor([[2.0, 0.0]] * 3),
        torch.tensor([[0.01, 2e-9], [0.02, 2e-9], [0.03, 2e-9]]),
    )
    choices = [Choice(f"q{n}", (f"q{n}a", f"q{n}b")) for n in range(3)]
    found = concluded({"one": {"query": AttributedSide(of, None)}}, choices, OF_ONE)
    gaps = [site.gap for site in found.rankers["one"]["query"].sites]
    assert gaps == [{"median": pytest.approx(0.01), "largest": pytest.approx(0.015)}, None]
    assert [each for each in attribution.sentences(found) if "1.5% of the sum" in each]


def test_names_from_outside_are_text(results: StoredResults, found: StoredAttribution) -> None:
    evil = "</script><b>&'\""
    example = replace(found.rankers["plain"]["query"].examples[0], query_id=evil)
    side = replace(found.rankers["plain"]["query"], examples=(example,))
    odd = replace(found, rankers={evil: {"query": side}}, comparisons=(), overlaps=())
    html = page.html(with_neurons(results, {"mine": odd}))
    assert evil not in html
    assert "Ranker against ranker" not in html
    assert "<b>&lt;/script&gt;" in html


def test_without_attribution_there_is_no_trace(results: StoredResults) -> None:
    html = page.html(results)
    assert 'id="attribution' not in html
    assert "#attribution" not in html


def test_tables_are_written(explained: StoredResults, tmp_path: Any) -> None:
    page.write(tmp_path, explained)
    text = (tmp_path / "tables" / "attribution.mine.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["ranker"] for row in rows} == {"plain", "C-D"}
    assert {
        "share", "gini", "active", "median gap", "target with none", "target, 5 deleted", "difference in gini",
        "active in both", "Jaccard index of the active", "Jaccard index by chance",
    } <= {row["what"] for row in rows}  # fmt: skip
    assert {(row["method"], row["path"], row["nodes"]) for row in rows} == {
        ("sound", "activations", "8")
    }
    told = {row["corrected p"] for row in rows if row["what"] == "difference in gini"}
    assert all(0 <= float(p) <= 1 for p in told)
    table = (tmp_path / "tables" / "attribution.mine.tex").read_text("utf-8")
    assert table.count(r"\\") == 1 + 2 * 2 * 3
    assert '"attribution"' in (tmp_path / "summary.json").read_text("utf-8")
