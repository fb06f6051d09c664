import math

import pytest

from rankscope.core.errors import UnknownChoice
from rankscope.core.judged.comparisons import Place
from rankscope.report import findings, page
from rankscope.report.forests import forests
from rankscope.report.means import means as means_of
from rankscope.report.stored import StoredResults, main_baselines, place_name
from rankscope.report.tables import as_latex
from rankscope.report.wording.numbers import between, clipped, has_numbers, p_text, signed
from rankscope.report.wording.verdicts import caption as caption_of
from support.made_up_study import comparison, run_of, stored, with_evaluation

DEV = Place("dev", "bm25")


def one_comparison(results: StoredResults, **changes: object) -> StoredResults:
    """The study with a single comparison of C and bm25, its numbers chosen by the test."""
    row = comparison("C", "bm25", "nDCG@10", results.per_query)
    row |= {"difference": 0.092, "interval": [0.05, 0.1299], "margin": None} | changes
    return with_evaluation(results, comparisons=[row])


def sentence(results: StoredResults, **changes: object) -> str:
    (headline,) = findings.headlines(one_comparison(results, **changes).evaluation)
    (finding,) = headline.findings
    return finding.sentence.replace("\u00a0", " ")


def test_a_finding_names_both_systems_the_place_and_the_interval(results):
    assert sentence(results, verdict="better") == (
        "C is better than bm25 on dev (nDCG@10 +0.092, uncorrected 95 % interval +0.050 to +0.130)."
    )


def test_an_equivalence_names_its_margin(results):
    changes = {"verdict": "equivalent", "difference": -0.001, "interval": [-0.01, 0.008]}
    start = "C is equivalent to bm25 on dev (nDCG@10 \u22120.001, uncorrected 95 % interval \u22120.010 to +0.008"
    assert sentence(results, margin=0.02, **changes) == f"{start}, margin ±0.02)."
    assert sentence(results, **changes) == f"{start})."


def test_cannot_tell_says_what_could_have_been_shown(results):
    changes = {"verdict": "cannot tell", "difference": 0.004, "interval": [-0.01, 0.018]}
    start = "We cannot tell C from bm25 on dev (nDCG@10 +0.004, uncorrected 95 % interval \u22120.010 to +0.018)."
    assert sentence(results, smallest_detectable=None, **changes) == start
    assert sentence(results, smallest_detectable=0.0196, **changes) == (
        f"{start} The minimum detectable effect of these 40 queries is 0.020 (80 % power)."
    )
    assert sentence(results, smallest_detectable=2.2, **changes) == (
        f"{start} No difference that nDCG@10 allows is detectable with these 40 queries (80 % power)."
    )
    needed = changes | {"smallest_detectable": 0.0196, "queries_needed": 1234, "margin": 0.05}
    assert sentence(results, **needed).endswith(
        "is 0.020 (80 % power); an effect as large as the margin needs 1,234 queries."
    )


@pytest.mark.parametrize(
    ("fragility", "said"),
    [
        (1, "a single query with the worst possible difference would take the verdict away"),
        (2, "two queries with the worst possible difference would take the verdict away"),
        (1234, "1,234 queries with the worst possible difference would take the verdict away"),
    ],
)
def test_a_finding_says_how_few_queries_carry_it(results, fragility, said):
    for verdict in ("better", "worse", "equivalent"):
        assert sentence(results, verdict=verdict, fragility=fragility).endswith(f"); {said}.")
    told = sentence(results, verdict="cannot tell", fragility=None, smallest_detectable=None)
    assert "take" not in told


def test_what_was_not_seen_follows_a_finding(results):
    same = {"difference": 0.0, "n_differing": 0, "n_groups": 40, "unseen_share": 0.0722}
    changes = same | {"verdict": "cannot tell", "margin": 0.02, "smallest_detectable": None}
    unseen = "The two differ in 0 of 40 queries: what the sample has not seen could be larger than the margin."
    assert sentence(results, **changes).endswith(f"). {unseen}")
    rows = [comparison("C", "bm25", "nDCG@10", results.per_query) | changes]
    assert findings.unseen(with_evaluation(results, comparisons=rows).evaluation) == [
        f"nDCG@10 on dev, C \u2212 bm25: {unseen}"
    ]
    shown = sentence(results, verdict="equivalent", fragility=3, **same)
    assert shown.endswith(
        "; 3 queries with the worst possible difference would take the verdict away. No query differs; "
        "40 queries rule out that more than 7.3 % of all differ."
    )
    assert findings.unseen(results.evaluation) == []


