"""Public collections: downloads that resume and are checked, converters, and the folders that they make."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ir_datasets
import pytest
from huggingface_hub.utils import validate_repo_id

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.progress import SILENT
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.data.public import download, fetching, hub_ids, places
from rankscope.data.public.converters import CONVERTERS
from rankscope.data.public.table import PUBLIC, PublicFile
from support import public_files
from support.file_server import FileServer, file_server


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RANKSCOPE_DATA", raising=False)
    return tmp_path / "cache"


def serve(name: str, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put made-up files of a collection on the server, and their sums into the table."""
    made, files = public_files.made_up(name)
    server.files |= files
    monkeypatch.setitem(places.PUBLIC, name, made)


def fetched(name: str, server: FileServer, *, again: bool = False) -> fetching.Fetched:
    return fetching.fetch(name, again=again, mirror=server.address, progress=SILENT)


# -- the table --------------------------------------------------------------------------------------

LENGTHS = {"sha256": 64, "md5": 32, "git": 40}


@pytest.mark.parametrize("name", PUBLIC)
def test_contract_of_every_entry(name: str) -> None:
    """It tells what it is and under which terms, its converter exists, and sizes and sums come with their source."""
    made = PUBLIC[name]
    assert made.what
    assert made.licence
    assert made.home.startswith("http")
    assert made.converter in CONVERTERS
    assert len({file.name for file in made.files}) == len(made.files)
    for file in made.files:
        assert file.url.startswith("https://")
        assert bool(file.stated_by) == bool(file.sums or file.size)
        for algorithm, stated in file.sums.items():
            assert re.fullmatch(f"[0-9a-f]{{{LENGTHS[algorithm]}}}", stated)


def test_sums_are_those_of_the_tables_they_are_from() -> None:
    """What ir_datasets states is compared with its table, which is installed here."""
    path = Path(ir_datasets.__file__).parent / "etc" / "downloads.json"
    stated = {}
    for group in json.loads(path.read_text("utf-8")).values():
        for entry in group.values():
            if isinstance(entry, dict) and "url" in entry:
                stated[entry["url"]] = entry["expected_md5"], entry.get("size_hint")
    found = [
        file for made in PUBLIC.values() for file in made.files if "ir_datasets" in file.stated_by
    ]
    assert len(found) >= 3
    assert all(stated[file.url] == (file.sums["md5"], file.size) for file in found)


def test_ids_of_the_hub_are_of_its_form_and_of_collections_that_exist() -> None:
    """The hub refuses a card with an id of another form, and ir_datasets knows every id that is said to be copied."""
    stated = [hub_ids.of_public(name) for name in PUBLIC]
    assert sum(each is not None for each in stated) >= 5
    for name in hub_ids.COPIES_OF_IR_DATASETS:
        ir_datasets.load(name)
        stated.append(hub_ids.of_ir_datasets(name))
    for each in filter(None, stated):
        validate_repo_id(each)
        assert each.count("/") == 1
    assert hub_ids.of_public("cranfield") == "irds/cranfield"
    assert hub_ids.of_public("trex-facts") is hub_ids.of_public("no such name") is None
    assert hub_ids.of_ir_datasets("msmarco-passage/train") is None, "the hub has no copy of it"


# -- downloads --------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 40
SUM = hashlib.sha256(DATA).hexdigest()
FILE = PublicFile("https://host/a/x.bin", "x.bin", len(DATA), {"sha256": SUM}, "a table")
UNSTATED = PublicFile(FILE.url, FILE.name)


