"""`evaluation.measure` and `comparing.compare`: what they take, and what they say."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

import rankscope
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.judged.margins import Margin, as_margin
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.evaluate import comparing, evaluation
from rankscope.evaluate.as_published import STUDY_B_WARNING
from rankscope.evaluate.comparing import letter

QRELS = {"q1": {"a": 2, "b": 1}, "q2": {"a": 1}, "q3": {"c": 2}, "q4": {"b": 1}}
GOOD = {"q1": {"a": 3, "b": 2}, "q2": {"a": 1}, "q3": {"c": 1, "d": 0}, "q4": {"x": 2, "b": 1}}
POOR = {"q1": {"x": 3, "b": 2}, "q2": {"y": 2, "a": 1}, "q3": {"x": 1}, "q4": {"x": 2, "b": 1}}
GOOD_RR = {"q1": 1.0, "q2": 1.0, "q3": 1.0, "q4": 0.5}
POOR_RR = {"q1": 0.5, "q2": 0.5, "q3": 0.0, "q4": 0.5}


def as_frame(run: dict[str, dict[str, float]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(
        [(q, d, v) for q, of in run.items() for d, v in of.items()], columns=columns
    )


def as_run(tag: str, run: dict[str, dict[str, float]]) -> Run:
    return Run.of(tag, (ScoredDoc(q, d, s) for q, docs in run.items() for d, s in docs.items()))


def as_file(path: Path, tag: str, run: dict[str, dict[str, float]]) -> Path:
    rankscope.write_run(path, as_run(tag, run))
    return path


def level_runs(*levels: float) -> dict[str, Any]:
    """Systems s0, s1 ... that put the relevant doc first in such shares of 40 queries."""
    return {
        f"s{at}": {f"q{n}": {"a": 2.0 if n < 40 * level else 0.0, "x": 1.0} for n in range(40)}
        for at, level in enumerate(levels)
    }


LEVEL_QRELS = {f"q{n}": {"a": 1} for n in range(40)}


# -- what is taken ---------------------------------------------------------------------------------


def test_runs_and_qrels_may_come_as_whatever_they_are(tmp_path: Path) -> None:
    """RR is 1 1 1 1/2 by hand, for a table, a data frame, a Run and files; so for all forms of qrels."""
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    rankscope.write_qrels(
        tmp_path / "qrels", [Qrel(q, d, g) for q, o in QRELS.items() for d, g in o.items()]
    )
    runs = {
        "table": GOOD,
        "frame": as_frame(GOOD, "qid", "docno", "score"),
        "run": as_run("mine", GOOD),
        "path": as_file(tmp_path / "a.run", "mine", GOOD),
        "text": str(tmp_path / "a.json"),
    }
    of_qrels = {
        "table": QRELS,
        "frame": as_frame(QRELS, "query_id", "doc_id", "relevance"),
        "path": tmp_path / "qrels",
        "text": str(tmp_path / "qrels"),
        "list": rankscope.read_qrels(tmp_path / "qrels"),
    }
    for what, qrels in of_qrels.items():
        found = evaluation.measure(runs, qrels, ["RR@10"])
        for run in found.runs:
            assert dict(run.measured.values["RR@10"]) == GOOD_RR, (what, run.system)
        assert set(found.means()) == set(runs)
    assert [run.path for run in found.runs][3:] == [
        str(tmp_path / "a.run"),
        str(tmp_path / "a.json"),
    ]


def test_a_list_of_runs_is_called_by_tags_and_by_files_where_they_are_the_same(
    tmp_path: Path,
) -> None:
    first, second = (
        as_file(tmp_path / f"{n}.run.gz", "same", r) for n, r in (("x", GOOD), ("y", POOR))
    )
    third = as_file(tmp_path / "z.run", "own", GOOD)
    assert [*evaluation.measure([first, str(second), third], QRELS).means()] == ["x", "y", "own"]
    with pytest.raises(BadInput, match=r"Two runs are called 'same'\. Name them"):
        evaluation.measure([as_run("same", GOOD), as_run("same", POOR)], QRELS)
    (tmp_path / "sub").mkdir()
    with pytest.raises(BadInput, match=r"Two runs are called 'x'"):
        evaluation.measure([first, as_file(tmp_path / "sub" / "x.run", "same", POOR)], QRELS)


def test_the_runs_under_one_name_are_its_seeds() -> None:
    """RR of .875 and .375: mean .625. The seeds' own values stay apart."""
    found = evaluation.measure({"ours": [GOOD, POOR], "theirs": POOR}, QRELS, ["RR@10"])
    assert found.means() == {"ours": {"RR@10": 0.625}, "theirs": {"RR@10": 0.375}}
    assert [(run.system, run.tag) for run in found.runs] == [
        ("ours", "ours#1"), ("ours", "ours#2"), ("theirs", "theirs"),
    ]  # fmt: skip
    compared = comparing.compare({"ours": [GOOD, POOR], "theirs": POOR}, QRELS, ["RR@10"])
    assert compared.rows[0].plain()["n_seeds"] == [1, 2]
    assert compared.seeds["ours"]["RR@10"].n_seeds == 2
    assert compared.notes[0].startswith("theirs: one run each; if these are trained rankers")


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": 5}, "The run 'a' is of type int. Give a Run, a file's path"),
        ({"a": []}, "The system 'a' has no run"),
        ("a.run", "This is a single run. Give a list of runs"),
        (as_run("r", GOOD), "This is a single run"),
        (as_frame(GOOD, "qid", "docno", "score"), "This is a single run"),
        (GOOD, "the run 'q1': expected a table of queries"),
        ({"a": "no/such.run"}, "no/such.run: there is no such file"),
        ({"a": {"q9": {"d": 1.0}}}, "a: it ranks none of the 4 judged queries"),
        ({"a": as_frame(GOOD, "query", "docno", "score")}, "no column query_id or q_id"),
        ({"a": pd.DataFrame([["q", "d", 1, 2]], columns=["qid", "docno", "score", "score"])},
         "the run 'a': it has several columns score"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_told_so(runs: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        evaluation.measure(runs, QRELS)


def test_measures_that_are_none_are_told_so() -> None:
    with pytest.raises(UnknownChoice, match="Unknown measure 'nDCGG@10'"):
        evaluation.measure({"a": GOOD}, QRELS, ["nDCGG@10"])
    with pytest.raises(BadInput, match="at least one measure"):
        evaluation.measure({"a": GOOD}, QRELS, [])


# -- what is measured ------------------------------------------------------------------------------


def test_the_means_as_a_data_frame() -> None:
    """nDCG@10 of POOR: (1/log2 3)/(2 + 1/log2 3), 1/log2 3, 0 and 1/log2 3 (gains are the grades)."""
    frame = evaluation.measure({"good": GOOD, "poor": POOR}, QRELS, ["RR@10", "nDCG@10"]).frame()
    assert ([*frame.index], [*frame.columns]) == (["good", "poor"], ["RR@10", "nDCG@10"])
    second = 1 / math.log2(3)
    assert frame.loc["poor", "nDCG@10"] == pytest.approx((second / (2 + second) + 2 * second) / 4)
    assert frame["RR@10"].tolist() == [0.875, 0.375]


def test_a_relevance_level_counts_in_binary_measures_that_name_none() -> None:
    """From grade 2: q1 and q3 have a relevant doc, at rank 1 of GOOD: 2/4. nDCG keeps its grades."""
    names = ["RR@10", "RR(rel=1)@10", "nDCG@10"]
    plain, strict = (
        evaluation.measure({"a": GOOD}, QRELS, names, relevance_level=level) for level in (1, 2)
    )
    assert strict.measures == ("RR(rel=2)@10", "RR(rel=1)@10", "nDCG@10")
    assert [*strict.means()["a"].values()][:2] == [0.5, 0.875]
    assert strict.means()["a"]["nDCG@10"] == plain.means()["a"]["nDCG@10"]
    assert strict.notes == (
        "grades below 2 are not relevant: RR(rel=2)@10",
        "2 of 4 queries have no doc of grade 2 or above (first: q2): they count 0 in RR(rel=2)@10, as in trec_eval",
    )
    assert plain.notes == ()
    (told,) = evaluation.measure({"a": GOOD}, QRELS, names).notes
    assert told.startswith("grades go up to 2, and RR@10 counts every grade from 1 as relevant")
    with pytest.raises(BadInput, match="level 0 is below 1"):
        evaluation.measure({"a": GOOD}, QRELS, relevance_level=0)


def test_a_querys_own_doc_is_left_out_where_asked() -> None:
    """The query's own doc at rank 1 pushes the relevant one to rank 2: RR 1/2, and 1 without it."""
    run = {"q1": {"q1": 9.0, "a": 1.0}, "q2": {"q1": 9.0, "a": 1.0}}
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}}
    for drop, values in ((False, {"q1": 0.5, "q2": 0.5}), (True, {"q1": 1.0, "q2": 0.5})):
        found = evaluation.measure({"a": run}, qrels, ["RR@10"], drop_own_docs=drop)
        assert dict(found.runs[0].measured.values["RR@10"]) == values
        assert (
            "docs that have their query's id were left out of the rankings" in found.notes
        ) is drop