def test_without_an_interval_a_finding_says_so_and_no_chart_draws_it(results):
    """A measure without bounds, and one difference in all queries: its ends are stored as None."""
    endless = one_comparison(results, verdict="cannot tell", interval=[None, None])
    (row,) = endless.evaluation.comparisons
    assert row.judged.interval == (-math.inf, math.inf)
    assert between(row.judged.interval) == "no interval"
    told = sentence(results, verdict="cannot tell", interval=[None, None], smallest_detectable=None)
    assert told == "We cannot tell C from bm25 on dev (nDCG@10 +0.092, no interval)."
    assert forests(endless.evaluation) == []
    both = [row | {"interval": [None, None]} for row in stored(results)["comparisons"][:1]]
    mixed = with_evaluation(results, comparisons=[*both, *stored(results)["comparisons"][1:]])
    assert len(forests(mixed.evaluation)[0].rows) == len(forests(results.evaluation)[0].rows) - 1
    assert "1 without an interval is not drawn." in page.html(mixed)
    assert "no interval" in as_latex.comparisons_tex(mixed.evaluation)


def test_the_interval_is_at_the_level_of_the_study(results):
    (headline,) = findings.headlines(with_evaluation(results, significance_level=0.01).evaluation)
    assert all("99\u00a0% interval" in finding.sentence for finding in headline.findings)


def test_findings_are_first_measure_first_stage_and_last_baseline(results):
    (headline,) = findings.headlines(results.evaluation)
    assert (headline.place, headline.tally) == (
        DEV,
        "2 better, 1 worse, 1 equivalent, 0 cannot tell",
    )
    words = [finding.sentence.partition(" on ")[0] for finding in headline.findings]
    assert words == [
        "plain is worse than bm25",
        "C is better than bm25",
        "C-D is better than bm25",
        "C-D is equivalent to C",
    ]


def test_a_first_stage_is_compared_the_other_way_round_only_where_it_is_no_baseline(results):
    assert main_baselines("bm25", DEV, results.evaluation) == []
    without = with_evaluation(results, baselines=["plain", "C"])
    assert main_baselines("bm25", DEV, without.evaluation) == ["C"]
    assert main_baselines("C", DEV, without.evaluation) == ["bm25"]
    assert main_baselines("C", DEV, with_evaluation(results, baselines=[]).evaluation) == ["bm25"]


def test_groups_have_headlines_of_their_own(results):
    rows = stored(results)["comparisons"]
    evaluation = {
        key: [
            *stored(results)[key],
            *(row | {"collection": "test"} for row in stored(results)[key]),
        ]
        for key in ("results", "comparisons")
    }
    found = findings.headlines(with_evaluation(results, **evaluation).evaluation)
    assert [headline.place.collection for headline in found] == ["dev", "test"]
    assert "C is better than bm25 on test" in found[1].findings[1].sentence
    other = with_evaluation(results, results=evaluation["results"], comparisons=rows)
    assert [headline.place.collection for headline in findings.headlines(other.evaluation)] == [
        "dev"
    ]


def test_the_tally_counts_every_comparison(results):
    verdicts = [row["verdict"] for row in stored(results)["comparisons"]]
    assert findings.tally(results.evaluation) == (
        f"All 12 comparisons, every measure and baseline: {verdicts.count('better')} better, "
        f"{verdicts.count('worse')} worse, {verdicts.count('equivalent')} equivalent, "
        f"{verdicts.count('cannot tell')} cannot tell."
    )


def test_an_unknown_verdict_is_refused(results):
    with pytest.raises(UnknownChoice, match="Unknown verdict 'great'"):
        findings.headlines(one_comparison(results, verdict="great").evaluation)


def test_means_are_as_stored_and_the_best_of_each_column_is_marked(results):
    table = means_of(results.evaluation)
    assert [row.system for row in table.rows] == ["bm25", "plain", "C", "C-D"]
    assert table.places == ((DEV, "40 queries"),)
    for row, given in zip(table.rows, stored(results)["results"], strict=True):
        assert [cell and cell.mean for cell in row.cells] == list(given["means"].values())
        assert {cell.run for cell in row.cells if cell} == {run_of(row.system)}
    best = [[bool(cell and cell.is_best) for cell in row.cells] for row in table.rows]
    assert best == [[False, False], [False, False], [False, True], [True, False]]
    against = table.rows[3].cells[0]
    assert against is not None
    assert [each.baseline for each in against.comparisons] == ["bm25", "plain", "C"]


