"""A study of bi-encoders: three poolings trained, two towers with one frozen, searched and fused."""

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer

from rankscope.core.formats import read_run
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import Location
from rankscope.pipeline.planner import Plan
from rankscope.retrieve import embeddings
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
from support import dense_study, tiny
from support.stored import folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    where = tmp_path_factory.mktemp("dense")
    made = plan(load(dense_study.write(where)), Digests().of)
    store = Store(where / "results" / "dense")
    carry_out(made, store)
    return made, store


TUNED = ["cls", "mean", "last", "frozen", "mined", "crops", "noisy", "fresh", "sorted"]


@pytest.mark.parametrize("ranker", TUNED)
def test_a_tuned_bi_encoder_searches_as_sentence_transformers_does(
    study: tuple[Plan, Store], ranker: str
) -> None:
    with backbone.quiet():
        theirs = SentenceTransformer(str(folder(study, "train", ranker) / "model"), device="cpu")
    docs = StoredDocs(folder(study, "docs", "test"))
    run = read_run(folder(study, "search", f"{ranker}.test") / "run.trec")
    texts = docs.texts(docs.doc_ids)
    for query in read_topics(folder(study, "collection", "test")).queries:
        scores = theirs.similarity(
            theirs.encode_query([query.text]), theirs.encode_document(texts)
        )[0]
        expected = sorted(scores.tolist(), reverse=True)[:20]
        found = [doc.score for doc in run.rankings[query.query_id]]
        assert found == pytest.approx(expected, abs=1e-5)


def test_noise_is_in_the_queries_and_nowhere_else(study: tuple[Plan, Store]) -> None:
    plain, typed = (read_topics(folder(study, "collection", name)) for name in ("test", "typed"))
    assert plain.qrels == typed.qrels
    assert [q.query_id for q in plain.queries] == [q.query_id for q in typed.queries]
    changed = [a.text != b.text for a, b in zip(plain.queries, typed.queries, strict=True)]
    assert sum(changed) > len(changed) / 2
    steps = study[0].steps
    assert [step.label for step in steps if step.kind == "encode" and "cls." in step.label] == [
        "cls.test",
        "cls.test.float16",
    ]


def test_every_tuned_bi_encoder_moved_and_the_frozen_tower_did_not(
    study: tuple[Plan, Store],
) -> None:
    def embedded(kind: str, ranker: str) -> tuple[torch.Tensor, torch.Tensor]:
        model = BiEncoder.load(Location(ranker, folder(study, kind, ranker) / "model"))
        return model.embed_queries(tiny.WORDS), model.embed_docs(tiny.WORDS)

    starts = {"frozen": "tower", "noisy": "split"}
    starts |= dict.fromkeys(["crops", "fresh", "sorted"], "mean")
    for ranker in (name for name in TUNED if name != "mined"):
        plain = f"{starts.get(ranker, ranker)}-plain"
        before, after = embedded("ranker", plain), embedded("train", ranker)
        assert not torch.allclose(before[0], after[0], atol=1e-3)
        assert torch.equal(before[1], after[1]) == (ranker in {"frozen", "noisy"})


def test_the_groups_are_what_searched_and_what_was_re_ordered(study: tuple[Plan, Store]) -> None:
    summary = json.loads((study[1].root / "summary.json").read_text())
    where = {
        place: [
            row["system"]
            for row in summary["results"]
            if (row["collection"], row["first_stage"]) == ("test", place)
        ]
        for place in ("all docs", "dense")
    }
    rankers = list(study[0].study.study.rankers)
    searching = [name for name in rankers if name not in {"colbert", "judge"}]
    assert where["all docs"] == ["bm25", "graph", "late", "both", *searching]
    assert where["dense"] == ["dense", *rankers]
    text = (study[1].root / "report.html").read_text("utf-8")
    assert "all docs" in text


def test_negatives_found_anew_are_the_rankers_own(study: tuple[Plan, Store]) -> None:
    """`fresh` is `mean` until update 3, when it goes on with what it finds itself."""
    logs = [
        [
            json.loads(line)
            for line in (folder(study, "train", name) / "log.jsonl").read_text().splitlines()
        ]
        for name in ("mean", "fresh")
    ]
    losses = [[row["loss"] for row in log if "loss" in row] for log in logs]
    assert losses[0][:3] == losses[1][:3]
    assert losses[0][3:] != losses[1][3:]


def test_negatives_come_from_the_run_as_the_cross_encoder_orders_it(
    study: tuple[Plan, Store],
) -> None:
    """That they stay below the positive by a margin is held in tests/data/test_samples.py."""
    step = next(s for s in study[0].steps if s.kind == "train" and s.label == "sorted")
    run = step.inputs["samples 0 run"]
    assert (run.kind, run.inputs["ranker"].label) == ("rerank", "judge")


def test_vectors_are_stored_once_and_shared(study: tuple[Plan, Store]) -> None:
    """`cls` is searched for the evaluation, for the first stage and for mining: encoded once."""
    labels = [step.label for step in study[0].steps if step.kind == "encode"]
    assert labels.count("cls.test") == 1
    assert not {"frozen.test", "noisy.test"} & set(labels), (
        "their docs are as they were at the start"
    )
    assert {"tower-plain.test", "split-plain.test"} <= set(labels)
    docs = folder(study, "docs", "test")
    stored = embeddings.opened(folder(study, "encode", "cls.test") / "embeddings.npy")
    assert stored.shape == (len(StoredDocs(docs)), 32)
    halves = embeddings.opened(folder(study, "encode", "cls.test.float16") / "embeddings.npy")
    assert (halves.dtype, halves.tolist()) == ("float16", stored.astype("float16").tolist())


def test_an_adapter_of_a_tower_is_kept_beside_the_merged_model(study: tuple[Plan, Store]) -> None:
    import peft

    config = peft.PeftConfig.from_pretrained(str(folder(study, "train", "last") / "adapter"))
    assert config.r == 4


def test_an_approximate_index_says_what_it_finds(study: tuple[Plan, Store]) -> None:
    searches = [step for step in study[0].steps if step.kind == "search"]
    steps = [step for step in searches if getattr(step.params.spec, "index", None) == "hnsw"]
    summaries = [study[1].manifest(step.name)["summary"] for step in steps]
    assert summaries
    for summary in summaries:
        assert summary["recall_of_exact"] == 1.0, "a graph over so few docs reaches them all"
        assert summary["n_queries_checked"] > 0
