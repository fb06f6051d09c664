"""The example of every public name, carried out."""

import doctest
import inspect
from pathlib import Path

import pytest

import rankscope as rs
from rankscope.notebook.rankers import LoadedRanker
from rankscope.study.demo import write_demo
from support import tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples name: a collection, a run, two rankers and a study file."""
    folder = write_demo(tmp_path_factory.mktemp("examples")).parent
    c = rs.collection(folder / "world")
    rs.write_run(folder / "bm25.run", rs.search("bm25", c, depth=10))
    tiny.cross_encoder(folder / "a").save(folder / "cross-encoder")
    tiny.cross_encoder(folder / "b").at_random(seed=5).save(folder / "other")
    return folder


@pytest.mark.parametrize("name", [*rs.__all__, "LoadedRanker.score", "LoadedRanker.rank"])
def test_the_example_of_every_name(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(place)
    owner, _, method = name.partition(".")
    value = getattr(LoadedRanker, method) if method else getattr(rs, owner)
    text = inspect.getdoc(value)
    assert text is not None
    names = {
        "rs": rs,
        "c": rs.collection("world"),
        "run": rs.read_run("bm25.run"),
        "ranker": rs.load("cross-encoder"),
    }
    examples = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    assert examples.examples, f"{name} has no example"
    assert doctest.DocTestRunner().run(examples).failed == 0
