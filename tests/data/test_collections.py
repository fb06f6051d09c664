import gzip
import json
import re
from pathlib import Path

import ir_datasets
import pytest

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc, Query
from rankscope.data.collections import (
    IrDataset,
    LocalFiles,
    StoredDocs,
    Topics,
    beir_folder,
    judged_topics,
    n_shared,
    read_topics,
    write_docs,
    write_topics,
)
from support import tiny


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    return tiny.write_collection(tmp_path / "beir")


def test_a_beir_folder(beir: Path) -> None:
    source = beir_folder(beir, "test")
    docs = list(source.docs())
    assert (len(docs), docs[0], docs[1].text.split()[:3]) == (
        24, Doc("d0", "the red cat sits on the mat"), ["a", "the", "green"],
    )  # fmt: skip
    topics = judged_topics(source)
    assert [query.query_id for query in topics.queries] == ["q0", "q3", "q6", "q9"]
    assert len(topics.qrels) == 12


def test_a_packed_corpus_is_read(beir: Path) -> None:
    corpus = beir / "corpus.jsonl"
    (beir / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.read_bytes()))
    corpus.unlink()
    assert len(list(beir_folder(beir, "test").docs())) == 24


def test_files_in_other_forms(tmp_path: Path) -> None:
    (tmp_path / "docs.tsv").write_text("d1\tone doc\nd2\ttwo\tdocs\n")
    (tmp_path / "queries.jsonl").write_text(json.dumps({"query_id": 7, "text": "seven"}) + "\n")
    (tmp_path / "qrels.txt").write_text("7 0 d2 1\n")
    source = LocalFiles(tmp_path / "docs.tsv", tmp_path / "queries.jsonl", tmp_path / "qrels.txt")
    assert list(source.docs()) == [Doc("d1", "one doc"), Doc("d2", "two\tdocs")]
    assert judged_topics(source).queries == [Query("7", "seven")]
    assert source.doc_files() == (tmp_path / "docs.tsv",)


def test_an_ir_datasets_id(tmp_path: Path) -> None:
    (tmp_path / "docs.tsv").write_text("d1\tone\nd2\ttwo\n")
    (tmp_path / "queries.tsv").write_text("q1\tfind one\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\n")
    made = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    if "rankscope-made" not in ir_datasets.registry:
        ir_datasets.registry.register("rankscope-made", made)
        docs_only = ir_datasets.create_dataset(docs_tsv=str(tmp_path / "docs.tsv"))
        ir_datasets.registry.register("rankscope-docs-only", docs_only)
    source = IrDataset("irds:rankscope-made")
    assert list(source.docs()) == [Doc("d1", "one"), Doc("d2", "two")]
    topics = judged_topics(source)
    assert (topics.queries, topics.qrels[0].relevance) == ([Query("q1", "find one")], 1)
    assert source.doc_files() == source.topic_files() == ()
    with pytest.raises(BadInput, match="no qrels"):
        IrDataset("rankscope-docs-only").qrels()
    with pytest.raises(BadInput, match="neither a folder here nor an id"):
        IrDataset("no-such-id")


def test_parts_share_no_query_and_lose_none(beir: Path) -> None:
    source = beir_folder(beir, "train")
    whole = {query.query_id for query in judged_topics(source).queries}
    for seed in range(5):
        low, high = (
            {query.query_id for query in judged_topics(source, part=part, seed=seed).queries}
            for part in ((0, 0.7), (0.7, 1))
        )
        assert not low & high
        assert low | high == whole
    other = judged_topics(source, part=(0, 0.5), seed=1).queries
    assert other != judged_topics(source, part=(0, 0.5), seed=2).queries
    assert len(judged_topics(source, limit=3).queries) == 3


def test_a_share_of_the_queries_is_the_nearest_whole_number(tmp_path: Path) -> None:
    """0.29 x 100 is 28.999999999999996 in binary, and 0.29 of 100 queries are 29; 0.5 of 3 are 2, as round has it."""
    (tmp_path / "docs.tsv").write_text("d1\tone\n")

    def n_queries(n: int, part: tuple[float, float]) -> int:
        (tmp_path / "queries.tsv").write_text("".join(f"q{q}\ttext {q}\n" for q in range(n)))
        (tmp_path / "qrels.txt").write_text("".join(f"q{q} 0 d1 1\n" for q in range(n)))
        names = ("docs.tsv", "queries.tsv", "qrels.txt")
        source = LocalFiles(*(tmp_path / name for name in names))
        return len(judged_topics(source, part=part).queries)

    assert [n_queries(100, part) for part in ((0, 0.29), (0.29, 1), (0, 0.58))] == [29, 71, 58]
    assert [n_queries(3, part) for part in ((0, 0.5), (0.5, 1))] == [2, 1]


