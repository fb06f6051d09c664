"""What a notebook may be given by mistake, and the sentence that answers it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rankscope as rs
from rankscope.core.errors import BadInput, NotWritable
from rankscope.study.demo import write_demo
from support import tiny


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo")).parent / "world"


@pytest.fixture(scope="module")
def c(world: Path) -> Any:
    return rs.collection(world)


@pytest.fixture(scope="module")
def run(c: Any) -> rs.Run:
    return rs.search("bm25", c, depth=5)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("ranker")
    tiny.cross_encoder(folder / "a").save(folder / "cross-encoder")
    return rs.load(folder / "cross-encoder")


def test_whole_numbers_are_ids_by_their_digits(ranker: Any) -> None:
    hits = ranker.rank("who sits", {7: "the red cat sits", 12: "the blue dog"})
    assert {hit.doc_id for hit in hits} == {"7", "12"}
    assert "the blue dog" in repr(hits)
    with pytest.raises(BadInput, match="the doc id 1.5 is not text"):
        ranker.rank("who sits", {1.5: "the red cat sits"})
    with pytest.raises(BadInput, match="Two docs have one id"):
        ranker.rank("who sits", {1: "the red cat sits", "1": "the blue dog"})


def test_a_generator_of_pairs_or_docs_is_read_once(ranker: Any) -> None:
    pairs = [("who sits", "the red cat sits"), ("who runs", "the blue dog")]
    assert ranker.score(pair for pair in pairs) == ranker.score(pairs)
    docs = ["the red cat sits", "the blue dog"]
    assert [*ranker.rank("who sits", iter(docs))] == [*ranker.rank("who sits", docs)]
    assert ranker.score([]) == []


@pytest.mark.parametrize("top", [-1, 0])
def test_a_ranking_has_at_least_one_doc(ranker: Any, top: int) -> None:
    with pytest.raises(BadInput, match=f"top is {top}, and a ranking has at least 1 doc"):
        ranker.rank("who sits", ["the red cat sits", "the blue dog"], top=top)


def test_what_is_no_text(ranker: Any, c: Any) -> None:
    with pytest.raises(BadInput, match="Pair 1 is 'ab', and not two texts"):
        ranker.score([("who sits", "the red cat"), "ab"])
    with pytest.raises(BadInput, match="The pairs are 'who sits'"):
        ranker.score("who sits")
    with pytest.raises(BadInput, match="Pair 0 is .* not two texts"):
        ranker.score([("who sits", None)])
    with pytest.raises(BadInput, match="The docs are 'the red cat'"):
        ranker.rank("who sits", "the red cat")
    with pytest.raises(BadInput, match="Doc 'd1' is 3. Give it as text"):
        ranker.rank("who sits", {"d1": 3})
    with pytest.raises(BadInput, match="The query is 3"):
        ranker.rank(3, ["the red cat"])
    with pytest.raises(BadInput, match="The ranker is of type int"):
        rs.search(3, c)  # type: ignore[arg-type]


def test_a_name_in_the_place_of_a_collection(
    ranker: Any, world: Path, run: rs.Run, c: Any, tmp_path: Path
) -> None:
    for verb in (
        lambda: rs.search("bm25", "world"),
        lambda: rs.rerank(ranker, "world", run),
        lambda: rs.tune(ranker, "world", negatives=run, loss="ranknet", results=tmp_path),
        lambda: rs.probe([ranker], "world"),
        lambda: rs.probe([ranker], c, train="world"),
        lambda: rs.attribute([ranker], "world"),
        lambda: rs.diff(ranker, ranker, "world"),
    ):
        with pytest.raises(
            BadInput, match=r"The collection is 'world', which is not opened. Give rs"
        ):
            verb()
    with pytest.raises(BadInput, match="The collection is NoneType"):
        rs.search("bm25", None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="The collection of `validate` is 'world'"):
        rs.tune(ranker, c, negatives=run, loss="ranknet", validate="world", results=tmp_path)
    with pytest.raises(BadInput, match="a table without the collection"):
        rs.tune(ranker, c, negatives=run, loss="ranknet", validate={"every": 5}, results=tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("field", ["start", "kind"])
def test_a_stage_starts_from_the_ranker_given(
    ranker: Any, c: Any, run: rs.Run, tmp_path: Path, field: str
) -> None:
    with pytest.raises(BadInput, match=f"^{field}: .*Leave it out"):
        rs.tune(ranker, c, negatives=run, loss="ranknet", results=tmp_path, **{field: "other"})


def test_runs_that_are_none(c: Any, run: rs.Run) -> None:
    for nothing in ({}, [], iter(())):
        with pytest.raises(BadInput, match="No run is given"):
            rs.measure(nothing, c)
        with pytest.raises(BadInput, match="No run is given"):
            rs.compare(nothing, c)
    with pytest.raises(BadInput, match="The runs are of type int"):
        rs.measure(3, c)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="The system 1 has a name that is no text"):
        rs.measure({1: run}, c)  # type: ignore[dict-item]
    assert rs.measure(iter([run]), c, ["RR@10"]).frame().index.tolist() == ["bm25"]


def test_a_folder_is_no_page(c: Any, run: rs.Run, tmp_path: Path) -> None:
    measured = rs.measure({"bm25": run}, c)
    with pytest.raises(NotWritable) as refused:
        measured.page(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: a folder. Give the path of a file: {tmp_path / 'report.html'}."
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="Give the path of a file that can be written") as refused:
        measured.page(tmp_path / "file" / "report.html")
    assert "--" not in str(refused.value)


@pytest.mark.timeout(120)
def test_a_script_without_a_guard_may_measure_in_parallel(
    world: Path, run: rs.Run, tmp_path: Path
) -> None:
    """Its processes do not import the script, which would run again in each."""
    rs.write_run(tmp_path / "bm25.run", run)
    script = tmp_path / "script.py"
    script.write_text(
        "import rankscope as rs\n"
        "print('once')\n"
        f"c = rs.collection({str(world)!r})\n"
        f"runs = {{'a': {str(tmp_path / 'bm25.run')!r}, 'b': rs.read_run({str(tmp_path / 'bm25.run')!r}).top(2)}}\n"
        "print(rs.measure(runs, c, ['nDCG@10'], processes=2).frame().shape)\n"
        "print(len(rs.compare(runs, c, ['nDCG@10'], processes=2).frame()))\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["once", "(2, 1)", "1"]
