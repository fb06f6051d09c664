import json
import shutil
from pathlib import Path

import pytest

from rankscope.data import world
from support import tiny
from support.command import Command


@pytest.fixture
def study(tiny_study: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    shutil.copytree(tiny_study.parent, folder)
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace(str(tiny_study.parent), str(folder)))
    return path


def test_the_doctor_looks_at_every_stage_and_trains_none(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    results = tmp_path / "results"
    answer = rankscope("doctor", study, "--results", results)
    assert answer.code == 0
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert rows[0] == ["ranker", "guard", "level", "what it saw"]
    assert [row[:3] for row in rows[1:-1]] == [
        ["C", "validation_queries", "warn"],
        ["C", "relevant_negatives", "warn"],
    ]
    assert rows[-1] == ["2 trained rankers, 20 looks: 0 would stop, 2 would warn."]
    assert "Note: C-D: looked at with plain; C is not trained yet" in answer.err
    assert "Note: C-D: looked at with its teacher's candidates" in answer.err
    kinds = {path.name.split("-")[0] for path in (results / "tiny" / "steps").iterdir()}
    assert kinds == {"docs", "collection", "index", "search", "ranker"}


def test_what_would_stop_is_the_exit_code_and_json_has_every_look(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    words = ["doctor", study, "rankers.C-D.learning_rate=6.0e-12", "--results", tmp_path / "r"]
    answer = rankscope(*words, "--json")
    assert answer.code == 1
    found = json.loads(answer.out)
    assert (len(found["seen"]), found["n_stops"], found["n_warnings"]) == (20, 1, 2)
    (stops,) = [seen for seen in found["seen"] if seen["finding"] and seen["level"] == "stop"]
    assert (stops["ranker"], stops["guard"]) == ("C-D", "learning_rate")
    assert stops["finding"].startswith("The learning rate 6e-12 cannot move the weights")
    milder = rankscope(*words, "rankers.C-D.guards={learning_rate: warn}", "--json")
    assert milder.code == 0
    assert json.loads(milder.out)["n_warnings"] == 3


def test_what_is_trained_already_is_what_the_next_stage_is_looked_at_with(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    assert rankscope("run", study, "--results", tmp_path / "r").code == 0
    assert "looked at with" not in rankscope("doctor", study, "--results", tmp_path / "r").err


@pytest.mark.parametrize(
    ("stage", "who"),
    [
        ("{start: bi, samples: {labels: qrels, negatives: {from: bm25, depth: 10}, group_size: 3}, loss: info_nce, max_updates: 2}",
         "bi comes with prompts (passage)"),
        ("{start: plain, samples: {labels: bi, group_size: 3}, loss: ranknet, max_updates: 2}",
         "the teacher bi has prompts (passage)"),
    ],
)  # fmt: skip
def test_a_prompt_that_a_bi_encoder_does_not_search_with_is_told(
    study: Path, tmp_path: Path, rankscope: Command, stage: str, who: str
) -> None:
    """Beside one that it does: queries get `query`, docs `document`, and nothing gets `passage`."""
    path = study.parent / "bi" / "config_sentence_transformers.json"
    written = json.loads(path.read_text()) | {"prompts": {"query": "q: ", "passage": "p: "}}
    path.write_text(json.dumps(written))
    words = ["doctor", study, f"rankers.D={stage}", "--results", tmp_path / "r", "--json"]

    def told(*more: str) -> list[str]:
        seen = json.loads(rankscope(*words, *more).out)["seen"]
        return [s["finding"] for s in seen if (s["ranker"], s["guard"]) == ("D", "prompts")]

    (finding,) = told()
    assert finding.startswith(f"{who} that are not used.")
    assert told("rankers.bi.prefixes={doc: 'p: '}") == [None], "docs get its text then"


def test_a_scratch_backbone_is_looked_at_before_its_pre_training(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    scratch = "{kind: scratch, collection: train, width: 32, max_length: 32, updates: 50}"
    words = ["doctor", study, f"rankers.plain.backbone={scratch}", "--results", tmp_path / "r"]
    answer = rankscope(*words)
    assert answer.code == 0
    assert "Note: C: looked at with plain before its pre-training" in answer.err
    assert not list((tmp_path / "r/tiny/steps").glob("scratch-*/log.jsonl"))


def test_a_study_that_trains_nothing_is_healthy(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    values = study.read_text().split("  C:\n")
    study.write_text(values[0] + "evaluate: {over: [test], rerank: {from: [bm25], depth: 5}}\n")
    answer = rankscope("doctor", study, "--results", tmp_path / "r")
    assert (answer.code, answer.out) == (
        0,
        "0 trained rankers, 0 looks: 0 would stop, 0 would warn.\n",
    )


def test_judgements_shuffled_among_queries_are_stopped_before_training(
    tmp_path: Path, rankscope: Command
) -> None:
    """The world's qrels with the docs of another query, as ids that were numbered anew would do."""
    made = world.world(1, n_people=30)
    world.write(made, tmp_path / "data", test_share=0.25, seed=1)
    tiny.save_encoder(tmp_path / "encoder")
    tiny.save_bi_encoder(tmp_path / "bi")
    study = tmp_path / "study.yaml"
    study.write_text(
        tiny.STUDY.format(data=tmp_path / "data", encoder=tmp_path / "encoder", bi=tmp_path / "bi")
    )
    words = ["doctor", study, "--results", tmp_path / "r"]
    assert rankscope(*words).code == 0
    qrels = tmp_path / "data" / "qrels" / "train.tsv"
    head, *lines = qrels.read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    shift = len(rows) // 2
    moved = [[q, rows[(n + shift) % len(rows)][1], r] for n, (q, _, r) in enumerate(rows)]
    qrels.write_text("\n".join([head, *dict.fromkeys("\t".join(row) for row in moved)]) + "\n")
    answer = rankscope(*words)
    assert answer.code == 1
    assert "C\tunretrieved_positives\tstop\tbm25 finds a positive of " in answer.out


def test_queries_and_docs_under_several_ids_are_counted(
    study: Path, tmp_path: Path, rankscope: Command
) -> None:
    """The tiny study asks two of its eight queries twice; one doc is put in again in capitals."""
    corpus = study.parent / "data" / "corpus.jsonl"
    first = json.loads(corpus.read_text().splitlines()[0])
    again = {"_id": "again", "text": first["text"].upper()}
    corpus.write_text(f"{corpus.read_text()}{json.dumps(again)}\n")
    told = rankscope("doctor", study, "--results", tmp_path / "r").err
    queries = "training queries have the words of another (first: q"
    assert f"Note: C: 4 of 8 {queries}" in told, told
    assert (
        "Note: C: 2 of 25 docs have the words of another (first: d0): the same under several"
        in told
    )
