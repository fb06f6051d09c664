"""Two parts of one split, learnt and tested on, are stopped before any work."""

import json
import shutil
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


def renumbered(data: Path) -> None:
    """Give a BEIR folder's queries other ids, white space and case."""
    queries = [json.loads(line) for line in (data / "queries.jsonl").read_text().splitlines()]
    lines = [{"_id": f"x{q['_id']}", "text": f"  {q['text'].upper()}"} for q in queries]
    (data / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for path in (data / "qrels").iterdir():
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *(f"x{row}" for row in rows)]) + "\n")


@pytest.mark.parametrize("other", ["link", "copy", "renumbered"])
def test_one_split_under_another_name_is_stopped_too(
    tiny_study: Path, tmp_path: Path, rankscope: Command, other: str
) -> None:
    """A link passed `check`, and a copy with other ids passed `run` with a warning of the training's."""
    data = tmp_path / other
    if other == "link":
        data.symlink_to(tiny_study.parent / "data", target_is_directory=True)
    else:
        shutil.copytree(tiny_study.parent / "data", data)
    if other == "renumbered":
        renumbered(data)
    asked = (f"collections.test={{kind: beir, path: {data}, split: train}}",)
    answer = rankscope("check", tiny_study, *asked)
    assert answer.code == 1
    assert "8 of 8 queries of test are training queries (train) of rankers.C, " in answer.err
    assert (": both are of one split" in answer.err) == (other == "link")
    assert (": both have queries of the same words" in answer.err) == (other != "link")
    warned = [f"rankers.{name}.guards={{test_queries: warn}}" for name in ("C", "C-D")]
    assert rankscope("check", tiny_study, *asked, *warned).code == 0


def test_fewer_queries_of_the_same_words_are_told_and_go_on(
    tiny_study: Path, tmp_path: Path, rankscope: Command
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_study.parent / "data", data)
    queries = [json.loads(line) for line in (data / "queries.jsonl").read_text().splitlines()]
    by_id = {query["_id"]: query for query in queries}
    by_id["q0"]["text"] = by_id["q1"]["text"]
    (data / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    answer = rankscope("check", tiny_study, f"collections.test.path={data}")
    assert (answer.code, "1 of 4 queries of test are training queries" in answer.err) == (0, True)


def test_a_test_whose_queries_choose_the_update_is_told(
    tiny_study: Path, rankscope: Command
) -> None:
    """Validation picked the checkpoint by the queries that it was then measured on; nothing said so."""
    asked = ["rankers.C.validate.collection=test"]
    said = "4 of 4 queries of test are validation queries (test) of rankers.C: they choose"
    assert said in rankscope("check", tiny_study, *asked).err
    assert said not in rankscope("check", tiny_study, *asked, "rankers.C.keep=last").err
    assert said not in rankscope("check", tiny_study).err


def test_the_doctor_says_that_it_would_stop(
    tiny_study: Path, tmp_path: Path, rankscope: Command
) -> None:
    answer = rankscope("doctor", tiny_study, *OVERLAPPING, "--results", tmp_path / "r")
    assert answer.code == 1
    assert "C\ttest_queries\tstop\t" in answer.out
