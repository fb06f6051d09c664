"""A study that looks at what its stages changed and cost: steps, tables, the page, and what is done again."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.errors import BadStudy
from rankscope.study.load import load
from rankscope.study.plan import plan
from support import scenes, tiny

pytestmark = pytest.mark.usefixtures("frozen_garbage")

STUDY = """
study: changed
seed: 3
collections:
  train: {{kind: beir, path: {data}, split: train}}
  test: {{kind: beir, path: {data}, split: test}}
  places: {{kind: beir, path: {places}, split: test}}
first_stages:
  bm25: {{kind: bm25, depth: 12}}
rankers:
  plain: {{kind: cross_encoder, backbone: {encoder}, max_length: 32}}
  bi: {{kind: bi_encoder, model: {bi}}}
  C: &stage
    start: plain
    samples: {{collection: train, labels: qrels, negatives: {{from: bm25, depth: 12}}, group_size: 4}}
    loss: localized_contrastive
    max_updates: 3
    learning_rate: 1.0e-3
    queries_per_update: 8
    queries_per_batch: 8
  C-C: {{<<: *stage, start: C, max_updates: 2}}
evaluate:
  over: [test, places]
  rankers: [plain, C, C-C]
  rerank: {{from: [bm25], depth: 10}}
  baseline: [bm25]
  margin: {{nDCG@10: 0.05}}
