"""What is said beside a verdict, case by case."""

from typing import Any

import pytest

from rankscope.core.judged.comparisons import JudgedDifference
from rankscope.core.judged.plain import from_plain
from rankscope.report.wording.cautions import FRAGILITY, carried, detectable, figure, unseen
from support.made_up_study import NOTHING


def row(**changes: Any) -> JudgedDifference:
    stored = NOTHING | {
        "system_mean": 0.5, "baseline_mean": 0.5, "p_value": 1.0, "corrected_p": 1.0, "equivalence_p": None,
        "corrected_equivalence_p": None, "smallest_detectable": None, "span": 1.0,
        "n_queries": 200, "n_groups": 200, "n_differing": 0, "difference": 0.0, "effect_size": None,
        "interval": [-0.02, 0.02], "margin": None, "verdict": "cannot tell", "unseen_share": 0.014867,
    } | changes  # fmt: skip
    return from_plain(JudgedDifference, stored, where="made up")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unseen_share": None}, ""),
        ({}, "The two differ in 0 of 200 queries: only against a margin could they be shown to be equivalent."),
        ({"margin": 0.01},
         "The two differ in 0 of 200 queries: what the sample has not seen could be larger than the margin."),
        ({"n_differing": 3, "difference": -0.0075, "effect_size": -0.1},
         "The two differ in 3 of 200 queries: what the sample has not seen could undo it."),
        ({"n_queries": 2, "n_groups": 2, "n_differing": 2, "difference": 0.5, "margin": 0.02},
         "The difference is the same in both queries: what the sample has not seen could undo it."),
        ({"n_differing": 200, "difference": 1.0, "interval": [None, None]},
         "The difference is the same in all 200 queries: in a measure without bounds, what the sample has not "
         "seen could be of any size."),
        ({"n_groups": 40, "n_differing": 100, "difference": 0.1, "effect_size": 0.5},
         "The mean difference is the same in nearly all of 40 groups: what the sample has not seen could undo it."),
        ({"verdict": "equivalent"},
         "No query differs; 200 queries rule out that more than 1.5 % of all differ."),
        ({"verdict": "equivalent", "n_groups": 40, "unseen_share": 0.072158},
         "No query differs; 40 groups rule out that more than 7.3 % of all differ."),
        ({"verdict": "equivalent", "n_differing": 3, "n_queries": 6980, "n_groups": 6980, "unseen_share": 0.000429},
         "The two differ in 3 of 6,980 queries; they rule out that more than 0.043 % of all are of a kind not "
         "seen here."),
        ({"verdict": "worse", "n_differing": 199, "effect_size": -3.0},
         "The difference is the same in nearly all of 200 queries, or nearly so; they rule out that more than 1.5 % of "
         "all are of a kind not seen here."),
        ({"n_queries": 2, "n_groups": 2, "n_differing": 2, "difference": 0.4995, "effect_size": 700.0},
         "The difference is the same in both queries, or nearly so: what the sample has not seen could undo it."),
    ],
)  # fmt: skip
def test_what_the_sample_has_not_seen(changes: dict[str, Any], said: str) -> None:
    assert unseen(row(**changes)).replace("\u00a0", " ") == said


def test_what_is_ruled_out_is_rounded_up() -> None:
    """1 - .05^(1/201) is .014794: more than 1.4 % is not ruled out."""
    assert "1.5\u00a0%" in unseen(row(verdict="equivalent", unseen_share=1 - 0.05 ** (1 / 201)))
    assert "1.5\u00a0%" in unseen(row(verdict="equivalent", unseen_share=0.01441))


def test_how_few_queries_carry_a_verdict() -> None:
    assert carried(row(fragility=None)) == ""
    told = "with the worst possible difference would take the verdict away"
    assert carried(row(fragility=1)) == f"a single query {told}"
    assert carried(row(fragility=2)) == f"two queries {told}"
    assert carried(row(fragility=1234)) == f"1,234 queries {told}"
    assert "would take the verdict away if they had the worst possible difference" in FRAGILITY
    assert (figure(None), figure(1), figure(12_345)) == ("\u2013", "1", "12,345")
    assert FRAGILITY.count(".") == 1, "one sentence"


@pytest.mark.parametrize(
    ("difference", "span", "said"),
    [(None, 1.0, "\u2013"), (0.0612, 1.0, "0.061"), (1.0, 1.0, "1.000"), (2.2146, 1.0, "none"),
     (2.2146, None, "2.215")],
)  # fmt: skip
def test_a_difference_that_the_measure_does_not_allow_is_none(
    difference: float | None, span: float | None, said: str
) -> None:
    assert detectable(difference, span, 3) == said
