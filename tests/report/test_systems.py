"""The table of systems: lineage, cost and quality, from what the trainings stored."""

from dataclasses import replace

from rankscope.report import page
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


def test_run_files_have_no_such_table() -> None:
    results = replace(made_up_study.made_up(), steps=[])
    assert systems(results) == []
    assert 'id="systems"' not in page.html(results)
    assert 'id="systems"' in page.html(made_up_study.made_up())