def test_missing_and_unjudged_queries_and_ties_are_noted() -> None:
    """q3 is not ranked; q9 is not judged; q2's two docs are tied, and RR is 1/2 or 1 by their order."""
    run = {"q1": {"a": 1.0}, "q2": {"a": 1.0, "x": 1.0}, "q4": {"b": 1.0}, "q9": {"a": 1.0}}
    (found,) = evaluation.measure({"a": run}, QRELS, ["RR@10"]).runs
    assert found.notes == (
        "1 judged query has no ranking and counts 0 (first: q3)",
        "1 ranked query is not judged and does not count (first: q9)",
        "100 % of neighbours are tied, in 1 query: RR@10 is 0.6250 to 0.7500 by their order, "
        "0.6719 expected",
    )


# -- what is compared ------------------------------------------------------------------------------


def test_a_comparison_of_two_runs_by_hand() -> None:
    """RR differs by .5 .5 1 0: mean .5, sd sqrt(1/6), t = .5 / (sd / 2) = sqrt 6 with 3 degrees."""
    found = comparing.compare({"good": GOOD, "poor": POOR}, QRELS, ["RR@10"], baseline="poor")
    (row,) = found.rows
    assert (row.system, row.baseline, row.measure) == ("good", "poor", "RR@10")
    assert row.judged.comparison.difference == pytest.approx(0.5)
    assert row.judged.comparison.effect_size == pytest.approx(6**0.5 / 2)
    assert row.judged.comparison.p_value == pytest.approx(0.0917, abs=5e-5)
    assert found.frame().to_dict("records")[0]["difference"] == pytest.approx(0.5)
    assert (found.baselines, found.family_size, found.correction) == (("poor",), 1, "holm")


