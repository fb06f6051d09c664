"""A re-ranking in another precision says what that changed, by what float32 gives for the same docs."""

import json
import re
from pathlib import Path

import pytest
import torch

from rankscope.core.formats import read_run
from rankscope.core.records import Run, ScoredDoc
from rankscope.data.collections import beir_folder, judged_topics
from rankscope.evaluate.measuring import measured
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.pipeline.reranking import SAMPLE, reranking
from support import tiny
from support.command import Command

NUMBERS = re.compile(
    r"int8 against float32, (\d+) queries: scores differ by (\S+) \(median\), (\S+) \(most; their standard deviation "
    r"(\S+)\); (\S+)% of pairs swapped; nDCG@10 (\S+), float32 (\S+)"
)


@pytest.mark.usefixtures("every_instruction")
def test_the_note_counts_what_the_precision_changed(tmp_path: Path) -> None:
    source = beir_folder(tiny.write_collection(tmp_path / "data"), "train")
    topics, texts = judged_topics(source), {doc.doc_id: doc.text for doc in source.docs()}
    ranker = tiny.cross_encoder(tmp_path)
    first = Run.of(
        "first",
        (ScoredDoc(query.query_id, doc, 1.0 - place) for query in topics.queries
         for place, doc in enumerate(texts)),
    )  # fmt: skip

    def in_(precision: str) -> tuple[Run, list[str]]:
        params = RerankParams(depth=20, tag="model", precision=precision)
        return reranking(params, ranker, topics, first, texts=lambda ids: [texts[i] for i in ids])

    (exact, none), (run, (note,)) = in_("float32"), in_("int8")
    assert none == []
    told = NUMBERS.fullmatch(note)
    assert told is not None, note
    sampled = [query.query_id for query in topics.queries][:SAMPLE]
    gaps, scores, n_swapped, n_pairs = [], [], 0, 0
    for query in sampled:
        mine, own = ({d.doc_id: d.score for d in r.rankings[query][:20]} for r in (run, exact))
        assert mine.keys() == own.keys()
        gaps += [abs(mine[doc] - own[doc]) for doc in own]
        scores += own.values()
        ids = sorted(own)
        pairs = [(a, b) for a in ids for b in ids if a < b]
        n_pairs += len(pairs)
        n_swapped += sum((mine[a] > mine[b]) != (own[a] > own[b]) for a, b in pairs)
    tensor = torch.tensor(scores, dtype=torch.float64)
    assert int(told[1]) == len(sampled)
    assert float(told[2]) == pytest.approx(sorted(gaps)[len(gaps) // 2], rel=0.1)
    assert float(told[3]) == pytest.approx(max(gaps), rel=0.1)
    assert float(told[4]) == pytest.approx(float(tensor.std(unbiased=False)), rel=0.1)
    assert float(told[5]) == pytest.approx(100 * n_swapped / n_pairs, abs=0.01)
    assert n_swapped > 0
    for number, each in ((6, run), (7, exact)):
        of_sample = Run(each.tag, {query: each.rankings[query] for query in sampled})
        qrels = [qrel for qrel in topics.qrels if qrel.query_id in sampled]
        mean = measured(of_sample, qrels, ["nDCG@10"]).means()["nDCG@10"]
        assert float(told[number]) == pytest.approx(mean, abs=5e-5)


@pytest.mark.usefixtures("every_instruction")
def test_a_study_tells_it_in_its_report(
    rankscope: Command, tiny_study: Path, tmp_path: Path
) -> None:
    words = (tiny_study, "evaluate.rerank.precision=int8", "--results", tmp_path / "results")
    assert rankscope("run", *words).code == 0
    steps = [*(tmp_path / "results").rglob("rerank-*/manifest.json")]
    notes = {
        step.parent.name: json.loads(step.read_text("utf-8"))["summary"].get("notes", [])
        for step in steps
    }
    told = {name for name, found in notes.items() if any(map(NUMBERS.fullmatch, found))}
    assert told == {name for name in notes if ".int8-" in name}
    assert {name.rpartition("-")[0] for name in told} >= {"rerank-C.test.bm25.int8"}
    assert any(name.startswith("rerank-bi.train.") for name in set(notes) - told), "a teacher"
    page = next((tmp_path / "results").rglob("report.html")).read_text("utf-8")
    assert "Rankers re-rank in int8, not float32." in page
    for name in told:
        (note,) = notes[name]
        assert note.rpartition("; ")[2] in page


def test_a_precision_that_is_slower_is_refused_before_anything_is_trained(
    rankscope: Command, tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    words = (tiny_study, "evaluate.rerank.precision=int8", "--results", tmp_path / "results")
    for command in ("run", "doctor"):
        refused = rankscope(command, *words)
        assert (refused.code, "precision int8 is slower than float32" in refused.err) == (1, True)
    assert not [*tmp_path.rglob("train-*")]


@pytest.mark.usefixtures("every_instruction")
def test_the_command_tells_it_and_refuses_what_is_none(rankscope: Command, tmp_path: Path) -> None:
    words = ("--collection", tiny.write_collection(tmp_path / "data"), "--split", "train")
    tiny.cross_encoder(tmp_path).save(tmp_path / "ce")
    first, out = tmp_path / "bm25.run", tmp_path / "out.run"
    assert rankscope("search", "bm25", *words, "--depth", 5, "--out", first).code == 0
    words = ("rerank", tmp_path / "ce", *words, "--run", first, "--out", out)
    done = rankscope(*words, "--precision", "int8")
    assert (done.code, "int8 against float32, 8 queries" in " ".join(done.err.split())) == (0, True)
    narrow = read_run(out)
    assert "against float32" not in rankscope(*words).err
    assert narrow.rankings != read_run(out).rankings
    refused = rankscope(*words, "--precision", "int4")
    assert (refused.code, "Unknown precision 'int4'" in refused.err) == (1, True)
