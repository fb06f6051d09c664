import re

import pytest

from rankscope.report import claims, page
from support.made_up_study import comparison, with_evaluation


def claim(*systems: str, are: str = "better", baseline: str = "bm25") -> dict[str, object]:
    return {
        "claim": "C beats BM25", "source": "a paper", "systems": list(systems), "verdict": are,
        "baseline": baseline, "measure": "nDCG@10",
    }  # fmt: skip


def judged(results, asked, **verdicts: str):
    """The claim against made-up verdicts of systems over bm25."""
    rows = [
        comparison(system, "bm25", "nDCG@10", results.per_query)
        | {"verdict": verdict, "difference": 0.1}
        for system, verdict in verdicts.items()
    ]
    (found,) = claims.claims(with_evaluation(results, comparisons=rows, claims=[asked]))
    return found


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        ("better", "supported"),
        ("worse", "contradicted in 1 of 1 comparisons"),
        ("equivalent", "contradicted in 1 of 1 comparisons"),
        ("cannot tell", "cannot be judged"),
    ],
)
def test_the_claimed_verdict_supports_another_contradicts_none_leaves_open(
    results, verdict, outcome
):
    found = judged(results, claim("C"), C=verdict)
    assert found.outcome == outcome
    assert found.evidence == (
        f"dev, C against bm25: {verdict} (nDCG@10 +0.100), {outcome.split(' in')[0]}",
    )


def test_one_contradiction_contradicts_and_what_is_open_is_said(results):
    both = claim("C", "plain")
    assert judged(results, both, C="better", plain="better").outcome == "supported"
    assert judged(results, both, C="better", plain="worse").outcome == (
        "contradicted in 1 of 2 comparisons"
    )
    assert judged(results, both, C="better", plain="cannot tell").outcome == (
        "supported in 1 of 2 comparisons; the others cannot be judged"
    )


def test_a_comparison_the_other_way_round_is_turned(results):
    turned = claim("bm25", are="worse", baseline="C")
    found = judged(results, turned, C="better")
    assert (found.outcome, found.evidence) == (
        "supported",
        ("dev, bm25 against C: worse (nDCG@10 \u22120.100), supported",),
    )


def test_the_page_says_it_in_words(results):
    rows = [comparison("C", "bm25", "nDCG@10", results.per_query) | {"verdict": "cannot tell"}]
    text = page.html(with_evaluation(results, comparisons=rows, claims=[claim("C")]))
    assert re.search(r"C beats BM25.*\s*<br><b>Cannot be judged.</b>", text)
    assert "What others concluded" not in page.html(results)