def test_without_a_baseline_all_pairs_are_compared_and_letters_say_who_is_better() -> None:
    """s0 and s1 differ in 1 query of 40; s2 is far below both."""
    found = comparing.compare(level_runs(1, 0.975, 0.2), LEVEL_QRELS, ["P@1"], resamples=0)
    assert [(row.system, row.baseline) for row in found.rows] == [
        ("s1", "s0"), ("s2", "s0"), ("s2", "s1"),
    ]  # fmt: skip
    assert [row.judged.verdict.value for row in found.rows] == ["cannot tell", "worse", "worse"]
    assert found.letters("P@1") == {"s0": "c", "s1": "c", "s2": ""}
    assert found.family_size == 3


def test_letters_go_on_after_z() -> None:
    places = (0, 25, 26, 27, 51, 52, 701, 702)
    assert [letter(place) for place in places] == ["a", "z", "aa", "ab", "az", "ba", "zz", "aaa"]


def test_a_family_is_all_pairs_and_measures_or_more_where_declared() -> None:
    runs = level_runs(1, 0.8, 0.7)
    found = comparing.compare(runs, LEVEL_QRELS, ["P@1", "RR"], baseline="s0", resamples=0)
    declared = comparing.compare(
        runs, LEVEL_QRELS, ["P@1", "RR"], baseline="s0", resamples=0, family_size=9
    )
    assert (found.family_size, declared.family_size) == (4, 9)
    least = min(row.judged.comparison.p_value for row in found.rows)
    assert min(row.judged.corrected_p for row in found.rows) == pytest.approx(4 * least)
    assert min(row.judged.corrected_p for row in declared.rows) == pytest.approx(9 * least)


