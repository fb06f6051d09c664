"""A study that attributes its rankers' neurons: steps, what is stored, what is done again, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.analyses.attribution.examples import anchor
from rankscope.core.errors import BadStudy
from rankscope.data import world
from rankscope.data.collections import beir_folder
from rankscope.study.load import load
from rankscope.study.plan import plan
from support import tiny

STUDY = """
study: attributed
seed: 3
collections:
  test: {{kind: beir, path: {data}, split: test}}
first_stages:
  bm25: {{kind: bm25, depth: 30}}
rankers:
  one: {{kind: bi_encoder, model: {one}}}
  two: {{kind: bi_encoder, model: {two}}}
  cross: {{kind: cross_encoder, backbone: {encoder}, max_length: 32}}
evaluate:
  over: [test]
  rerank: {{from: [bm25], depth: 10}}
  rankers: [one, two]
  measures: [nDCG@10]
  baseline: [one]
explain:
  attribution:
    world: {{over: test, from: bm25, depth: 20, examples: 4, nodes: 2}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attributed")
    world.write(world.world(3, n_people=14), folder / "data", test_share=0.4, seed=3)
    paths = {
        name: tiny.save_bi_encoder(folder / name, seed) for seed, name in ((1, "one"), (2, "two"))
    }
    encoder = tiny.save_encoder(folder / "encoder")
    (folder / "study.yaml").write_text(
        STUDY.format(data=folder / "data", encoder=encoder, **paths), "utf-8"
    )
    return folder / "study.yaml"


def test_an_attributed_study_ends_in_what_was_found_and_nothing_to_do(
    rankscope: object, study: Path, tmp_path: Path
) -> None:
    words = ["run", str(study), "--results", str(tmp_path)]
    rankscope(*words)  # type: ignore[operator]
    folder = tmp_path / "attributed"
    (found,) = (json.loads(p.read_text()) for p in folder.glob("steps/neurons-*/neurons.json"))
    assert list(found["rankers"]) == ["one", "two"]
    assert found["baselines"] == ["one"]
    assert {row["ranker"] for row in found["comparisons"]} == {"two"}
    page = (folder / "report.html").read_text("utf-8")
    assert "Through which neurons" in page
    anchors = {anchor("world", "one", each["query_id"]) for each in _examples(found, "one")}
    assert all(f'id="{each}"' in page for each in anchors)
    assert (folder / "tables" / "attribution.world.csv").is_file()
    assert (folder / "tables" / "attribution.world.tex").is_file()
    assert "0 steps done" in rankscope(*words).out  # type: ignore[operator]


def _examples(found: dict[str, Any], ranker: str) -> list[dict[str, Any]]:
    return [each for side in found["rankers"][ranker].values() for each in side["examples"]]


def test_only_what_hangs_on_a_change_is_done_again(study: Path) -> None:
    def names(*overrides: str) -> dict[str, str]:
        steps = plan(load(study, overrides), lambda path: path.name).steps
        return {f"{step.kind} {step.label}": step.name for step in steps}

    before = names()
    for override, expected in (
        ("explain.attribution.world.baseline=two", {"neurons", "report"}),
        ("explain.attribution.world.threshold=0.2", {"neurons", "report"}),
        ("explain.attribution.world.margin=0.05", {"neurons", "report"}),
        ("explain.attribution.world.memory=1", {"report"}),
        ("explain.attribution.world.nodes=4", {"attribute", "neurons", "report"}),
    ):
        after = names(override)
        changed = {step.split()[0] for step, name in after.items() if before[step] != name}
        assert changed == expected


def test_a_file_of_listed_docs_is_attributed_as_published(
    rankscope: object, study: Path, tmp_path: Path
) -> None:
    topics = beir_folder(study.parent / "data", "test")
    texts, queries = (
        {each[0]: each[1] for each in given} for given in (topics.docs(), topics.queries())
    )
    entries = [
        {
            "question": queries[qrel.query_id],
            "positive_ctxs": [{"title": "", "text": texts[qrel.doc_id]}],
            "hard_negative_ctxs": [{"title": "", "text": texts[n]} for n in sorted(texts)[:2]],
        }
        for qrel in topics.qrels()
    ]
    (tmp_path / "dev.json").write_text(json.dumps(entries), "utf-8")
    rankscope(  # type: ignore[operator]
        "run", str(study), "--results", str(tmp_path),
        "explain.attribution.world={method: as_published, rankers: [one], examples: 4, "
        f"file: {{kind: dpr, path: {tmp_path}/dev.json}}}}",
    )  # fmt: skip
    (found,) = (
        json.loads(p.read_text()) for p in tmp_path.glob("attributed/steps/neurons-*/neurons.json")
    )
    assert (found["method"], found["n_examples"]) == ("as_published", 4)
    assert sum("As published" in note for note in found["notes"]) == 3


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["explain.attribution.world.from=dense"], "first stage"),
        (["explain.attribution.world.depth=40"], "40"),
        (["explain.attribution.world.skip_top=20"], "leave no rank"),
        (["explain.attribution.world.rankers=[three]"], "There are: "),
        (["explain.attribution.world.baseline=cross"], "There are: "),
        (["explain.attribution.world.path=both"], "path"),
        (["explain.attribution.world.over=null"], "give `over` and `from`, or `file`"),
        (
            ["explain.attribution.world.method=as_published"],
            "`nodes`: these go with `method: sound`",
        ),
        (
            ["explain.attribution.world={depth: 20, file: {kind: dpr, path: dev.json}}"],
            "`depth`: these go with `over` and `from`",
        ),
    ],
)
def test_refused(study: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(BadStudy, match=said):
        load(study, overrides)
