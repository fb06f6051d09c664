"""The answers of two LLMs over TREC DL 2019, given by a scripted server: their authors' runs come out exactly."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from support.command import Command
from support.llm_server import Body, llm_server

Script = Mapping[tuple[str, tuple[str, ...]], str]
"""A query's text and the passages shown, in their order, to the answer."""


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def script(folder: Path, teacher: str) -> Script:
    """What each window must show, worked out here by the authors' rule: numbers in their order, repeats left out, rest behind."""
    texts = {doc["_id"]: f"{doc['title']} {doc['text']}".strip() for doc in lines(folder / "corpus.jsonl")}  # fmt: skip
    queries = {query["_id"]: query["text"] for query in lines(folder / "queries.jsonl")}
    run = read_run(folder / "runs" / "bm25.run")
    lists = {query_id: [doc.doc_id for doc in docs] for query_id, docs in run.rankings.items()}
    asked = {}
    for window in lines(folder / "teachers" / f"{teacher}.windows.jsonl"):
        query_id, (start, end) = window["query_id"], window["window"]
        shown = lists[query_id][int(start) : int(end)]
        passages = tuple(" ".join(texts[doc_id].split()[:300]) for doc_id in shown)
        asked[queries[query_id], passages] = window["response"]
        named = [int(number) - 1 for number in re.findall(r"\d+", window["response"])]
        order = [place for place in dict.fromkeys(named) if 0 <= place < len(shown)]
        order += [place for place in range(len(shown)) if place not in order]
        lists[query_id][int(start) : int(end)] = [shown[place] for place in order]
    return asked


@pytest.mark.parametrize("teacher", ["rankvicuna", "vicuna-7b"])
def test_both_runs_come_out_exactly(
    rankscope: Command, real_data: Path, tmp_path: Path, teacher: str
) -> None:
    """387 requests hold the right passages in the right order: the server answers no other, and gives none twice."""
    folder = real_data / "msmarco-dl19"
    asked = dict(script(folder, teacher))
    assert len(asked) == 387

    def answer(body: Body) -> str:
        messages = [message["content"] for message in body["messages"]]
        query = re.fullmatch(r"Search Query: (.*)\. \nRank the \d+ passages.*", messages[-1])
        passages = [re.fullmatch(r"\[(\d+)\] (.*)", text) for text in messages[3:-1:2]]
        assert query
        assert all(passages)
        assert [int(found[1]) for found in passages if found] == [*range(1, 21)]
        return asked.pop((query[1], tuple(found[2] for found in passages if found)))

    answers, run = tmp_path / "answers.jsonl", tmp_path / "t.run"
    bm25 = folder / "runs" / "bm25.run"
    with llm_server(answer) as server:
        told = rankscope(
            "teacher", "ask", "--run", bm25, "--collection", folder, "--model", teacher, "--endpoint", server.address,
            "--out", answers, "--window", 20, "--step", 10, "--malformed", "repair_as_published", "--retries", 0,
        )  # fmt: skip
    assert told.code == 0, told.err
    assert asked == {}
    told = rankscope("teacher", "read", answers, "--candidates", bm25, "--malformed", "repair_as_published", "--out", run)  # fmt: skip
    assert told.code == 0, told.err
    ours = read_run(run).rankings
    theirs = read_run(folder / "teachers" / f"{teacher}.bm25-top100.run").rankings
    assert len(theirs) == 43
    assert {q: [doc.doc_id for doc in docs] for q, docs in ours.items()} == {q: [doc.doc_id for doc in docs] for q, docs in theirs.items()}  # fmt: skip
