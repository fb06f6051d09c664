"""`rankscope search` and `rankscope rerank`: BM25's own options, and how a model scores."""

import json
import re
from pathlib import Path

import pytest
import torch

from rankscope.core.formats import read_run
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.models import opening
from rankscope.models.fast import lengths
from rankscope.models.inference import Inference
from rankscope.retrieve import bm25
from support import tiny
from support.command import Answer, Command


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a collection, a model of each kind, and BM25's run."""
    tiny.write_collection(tmp_path / "data")
    tiny.cross_encoder(tmp_path).save(tmp_path / "ce")
    tiny.save_bi_encoder(tmp_path / "bi")
    tiny.save_late_interaction(tmp_path / "late")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(rankscope: Command, *words: object, out: str = "a.run") -> Answer:
    return rankscope("search", *words, "--collection", "data", "--split", "train", "--out", out)


def test_a_cross_encoder_is_no_searcher(place: Path, rankscope: Command) -> None:
    """What it is and where it belongs is said, not which file a bi-encoder would have."""
    answer = search(rankscope, "ce")
    assert answer.code == 1
    assert "ce: a cross-encoder, which reads query and doc together" in answer.err
    assert "`rankscope rerank`" in answer.err


def rerank(rankscope: Command, *words: object, out: str = "b.run") -> Answer:
    where = ("--collection", "data", "--split", "train", "--run", "a.run", "--out", out)
    return rankscope("rerank", *words, *where, "--depth", 8)


def scores(path: str) -> dict[tuple[str, str], float]:
    """Query and doc to score, as read from a run."""
    rankings = read_run(Path(path)).rankings
    return {(query, doc.doc_id): doc.score for query in rankings for doc in rankings[query]}


# -- BM25 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bm25", "BM25", "Bm25"])
def test_bm25_is_named_in_any_case(rankscope: Command, place: Path, name: str) -> None:
    assert search(rankscope, name).out == "a.run: 8 queries by bm25.\n"


def test_a_folder_that_is_called_so_is_a_model(rankscope: Command, place: Path) -> None:
    (place / "bi").rename(place / "BM25")
    assert search(rankscope, "BM25").out == "a.run: 8 queries by BM25.\n"
    assert search(rankscope, "bm25").out == "a.run: 8 queries by bm25.\n"


def test_bm25_has_its_parameters(rankscope: Command, place: Path, tmp_path: Path) -> None:
    """The scores are those of an index built with them, and another b gives others."""
    with (place / "data" / "corpus.jsonl").open("a") as file:  # the others have one length
        file.write(json.dumps({"_id": "d99", "text": "red cat " * 9}) + "\n")
    search(rankscope, "bm25", "--k1", 1.2, "--b", 0.75)
    topics = judged_topics(beir_folder(place / "data", "train"))
    bm25.build(beir_folder(place / "data", "train").docs(), tmp_path / "index", k1=1.2, b=0.75)
    query = topics.queries[0]
    top = bm25.Index.load(tmp_path / "index").rank(query.text, 100)
    ranking = read_run(place / "a.run").rankings[query.query_id]
    assert [(doc.doc_id, pytest.approx(doc.score, rel=1e-5)) for doc in ranking] == top
    search(rankscope, "bm25", "--k1", 1.2, out="other.run")
    assert scores("other.run") != scores("a.run")
    search(rankscope, "bm25", "--k1", 0.9, "--b", 0.4, out="usual.run")
    search(rankscope, "bm25", out="left-out.run")
    assert scores("usual.run") == scores("left-out.run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bm25", "--device", "cpu"), "--device: for models, and bm25 is none. Leave it out."),
        (("BM25", "--batch-size", 4, "--max-length", 9), "--batch-size, --max-length: for models"),
        (("bm25", "--precision", "int8"), "--precision: for models"),
        (("bi", "--k1", 1), "--k1: for bm25, and bi has its own tokenizer and similarity. Leave"),
        (("bi", "--language", "hindi", "--b", 1), "--language, --b: for bm25"),
        (("bi", "--max-length", 2), "max_length 2: the model can read 3 to 64 tokens of a doc"),
        (("bi", "--max-length", 65), "max_length 65: the model can read 3 to 64 tokens of a doc"),
        (("bi", "--precision", "int4"), "Unknown precision 'int4'"),
        (("bi", "--device", "cuda:99"), "The device 'cuda:99' is not here. There are: cpu"),
    ],
)
def test_what_does_not_go_together_is_refused(
    rankscope: Command, place: Path, words: tuple[object, ...], said: str
) -> None:
    answer = search(rankscope, *words)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert not (place / "a.run").exists()


