"""What the page says and draws of probes: words that follow from verdicts, marks against the first baseline."""

from dataclasses import replace
from typing import Any

import pytest

from rankscope.analyses.probes import charts as probes_charts
from rankscope.analyses.probes import words as probes
from rankscope.analyses.probes.stored import StoredProbes
from rankscope.core.errors import BadInput, DamagedArtifact
from rankscope.core.judged.plain import as_plain, from_plain

FIRST_STAGE = "first stage"


def row(ranker: str, probe: str, layer: int, accuracy: float, **more: Any) -> dict[str, Any]:
    kind = {"bilinear": "probe", FIRST_STAGE: FIRST_STAGE}.get(probe, "control")
    usual = {"kind": kind, "n": 2, "low": accuracy - 0.1, "high": accuracy + 0.1, "chance": 0.5}
    return {"ranker": ranker, "probe": probe, "layer": layer, "accuracy": accuracy} | usual | more


def against(baseline: str, verdict: str, detectable: float | None = 0.04) -> dict[str, Any]:
    numbers = {
        "difference": 0.1,
        "difference_low": 0.0,
        "difference_high": 0.2,
        "corrected_p": 0.01,
        "published_p": None,
    }
    return {
        "baseline": baseline,
        "verdict": verdict,
        "smallest_detectable": detectable,
        **numbers,
    }


STORED: dict[str, Any] = {
    "n_examples": 9,
    "n_queries": 9,
    "notes": [],
    "rankers": ["plain", "tuned"],
    "baselines": ["plain", "tuned"],
    "rows": [
        *(row("plain", "bilinear", layer, 0.6, **against("tuned", "worse")) for layer in (0, 1)),
        row("tuned", "bilinear", 0, 0.61, **against("plain", "equivalent")),
        row("tuned", "bilinear", 1, 0.9, **against("plain", "better", 0.05)),
        *(row(r, "shuffled_queries", layer, 0.5) for r in ("plain", "tuned") for layer in (0, 1)),
        *(row(r, "docs_alone", layer, 0.55) for r in ("plain", "tuned") for layer in (0, 1)),
        row(FIRST_STAGE, FIRST_STAGE, 0, 0.7),
    ],
    "reads_matches": [
        {
            "ranker": "plain",
            "probe": "bilinear",
            "control": "shuffled_queries",
            "layer": 0,
            "n": 2,
            "difference": 0.1,
            "verdict": "better",
        }
    ],
    "readable_from": {"plain": None, "tuned": 0.5},
    "published": [
        {"ranker": "plain", "n": 2, "layer": 0, "accuracy": 0.57},
        {"ranker": "plain", "n": 5, "layer": 0, "accuracy": 0.3},
    ],
}
FOUND = from_plain(StoredProbes, STORED, where="probes.json")


def test_the_stored_results_are_read_as_they_were_written() -> None:
    assert as_plain(FOUND) == STORED
    with pytest.raises(
        DamagedArtifact, match=r"probes\.json: rows: entry 2 lacks the key 'accuracy'"
    ):
        from_plain(
            StoredProbes,
            STORED
            | {
                "rows": [
                    STORED["rows"][0],
                    {"ranker": "plain", "probe": "bilinear", "layer": 0, "n": 2, "kind": "probe"},
                ]
            },
            where="probes.json",
        )


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_no_file_holds_a_number_that_is_not_finite(number: float) -> None:
    row = replace(FOUND.rows[0], accuracy=number)
    with pytest.raises(
        BadInput, match="The result `accuracy` is (inf|nan), which no file can hold"
    ):
        as_plain(replace(FOUND, rows=(row,)))


def test_the_words_say_no_more_than_the_verdicts() -> None:
    said = probes.sentences(FOUND)
    assert said[0].startswith(
        "plain: at the last layer the bilinear probe is not shown to do better"
    )
    assert said[1].startswith("tuned: from 50% of its depth on")
    (about,) = (sentence for sentence in said if sentence.startswith("tuned against plain"))
    assert "better at layer 1" in about
    assert "equivalent at layer 0" in about
    assert "0.050 was detectable with 80 % power" in about


def test_marks_are_those_against_the_first_baseline() -> None:
    columns, rows = probes.layer_table(FOUND, 2)
    assert columns == ["ranker", "probe", "layer 0", "layer 1"]
    cells = {(line[0], line[1]): line[2:] for line in rows}
    assert cells["tuned", "bilinear"] == ["0.610 \u2248", "0.900 \u25b2"]
    assert cells["plain", "bilinear"] == ["0.600", "0.600"]
    assert cells[FIRST_STAGE, FIRST_STAGE] == ["0.700", ""]


def test_a_figure_has_every_ranker_its_control_chance_the_first_stage_and_what_was_reported() -> (
    None
):
    points = probes.compared_curves(FOUND, 2)
    kinds = {(point.ranker, point.kind) for point in points}
    assert kinds == {(r, kind) for r in ("plain", "tuned") for kind in ("probe", "control")}
    reported = probes.published_curves(FOUND, 2)
    assert [point.accuracy for point in reported] == [0.57]
    spec = probes_charts.layers_of_rankers(points, reported, chance=0.5, first_stage=0.7)
    shown = repr(spec)
    assert "'published'" in shown
    assert "'name': 'chance'" in shown
    assert "'name': 'first stage'" in shown
    (plain, tuned) = probes.curves(FOUND, 2)
    assert (plain.first_stage, tuned.ranker) == (0.7, "tuned")
    controls = {point.probe for point in tuned.points if point.kind == "control"}
    assert controls == {"shuffled_queries", "docs_alone"}