def test_as_published_is_uncorrected_without_a_margin_and_warns() -> None:
    found = comparing.compare(
        level_runs(1, 0.8, 0.7), LEVEL_QRELS, ["P@1"], tests="as_published", margin={"P@1": 0.1}
    )
    for row in found.rows:
        assert row.judged.corrected_p == row.judged.comparison.p_value
        assert row.judged.comparison.equivalence_p is None
    left_out = "study B has no margin: those of P@1 were left out"
    assert (found.correction, found.notes[:2]) == ("none", (STUDY_B_WARNING, left_out))
    with pytest.raises(UnknownChoice, match="kind of tests 'published'.*as_published"):
        comparing.compare({"a": GOOD, "b": POOR}, QRELS, tests="published")


def test_as_published_is_the_t_test_that_study_b_had() -> None:
    """18 of 40 gain all, 4 lose all: skewed against the gain, which Hall's transformation sees and t does not."""
    gains = [-1.0] * 4 + [0.0] * 18 + [1.0] * 18
    runs = {
        name: {f"q{n}": {"a": float(sign * gain > 0), "x": 0.5} for n, gain in enumerate(gains)}
        for name, sign in (("s0", -1), ("s1", 1), ("s2", -1))
    }
    how = {"baseline": "s0", "resamples": 0}
    published = comparing.compare(runs, LEVEL_QRELS, ["P@1"], tests="as_published", **how)
    found, same = (row.judged for row in published.rows)
    expected = stats.ttest_1samp(gains, 0)
    assert found.comparison.p_value == pytest.approx(expected.pvalue)
    assert found.comparison.interval == pytest.approx(tuple(expected.confidence_interval()))
    sound = comparing.compare(runs, LEVEL_QRELS, ["P@1"], **how).rows[0]
    assert sound.judged.comparison.p_value > 1.2 * expected.pvalue
    assert (found.verdict, found.fragility, found.unseen_share) == ("better", None, None)
    assert (same.comparison.p_value, same.comparison.interval) == (1.0, (0.0, 0.0))
    assert (same.verdict, same.unseen_share) == ("cannot tell", None)


def test_what_nearly_equal_differences_show_is_told_without_a_power() -> None:
    """Three of 40 differ: their spread says nothing of others, so neither do figures that rest on it."""
    margin = {"P@1": 0.05}
    found = comparing.compare(level_runs(1, 37 / 40), LEVEL_QRELS, ["P@1"], margin=margin).rows[0]
    plain = found.plain()
    assert plain["n_differing"] == 3
    assert plain["unseen_share"] == pytest.approx(1 - 0.05 ** (1 / 40))
    assert (plain["smallest_detectable"], plain["queries_needed"]) == (None, None)
    among = comparing.compare(
        level_runs(1, 37 / 40), LEVEL_QRELS, ["P@1"], margin=margin, family_size=10
    )
    assert among.rows[0].plain()["unseen_share"] == pytest.approx(1 - 0.005 ** (1 / 40))
    spread = comparing.compare(level_runs(1, 0.5), LEVEL_QRELS, ["P@1"]).rows[0].plain()
    assert spread["unseen_share"] is None
    assert spread["smallest_detectable"] > 0


