"""A study that probes its bi-encoders: steps, what is stored, what is said, and what is done again."""

import csv
import json
from pathlib import Path

import pytest

from rankscope.core.errors import BadStudy
from rankscope.data import world
from rankscope.data.collections import beir_folder
from rankscope.study.load import load
from rankscope.study.plan import plan
from support import tiny

pytestmark = pytest.mark.usefixtures("roughly_fitted")
STUDY = """
study: probed
seed: 3
collections:
  train: {{kind: beir, path: {data}, split: train}}
  test: {{kind: beir, path: {data}, split: test}}
first_stages:
  bm25: {{kind: bm25, depth: 30}}
  dense: {{kind: dense, ranker: two, depth: 30}}
rankers:
  one: {{kind: bi_encoder, model: {one}}}
  two: {{kind: bi_encoder, model: {two}}}
  plain: {{kind: cross_encoder, backbone: {encoder}, max_length: 32}}
evaluate:
  over: [test]
  search: {{depth: 20}}
  rankers: [one, two]
  measures: [nDCG@10]
  baseline: [one]
explain:
  rankers: [one, two]
  probes:
    world:
      examples: {{over: test, train: train, from: bm25, depth: 30}}
      candidates: [2, 4]
      fits: 1
      rank: 4
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed")
    world.write(world.world(3, n_people=30), folder / "data", test_share=0.4, seed=3)
    paths = {
        name: tiny.save_bi_encoder(folder / name, seed) for seed, name in ((1, "one"), (2, "two"))
    }
    written = STUDY.format(
        data=folder / "data", encoder=tiny.save_encoder(folder / "encoder"), **paths
    )
    (folder / "study.yaml").write_text(written, "utf-8")
    return folder / "study.yaml"


def names(study: Path, *overrides: str) -> dict[str, str]:
    """Kind and label to name."""
    steps = plan(load(study, overrides), lambda path: path.name).steps
    return {f"{step.kind} {step.label}": step.name for step in steps}


def test_a_probed_study_ends_in_a_page_a_table_and_nothing_to_do(
    rankscope: object, study: Path, tmp_path: Path
) -> None:
    words = ["run", str(study), "--results", str(tmp_path)]
    rankscope(*words)  # type: ignore[operator]
    folder = tmp_path / "probed"
    (found,) = (json.loads(p.read_text()) for p in folder.glob("steps/conclude-*/probes.json"))
    assert found["rankers"] == ["one", "two", "random weights"]
    assert found["baselines"] == ["one"]
    with (folder / "tables" / "probes.world.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["ranker"] for row in rows} == {*found["rankers"], "first stage"}
    assert {row["n"] for row in rows} == {"2", "4"}
    page = (folder / "report.html").read_text("utf-8")
    assert "What each layer knows" in page
    assert (folder / "tables" / "probes.world.4.tex").is_file()
    for name in ("one.world", "two.world", "one.random.world"):
        (states,) = folder.glob(f"steps/represent-{name}-*")
        assert len([*states.glob("query/layer-*.npy")]) == 3
    assert "0 steps done" in rankscope(*words).out  # type: ignore[operator]


def test_files_of_listed_docs_are_probed_as_published_beside_reported_curves(
    rankscope: object, study: Path, tmp_path: Path
) -> None:
    topics = beir_folder(study.parent / "data", "train")
    texts, queries = (
        {each[0]: each[1] for each in given} for given in (topics.docs(), topics.queries())
    )
    ids = sorted(texts)
    entries = [
        {
            "question": queries[qrel.query_id],
            "positive_ctxs": [{"title": "", "text": texts[qrel.doc_id]}],
            "hard_negative_ctxs": [{"title": "", "text": texts[ids[n]]} for n in range(3)],
        }
        for qrel in topics.qrels()
    ]
    entries = list({entry["question"]: entry for entry in entries}.values())
    assert len(entries) >= 40
    for name, part in (("train", entries[20:]), ("test", entries[:20])):
        (tmp_path / f"{name}.json").write_text(json.dumps(part), "utf-8")
    (tmp_path / "curves.csv").write_text(
        "dataset,encoder,model,num_passages,layer,accuracy\n"
        + "".join(f"made,cls,one,2,{layer},0.6{layer}\n" for layer in range(3)),
        "utf-8",
    )
    written = study.read_text("utf-8")
    start = written.index("      examples:")
    (study.parent / "listed.yaml").write_text(
        written[:start]
        + f"""      examples: {{kind: dpr, train: {tmp_path}/train.json, test: {tmp_path}/test.json}}
      rankers: [two, one]
      candidates: [2]
      method: as_published
      at_random: false
      published: {{path: {tmp_path}/curves.csv, dataset: made, curves: {{two: cls/one}}}}
""",
        "utf-8",
    )
    words = ["run", str(study.parent / "listed.yaml"), "--results", str(tmp_path / "out")]
    rankscope(*words)  # type: ignore[operator]
    folder = tmp_path / "out" / "probed"
    (found,) = (json.loads(p.read_text()) for p in folder.glob("steps/conclude-*/probes.json"))
    assert (found["rankers"], found["baselines"]) == (["two", "one"], ["two"])
    assert [row["accuracy"] for row in found["published"]] == [0.60, 0.61, 0.62]
    assert {row["probe"] for row in found["rows"]} >= {"as_published", "first stage"}
    assert "curve in the paper" in (folder / "report.html").read_text("utf-8")


def test_only_what_hangs_on_a_change_is_done_again(study: Path) -> None:
    before = names(study)
    after = names(study, "explain.probes.world.margin=0.05")
    changed = {step.split()[0] for step, name in after.items() if before[step] != name}
    assert changed == {"conclude", "report"}
    after = names(study, "explain.probes.world.rank=8")
    changed = {step.split()[0] for step, name in after.items() if before[step] != name}
    assert changed == {"probe", "conclude", "report"}
    after = names(study, "explain.probes.world.examples.skip_top=2")
    changed = {step.split()[0] for step, name in after.items() if before[step] != name}
    assert changed == {"choices", "represent", "probe", "conclude", "report"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["explain.rankers=[one, plain]"], "plain reads query and doc together, others apart"),
        (
            ["explain.rankers=[plain]", "explain.probes.world.method=as_published"],
            "read query and doc apart",
        ),
        (["explain.rankers=[one, three]"], "There are: "),
        (["explain.probes.world.examples.from=dense"], "is probed itself"),
        (
            [
                "first_stages.mixed={kind: fuse, of: [bm25, dense], depth: 30}",
                "explain.probes.world.examples.from=mixed",
            ],
            "mixed searches with two, which is probed itself",
        ),
        (
            [
                "first_stages.mixed={kind: fuse, of: [bm25, dense], depth: 30}",
                "first_stages.again={kind: fuse, of: [bm25, mixed], depth: 30}",
                "explain.probes.world.examples.from=again",
            ],
            "again searches with two, which is probed itself",
        ),
        (["explain.probes.world.examples.depth=40"], "40 docs are asked for"),
        (["explain.probes.world.examples.depth=2"], "too few ranks"),
        (["explain.probes.world.candidates=[1, 2]"], "1 is below 2, the least"),
        (["explain.probes.world.baseline=plain"], "There are: one, two"),
        (
            ["explain.probes.world.method=as_published", "explain.probes.world.also=[mlp]"],
            "`also` goes with",
        ),
    ],
)
def test_refused(study: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(BadStudy, match=said):
        load(study, overrides)
