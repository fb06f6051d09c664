"""A claim is supported by what is shown to be so, and contradicted by what is shown to be false alone."""

import re
from pathlib import Path

import pytest

from rankscope.report import claims, page
from rankscope.study.load import load
from support.made_up_study import comparison, over_tests, with_evaluation

SHOWN, OPEN = 0.001, 0.6
"""A corrected p-value that shows what it tests, and one that does not."""

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def claim(*systems: str, are: str = "better", baseline: str = "bm25") -> dict[str, object]:
    return {
        "claim": "C beats BM25", "source": "a paper", "systems": list(systems), "verdict": are,
        "baseline": baseline, "measure": "nDCG@10",
    }  # fmt: skip


WORSE = {"difference": -0.1, "corrected_p": SHOWN}
BETTER = {"difference": 0.1, "corrected_p": SHOWN}
NEITHER = {"difference": 0.1, "corrected_p": OPEN}
WITHOUT = {"margin": None, "corrected_equivalence_p": None}
WITHIN = {"margin": 0.2, "corrected_equivalence_p": SHOWN, "corrected_beyond_margin_p": OPEN}
BEYOND = {"margin": 0.02, "corrected_equivalence_p": OPEN, "corrected_beyond_margin_p": SHOWN}
UNSIZED = {"margin": 0.09, "corrected_equivalence_p": OPEN, "corrected_beyond_margin_p": OPEN}
UNTESTED = {"margin": 0.02, "corrected_equivalence_p": OPEN, "corrected_beyond_margin_p": None}

CASES = {
    "worse, no margin stated": WORSE | WITHOUT,
    "worse, by more than the margin": WORSE | BEYOND,
    "worse, whether by more than the margin is open": WORSE | UNSIZED,
    "worse, by less than the margin": WORSE | WITHIN,
    "better, no margin stated": BETTER | WITHOUT,
    "better, by more than the margin": BETTER | BEYOND,
    "better, whether by more than the margin is open": BETTER | UNSIZED,
    "better, by less than the margin": BETTER | WITHIN,
    "equivalent, no difference shown": NEITHER | WITHIN,
    "nothing, no margin stated": NEITHER | WITHOUT,
    "nothing, with a margin": NEITHER | UNSIZED,
}

TABLE = """\
| shown of C against bm25 | “worse” | “equivalent” | “better” |
|---|---|---|---|
| worse, no margin stated | supported | open, for want of a margin | contradicted |
| worse, by more than the margin | supported | contradicted | contradicted |
| worse, whether by more than the margin is open | supported | open | contradicted |
| worse, by less than the margin | supported | supported | contradicted |
| better, no margin stated | contradicted | open, for want of a margin | supported |
| better, by more than the margin | contradicted | contradicted | supported |
| better, whether by more than the margin is open | contradicted | open | supported |
| better, by less than the margin | contradicted | supported | supported |
| equivalent, no difference shown | open | supported | open |
| nothing, no margin stated | open | open, for want of a margin | open |
| nothing, with a margin | open | open | open |
"""


def judged(results, asked, **shown: dict[str, object]):
    """The claim against comparisons of systems with bm25 that show what is said."""
    rows = [
        comparison(system, "bm25", "nDCG@10", results.per_query) | of
        for system, of in shown.items()
    ]
    (found,) = claims.claims(with_evaluation(results, comparisons=rows, claims=[asked]).evaluation)
    return found


def outcome(results, shown: dict[str, object], are: str) -> str:
    word = judged(results, claim("C", are=are), C=shown).outcome
    return re.sub(" in 1 of 1 comparisons$", "", word).replace("cannot be judged", "open")


def table(results) -> str:
    """What becomes of every claim, whatever is shown."""
    verdicts = ("worse", "equivalent", "better")
    heads = ["shown of C against bm25", *(f"“{word}”" for word in verdicts)]
    rows = [
        [case, *(outcome(results, shown, are) for are in verdicts)] for case, shown in CASES.items()
    ]
    lines = ["| " + " | ".join(cells) + " |\n" for cells in (heads, *rows)]
    return "".join([lines[0], "|---|---|---|---|\n", *lines[1:]])


def test_every_claim_against_everything_that_may_be_shown(results):
    assert table(results) == TABLE
    assert TABLE in GUIDE.read_text("utf-8")


def test_the_other_way_round_says_the_same(results):
    """The same comparison, stored as bm25 against C."""
    for shown in CASES.values():
        for are in ("worse", "equivalent", "better"):
            row = comparison("bm25", "C", "nDCG@10", results.per_query) | shown
            row["difference"] = -row["difference"]
            asked = claim("C", are=are)
            (found,) = claims.claims(
                with_evaluation(results, comparisons=[row], claims=[asked]).evaluation
            )
            assert found == judged(results, asked, C=shown), (shown, are)


def test_what_is_worse_within_the_margin_is_worse(results):
    """Reported: a difference of -.0122 with p 8e-12 contradicted “worse”, for it was equivalent, too."""
    shown = {
        "difference": -0.0122, "corrected_p": 8e-12, "margin": 0.02,
        "corrected_equivalence_p": 1e-6, "verdict": "equivalent",
    }  # fmt: skip
    found = judged(results, claim("C", are="worse"), C=shown)
    assert (found.outcome, found.evidence) == (
        "supported",
        (
            "dev, C against bm25: worse, though by less than the margin (nDCG@10 \u22120.012), supported",
        ),
    )


