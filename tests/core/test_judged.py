"""Records of what an evaluation found: written and read back, and refused where they are damaged."""

import json
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any

import pytest

from rankscope.core.errors import DamagedArtifact, UnknownChoice
from rankscope.core.judged.comparisons import (
    JudgedComparison,
    JudgedDifference,
    Place,
    Verdict,
)
from rankscope.core.judged.evaluation import EvaluationRecord, SeedResult
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import Estimate, Interval, as_plain, from_plain
from support.made_up_study import comparison, made_up, over_tests, per_query, recorded, stored

KEYS = [
    "measure",
    "system",
    "baseline",
    "n_queries",
    "n_groups",
    "n_seeds",
    "system_mean",
    "baseline_mean",
    "n_differing",
    "difference",
    "interval",
    "bootstrap_interval",
    "effect_size",
    "effect_interval",
    "p_value",
    "corrected_p",
    "wilcoxon_p",
    "randomisation_p",
    "mcnemar_p",
    "margin",
    "margin_is_relative",
    "equivalence_p",
    "corrected_equivalence_p",
    "non_inferiority_p",
    "corrected_non_inferiority_p",
    "beyond_margin_p",
    "corrected_beyond_margin_p",
    "smallest_detectable",
    "span",
    "queries_needed",
    "fragility",
    "unseen_share",
    "verdict",
]
"""What `rankscope compare --json` and evaluation.json have of a comparison, in the order of the former."""

REMARKABLE: dict[str, Any] = {
    "interval": [None, 0.5], "bootstrap_interval": [0.1, 0.2], "n_seeds": [3, 1], "verdict": "cannot tell",
}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    return comparison("C", "bm25", "nDCG@10", per_query()) | changes


def read(stored: Any) -> JudgedComparison:
    return from_plain(JudgedComparison, stored, where="evaluation.json")


def test_the_keys_of_a_comparison_are_an_interface() -> None:
    of_study = as_plain(read(row()))
    assert list(of_study) == ["collection", "first_stage", *KEYS]
    of_run_files = as_plain(replace(read(row()), place=None))
    assert list(of_run_files) == KEYS


def test_what_is_written_is_read_back() -> None:
    """Infinite ends are null; whole numbers, texts and truth values stay what they are."""
    found = read(row(**REMARKABLE))
    assert found.place == Place("dev", "bm25")
    assert found.judged.interval == Interval(-inf, 0.5)
    assert not found.judged.interval.is_known
    assert found.judged.n_seeds == (3, 1)
    assert found.judged.verdict is Verdict.CANNOT_TELL
    assert as_plain(found) == row(**REMARKABLE)
    assert read(json.loads(json.dumps(as_plain(found)))) == found
    assert read(as_plain(replace(found, place=None))) == replace(found, place=None)


def test_an_evaluation_is_written_and_read_back_whole() -> None:
    """What is stored of several seeds, and a family declared beforehand, only where there are such."""
    evaluation = made_up().evaluation
    assert recorded(as_plain(evaluation)) == evaluation
    assert not {"runs", "seed_sd"} & as_plain(evaluation)["results"][0].keys()
    assert "family_size" not in as_plain(evaluation)
    first = evaluation.results[0]
    assert first.seeds == (SeedResult("bm25", first.run, (), 0.0, first.means),)
    seeds = (*first.seeds, *first.seeds)
    several = replace(first, runs=seeds, seed_sd={"nDCG@10": 0.1})
    pooled = from_plain(JudgedOverTests, over_tests("C", "bm25"), where="made up")
    whole = replace(evaluation, results=(several,), pooled=(pooled,), family_size=20)
    assert recorded(as_plain(whole)) == whole
    assert whole.has_seeds
    assert whole.n_corrected_for == 20
    assert replace(whole, correction="none").n_corrected_for == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_value": ...}, "lacks the key 'p_value'"),
        ({"p_walue": 0.1}, "has the unknown key 'p_walue'"),
        ({"p_value": "small"}, "p_value is a text and not a number"),
        ({"p_value": None}, "p_value is null and not a number"),
        ({"n_queries": 1.5}, "n_queries is a number and not a whole number"),
        ({"n_queries": True}, "n_queries is true or false and not a whole number"),
        ({"interval": [0.1]}, "interval has 1 entries and not 2"),
        ({"n_seeds": [1, "2"]}, "n_seeds: entry 2 is a text and not a whole number"),
        ({"n_seeds": 3}, "n_seeds is a whole number and not a list"),
        ({"verdict": 1}, "verdict is a whole number and not a text"),
        ({"first_stage": ...}, "lacks the key 'first_stage'"),
    ],
)
def test_a_damaged_record_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    damaged = {key: value for key, value in row(**change).items() if value is not ...}
    with pytest.raises(DamagedArtifact) as error:
        read(damaged)
    assert str(error.value).startswith("evaluation.json")
    assert said in str(error.value)
    assert "another version of rankscope wrote it. Delete the step's folder" in str(error.value)


def test_a_record_that_is_no_object_and_an_unknown_verdict_are_refused() -> None:
    with pytest.raises(DamagedArtifact, match="evaluation.json is a list and not an object"):
        read([])
    broken = stored(made_up()) | {"relevance_levels": []}
    with pytest.raises(DamagedArtifact, match="relevance_levels is a list and not an object"):
        from_plain(EvaluationRecord, broken, where="x")
    with pytest.raises(UnknownChoice, match="Unknown verdict 'great'"):
        read(row(verdict="great"))


@dataclass(frozen=True)
class Likeness:
    """A record with a number over examples, and one that there may not be."""

    layer: int
    shift: Estimate
    cka: Estimate | None


LIKENESS = {"layer": 1, "shift": 0.2, "shift_low": 0.1, "shift_high": 0.3}
NO_CKA = {"cka": None, "cka_low": None, "cka_high": None}


@pytest.mark.parametrize(
    ("stored_cka", "cka"),
    [
        ({"cka": 0.9, "cka_low": 0.8, "cka_high": 1}, Estimate(0.9, 0.8, 1)),
        (NO_CKA, None),
    ],
)
def test_an_estimate_is_three_keys_beside_the_others(
    stored_cka: dict[str, Any], cka: Estimate | None
) -> None:
    likeness = Likeness(1, Estimate(0.2, 0.1, 0.3), cka)
    assert list(as_plain(likeness).items()) == [*LIKENESS.items(), *stored_cka.items()]
    assert from_plain(Likeness, LIKENESS | stored_cka, where="x") == likeness


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cka_low": 0.8}, "x: cka is null and not a number"),
        ({"shift_low": ...}, "x lacks the key 'shift_low'"),
        ({"cka_low": ...}, "x: cka is null and not a number"),
        ({"shift": None, "shift_low": None, "shift_high": None}, "x: shift is null"),
        ({"shift_high": "far"}, "x: shift_high is a text and not a number"),
        ({"shift_p": 0.1}, "x has the unknown key 'shift_p'"),
    ],
)
def test_a_damaged_estimate_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    changed = LIKENESS | NO_CKA | change
    damaged = {key: value for key, value in changed.items() if value is not ...}
    with pytest.raises(DamagedArtifact, match=said):
        from_plain(Likeness, damaged, where="x")


def test_a_statistic_that_is_added_stands_in_the_interface() -> None:
    """A new field is stored, read and refused without another line; here it is told that the file has it."""
    assert {field.name for field in fields(JudgedDifference)} == set(KEYS[3:])
