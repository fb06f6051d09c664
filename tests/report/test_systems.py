"""The table of systems: lineage, cost and quality, from what the trainings stored."""

from dataclasses import replace

from rankscope.report import page
from rankscope.report.stored import StoredStep
from rankscope.report.systems import systems
from support import made_up_study


def test_a_lineage_is_told_from_its_start_and_its_seconds_are_added_up() -> None:
    results = made_up_study.made_up()
    rows = {row.system: row for row in systems(results)}
    assert rows["bm25"].stages == rows["plain"].stages == ()
    made = rows["C-D"]
    assert (made.start, [stage.ranker for stage in made.stages]) == ("plain", ["C", "C-D"])
    assert [stage.updates for stage in made.stages] == ["300 of 400", "200 of 300"]
    assert made.seconds == 61.25 + 30.0
    stored = {row.system: row.means for row in results.evaluation.results}
    assert made.mean == stored["C-D"][results.evaluation.headline]


def test_a_system_s_cost_is_what_its_stages_and_its_scoring_took() -> None:
    """C: 400 updates of 16 queries with 8 docs are 51,200 pairs; D on top of it 300 of 16 with 4, 19,200."""
    results, pairs = made_up_study.made_up(), {"C": 51_200, "C-D": 19_200}
    here = {"date": "2026-01-02T03:04:05+00:00", "processor": "CPU 9", "threads": 3}
    cpu, gpu = here | {"device": "cpu"}, here | {"device": "cuda (H200)"}
    trained = [
        replace(step, made=gpu, summary={**step.summary, "n_pairs": pairs[step.summary["ranker"]]})
        for step in results.steps
        if step.kind == "train"
    ]
    name = made_up_study.run_of("C-D").split("/")[1]
    scoring = StoredStep(name, "rerank", 7.6, {"n_scored_docs": 4_000}, cpu)
    told = replace(results, steps=[*trained, scoring])
    rows = {row.system: row for row in systems(told)}
    made = rows["C-D"]
    assert (made.n_pairs, made.n_scored, made.scoring_seconds) == (70_400, 4_000, 7.6)
    assert (made.device, rows["C"].device) == ("cuda (H200), cpu", "cuda (H200)")
    assert (rows["C"].n_pairs, rows["C"].n_scored, rows["bm25"].n_pairs) == (51_200, None, None)
    text = page.html(told)
    shown = text.partition('<section id="systems">')[2].partition("</tbody>")[0]
    row = shown.partition('<th scope="row">C-D</th>')[2]
    for label, value in (
        ("Training pairs", "70,400"),
        ("Seconds of training", "91"),
        ("Docs scored", "4,000"),
        ("Seconds of scoring", "8"),
        ("Device", "cuda (H200), cpu"),
    ):
        assert f'data-label="{label}">{value}</td>' in row
    assert "1600 queries, update 300 of 400" in row


def test_pairs_that_one_stage_did_not_count_are_no_sum() -> None:
    """A manifest of before has none, and half a sum would be another number."""
    results = made_up_study.made_up()
    steps = [
        replace(step, summary={**step.summary, "n_pairs": 5})
        if step.summary.get("ranker") == "C"
        else step
        for step in results.steps
    ]
    rows = {row.system: row for row in systems(replace(results, steps=steps))}
    assert (rows["C"].n_pairs, rows["C-D"].n_pairs) == (5, None)


def test_run_files_have_no_such_table() -> None:
    results = replace(made_up_study.made_up(), steps=[])
    assert systems(results) == []
    assert 'id="systems"' not in page.html(results)
    assert 'id="systems"' in page.html(made_up_study.made_up())
