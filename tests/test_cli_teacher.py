"""`rankscope teacher read`: what it writes, prints and refuses."""

import json
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from support import tiny
from support.command import Command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "shown.run").write_text("".join(f"q1 d{i} {9 - i}\n" for i in range(1, 4)))
    answer = {"query_id": "q1", "response": "[3] > [1] > [1]"}
    (tmp_path / "answers.jsonl").write_text(json.dumps(answer) + "\n")
    (tmp_path / "qrels.txt").write_text("q1 0 d3 1\n")
    flag = {
        "query": "where sits the green cat",
        "pos": ["A the green cat  sits on the mat"],
        "neg": [],
    }
    (tmp_path / "flag.jsonl").write_text(json.dumps(flag) + "\n")
    return tmp_path


def test_an_llms_answers_become_a_run(rankscope: Command, files: Path) -> None:
    """d3 comes from place 3 to the top: tau over (3, 1, 2) is -1/3, nDCG@10 goes from 1/2 to 1."""
    words = ("teacher", "read", files / "answers.jsonl", "--candidates", files / "shown.run")
    out = files / "out" / "t.run"
    answer = rankscope(*words, "--out", out, "--qrels", files / "qrels.txt", "--tag", "llm")
    assert out.read_text().splitlines()[0] == "q1 Q0 d3 1 1.0 llm"
    assert [doc.doc_id for doc in read_run(out).rankings["q1"]] == ["d3", "d1", "d2"]
    lines = answer.out.splitlines()
    assert lines[0] == "what\tvalue"
    assert "repairs: repeats\t1" in lines
    assert "agreement with qrels: candidates nDCG@10\t0.5000" in lines
    assert "position bias: kendall tau\t-0.3333" in lines
    assert lines[-1] == f"{out}: 1 query by llm."
    found = json.loads(rankscope(*words, "--out", out, "--json").out)
    assert (found["n_repaired_answers"], len(found["notes"])) == (1, 1)
    assert "agreement_with_qrels" not in found
    assert next(doc.score for doc in read_run(out).rankings["q1"]) == 1.0


def test_texts_are_looked_up_in_a_collection(rankscope: Command, files: Path) -> None:
    data = tiny.write_collection(files / "data")
    words = ("teacher", "read", files / "flag.jsonl", "--out", files / "t.run")
    answer = rankscope(*words, "--collection", data)
    assert answer.code == 0, answer.err
    assert "teacher\tflag_embedding" in answer.out
    assert [doc.doc_id for doc in read_run(files / "t.run").rankings["q1"]] == ["d1"]
    alone = rankscope(*words)
    assert (alone.code, "Give the collection too" in alone.err) == (1, True)


def test_notes_of_the_candidates_are_told(rankscope: Command, files: Path) -> None:
    answer = rankscope(
        "teacher",
        "read",
        files / "answers.jsonl",
        "--candidates",
        files / "shown.run",
        "--out",
        files / "o",
    )
    assert answer.err == "Note: the candidates: its third column was read as the score: the highest is the best\n"  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["answers.jsonl"], "Give the docs by --candidates"),
        (["none.jsonl"], "there is no such file"),
        (["answers.jsonl", "--candidates", "none.run"], "none.run: there is no such file"),
        (["answers.jsonl", "--candidates", "shown.run", "--format", "kid"], "Did you mean 'kd'"),
        (["answers.jsonl", "--candidates", "shown.run", "--malformed", "repare"], "Did you mean"),
        (["answers.jsonl", "--candidates", "shown.run", "--step", "30"], "leave docs out"),
        (["qrels.txt"], "found 4"),
        (["shown.run", "--format", "kd"], "not JSON"),
    ],
)
def test_what_is_refused(
    rankscope: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(files)
    answer = rankscope("teacher", "read", *words, "--out", "out.run")
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not (files / "out.run").exists()


@pytest.mark.parametrize(
    ("teacher", "n_same", "value", "n_repaired"),
    [("rankvicuna", 43, 0.6682, 0), ("vicuna-7b", 27, 0.5060, 22)],
)
def test_real_windows_in_one_command(
    rankscope: Command,
    real_data: Path,
    tmp_path: Path,
    teacher: str,
    n_same: int,
    value: float,
    n_repaired: int,
) -> None:
    """RankVicuna's 43 queries as the authors have them: its nDCG@10 is known to be 0.6682, BM25's 0.5058.

    Vicuna writes `1. [14] > [15] > ...`, and its authors' program takes the `1.` for doc 1: 16 queries differ by
    that (and 381 of the 387 answers were repaired for it, of which 22 need it); `test_answers` holds the others.
    """
    folder = real_data / "msmarco-dl19"
    answer = rankscope(
        "teacher", "read", folder / "teachers" / f"{teacher}.windows.jsonl", "--candidates",
        folder / "runs" / "bm25.run", "--qrels", folder, "--out", tmp_path / "t.run", "--json",
    )  # fmt: skip
    found = json.loads(answer.out)
    ours = read_run(tmp_path / "t.run").rankings
    theirs = read_run(folder / "teachers" / f"{teacher}.bm25-top100.run").rankings
    same = [q for q in theirs if [d.doc_id for d in ours[q]] == [d.doc_id for d in theirs[q]]]
    assert (len(same), len(theirs)) == (n_same, 43)
    assert found["agreement_with_qrels"]["nDCG@10"] == pytest.approx(value, abs=5e-5)
    assert found["agreement_with_qrels"]["candidates_nDCG@10"] == pytest.approx(0.5058, abs=5e-5)
    assert found["n_repaired_answers"] == n_repaired


def test_a_file_without_a_command_is_told_what_to_do(rankscope: Command, files: Path) -> None:
    answer = rankscope("teacher", files / "answers.jsonl", "--out", "o")
    assert answer.code == 1
    assert "say what to do: read, ask, prompts or answers, as in rankscope teacher read" in answer.err  # fmt: skip