def test_a_k1_of_0_is_a_mistake_of_usage(rankscope: Command, place: Path) -> None:
    assert search(rankscope, "bm25", "--k1", 0).code == 2
    assert search(rankscope, "bm25", "--b", 2).code == 2


# -- models ----------------------------------------------------------------------------------------


def test_batches_have_so_many_texts_whatever_their_tokens() -> None:
    assert [*lengths.by_length([5, 3, 9, 1], 10)] == [[2], [0, 1], [3]]
    assert [*lengths.by_length([5, 3, 9, 1], 10, 3)] == [[2, 0, 1], [3]]
    assert [*lengths.by_length([5, 3, 9, 1], 10_000, 1)] == [[2], [0], [1], [3]]


@pytest.mark.parametrize("model", ["ce", "bi", "late"])
def test_the_size_of_batches_changes_no_score(
    rankscope: Command, place: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the device, where it is the one there is anyway."""
    search(rankscope, "bm25")
    assert rerank(rankscope, model).code == 0
    whole = scores("b.run")
    assert rerank(rankscope, model, "--batch-size", 1, "--device", "cpu").code == 0
    assert scores("b.run") == pytest.approx(whole, abs=1e-5)
    opened = opening.open_ranker(place / model, Inference(texts_per_batch=3))
    assert opened.texts_per_batch == 3


@pytest.mark.parametrize("model", ["ce", "bi", "late"])
def test_no_more_tokens_are_read_than_asked_for(
    rankscope: Command, place: Path, model: str
) -> None:
    """Docs that differ behind their 8th word and more score the same where 12 tokens are read, and not where 30 are."""
    path = place / "data" / "corpus.jsonl"
    search(rankscope, "bm25")
    docs = [json.loads(line) for line in path.read_text().splitlines()]
    found = {}
    for tail in ("cat", "sea"):
        longer = (doc | {"text": f"{doc['text']} {'red ' * 8} {f'{tail} ' * 40}"} for doc in docs)
        path.write_text("".join(json.dumps(doc) + "\n" for doc in longer))
        for length in (12, 30):
            assert rerank(rankscope, model, "--max-length", length).code == 0
            found[tail, length] = scores("b.run")
    gaps = {
        length: max(abs(score - found["sea", length][key]) for key, score in found["cat", length].items())
        for length in (12, 30)
    }  # fmt: skip
    assert gaps[12] < 1e-6 < gaps[30]


def test_a_length_that_a_cross_encoder_cannot_read_is_refused(
    rankscope: Command, place: Path
) -> None:
    search(rankscope, "bm25")
    for length, said in ((999, "max_length 999 is more than the"), (3, "leaves no room for")):
        answer = rerank(rankscope, "ce", "--max-length", length)
        assert (answer.code, answer.out) == (1, "")
        assert said in answer.err


@pytest.mark.usefixtures("every_instruction")
def test_a_search_in_a_precision_says_what_it_changed(rankscope: Command, place: Path) -> None:
    search(rankscope, "bi", out="exact.run")
    answer = search(rankscope, "bi", "--precision", "int8")
    told = re.search(r"Note: int8 against float32, 24 docs: the cosine of their embeddings is (\S+) \(median\), (\S+) \(least\)", answer.err)  # fmt: skip
    assert told is not None, answer.err
    assert 0.9 < float(told[2]) <= float(told[1]) <= 1
    assert scores("a.run") != scores("exact.run")


def test_the_device_is_the_one_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` holds no numbers, and a weight's device says that it was sent there."""
    monkeypatch.setattr(opening, "device_called", lambda name: torch.device(name or "cpu"))
    for model in ("ce", "bi", "late"):
        ranker = opening.open_ranker(place / model, Inference(device="meta"))
        assert {weight.device.type for weight in ranker.model.parameters()} == {"meta"}
