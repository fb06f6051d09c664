"""What an evaluation says of rankers that were trained once, and over several tests."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from rankscope.pipeline.steps.evaluate import seed_notes
from rankscope.report import page, summary
from rankscope.store.artifacts import Store, read_json
from rankscope.store.fingerprint import Digests
from rankscope.study.demo import write_demo
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
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
    assert json.loads(summary.as_json(stored))["notes"] == notes
    text = page.html(stored)
    findings = text.partition('<section id="findings">')[2].partition("</section>")[0]
    assert f'<p class="warning"><b>Note.</b> {notes[0]}</p>' in findings
    assert text.count("one run each") == 1


@pytest.mark.parametrize("evaluated", ["plain, C, C-D", "plain, C-D"])
def test_seeds_that_all_start_from_one_trained_run_are_told(
    tiny_study: Path, evaluated: str
) -> None:
    """Whether that run is evaluated itself or not: its own draw is in no error."""
    overrides = [
        "rankers.C-D.seeds=[1, 2, 3]",
        f"evaluate.rankers=[{evaluated}]",
        "evaluate.baseline=plain",
    ]
    notes = seed_notes(load(tiny_study, overrides).study)
    (told,) = (note for note in notes if "which was trained once" in note)
    assert told.startswith(
        "C-D: all its runs start from C, which was trained once, so verdicts are of rankers that"
    )
    with_seeds = ["rankers.plain.seeds=[1, 2, 3]", "evaluate.rankers=[plain, C, C-D]"]
    assert not any(
        "trained once" in note for note in seed_notes(load(tiny_study, with_seeds).study)
    )


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


TWO_TESTS = [
    "evaluate.over=[test, train]",
    "evaluate.rankers=[bi]",
    "evaluate.baseline=bm25",
    "evaluate.measures=[nDCG@10]",
    'evaluate.claims=[{claim: "Embeddings are worse.", systems: [bi], are: worse, than: bm25}]',
]


def test_a_study_over_two_tests_has_one_verdict_over_both(tiny_study: Path, tmp_path: Path) -> None:
    """The mean of both tests' effects, each the mean over its queries of what is stored of them."""
    store = Store(tmp_path)
    made = plan(load(tiny_study, TWO_TESTS), Digests().of)
    carry_out(made, store)
    folder = store.open(next(step.name for step in made.steps if step.kind == "evaluate"))
    evaluation = read_json(folder / "evaluation.json")
    (found,) = evaluation["pooled"]
    assert (found["system"], found["baseline"], found["measure"]) == ("bi", "bm25", "nDCG@10")
    assert (found["n_tests"], found["n_first_stages"], found["margin"]) == (2, 1, 0.05)

    values: dict[str, list[float]] = defaultdict(list)
    with (folder / "per_query.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values[row["run"]].append(float(row["value"]))
    run_of = {(row["collection"], row["system"]): row["run"] for row in evaluation["results"]}
    effects = [
        np.mean(values[run_of[test, "bi"]]) - np.mean(values[run_of[test, "bm25"]])
        for test in ("test", "train")
    ]
    assert found["difference"] == pytest.approx(np.mean(effects))
    assert [cell["difference"] for cell in found["cells"]] == pytest.approx(effects)

    found_of_study = read_json(store.root / "summary.json")
    assert found_of_study["pooled"] == [found]
    (claim,) = found_of_study["claims"]
    assert claim["pooled_outcome"] == "cannot be judged"
    assert claim["pooled"][0].startswith("2 tests, bi against bm25: ")
    assert 'id="over-all-tests"' in (store.root / "report.html").read_text("utf-8")
    assert not any("take the two as independent" in note for note in evaluation["notes"])


def test_tests_that_share_queries_are_told(tiny_study: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    split = load(tiny_study).study.collections["test"].path  # type: ignore[union-attr]
    again = f"collections.again={{kind: beir, path: {split}, split: test}}"
    overrides = [*TWO_TESTS, again, "evaluate.over=[test, again]"]
    made = plan(load(tiny_study, overrides), Digests().of)
    carry_out(made, store)
    notes = read_json(store.root / "summary.json")["notes"]
    assert any(
        note.startswith("4 of 4 queries of test are queries of again, too: verdicts over all tests")
        for note in notes
    )