@pytest.mark.parametrize("n", [5, 8, 12, 13])
def test_many_comparisons_over_few_queries_take_no_long_way(
    monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    """Left to itself, scipy's Wilcoxon runs through all sign flips of tied differences: seconds a test."""
    called: list[tuple[str, tuple[int, ...]]] = []
    wilcoxon = stats.wilcoxon

    def counted(values: Any, **how: Any) -> Any:
        called.append((how["method"], values.shape))
        return wilcoxon(values, **how)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a permutation test of scipy's")

    monkeypatch.setattr(stats, "wilcoxon", counted)
    monkeypatch.setattr(stats, "permutation_test", refused)
    monkeypatch.setattr(
        sys.modules[wilcoxon.__module__], "PermutationMethod", refused, raising=False
    )
    runs = {
        f"s{at}": {
            f"q{q}": {
                "a": float((q * 7 + at * 5) % 11 > at % 9),
                "x": 0.5,
                "y": 0.4 + 0.2 * (at % 2),
            }
            for q in range(n)
        }
        for at in range(28)
    }
    qrels = {f"q{q}": {"a": 1, "y": 1} for q in range(n)}
    found = comparing.compare(runs, qrels, ["nDCG@10"], baseline="s0", resamples=0)
    assert len(found.rows) == 27
    assert sum(shape[0] for _, shape in called) <= 27
    assert len(called) <= 2, "all comparisons at once"
    assert {method for method, _ in called} <= {"exact", "asymptotic"}


def test_a_term_that_is_none_is_refused_not_ignored() -> None:
    for terms, message in (
        ({"corection": "none"}, "Did you mean 'correction'"),
        ({"significance_level": 5}, "lies between 0 and 1"),
        ({"resamples": -3}, "0 or more"),
    ):
        with pytest.raises((BadInput, UnknownChoice), match=message):
            comparing.compare({"a": GOOD, "b": POOR}, QRELS, **terms)


def test_a_baseline_that_is_not_there_and_one_system_alone_are_refused() -> None:
    with pytest.raises(UnknownChoice, match="Unknown baseline 'pour'. Did you mean 'poor'"):
        comparing.compare({"good": GOOD, "poor": POOR}, QRELS, baseline="pour")
    with pytest.raises(BadInput, match="One system alone cannot be compared"):
        comparing.compare({"good": GOOD}, QRELS)
    with pytest.raises(BadInput, match="One system alone cannot be compared"):
        comparing.compare({"good": [GOOD, POOR]}, QRELS)


def test_what_was_built_by_hand_is_checked_before_it_reaches_trec_eval() -> None:
    """A NUL ends an id in C: accepted, it would be another doc's."""
    run = Run.of("r", [ScoredDoc("q1", "a\0b", 1.0)])
    with pytest.raises(BadInput, match="space or NUL"):
        evaluation.measure([run], [Qrel("q1", "a", 1)], ["RR"])
    with pytest.raises(BadInput, match="the qrels: the doc id"):
        evaluation.measure({"r": {"q1": {"a": 1.0}}}, [Qrel("q1", "a\0b", 1)], ["RR"])
    with pytest.raises(BadInput, match="The qrels are of type int"):
        evaluation.measure({"r": {"q1": {"a": 1.0}}}, 5, ["RR"])


def test_a_margin_belongs_to_the_measure_it_is_given_for() -> None:
    """With RR@10 asked for twice, AP's margin stays AP's; a relevance level does not lose it."""
    runs = {"good": GOOD, "poor": POOR}
    found = comparing.compare(
        runs, QRELS, ["RR@10", "RR@10", "AP"], margin={"RR@10": "50%", "AP": 0.3}, relevance_level=2
    )
    margins = {row.measure: row.judged.comparison.margin for row in found.rows}
    assert margins == {"RR(rel=2)@10": Margin(0.5, is_relative=True), "AP(rel=2)": Margin(0.3)}
    with pytest.raises(UnknownChoice, match="measure in `margin` 'P@1'"):
        comparing.compare(runs, QRELS, margin={"P@1": 0.1})


def test_two_names_of_one_measure_are_one_comparison() -> None:
    """RR@10 and MRR@10 would make a family of two; a margin may be given for either name."""
    runs = {"good": GOOD, "poor": POOR}
    found = comparing.compare(runs, QRELS, ["RR@10", "MRR@10"], margin={"MRR@10": 0.3})
    assert [(row.measure, row.judged.comparison.margin) for row in found.rows] == [
        ("RR@10", Margin(0.3))
    ]
    assert evaluation.measure(runs, QRELS, ["P@1", "Precision@1", "P(rel=1)@1"]).measures == (
        "P@1",
    )


def test_margins_as_people_write_them() -> None:
    assert as_margin(0.02) == as_margin("0.02") == as_margin(Margin(0.02)) == Margin(0.02)
    assert as_margin(" 5 %") == Margin(0.05, is_relative=True)
    for wrong in ("", "%", "much", "-1", 0, "0%", "nan", "inf", True, "5%%"):
        with pytest.raises(BadInput, match="is not a positive number. Give one such as 0.02"):
            as_margin(wrong)