def test_means_that_look_equal_are_both_marked(results):
    rows = [
        row | {"means": {"nDCG@10": 0.5 + shift, "RR@10": 0.1}}
        for shift, row in zip((0.0001, 0.0, 0.0004, -0.4), stored(results)["results"], strict=True)
    ]
    table = means_of(with_evaluation(results, results=rows).evaluation)
    assert [row.cells[0].is_best for row in table.rows if row.cells[0]] == [True, True, True, False]


def test_several_groups_name_the_first_stage_and_leave_gaps(results):
    dense = stored(results)["results"][2] | {
        "first_stage": "dense",
        "n_queries": 1,
        "means": {"nDCG@10": 0.7},
    }
    uneven = stored(results)["results"][3] | {"n_queries": 39}
    rows = [*stored(results)["results"][:3], uneven, dense]
    two = with_evaluation(results, results=rows)
    table = means_of(two.evaluation)
    assert [place_name(group, two.evaluation) for group, _ in table.places] == [
        "dev from bm25",
        "dev from dense",
    ]
    assert [n for _, n in table.places] == ["39 to 40 queries", "1 query"]
    assert [cell is None for cell in table.rows[2].cells] == [False, False, False, True]
    assert all(cell is None for cell in table.rows[0].cells[2:])


def test_missing_queries_and_ties_are_named(results):
    assert means_of(results.evaluation).notes == (
        "plain on dev: no ranking for 1 query (q07).",
        "plain on dev: 25.0\u00a0% of neighbours in its rankings had equal scores "
        "before the run was written; the stored run orders them as trec_eval does.",
    )
    few = stored(results)["results"][0] | {
        "missing_queries": [f"q{n}" for n in range(7)],
        "tied_share": 1e-5,
    }
    assert means_of(with_evaluation(results, results=[few]).evaluation).notes == (
        "bm25 on dev: no ranking for 7 queries (q0, q1, q2, q3, q4, …).",
        "bm25 on dev: under 0.1\u00a0% of neighbours in its rankings had equal scores "
        "before the run was written; the stored run orders them as trec_eval does.",
    )


def test_the_caption_states_test_correction_level_and_margin(results):
    caption = caption_of(results.evaluation)
    tests = "Two-sided paired tests (t and Hall's transformation of it, the larger p-value) over queries"
    assert caption.startswith(tests)
    assert "Holm-corrected over all 12 comparisons, level 0.05" in caption
    assert "(nDCG@10 ±0.05). RR@10: no margin, so never equivalent." in caption
    both = with_evaluation(results, margin={"nDCG@10": 0.05, "RR@10": 0.1}, correction="other")
    assert "corrected by other" in caption_of(both.evaluation)
    assert "never equivalent" not in caption_of(both.evaluation)
    assert (
        "No margin was stated, so nothing could be shown equivalent, and the number of queries needed is not known: "
        "state a margin." in caption_of(with_evaluation(results, margin={}).evaluation)
    )
    published = caption_of(with_evaluation(results, tests="as_published").evaluation)
    assert published.startswith("Two-sided paired t-tests over queries")


def test_forests_hold_every_comparison_once_headline_first(results):
    found = forests(results.evaluation)
    assert [(forest.measure, forest.margin) for forest in found] == [
        ("nDCG@10", 0.05),
        ("RR@10", None),
    ]
    rows = [row for forest in found for row in forest.rows]
    assert tuple(rows) == results.evaluation.comparisons
    assert len(forests(one_comparison(results).evaluation)) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0921, "+0.092"), (-0.0921, "\u22120.092"), (0.0, "0.000"), (-0.0001, "0.000")],
)
def test_signed(number, text):
    assert signed(number) == text


@pytest.mark.parametrize(
    ("p_value", "text"), [(None, "\u2013"), (0.00099, "<0.001"), (0.05, "0.050"), (1.0, "1.000")]
)
def test_p_text(p_value, text):
    assert p_text(p_value) == text


def test_clipped_cuts_at_a_word():
    assert clipped("one  two\nthree", 20) == "one two three"
    assert clipped("one two three", 9) == "one two …"
    assert len(clipped("x" * 50, 10)) <= 12


def test_columns_of_numbers_and_of_words() -> None:
    rows = [
        ["C-D", "dl19", "0.5", "none active", "<0.001"],
        ["D", "", "\u22120.1", "0.25", "cannot tell"],
    ]
    assert [has_numbers(rows, column) for column in range(5)] == [False, False, True, True, True]
    assert not has_numbers([], 0)
