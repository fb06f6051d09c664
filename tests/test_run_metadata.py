"""What is told of a run stands beside it; the run itself is what trec_eval reads."""

from pathlib import Path

import ir_measures
import numpy as np
import pytest
import pytrec_eval
import yaml

import rankscope as rs
from rankscope.data import world
from rankscope.verbs import run_metadata
from support import tiny
from support.command import Command


def columns(path: Path) -> dict[str, dict[str, float]]:
    """The run as a reader has it that knows nothing but six columns, as trec_eval does."""
    with path.open(encoding="utf-8") as file:
        return dict(pytrec_eval.parse_run(file))


def test_metadata_stands_beside_runs_that_other_tools_read(
    rankscope: Command, tmp_path: Path
) -> None:
    world.write(world.world(3, n_people=14), tmp_path / "data", test_share=0.5, seed=3)
    tiny.cross_encoder(tmp_path / "a").save(tmp_path / "ranker")
    bm25, again = tmp_path / "bm25.run", tmp_path / "again.run"
    over = ("--collection", tmp_path / "data")
    for words in (
        ("search", "bm25", *over, "--out", bm25, "--b", "0.75", "--depth", "10"),
        ("rerank", tmp_path / "ranker", *over, "--run", bm25, "--out", again, "--depth", "5"),
    ):
        answer = rankscope(*words)
        assert answer.code == 0, answer.err
    assert sorted(path.name for path in tmp_path.glob("*.run*")) == [
        "again.run", "again.run.ir_metadata.yml", "bm25.run", "bm25.run.ir_metadata.yml",
    ]  # fmt: skip
    told = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in tmp_path.glob("*.yml")}
    searched = told["bm25.run.ir_metadata.yml"]
    assert {"tag", "platform", "implementation", "method", "data"} == {*searched}
    (retrieval,) = searched["method"]["retrieval"]
    assert (retrieval["name"], retrieval["k1"], retrieval["b"]) == ("bm25", 0.9, 0.75)
    assert searched["data"]["test collection"]["name"].endswith("data/test")
    assert f"numpy=={np.__version__}" in searched["platform"]["software"]["libraries"]["python"]
    first, second = told["again.run.ir_metadata.yml"]["method"]["retrieval"]
    assert second["reranks"] == first["name"] == "bm25"
    qrels: dict[str, dict[str, int]] = {}
    for qrel in rs.read_qrels(tmp_path / "data" / "qrels" / "test.tsv"):
        qrels.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
    for path in (bm25, again):
        ours = rs.measure({"r": path}, qrels, ["nDCG@10"]).frame().loc["r", "nDCG@10"]
        values = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(columns(path))
        assert {*values} == {*qrels}
        mean = np.mean([value["ndcg_cut_10"] for value in values.values()])
        assert mean == pytest.approx(ours, abs=1e-12)
        read = ir_measures.read_trec_run(str(path))
        theirs = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, read)
        assert theirs[ir_measures.nDCG @ 10] == pytest.approx(ours, abs=1e-12)


def test_metadata_is_no_run(rankscope: Command, tmp_path: Path) -> None:
    """A glob of `*.run` leaves it out, and given as a run it is refused."""
    world.write(world.world(3, n_people=14), tmp_path / "data", test_share=0.5, seed=3)
    rankscope("search", "bm25", "--collection", tmp_path / "data", "--out", tmp_path / "x.run")
    assert [path.name for path in tmp_path.glob("*.run")] == ["x.run"]
    assert (
        rankscope("convert", f"{tmp_path}/x.run.ir_metadata.yml", "--out", tmp_path / "y").code == 1
    )


def test_what_stands_beside_a_run_goes_with_it(rankscope: Command, tmp_path: Path) -> None:
    """Of the run that replaces it, it would say what is false."""
    world.write(world.world(3, n_people=14), tmp_path / "data", test_share=0.5, seed=3)
    run, other = tmp_path / "a.run", tmp_path / "b.run"
    beside = run_metadata.beside(run)

    def searched() -> None:
        words = ("search", "bm25", "--collection", tmp_path / "data", "--out", run, "--depth", "3")
        assert rankscope(*words).code == 0
        assert "tag: bm25" in beside.read_text("utf-8")

    searched()
    rs.write_run(other, rs.Run("mine", rs.read_run(run).rankings))
    assert beside.exists(), "that of another file stays"
    assert rankscope("convert", other, "--out", run).code == 0
    assert not beside.exists()
    searched()
    rs.write_run(run, rs.read_run(other))
    assert not beside.exists()
    searched()
    assert beside.exists()


def test_how_a_model_scored_is_told(tmp_path: Path) -> None:
    from rankscope.models.inference import Inference
    from rankscope.verbs.rerank import RerankSettings, _facts

    run = rs.Run.of("bm25", [rs.ScoredDoc("q", "d", 1.0)])

    def second(how: Inference) -> dict[str, object]:
        settings = RerankSettings("model", object(), tmp_path, tmp_path, 5, how=how)  # type: ignore[arg-type]
        cost = run_metadata.cost_of_re_ranking(None, 1, 1.0)
        return dict(_facts(settings, run, cost).retrieval[1])

    assert second(Inference(precision="int8"))["precision"] == "int8"
    assert second(Inference(max_length=64))["max_length"] == 64
    assert {"precision", "max_length"}.isdisjoint(second(Inference()))