def test_an_empty_part_and_a_query_without_text_are_refused(beir: Path) -> None:
    with pytest.raises(BadInput, match="is empty"):
        judged_topics(beir_folder(beir, "test"), part=(0.5, 0.5))
    with (beir / "qrels" / "test.tsv").open("a") as file:
        file.write("q99\td1\t1\n")
    with pytest.raises(BadInput, match=r"1 of 5 judged queries has no text \(first: q99\)"):
        judged_topics(beir_folder(beir, "test"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("corpus.jsonl", "not json\n", "line 1: not a doc"),
        ("corpus.jsonl", '{"_id": "d1"}\n', "line 1: not a doc"),
        ("corpus.jsonl", '{"_id": "d1", "text": "a"}\n' * 2, "'d1' stands here twice"),
        ("corpus.jsonl", "", "no doc in it"),
        ("corpus.jsonl", '{"_id": "d 1", "text": "a"}\n', "the id 'd 1' is empty or has a space"),
        ("corpus.jsonl", '{"_id": "d1", "text": null}\n', "not a doc"),
        ("corpus.jsonl", '["d1"]\n', "not a doc"),
    ],
)
def test_a_bad_corpus_is_named_by_line(beir: Path, name: str, text: str, message: str) -> None:
    (beir / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        list(beir_folder(beir, "test").docs())


def test_a_missing_folder_or_split_is_named(tmp_path: Path, beir: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        beir_folder(tmp_path / "none", "test")
    with pytest.raises(BadInput, match="no split 'dev'.*There are: test, train"):
        beir_folder(beir, "dev")


def test_stored_docs_are_read_singly(tmp_path: Path) -> None:
    docs = [Doc("é1", "naïve\nlines"), Doc("d2", ""), Doc("d3", "three")]
    assert write_docs(iter(docs), tmp_path) == 3
    stored = StoredDocs(tmp_path)
    assert list(stored) == docs
    assert stored.texts(["d3", "é1"]) == ["three", "naïve\nlines"]
    assert ("d2" in stored, "d9" in stored, len(stored)) == (True, False, 3)
    assert stored.n_bytes("d2") < stored.n_bytes("é1")
    with pytest.raises(BadInput, match="'d9' is ranked but not in the collection"):
        stored.text("d9")


def test_topics_read_back(beir: Path, tmp_path: Path) -> None:
    topics = judged_topics(beir_folder(beir, "test"))
    write_topics(topics, tmp_path)
    assert read_topics(tmp_path) == topics


@pytest.mark.parametrize(
    ("folder", "split", "n_docs", "n_queries"),
    [
        ("scifact", "test", 5183, 300),
        ("wikiqa", "dev", 11406, 126),
        ("msmarco-dl19", "test", 30005, 43),
    ],
)
def test_real_collections_by_their_counts(
    real_data: Path, folder: str, split: str, n_docs: int, n_queries: int
) -> None:
    source = beir_folder(real_data / folder, split)
    assert sum(1 for _ in source.docs()) == n_docs
    assert len(judged_topics(source).queries) == n_queries


def test_a_query_is_shared_by_its_words_not_its_id() -> None:
    ours = Topics([Query("1", "Red  cats"), Query("2", "blue dogs")], [])
    others = Topics([Query("9", "red cats"), Query("2", "green birds")], [])
    assert n_shared(ours, others) == 1


def test_an_id_that_cannot_be_fetched_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ir_datasets raises where a download fails."""

    class Unreachable:
        def has_qrels(self) -> bool:
            return True

        def qrels_iter(self) -> None:
            raise RuntimeError("all download sources failed\nmore")

    monkeypatch.setattr(ir_datasets, "load", lambda _: Unreachable())
    with pytest.raises(
        BadInput, match=r"cannot get the qrels of 'beir/x' \(all download sources failed\)"
    ):
        IrDataset("beir/x").qrels()


def read(folder: Path, text: str, what: str = "docs") -> list[tuple[str, str]]:
    path = folder / "a"
    path.write_text(text, "utf-8")
    source = LocalFiles(path, path, path)
    return [tuple(each) for each in (source.docs() if what == "docs" else source.queries())]


def test_a_query_of_a_line_that_names_its_doc_too_is_called_by_its_own_id(tmp_path: Path) -> None:
    """It was called by the doc's."""
    line = '{"query_id": "q1", "doc_id": "d7", "text": "x"}'
    assert read(tmp_path, line, "queries") == [("q1", "x")]
    assert read(tmp_path, line) == [("d7", "x")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "64fe", "id": "d1", "text": "x"}', "two ids, `_id`: '64fe' and `id`: 'd1'"),
        ('{"_id": "d1", "text": "x", "contents": "y"}', "two texts, `text` and `contents`"),
        ('"d1"\tx', 'the id "d1" stands in quotes'),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"line 1: {said}")):
        read(tmp_path, line)


def test_a_blank_text_gives_way_to_one_that_is_written(tmp_path: Path) -> None:
    """The doc was indexed as empty."""
    assert read(tmp_path, '{"_id": "d1", "text": "", "contents": "y"}') == [("d1", "y")]
    same = '{"_id": "d1", "id": "d1", "text": "y", "body": "y"}'
    assert read(tmp_path, same) == [("d1", "y")]


@pytest.mark.parametrize(
    "head", ["doc\ttext", "identifier\tcontent", "topic\tquestion", "number\tquery"]
)
def test_a_line_that_names_columns_is_no_entry(tmp_path: Path, head: str) -> None:
    """It was indexed."""
    assert read(tmp_path, f"{head}\nd1\tx\n") == [("d1", "x")]