explain:
  forgetting: {{}}
  changes:
    scenes:
      over: test
      from: bm25
      texts: 40
      neighbours: 5
      heads: {{train: train, rankers: [C-C], candidates: 4, examples: 60}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changed")
    paths = {
        "data": scenes.write(folder / "data"),
        "places": scenes.write(folder / "places", place=scenes.PLACES[0]),
        "encoder": tiny.save_encoder(folder / "encoder"),
        "bi": tiny.save_bi_encoder(folder / "bi"),
    }
    (folder / "study.yaml").write_text(STUDY.format(**paths), "utf-8")
    return folder / "study.yaml"


def names(study: Path, *overrides: str) -> dict[str, str]:
    """Kind and label to name."""
    steps = plan(load(study, overrides), str).steps
    return {f"{step.kind} {step.label}": step.name for step in steps}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_study_of_changes_ends_in_a_page_tables_and_nothing_to_do(
    rankscope: object, study: Path, tmp_path: Path
) -> None:
    words = ["run", str(study), "--results", str(tmp_path)]
    rankscope(*words)  # type: ignore[operator]
    folder = tmp_path / "changed"
    evaluation = json.loads(next(folder.glob("steps/evaluate-*/evaluation.json")).read_text())
    rows = rows_of(folder / "tables" / "changes.scenes.csv")
    assert {(row["after"], row["before"]) for row in rows} == {("C", "plain"), ("C-C", "C")}
    moved = [row for row in rows if (row["what"], row["part"]) == ("displacement", "all")]
    assert {row["layer"] for row in moved} == {"0", "1", "2", "3"}
    assert all(0 < float(row["value"]) < 1 for row in moved)

    cells = rows_of(folder / "tables" / "forgetting.csv")
    assert [(row["system"], row["baseline"], row["collection"]) for row in cells] == [
        ("C", "plain", "test"), ("C-C", "C", "test"), ("C", "plain", "places"), ("C-C", "C", "places"),
    ]  # fmt: skip
    means = {
        (row["collection"], row["system"]): row["means"]["nDCG@10"] for row in evaluation["results"]
    }
    for row in cells:
        expected = (
            means[row["collection"], row["system"]] - means[row["collection"], row["baseline"]]
        )
        assert float(row["difference"]) == pytest.approx(expected)
        learnt = row["baseline"] == "C" and row["collection"] == "test"
        assert (row["is_tuned_from"], row["is_taught"]) == ("True", str(learnt))

    page = (folder / "report.html").read_text("utf-8")
    for said in ("What fine-tuning changed", "Gained and forgotten", "with refitted heads"):
        assert said in page
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert tables >= {"forgetting.tex", "changes.scenes.C.tex", "changes.scenes.C-C.heads.tex"}
    assert "changes.scenes.C.heads.tex" not in tables
    assert "0 steps done" in rankscope(*words).out  # type: ignore[operator]


def test_only_what_hangs_on_a_change_is_done_again(study: Path) -> None:
    before = names(study)
    assert {"change C.scenes", "change C-C.scenes", "heads C-C.scenes", "forgetting all"} <= set(
        before
    )
    assert not {"change bi.scenes", "heads C.scenes"} & set(before)

    def changed(*overrides: str) -> set[str]:
        after = names(study, *overrides)
        return {step.split()[0] for step, name in after.items() if before.get(step) != name}

    assert changed("explain.changes.scenes.neighbours=6") == {"change", "report"}
    assert changed("explain.changes.scenes.heads.examples=50") == {"heads", "report"}
    assert changed("explain.forgetting.baseline=plain") == {"forgetting", "report"}
    every = names(study, "explain.changes.scenes.heads={train: train}")
    assert {"heads C.scenes", "heads C-C.scenes"} <= set(every)
    one = names(study, "explain.changes.scenes.pairs=C-C")
    assert "change C.scenes" not in one


def matrix_of(study: Path, *overrides: str) -> Mapping[str, Any]:
    steps = plan(load(study, overrides), str).steps
    return next(step for step in steps if step.kind == "forgetting").identity


def test_only_what_was_tuned_from_what_it_is_held_against_can_forget(study: Path) -> None:
    assert matrix_of(study)["against"] == {"C": "plain", "C-C": "C"}
    assert matrix_of(study)["tuned"] == ["C", "C-C"]
    of_c = matrix_of(study, "explain.forgetting.baseline=C")
    assert (set(of_c["against"]), of_c["tuned"]) == ({"plain", "C-C"}, ["C-C"])
    assert matrix_of(study, "explain.forgetting.baseline=bm25")["tuned"] == []
    gap = matrix_of(study, "evaluate.rankers=[plain, C-C]")
    assert (gap["against"], gap["tuned"]) == ({"C-C": "plain"}, ["C-C"])


def test_what_a_teacher_learnt_the_line_did_not(study: Path) -> None:
    lesson = "{collection: test, labels: qrels, negatives: {from: bm25, depth: 12}, group_size: 4}"
    overrides = [
        f"rankers.T={{start: plain, samples: {lesson}, loss: localized_contrastive, max_updates: 3, "
        "learning_rate: 1.0e-3}",
        "teachers.t={kind: ranker, ranker: T, candidates: bm25, depth: 8}",
        "rankers.C.samples={collection: train, labels: t, group_size: 4}",
        "rankers.C.loss=ranknet",
        "evaluate.over=[test, train]",
        "collections.train.path=" + load(study).study.collections["places"].path,  # type: ignore[union-attr]
        "explain.changes={}",
    ]
    assert matrix_of(study, *overrides)["taught"]["C"] == ["train"]


def test_what_a_line_learnt_is_told_from_what_the_last_stage_did(study: Path) -> None:
    lesson = (
        "{collection: places, labels: qrels, negatives: {from: bm25, depth: 12}, group_size: 4}"
    )
    stage = f"samples: {lesson}, loss: localized_contrastive, max_updates: 2, learning_rate: 1.0e-3"
    found = matrix_of(
        study,
        f"rankers.P={{start: C, {stage}}}",
        f"rankers.P-P={{start: P, {stage}}}",
        "evaluate.rankers=[plain, C, P, P-P]",
        "explain.changes={}",
    )
    assert found["taught"] == {"plain": [], "C": ["test"], "P": ["test", "places"]}
    assert found["taught_last"] == {"plain": [], "C": ["test"], "P": ["places"]}


def test_own_docs_are_dropped_where_a_collection_is_searched_and_nowhere_else(study: Path) -> None:
    """What re-ranks, learns from or measures a search rests on it, and has no setting of its own."""

    def dropping(*overrides: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {"yes": set(), "no": set()}
        for step in plan(load(study, overrides), str).steps:
            if step.kind == "search":
                found["yes" if step.params.drop_own_docs else "no"].add(step.label)
            elif step.kind in {"change", "heads", "rerank", "train"}:
                assert "own_docs" not in json.dumps(step.identity)
        return found

    assert dropping() == {"yes": set(), "no": {"bm25.test", "bm25.train", "bm25.places"}}
    found = dropping("collections.train.drop_own_docs=true")
    assert found == {"yes": {"bm25.train"}, "no": {"bm25.test", "bm25.places"}}


def test_pairs_may_be_any_of_one_lineage_and_seeds_are_held_against_their_own_start(
    study: Path,
) -> None:
    found = names(study, "explain.changes.scenes.pairs={C-C: plain}")
    assert [step for step in found if step.startswith("change")] == ["change C-C.scenes"]
    loaded = load(study, ["rankers.C.seeds=[1, 2]", "explain.changes.scenes.pairs={C-C: C}"])
    (asked,) = (each for analysis, each in loaded.study.questions() if analysis.field == "changes")
    assert asked.spec.pairs == {"C-C.seed=1": "C.seed=1", "C-C.seed=2": "C.seed=2"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["explain.changes.scenes.pairs={C: bi}"], "of two lineages"),
        (["explain.changes.scenes.pairs={C: C}"], "compared with itself"),
        (["explain.changes.scenes.pairs=[plain]"], "plain was not tuned from another ranker"),
        (["explain.changes.scenes.pairs={C: nobody}"], "There are: "),
        (["explain.changes.scenes.depth=50"], "50 docs are asked for, but bm25 ranks 12"),
        (["explain.changes.scenes.heads.rankers=[plain]"], "plain is not among the pairs"),
        (["explain.rankers=[bi]"], "no ranker of `explain.rankers` is tuned here"),
        (["evaluate.rankers=[C-C]"], "no evaluated ranker starts from another"),
        (["explain.forgetting.measure=RR@10"], "RR@10 is not evaluated"),
        (["explain.forgetting.baseline=bi"], "There are: "),
        (
            ["explain.changes.scenes.neighbours=40"],
            "40 `neighbours` of a text among 40 `texts`: give fewer",
        ),
        (["explain.changes.scenes.heads.train=test"], "`heads.train` is test, whose queries the"),
        (["explain.changes.scenes.heads.examples=19"], "19 is below 20, the least"),
        (
            ["rankers.C.start=bi"],
            "reads query and doc apart and has no head",
        ),
    ],
)
def test_refused(study: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(BadStudy, match=said):
        load(study, overrides)


def test_heads_learn_over_the_same_docs(study: Path) -> None:
    with pytest.raises(BadStudy, match="train and places have different docs"):
        names(study, "explain.changes.scenes.over=places")
