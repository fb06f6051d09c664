"""Two parts of one split, learnt and tested on, are stopped before any work."""

from pathlib import Path

import pytest

from rankscope.data.collections import IrDataset
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.overlaps import overlaps
from rankscope.study.plan import plan
from support.command import Command

TRAIN, TEST = "collections.train.part=[0.4, 1]", "collections.test.part=[0, 0.5]"
OVERLAPPING = ("collections.test.split=train", TRAIN, TEST)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_it_is_stopped_with_the_count_before_any_step(
    tiny_study: Path, tmp_path: Path, rankscope: Command, verb: str
) -> None:
    """Of 8 queries the test has the first 4 of the shuffled order, the training the last 5: one is in both."""
    answer = rankscope(verb, tiny_study, *OVERLAPPING, "--results", tmp_path / "r")
    assert answer.code == 1
    assert (
        "1 of 4 queries of test are training queries (train) of rankers.C, rankers.C-D: both"
        in answer.err
    )
    assert "or set `guards: {test_queries: warn}` there to go on" in answer.err
    assert not (tmp_path / "r" / "tiny" / "steps").exists()


@pytest.mark.parametrize(
    ("overrides", "n_notes"),
    [
        pytest.param([f"rankers.{name}.guards={{test_queries: warn}}" for name in ("C", "C-D")], 1, id="a level turns it down"),
        pytest.param([f"rankers.{name}.guards={{test_queries: off}}" for name in ("C", "C-D")], 0, id="a level turns it off"),
        pytest.param(["collections.test.part=[0, 0.4]"], 0, id="the parts do not meet"),
        pytest.param(["collections.test.queries=1"], 0, id="what is used of them does not meet"),
        pytest.param(["evaluate.rankers=[bi]", "evaluate.baseline=bm25", "evaluate.claims=[]"], 0, id="nothing evaluated learnt"),
    ],
)  # fmt: skip
def test_it_goes_on(
    tiny_study: Path, rankscope: Command, overrides: list[str], n_notes: int
) -> None:
    answer = rankscope("check", tiny_study, *OVERLAPPING, *overrides)
    assert (answer.code, "no mistakes" in answer.out) == (0, True), answer.err
    assert answer.err.count("of test are training queries") == n_notes


def test_a_collection_that_is_learnt_and_tested_on_is_the_whole_overlap(
    tiny_study: Path, rankscope: Command
) -> None:
    answer = rankscope("check", tiny_study, "evaluate.over=[train]")
    assert answer.code == 1
    assert (
        "8 of 8 queries of train are training queries (train) of rankers.C, rankers.C-D"
        in answer.err
    )


def test_of_what_may_have_to_be_fetched_the_parts_are_compared(
    tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("queries", "qrels", "docs"):
        monkeypatch.setattr(IrDataset, name, lambda self: pytest.fail("nothing is to be read"))
    ir = "{kind: ir_datasets, id: vaswani, part: %s}"
    overrides = ["collections.train=" + ir % "[0.4, 1]", "collections.test=" + ir % "[0, 0.5]"]
    found = overlaps(plan(load(tiny_study, overrides), Digests().of))
    assert [(each.stage, each.counted) for each in found] == [
        ("C", "20% of the queries"),
        ("C-D", "20% of the queries"),
    ]
    assert not overlaps(
        plan(load(tiny_study, [*overrides, "collections.train.queries=5"]), Digests().of)
    )


def test_the_doctor_says_that_it_would_stop(
    tiny_study: Path, tmp_path: Path, rankscope: Command
) -> None:
    answer = rankscope("doctor", tiny_study, *OVERLAPPING, "--results", tmp_path / "r")
    assert answer.code == 1
    assert "C\ttest_queries\tstop\t" in answer.out
