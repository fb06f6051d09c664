"""How verdicts came about stands once on the page, and captions lead there."""

import re
from dataclasses import replace

import pytest

from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import from_plain
from rankscope.report import page
from rankscope.report.wording import cautions
from rankscope.report.wording.methods import methods
from rankscope.report.wording.verdicts import SOUND_TESTS
from support.made_up_study import over_tests


def visible_text(html):
    """The page's words without scripts and tags."""
    without = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", without)).replace("&#39;", "'")


@pytest.fixture
def pooled(results):
    row = from_plain(JudgedOverTests, over_tests("C", "plain"), where="made up")
    return replace(results, evaluation=replace(results.evaluation, pooled=(row,)))


def test_each_explanation_stands_once_and_captions_lead_to_it(pooled):
    html = page.html(pooled)
    told = visible_text(html)
    rows = methods(pooled.evaluation, has_sections=False, has_steps=True)
    assert [term for term, _ in rows] == [
        "Verdicts", "Intervals", "Effect size", "Detectable", "Fragility", "Over all tests",
    ]  # fmt: skip
    for _, text in rows:
        assert told.count(re.sub(r"\s+", " ", text)) == 1
    for words in (
        SOUND_TESTS, "“Cannot tell” is not “equal”", "take the verdict away if they", "minimum detectable effect: the",
        "standard deviation of the differences", "t interval over tests", "one comparison alone",
    ):  # fmt: skip
        assert told.count(words) == 1, words
    assert html.count('id="methods"') == 1
    assert html.count('href="#methods"') == 5, "contents, two tables, a figure, and over all tests"


def test_methods_are_those_of_this_evaluation(results):
    """Uncorrected intervals need no caution; a page without steps has no tables beside it."""
    of = dict(methods(results.evaluation, has_sections=False, has_steps=True))
    assert "one comparison alone" in of["Intervals"]
    assert "tables/comparisons.csv" in of["Intervals"]
    uncorrected = replace(results.evaluation, correction="none")
    of = dict(methods(uncorrected, has_sections=False, has_steps=False))
    assert "alone" not in of["Intervals"]
    assert "uncorrected" not in of["Intervals"]
    assert of["Intervals"].endswith("are in the output of --csv and --json.")


def test_without_a_verdict_only_what_a_section_needs_is_explained(results):
    nothing = replace(results.evaluation, comparisons=())
    assert methods(nothing, has_sections=False, has_steps=True) == []
    ((term, text),) = methods(nothing, has_sections=True, has_steps=True)
    assert f"{term}: {text[0].lower()}{text[1:]}" == cautions.FRAGILITY
    html = page.html(replace(results, evaluation=nothing))
    assert "#methods" not in html
    assert "Nothing was compared.</p>" in html
