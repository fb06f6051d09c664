"""Serve the answers of two LLMs over TREC DL 2019, as they were published, from OpenAI's interface on the loopback.

    python benchmarks/serve_dl19.py FOLDER [--port 8019] [--seconds 2]

FOLDER is the public collection msmarco-dl19: its run of BM25, and `teachers/` with RankVicuna's answers to every window and
with GPT-3.5's final run. `model: rankvicuna` gets its answer to the window that is shown; `model: gpt-3.5-turbo` the order
of the window's docs in its final run, which is what its answers must have been for the lowest docs of each window, and leads
to that run exactly. Both were asked with RankGPT's windows (20, step 10), which this server wants in RankGPT's prompt
(`prompt: rankgpt`, 300 words a passage). Tokens are counted as words and marks; the seconds are made up.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import sleep
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rankscope.core.formats import read_run  # noqa: E402
from support.llm_server import Body, llm_server  # noqa: E402

WORDS = 300
Window = tuple[str, tuple[str, ...]]
"""A query's text, and the passages of a window in their order."""


def lines(path: Path) -> list[dict[str, str]]:
    """The objects of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def texts(folder: Path) -> Mapping[str, str]:
    """Each doc as a prompt shows it."""
    docs = lines(folder / "corpus.jsonl")
    whole = {doc["_id"]: f"{doc['title']} {doc['text']}".strip() for doc in docs}
    return {doc_id: " ".join(text.split()[:WORDS]) for doc_id, text in whole.items()}


def from_windows(folder: Path, shown: Mapping[str, str]) -> Mapping[Window, str]:
    """RankVicuna's answer to each window, by the authors' rule: repeats are dropped, what is missing follows."""
    queries = {query["_id"]: query["text"] for query in lines(folder / "queries.jsonl")}
    lists = {q: [doc.doc_id for doc in docs] for q, docs in read_run(folder / "runs" / "bm25.run").rankings.items()}  # fmt: skip
    answers = {}
    for window in lines(folder / "teachers" / "rankvicuna.windows.jsonl"):
        query_id, start, end = window["query_id"], int(window["window"][0]), int(window["window"][1])  # fmt: skip
        docs = lists[query_id][start:end]
        answers[queries[query_id], tuple(shown[doc] for doc in docs)] = window["response"]
        named = [int(number) - 1 for number in re.findall(r"\d+", window["response"])]
        order = [place for place in dict.fromkeys(named) if 0 <= place < len(docs)]
        order += [place for place in range(len(docs)) if place not in order]
        lists[query_id][start:end] = [docs[place] for place in order]
    return answers


def from_run(folder: Path, shown: Mapping[str, str]) -> Callable[[Window], str]:
    """GPT-3.5's order of a window's docs, out of its final run."""
    queries = {query["text"]: query["_id"] for query in lines(folder / "queries.jsonl")}
    run = read_run(folder / "teachers" / "gpt-3.5-turbo.bm25-top100.run").rankings
    places = {q: {shown[doc.doc_id]: n for n, doc in enumerate(docs)} for q, docs in run.items()}

    def answer(window: Window) -> str:
        place = places[queries[window[0]]]
        order = sorted(range(len(window[1])), key=lambda n: place[window[1][n]])
        return " > ".join(f"[{n + 1}]" for n in order)

    return answer


def window_of(body: Body) -> Window:
    """What a request in RankGPT's prompt shows."""
    messages = [message["content"] for message in body["messages"]]
    query = re.fullmatch(r"Search Query: (.*)\. \nRank the \d+ passages.*", messages[-1])
    passages = [re.fullmatch(r"\[\d+\] (.*)", text) for text in messages[3:-1:2]]
    assert query
    return query[1], tuple(found[1] for found in passages if found)


def main(
    folder: Path,
    port: Annotated[int, typer.Option(help="Port on the loopback.")] = 8019,
    seconds: Annotated[float, typer.Option(help="Seconds that an answer takes.")] = 2.0,
) -> None:
    """Serve until interrupted."""
    shown = texts(folder)
    vicuna, gpt = from_windows(folder, shown), from_run(folder, shown)

    def answer(body: Body) -> str:
        sleep(seconds)
        window = window_of(body)
        return vicuna[window] if body["model"] == "rankvicuna" else gpt(window)

    with llm_server(answer, port=port) as server:
        print(server.address, flush=True)
        while True:
            sleep(3600)


if __name__ == "__main__":
    typer.run(main)