def got(server: FileServer, folder: Path, file: PublicFile = FILE) -> Path:
    path, sums = download.downloaded(file, folder, mirror=server.address, progress=SILENT)
    assert sums["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    return path


def test_a_file_is_fetched_from_a_mirror_once(server: FileServer, tmp_path: Path) -> None:
    server.files["host/a/x.bin"] = DATA
    assert got(server, tmp_path).read_bytes() == DATA
    got(server, tmp_path)
    assert server.asked == [("host/a/x.bin", "")]
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("file", [FILE, UNSTATED], ids=["stated", "unstated"])
def test_a_broken_download_goes_on_where_it_stopped(
    server: FileServer, tmp_path: Path, file: PublicFile
) -> None:
    server.files["host/a/x.bin"], server.breaks_after = DATA, 3000
    with pytest.raises(
        BadInput, match="broke after 3,000 of 10,240 bytes. The same command goes on"
    ):
        got(server, tmp_path, file)
    assert not (tmp_path / "x.bin").exists(), "whole or not at all"
    assert got(server, tmp_path, file).read_bytes() == DATA
    assert server.asked[1:] == [("host/a/x.bin", "bytes=3000-")]


def test_two_versions_of_a_file_are_never_put_together(server: FileServer, tmp_path: Path) -> None:
    server.files["host/a/x.bin"], server.breaks_after = DATA, 3000
    with pytest.raises(BadInput):
        got(server, tmp_path, UNSTATED)
    server.files["host/a/x.bin"] = other = bytes(reversed(DATA))
    assert got(server, tmp_path, UNSTATED).read_bytes() == other


def test_a_server_without_marks_begins_again(server: FileServer, tmp_path: Path) -> None:
    server.files["host/a/x.bin"], server.breaks_after, server.has_marks = DATA, 3000, False
    with pytest.raises(BadInput):
        got(server, tmp_path, UNSTATED)
    assert got(server, tmp_path, UNSTATED).read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == ["", ""]


def test_more_than_the_server_has_begins_again(server: FileServer, tmp_path: Path) -> None:
    server.files["host/a/x.bin"], server.breaks_after = DATA, 3000
    with pytest.raises(BadInput):
        got(server, tmp_path, UNSTATED)
    with (tmp_path / ".partial-x.bin").open("ab") as file:
        file.write(DATA)
    assert got(server, tmp_path, UNSTATED).read_bytes() == DATA


def test_a_download_that_was_whole_but_not_in_its_place_is_not_fetched_again(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / ".partial-x.bin").write_bytes(DATA)
    assert got(server, tmp_path).read_bytes() == DATA
    assert server.asked == []


@pytest.mark.parametrize("algorithm", ["sha256", "md5", "git"])
def test_other_bytes_than_stated_are_removed(
    server: FileServer, tmp_path: Path, algorithm: str
) -> None:
    """The three sums of `abc`, by hand: `printf abc | sha256sum`, `md5sum`, `git hash-object --stdin`."""
    of_abc = {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "md5": "900150983cd24fb0d6963f7d28e17f72",
        "git": "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f",
    }[algorithm]
    file = PublicFile(FILE.url, FILE.name, 3, {algorithm: of_abc}, "a table")
    server.files["host/a/x.bin"] = b"abd"
    with pytest.raises(BadInput, match=f"{algorithm} sum .*, not {of_abc} as a table states"):
        got(server, tmp_path, file)
    assert [*tmp_path.iterdir()] == []
    server.files["host/a/x.bin"] = b"abc"
    assert got(server, tmp_path, file).read_bytes() == b"abc"


def test_a_file_of_another_size_is_not_read(server: FileServer, tmp_path: Path) -> None:
    server.files["host/a/x.bin"] = DATA[:-1]
    with pytest.raises(BadInput, match="10,239 bytes there, not 10,240 as a table states"):
        got(server, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_what_is_no_answer_is_told(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the server answers 404"):
        got(server, tmp_path)
    server.files["host/a/x.bin"], server.content_type = DATA, "text/html; charset=utf-8"
    with pytest.raises(BadInput, match="a web page, not with the file"):
        got(server, tmp_path)
    with pytest.raises(BadInput, match="no address of a mirror"):
        download.downloaded(FILE, tmp_path, mirror="somewhere", progress=SILENT)
    with pytest.raises(BadInput, match="it cannot be reached"):
        download.downloaded(FILE, tmp_path, mirror="http://127.0.0.1:9", progress=SILENT)


# -- collections ------------------------------------------------------------------------------------

BY_URL = [name for name, made in PUBLIC.items() if made.files]


@pytest.mark.parametrize("name", BY_URL)
def test_contract_of_every_collection(
    name: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It becomes a folder that a study reads, tells where it is from, leaves no download behind, and is fetched once."""
    serve(name, server, monkeypatch)
    assert not places.is_there(name)
    done = fetched(name, server)
    assert places.is_there(name)
    assert done.folder == places.folder_of(name)
    source = json.loads((done.folder / "source.json").read_text("utf-8"))
    assert (source["licence"], source["home"]) == (PUBLIC[name].licence, PUBLIC[name].home)
    for split in (path.stem for path in (done.folder / "qrels").glob("*")):
        topics = judged_topics(beir_folder(done.folder, split))
        assert done.counts[split] == len(topics.qrels) > 0
    if not done.counts:
        assert all((done.folder / file.name).is_file() for file in PUBLIC[name].files)
    assert not (places.cache_folder() / "downloads" / name).exists()
    assert [path.name for path in done.folder.parent.iterdir()] == [name]
    n_requests = len(server.asked)
    assert fetched(name, server).was_there
    assert len(server.asked) == n_requests


def test_wikiqa_keeps_answered_questions_and_each_sentence_once(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 questions a split, 0 to 11, the 4th and the 9th have no answer; one sentence is in all questions."""
    serve("wikiqa", server, monkeypatch)
    done = fetched("wikiqa", server)
    assert done.counts == {"docs": 91, "queries": 30, "dev": 40, "test": 40, "train": 40}
    source = beir_folder(done.folder, "train")
    texts = {doc.doc_id: doc.text for doc in source.docs()}
    assert texts["D0-0"] == "The red red of 0 is here ."
    assert list(texts.values()).count("Nobody knows .") == 1
    queries = {query.query_id: query.text for query in source.queries()}
    assert queries["Q3"] == 'where is the "cat" red of 3 ?', "quotes are the text's own"
    assert "Q4" not in queries
    assert {qrel.relevance for qrel in source.qrels() if qrel.doc_id == "D0-3"} == {0}


def test_squad_is_split_by_article(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("squad-dev", server, monkeypatch)
    done = fetched("squad-dev", server)
    assert done.counts == {"docs": 6, "queries": 6, "test": 2, "train": 4}
    source = beir_folder(done.folder, "test")
    assert [qrel.doc_id for qrel in source.qrels()] == ["Nikola_Tesla#0", "Nikola_Tesla#1"]
    first = next(source.docs())
    assert (first.doc_id, first.text) == ("Cold_Land#0", "Cold Land Cold_Land has 0 rivers.")
    assert next(source.queries()).text == "How many rivers has Cold_Land?"


def test_facts_are_split_by_subject(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("trex-facts", server, monkeypatch)
    done = fetched("trex-facts", server)
    n_relations = len(PUBLIC["trex-facts"].files)
    assert done.counts["queries"] == 5 * n_relations, "a fact without a sentence is no query"
    assert done.counts["docs"] == 5 * n_relations, "the same sentence is one doc"
    subjects = {
        split: {
            query.text.removeprefix("in which field does ").removesuffix(" work?")
            for query in judged_topics(beir_folder(done.folder, split)).queries
            if query.query_id.startswith("P101-")
        }
        for split in ("train", "test")
    }
    assert subjects["train"] | subjects["test"] == {f"Person {n}" for n in range(5)}
    is_test = {n: int(hashlib.sha256(f"Person {n}".encode()).hexdigest(), 16) % 5 == 0 for n in range(5)}  # fmt: skip
    assert subjects["test"] == {f"Person {n}" for n, tested in is_test.items() if tested}
    first = next(beir_folder(done.folder, "train").docs())
    assert first.text == "Person 0 works on P101 0 ."


def test_docs_of_first_stages_come_with_runs_and_typos(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("msmarco-dl19", server, monkeypatch)
    done = fetched("msmarco-dl19", server)
    assert done.counts == {"docs": 7, "queries": 2, "test": 3}, (
        "of a query without docs no judgement"
    )
    runs = sorted(path.name for path in (done.folder / "runs").iterdir())
    assert runs == ["ada2.run", "bm25.run", "repllama.run", "splade.run", "tasb.run"]
    assert (done.folder / "runs/bm25.run").read_text().startswith("1 Q0 10 1 9")
    typos = places.path_of("public:msmarco-dl19/typos/queries.dl2019.typo1.tsv")
    assert typos.read_text() == "1\twich red\n"


def test_an_archive_writes_nothing_outside_its_folder(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve("scifact", server, monkeypatch)
    done = fetched("scifact", server)
    assert done.counts == {"docs": 4, "queries": 4, "test": 2, "train": 2}
    assert not [*tmp_path.rglob("outside.txt")]


def test_what_ir_datasets_has_is_fetched_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (
        ("docs.tsv", "d1\tone\nd2\ttwo\n"),
        ("queries.tsv", "q1\tfind one\n"),
        ("qrels", "q1 0 d1 1\nq1 0 d2 -1\n"),
    ):
        (tmp_path / name).write_text(text)
    made = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    monkeypatch.setitem(ir_datasets.registry._registered, "rankscope-public", made)
    settings = {**PUBLIC["cranfield"].settings, "id": "rankscope-public"}
    monkeypatch.setitem(places.PUBLIC, "cranfield", replace(PUBLIC["cranfield"], settings=settings))
    done = fetching.fetch("cranfield", again=False, mirror=None, progress=SILENT)
    assert done.counts == {"docs": 2, "queries": 1, "test": 2}
    grades = {qrel.doc_id: qrel.relevance for qrel in beir_folder(done.folder, "test").qrels()}
    assert grades == {"d1": 4, "d2": 0}, "the collection counts from the best"


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("wikiqa", "WikiQACorpus.zip", b"no archive"),
        ("scifact", "scifact.zip", public_files.wikiqa()),
        ("wikiqa", "WikiQACorpus.zip", public_files.beir()),
        ("squad-dev", "dev-v1.1.json", b'{"data": [{"title": "a"}]}'),
        ("msmarco-dl21", "bm25.jsonl", b'{"query": {}}\n'),
        ("trex-facts", "P101.jsonl", b'{"sub_label": 1}\n'),
    ],
)
def test_a_file_that_is_not_what_it_was_is_told(
    name: str, file: str, data: bytes, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(name, server, monkeypatch)
    made = places.PUBLIC[name]
    files = tuple(
        PublicFile(each.url, each.name) if each.name == file else each for each in made.files
    )
    monkeypatch.setitem(places.PUBLIC, name, replace(made, files=files))
    (url,) = (each.url for each in files if each.name == file)
    server.files[url.partition("://")[2]] = data
    with pytest.raises(BadInput, match=f"{re.escape(file)}: .*, so the file is not what it was"):
        fetched(name, server)
    assert not places.is_there(name), "whole or not at all"
    assert not [*(places.cache_folder() / "public").iterdir()]


def test_a_sum_that_nobody_states_is_recorded_and_compared(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("wikiqa", server, monkeypatch)
    (file,) = places.PUBLIC["wikiqa"].files
    unstated = replace(PUBLIC["wikiqa"], files=(PublicFile(file.url, file.name),))
    monkeypatch.setitem(places.PUBLIC, "wikiqa", unstated)
    done = fetched("wikiqa", server)
    assert done.recorded == (file.name,)
    source = json.loads((done.folder / "source.json").read_text("utf-8"))
    assert source["sums"][file.name] == dict(file.sums)
    assert source["stated_by"][file.name] == "nobody: recorded by the first fetch"
    assert fetched("wikiqa", server, again=True).recorded == (), "not for the first time"
    server.files[file.url.partition("://")[2]] = public_files.wikiqa(5)
    with pytest.raises(BadInput, match="not the file that was fetched before"):
        fetched("wikiqa", server, again=True)
    assert places.is_there("wikiqa"), "what was fetched before is still there"


# -- places -----------------------------------------------------------------------------------------


def test_what_was_not_fetched_is_named_with_the_command() -> None:
    with pytest.raises(BadInput) as caught:
        places.require(["scifact", "wikiqa", "scifact"])
    assert str(caught.value) == (
        "scifact, wikiqa are not fetched yet. Fetch them: rankscope data fetch scifact wikiqa"
    )
    with pytest.raises(UnknownChoice, match="Did you mean 'wikiqa'"):
        places.folder_of("wikiq")


def test_an_own_copy_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own" / "wikiqa").mkdir(parents=True)
    monkeypatch.setenv("RANKSCOPE_DATA", str(tmp_path / "own"))
    assert places.folder_of("wikiqa") == tmp_path / "own" / "wikiqa"
    assert places.path_of("public:wikiqa/a/b") == tmp_path / "own" / "wikiqa" / "a" / "b"
    assert not places.is_there("scifact")
