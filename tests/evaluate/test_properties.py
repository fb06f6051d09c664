"""What must not change a number: the order of what is handed over, queries nobody judged, the scale."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rankscope
from rankscope.core.records import Run
from rankscope.evaluate import comparing, evaluation
from rankscope.evaluate.comparing import Compared
from rankscope.evaluate.evaluation import Evaluation

MEASURES = ["nDCG@3", "RR@10", "AP(rel=2)", "P@2", "R@3", "Judged@3"]
DOCS = [f"d{number}" for number in range(6)]
QUERIES = ["q1", "q2", "q3", "q4"]
RANKINGS = st.fixed_dictionaries(
    {
        query: st.dictionaries(st.sampled_from(DOCS), st.integers(-8, 8).map(float), min_size=1)
        for query in QUERIES
    }
)
QRELS = st.fixed_dictionaries(
    {
        query: st.dictionaries(st.sampled_from(DOCS), st.integers(0, 3), min_size=1)
        for query in QUERIES
    }
)
SYSTEMS = st.fixed_dictionaries({"a": RANKINGS, "b": RANKINGS, "c": RANKINGS})
SEEDS = st.integers(0, 10_000)
Table = dict[str, dict[str, Any]]

pytestmark = pytest.mark.usefixtures("frozen_garbage")
lawful = settings(deadline=None, max_examples=50, derandomize=True)


def shuffled(table: dict[str, Any], rng: Random) -> dict[str, Any]:
    return dict(rng.sample([*table.items()], len(table)))


def values(found: Evaluation) -> dict[str, Any]:
    return {run.system: (run.measured.values, run.ties, run.notes) for run in found.runs}


def comparisons(found: Compared) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row.measure, row.system, row.baseline): row.plain() for row in found.rows}


@lawful
@given(SYSTEMS, QRELS, SEEDS)
def test_the_order_of_lines_queries_and_systems_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, systems: dict[str, Table], qrels: Table, seed: int
) -> None:
    folder, rng = tmp_path_factory.mktemp("lines"), Random(seed)
    files = {}
    for name, run in systems.items():
        lines = [f"{q} Q0 {d} 0 {s} {name}\n" for q, docs in run.items() for d, s in docs.items()]
        files[name] = folder / name
        files[name].write_text("".join(rng.sample(lines, len(lines))))
    mixed = {query: shuffled(docs, rng) for query, docs in shuffled(qrels, rng).items()}
    there = evaluation.measure(systems, qrels, MEASURES)
    back = evaluation.measure(shuffled(files, rng), mixed, MEASURES)
    assert values(there) == values(back)
    how = {"baseline": "a", "margin": {"RR@10": 0.1}, "resamples": 99}
    first = comparing.compare(systems, qrels, ["RR@10", "P@2"], **how)
    again = comparing.compare(shuffled(files, rng), mixed, ["P@2", "RR@10"], **how)
    assert comparisons(first) == comparisons(again)


@lawful
@given(SYSTEMS, QRELS)
def test_swapping_two_systems_mirrors_the_comparison(
    systems: dict[str, Table], qrels: Table
) -> None:
    there, back = (
        comparing.compare(
            {name: systems[name] for name in ("a", "b")},
            qrels,
            ["nDCG@3", "P@2"],
            baseline=baseline,
            margin={"P@2": 0.3},
            significance_level=0.4,
            resamples=99,
        )
        for baseline in ("b", "a")
    )
    mirrored = {"better": "worse", "worse": "better"}
    for one, other in zip(there.rows, back.rows, strict=True):
        a, b = one.judged.comparison, other.judged.comparison
        assert (one.system, one.baseline) == (other.baseline, other.system)
        assert (a.system_mean, a.baseline_mean) == (b.baseline_mean, b.system_mean)
        assert a.difference == pytest.approx(-b.difference)
        assert a.interval == pytest.approx((-b.interval[1], -b.interval[0]))
        for name in ("p_value", "wilcoxon_p", "randomisation_p", "equivalence_p"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), nan_ok=True), name
        verdict = one.judged.verdict.value
        assert other.judged.verdict.value == mirrored.get(verdict, verdict)


@lawful
@given(RANKINGS, QRELS)
def test_a_ranked_query_nobody_judged_changes_nothing_but_a_note(run: Table, qrels: Table) -> None:
    more = run | {"q0": {"d1": 2.0, "d2": 1.0}}
    (alone,) = evaluation.measure({"a": run}, qrels, MEASURES).runs
    (beside,) = evaluation.measure({"a": more}, qrels, MEASURES).runs
    assert beside.measured.values == alone.measured.values
    assert beside.measured.unjudged_queries == ("q0",)
    added = "1 ranked query is not judged and does not count (first: q0)"
    assert [note for note in beside.notes if "tied" not in note] == [
        *(note for note in alone.notes if "tied" not in note),
        added,
    ]


@lawful
@given(RANKINGS, QRELS)
def test_a_judged_query_that_is_not_ranked_counts_0(run: Table, qrels: Table) -> None:
    """The means of 4 queries become 4/5 of themselves, and a note says why."""
    there = evaluation.measure({"a": run}, qrels, MEASURES)
    more = evaluation.measure({"a": run}, qrels | {"q9": {"d1": 3}}, MEASURES)
    for name in MEASURES:
        assert more.means()["a"][name] == pytest.approx(0.8 * there.means()["a"][name])
    assert "1 judged query has no ranking and counts 0 (first: q9)" in more.runs[0].notes


@lawful
@given(RANKINGS, QRELS, st.sampled_from([0.25, 3.0, 1e-3, 1e6]), st.integers(-1000, 1000))
def test_neither_scale_nor_shift_of_the_scores_changes_a_measure(
    run: Table, qrels: Table, factor: float, shift: int
) -> None:
    """Scores are whole numbers, so that no float rounds two of them into a tie."""
    moved = {q: {d: factor * (s + shift) for d, s in docs.items()} for q, docs in run.items()}
    there, back = (evaluation.measure({"a": each}, qrels, MEASURES) for each in (run, moved))
    assert values(there) == values(back)


@lawful
@given(RANKINGS, QRELS)
def test_turning_the_scores_round_turns_the_ranking_round(run: Table, qrels: Table) -> None:
    """That the law above can fail: a negative factor moves the first relevant doc."""
    assume(any(len(set(docs.values())) == len(docs) > 1 for docs in run.values()))
    query = next(q for q, docs in run.items() if len(set(docs.values())) == len(docs) > 1)
    best, *_ = sorted(run[query], key=run[query].__getitem__, reverse=True)
    turned = {query: {doc: -score for doc, score in run[query].items()}}
    judged = {query: {best: 1}}
    there, back = (
        evaluation.measure({"a": r}, judged, ["P@1"]).means()["a"] for r in (run, turned)
    )
    assert (there["P@1"], back["P@1"]) == (1.0, 0.0)


@lawful
@given(RANKINGS)
def test_a_run_file_measures_as_the_table_it_was_written_from(
    tmp_path_factory: pytest.TempPathFactory, run: Table
) -> None:
    """`write_run` parts the ties, and keeps their order."""
    path: Path = tmp_path_factory.mktemp("one") / "a.run"
    qrels = {query: {"d1": 1, "d3": 2} for query in QUERIES}
    (of_table,) = evaluation.measure({"a": run}, qrels, MEASURES).runs
    written = Run.of(
        "a", (rankscope.ScoredDoc(q, d, s) for q, docs in run.items() for d, s in docs.items())
    )
    rankscope.write_run(path, written)
    (of_file,) = evaluation.measure({"a": path}, qrels, MEASURES).runs
    assert of_file.measured == of_table.measured
    assert of_file.ties is None