def test_the_level_is_that_of_the_study(results):
    row = comparison("C", "bm25", "nDCG@10", results.per_query) | BETTER | {"corrected_p": 0.03}
    for level, expected in ((0.05, "supported"), (0.01, "cannot be judged")):
        changes = {"comparisons": [row], "claims": [claim("C")], "significance_level": level}
        (found,) = claims.claims(with_evaluation(results, **changes).evaluation)
        assert found.outcome == expected


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (WORSE | BEYOND, "worse, by more than the margin"),
        (WORSE | WITHIN, "worse, though by less than the margin"),
        (WORSE | UNSIZED, "worse, but whether by more than the margin was not shown"),
        (WORSE | UNTESTED, "worse, but whether by more than the margin was not tested"),
        (WORSE | WITHOUT, "worse"),
        (
            NEITHER | WITHIN,
            "equivalent within the margin, but neither better nor worse is shown",
        ),
        (NEITHER | UNSIZED, "cannot tell"),
    ],
)
def test_the_evidence_says_what_is_shown(results, shown, words):
    found = judged(results, claim("C", are="equivalent"), C=shown)
    (line,) = found.evidence
    assert line.startswith(f"dev, C against bm25: {words} (nDCG@10")
    assert line.endswith(f", {found.outcome.split(' in')[0]}")


def test_where_beyond_the_margin_was_not_tested_equivalence_is_never_contradicted(results):
    """Results that were stored before it was tested."""
    for shown in (WORSE | UNTESTED, BETTER | UNTESTED):
        assert judged(results, claim("C", are="equivalent"), C=shown).outcome == "cannot be judged"
    row = {key: value for key, value in UNTESTED.items() if key != "corrected_beyond_margin_p"}
    assert judged(results, claim("C", are="equivalent"), C=WORSE | row).outcome == (
        "cannot be judged"
    )


def test_beyond_the_margin_without_a_difference_contradicts_nothing(results):
    """A margin so small that one side of it is tested more easily than zero is from two."""
    assert outcome(results, NEITHER | BEYOND, "equivalent") == "open"


def test_one_contradiction_contradicts_and_what_is_open_is_said(results):
    both = claim("C", "plain")
    assert judged(results, both, C=BETTER, plain=BETTER).outcome == "supported"
    assert judged(results, both, C=BETTER, plain=WORSE).outcome == (
        "contradicted in 1 of 2 comparisons"
    )
    assert judged(results, both, C=BETTER, plain=NEITHER).outcome == (
        "supported in 1 of 2 comparisons; the others cannot be judged"
    )


def test_the_page_says_it_in_words(results):
    rows = [comparison("C", "bm25", "nDCG@10", results.per_query) | NEITHER | UNSIZED]
    text = page.html(with_evaluation(results, comparisons=rows, claims=[claim("C")]))
    assert re.search(r"C beats BM25.*\s*<br><b>Cannot be judged.</b>", text)
    assert "What others concluded" not in page.html(results)


def test_the_verdict_over_all_tests_stands_beside_the_single_ones(results):
    """Each alone leaves it open; over four tests it is shown, and said with how far the tests lie apart."""
    rows = [comparison("C", "bm25", "nDCG@10", results.per_query) | NEITHER | UNSIZED]
    asked = {"comparisons": rows, "claims": [claim("C")]}
    (found,) = claims.claims(
        with_evaluation(results, **asked, pooled=[over_tests("C", "bm25")]).evaluation
    )
    assert (found.outcome, found.pooled_outcome) == ("cannot be judged", "supported")
    assert found.pooled == (
        "4 tests and 3 first stages, C against bm25: better, by more than the margin (nDCG@10 +0.050, uncorrected "
        "95\u00a0% interval +0.0300 to +0.0700; between tests τ 0.0040, I² 30\u00a0%), supported",
    )
    turned = over_tests("bm25", "C", difference=-0.05, interval=[-0.07, -0.03])
    (other,) = claims.claims(with_evaluation(results, **asked, pooled=[turned]).evaluation)
    assert other.pooled == found.pooled
    (alone,) = claims.claims(with_evaluation(results, **asked).evaluation)
    assert (alone.pooled_outcome, alone.pooled) == ("", ())


def test_what_two_tests_are_worth_is_said(results):
    row = over_tests("C", "bm25", n_tests=2, n_first_stages=1, corrected_p=OPEN)
    (found,) = claims.claims(with_evaluation(results, claims=[claim("C")], pooled=[row]).evaluation)
    assert found.pooled_outcome == "cannot be judged"
    assert found.pooled[0].startswith("2 tests, C against bm25: cannot tell (")
    assert "; two tests leave one degree of freedom, with which hardly any difference is detectable" in found.pooled[0]  # fmt: skip


ON_PAR = 'evaluate.claims=[{claim: "Two stages are no better.", systems: [C-D], are: equivalent, than: C}]'


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["evaluate.tests=as_published"], "study B's tests (`tests: as_published`) have none"),
        (["evaluate.margin={}"], "`margin` states none for nDCG@10"),
        (["evaluate.margin={nDCG@10: 0.02}"], None),
        (["evaluate.claims=[{claim: x, systems: [C-D], are: worse, than: C}]"], None),
    ],
)
def test_claims_of_equivalence_without_a_margin_are_told(tiny_study, overrides, why):
    asked = load(tiny_study, [ON_PAR, *overrides]).study.evaluate
    assert asked.claims_without_margin() == (
        []
        if why is None
        else [
            f"“Equivalent” is a claim about a margin, and {why}: “Two stages are no better.” can be neither "
            "supported nor contradicted here."
        ]
    )
