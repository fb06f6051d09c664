"""The words the page opens with."""

from dataclasses import replace

import pytest

from rankscope.core.judged.comparisons import Verdict
from rankscope.report.wording.opening import joined, opening


def judged_as(results, verdict):
    """The study with one verdict in every comparison."""
    rows = [
        replace(row, judged=replace(row.judged, verdict=verdict))
        for row in results.evaluation.comparisons
    ]
    return replace(results, evaluation=replace(results.evaluation, comparisons=tuple(rows)))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.BETTER, "better than"),
        (Verdict.WORSE, "worse than"),
        (Verdict.EQUIVALENT, "equivalent to"),
    ],
)
def test_a_shown_verdict_is_said_and_no_other(results, verdict, words):
    made = opening(judged_as(results, verdict).evaluation)
    assert words in made.found
    assert "cannot tell" not in (made.found + made.power).lower()


def test_nothing_shown_is_never_equality(results):
    made = opening(judged_as(results, Verdict.CANNOT_TELL).evaluation)
    assert made.found.startswith("Neither a difference nor equivalence was shown")
    assert made.power.endswith("“Cannot tell” does not mean equal.")


def test_nothing_compared(results):
    evaluation = results.evaluation
    one = [row for row in evaluation.results if row.system == evaluation.systems[0]]
    alone = replace(evaluation, results=tuple(one), comparisons=())
    assert opening(alone).compared.startswith("1 system was measured on")
    assert opening(alone).power == ""
    assert "Nothing was compared" in opening(replace(evaluation, comparisons=())).found


def test_power_is_the_range_of_the_main_comparisons(results):
    """Effects of .0304 and .0551 among main comparisons are said as 0.030 to 0.055."""
    rows = results.evaluation.comparisons
    changed = [
        replace(row, judged=replace(row.judged, smallest_detectable=0.0304 if at % 2 else 0.0551))
        for at, row in enumerate(rows)
    ]
    said = opening(replace(results.evaluation, comparisons=tuple(changed))).power
    assert "is 0.030 to 0.055, by comparison" in said
    none = [replace(row, judged=replace(row.judged, smallest_detectable=None)) for row in rows]
    assert "is not known" in opening(replace(results.evaluation, comparisons=tuple(none))).power


def test_power_names_no_difference_that_the_measure_does_not_allow(results):
    """With one degree of freedom left the effect may be 15.059 of nDCG, which is 1 at most."""

    def said(*effects):
        rows = [row for row in results.evaluation.comparisons if row.measure == "nDCG@10"]
        changed = [
            replace(row, judged=replace(row.judged, smallest_detectable=effect, span=1.0))
            for row, effect in zip(rows[: len(effects)], effects, strict=True)
        ]
        systems = {changed[n].system for n in range(len(changed))}
        assert len(changed) == len(effects) == len(systems)
        return opening(replace(results.evaluation, comparisons=tuple(changed))).power

    assert "is 0.100; in 1 comparison none that the measure allows is." in said(0.1, 15.059)
    assert said(13.0, 15.059).startswith("No true difference that nDCG@10 allows is detected")
    assert "in any of them." in said(13.0, 15.059)
    assert "is 0.100. Of 1 comparison it is not known." in said(0.1, None)


def test_lists_in_words():
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(list("abcdef")) == "a, b, c, d, e and f"
    assert joined(list("abcdefg")) == "a, b, c, d, e and 2 more"
