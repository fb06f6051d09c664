"""A study that was carried out, and a client of the view over its results."""

from pathlib import Path

import pytest

from support import scenes, tiny

TOKEN, PORT = "k3y", 8001
HOSTILE = "<img/src=x/onerror=alert(1)>"
HOSTILE_ID = "<b>&'"
SEEDED = """
study: seeded
collections:
  train: {{kind: beir, path: {data}, split: train}}
  test: {{kind: beir, path: {data}, split: test}}
first_stages:
  bm25: {{kind: bm25, depth: 20}}
rankers:
  plain: {{kind: cross_encoder, backbone: {encoder}, max_length: 32}}
  C:
    start: plain
    seeds: [1, 2]
    samples: {{labels: qrels, negatives: {{from: bm25, depth: 10}}, group_size: 4}}
    loss: localized_contrastive
    max_updates: 2
    learning_rate: 1.0e-3
    queries_per_update: 4
    queries_per_batch: 4
evaluate:
  over: [test]
  rerank: {{from: [bm25], depth: 10}}
  measures: [nDCG@10, RR@10]
  baseline: [bm25, plain]
"""


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a tiny study with two stages, changes and neurons."""
    import rankscope as rs

    place = tmp_path_factory.mktemp("study")
    file = tiny.write_study(place)
    explain = (
        "explain:\n  rankers: [plain, C]\n"
        "  changes: {moved: {over: test, from: bm25, depth: 10, texts: 20}}\n"
        "  attribution: {mine: {over: test, from: bm25, depth: 5, examples: 3, nodes: 2, baseline: plain}}\n"
    )
    data = scenes.write(place / "scenes")
    text = file.read_text("utf-8").replace(str(place / "data"), str(data))
    file.write_text(text + explain, "utf-8")
    rs.read_study(file, results=place / "results").run()
    return place / "results"


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a stage with two training seeds, over texts with markup and lines' ends and ids that need care."""
    import rankscope as rs

    place = tmp_path_factory.mktemp("seeded")
    data = scenes.write(place / "scenes")
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/train.tsv"):
        text = (data / name).read_text("utf-8")
        text = (
            text.replace("d00", HOSTILE_ID)
            .replace("test00", "=1+1")
            .replace("the red", "the\\r\\nred ")
        )
        (data / name).write_text(text.replace("on the", f"on {HOSTILE} the"), "utf-8")
    encoder = tiny.save_encoder(place / "encoder")
    (place / "the study.yaml").write_text(SEEDED.format(data=data, encoder=encoder), "utf-8")
    overrides = ["rankers.C.learning_rate=0.01"]
    rs.read_study(place / "the study.yaml", results=place / "results", overrides=overrides).run()
    return place / "results"


@pytest.fixture
def client(results: Path):  # type: ignore[no-untyped-def]
    from starlette.testclient import TestClient

    from rankscope.viewer.app import application

    app = application(results, token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as made:
        yield made
