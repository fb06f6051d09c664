"""What an evaluation says of rankers that were trained once."""

import json
from pathlib import Path

import pytest

from rankscope.report import page
from rankscope.study.demo import write_demo
from rankscope.study.load import load
from rankscope.study.steps_evaluate import seed_notes
from support.made_up_study import made_up, with_evaluation

END = (
    "one run each, so verdicts are of these runs, not of the methods: with another training seed the order may "
    "be another (docs/verdicts.md says how often). `seeds: [1, 2, 3]` counts the seeds in."
)


def test_the_demo_says_that_its_rankers_have_one_run_each(tmp_path: Path) -> None:
    """In summary.json, which the terminal prints, and among the page's findings."""
    notes = seed_notes(load(write_demo(tmp_path)).study)
    assert notes == [f"plain, C, D, C-D, D-C: {END}"]
    stored = with_evaluation(made_up(), notes=notes)
    assert json.loads(page.summary(stored))["notes"] == notes
    text = page.html(stored)
    findings = text.partition('<section id="findings">')[2].partition("</section>")[0]
    assert f'<p class="warning"><b>Note.</b> {notes[0]}</p>' in findings
    assert text.count("one run each") == 1


TWO = (
    "two seeds a system, so nothing tells whether one system's seeds spread more than the others'; docs/verdicts.md "
    "says what that costs."
)


@pytest.mark.parametrize(
    ("overrides", "named", "two"),
    [
        (["evaluate.rankers=[bi, plain]"], None, None),  # nothing was trained here
        (["evaluate.rankers=[bi, C]"], "C", None),
        (["rankers.plain.seeds=[1, 2, 3]"], None, None),
        (
            ["rankers.plain.seeds=[1, 2]"],
            None,
            "plain, C, C-D",
        ),  # C and C-D have the seeds of plain
        (["rankers.C.seeds=[1, 2]"], "plain", "C, C-D"),
        (
            ["rankers.C.learning_rate=[1e-3, 2e-3, 3e-3, 4e-3]"],
            "plain, C.learning_rate=0.001, C.learning_rate=0.002, C.learning_rate=0.003, "
            "C.learning_rate=0.004, C-D.learning_rate=0.001 and 3 more",
            None,
        ),
    ],
)
def test_only_rankers_that_a_seed_makes_count(
    tiny_study: Path, overrides: list[str], named: str | None, two: str | None
) -> None:
    overrides = [
        *overrides,
        *(["evaluate.baseline=bm25"] if "evaluate.rankers" in overrides[0] else []),
    ]
    notes = seed_notes(load(tiny_study, overrides).study)
    of_one = [] if named is None else [f"{named}: {END}"]
    assert notes == of_one + ([] if two is None else [f"{two}: {TWO}"])
