"""Spoilt text files through every verb that takes them: refused in one sentence, or read as they stand.

Two classes. *Structure* (cut short, empty, another header, other types, foreign bytes, packed): exit 1 with one
line, or exit 0 with the result of what stands in the file. *Values* (a score, an id, a grade, an order): exit 0
with pytrec_eval's value of the same file, or exit 1. What stands in a file is read by readers that know nothing of
ours (`support.plainly`): where pytrec_eval has no word, the answer is the one to the same content written plainly.

`RANKSCOPE_MUTATIONS=N` and `RANKSCOPE_SEED=S` draw others. Shown by `-s`: the seed, and counts by class, outcome and verb.
"""

import io
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
import torch
import typer

from rankscope.cli import app
from support import plainly, scenes, tiny
from support.command import Answer, Command
from support.in_time import TooLong, within
from support.plainly import as_qrels, as_run, csv_rows, in_order, json_lines, rows
from support.spoilt_text import spoilt

SEED = 22
SECONDS = 20
MANY, QUICK = 1000, 0.2
"""Spoilt files from which on verbs are asked that take long; the share of those that do not."""
DOCS = {
    "d1": "red cats sleep on the mat", "d2": "blue birds sing at night", "d3": "a red fox and a hen",
    "d4": "naïve cafés sell tea", "d5": "the night is blue", "d6": "hens and cats",
}  # fmt: skip
QUERIES = {"q1": "red cats", "q2": "blue night", "q3": "hens and tea"}
GRADES = {"q1": {"d1": 2, "d3": 1, "d6": 0}, "q2": {"d2": 1, "d5": 2}, "q3": {"d4": 1, "d6": 3}}
MEASURES = {"RR": "recip_rank", "AP": "map", "nDCG": "ndcg"}
Maker = Callable[[Random], bytes]
pytestmark = pytest.mark.filterwarnings("ignore")


# -- whole files ----------------------------------------------------------------------------------


def drawn(rng: Random) -> plainly.Table:
    scores = [3.5, 2.0, 2.0, 1.0, 0.0, -1.5, 1e-7, 20.0, 20.0000001, rng.gauss(0, 9)]
    return {query: {doc: rng.choice(scores) for doc in rng.sample([*DOCS], 4)} for query in QUERIES}


def trec_run(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    return "".join(
        gap.join([query, "Q0", doc, str(rank), str(score), "tag"]) + "\n"
        for query, docs in drawn(rng).items()
        for rank, (doc, score) in enumerate(docs.items(), start=1)
    ).encode()


def plain_columns(rng: Random) -> bytes:
    """Three, whose third is the score or the rank."""
    by_rank, gap = rng.random() < 0.5, rng.choice([" ", "\t"])
    return "".join(
        gap.join([query, doc, str(rank if by_rank else score)]) + "\n"
        for query, docs in drawn(rng).items()
        for rank, (doc, score) in enumerate(docs.items(), start=1)
    ).encode()


def json_run(rng: Random) -> bytes:
    return json.dumps(drawn(rng), indent=rng.choice([None, 1])).encode()


def rankllm_run(rng: Random) -> bytes:
    found = [
        {
            "query": {"text": QUERIES[query], "qid": query},
            "candidates": [{"docid": doc, "score": score} for doc, score in docs.items()],
        }
        for query, docs in drawn(rng).items()
    ]
    return rng.choice([json_lines(found), json.dumps(found, indent=1).encode()])


def parquet(table: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(table).to_parquet(file, compression=None)
    return file.getvalue()


def parquet_run(rng: Random) -> bytes:
    table = drawn(rng)
    return parquet(
        [{"query_id": q, "doc_id": d, "score": s} for q, docs in table.items() for d, s in docs.items()]
    )  # fmt: skip


def judged() -> list[tuple[str, str, int]]:
    return [(q, d, g) for q, docs in GRADES.items() for d, g in docs.items()]


def trec_qrels(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    return "".join(gap.join([q, "0", d, str(g)]) + "\n" for q, d, g in judged()).encode()


def beir_qrels(rng: Random) -> bytes:
    lines = [f"{q}\t{d}\t{g}\n" for q, d, g in judged()]
    return ("query-id\tcorpus-id\tscore\n" + "".join(lines)).encode()


def json_qrels(rng: Random) -> bytes:
    return json.dumps(GRADES, indent=rng.choice([None, 1])).encode()


def parquet_qrels(rng: Random) -> bytes:
    return parquet([{"query_id": q, "doc_id": d, "relevance": g} for q, d, g in judged()])


def json_docs(rng: Random) -> bytes:
    return json_lines(
        [{"_id": doc, "title": rng.choice(["", "a"]), "text": text} for doc, text in DOCS.items()]
    )


def untitled_docs(rng: Random) -> bytes:
    return json_lines([{"_id": doc, "text": text} for doc, text in DOCS.items()])


def tsv_docs(rng: Random) -> bytes:
    return "".join(f"{doc}\t{text}\n" for doc, text in DOCS.items()).encode()


def parquet_docs(rng: Random) -> bytes:
    return parquet([{"_id": doc, "text": text} for doc, text in DOCS.items()])


def json_queries(rng: Random) -> bytes:
    found = [{"_id": query, "text": text} for query, text in QUERIES.items()]
    return rng.choice([json_lines(found), json.dumps(found, indent=1).encode()])


def tsv_queries(rng: Random) -> bytes:
    return "".join(f"{query}\t{text}\n" for query, text in QUERIES.items()).encode()


def group_lines(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    pairs = zip(QUERIES, "aab", strict=True)
    return "".join(f"{query}{gap}{group}\n" for query, group in pairs).encode()


def order(rng: Random) -> str:
    return " > ".join(f"[{number}]" for number in rng.sample(range(1, 5), 4))


def answers(rng: Random) -> bytes:
    windows = [{}, {}, {"window": [0, 4]}]
    return json_lines(
        [{"query_id": query, "response": order(rng)} | rng.choice(windows) for query in QUERIES]
    )


def rankgpt_answers(rng: Random) -> bytes:
    return json.dumps([order(rng) for _ in QUERIES], indent=rng.choice([None, 1])).encode()


def rankgpt_candidates(rng: Random) -> bytes:
    return json_lines(
        [
            {"query": text, "query_id": query, "retrieved_passages": [{"docid": doc} for doc in docs]}
            for (query, text), docs in zip(QUERIES.items(), drawn(rng).values(), strict=True)
        ]
    )  # fmt: skip


def kd_lists(rng: Random) -> bytes:
    found = [
        {"query_id": query, "document_ids": [*docs], "scores": [*docs.values()]}
        for query, docs in drawn(rng).items()
    ]
    return rng.choice([json_lines, parquet])(found)


def flag_lists(rng: Random) -> bytes:
    scores: Any = rng.choice([{}, {"pos_scores": [3.5], "neg_scores": [1.0, 0.5]}])
    texts = [*DOCS.values()]
    return json_lines(
        [{"query": text, "pos": texts[:1], "neg": texts[at + 1 : at + 3]} | scores for at, text in enumerate(QUERIES.values())]
    )  # fmt: skip


def tevatron_lists(rng: Random) -> bytes:
    def passages(docs: list[str]) -> list[Any]:
        return [{"docid": doc, "title": "", "text": DOCS[doc]} for doc in docs]

    return json_lines(
        [
            {"query_id": q, "query": text, "positive_passages": passages(["d1"]), "negative_passages": passages(["d2", "d3"])}
            for q, text in QUERIES.items()
        ]
    )  # fmt: skip


def dpr_lists(rng: Random) -> bytes:
    texts = [{"title": "", "text": text, "passage_id": doc} for doc, text in DOCS.items()]
    found = [
        {"question": text, "positive_ctxs": texts[:1], "hard_negative_ctxs": texts[at + 1 : at + 4]}
        for at, text in enumerate(QUERIES.values())
    ]
    return rng.choice([json_lines(found), json.dumps(found).encode()])


def sampled(rng: Random) -> bytes:
    """Rows with their negatives already drawn, for the first queries of the scenes."""
    return json_lines(
        [
            {"question": f"what {at}", "positive_context": f"red {at}", "negative_context_0": f"cat {at}", "negative_context_1": f"dog {at}"}
            for at in range(12)
        ]
    )  # fmt: skip


def published_cells(rng: Random) -> bytes:
    lines = [
        f"{test},{stage},{system},nDCG@10,0.{rng.randrange(300, 800)}\n"
        for test in ("one", "two", "three") for stage in ("bm25", "dense") for system in ("plain", "mine", "other")
    ]  # fmt: skip
    return ("test,first_stage,system,measure,mean\n" + "".join(lines)).encode()


def published_curves(rng: Random) -> bytes:
    lines = [f"nq,cls,dpr-question,2,{layer},0.{rng.randrange(500, 900)}\n" for layer in range(3)]
    return ("dataset,encoder,model,num_passages,layer,accuracy\n" + "".join(lines)).encode()


def metadata(rng: Random) -> bytes:
    return b"method:\n  automatic: true\n  score_ties: 'reverse'\nresources:\n  gpus: 2\n  memory: 1.5\nresearch goal:\n  venue: {name: q1, year: 2026}\n"


STUDY = """study: small
seed: 3
collections:
  test: {kind: files, docs: docs, queries_file: queries, qrels: qrels}
first_stages:
  bm25: {kind: bm25, depth: 5}
  mine: {kind: run_files, paths: {test: a.run}, depth: 5}
rankers:
  bi: {kind: bi_encoder, model: bi}
evaluate:
  over: [test]
  rerank: {from: [bm25, mine], depth: 4}
  measures: [nDCG@10, RR@10]
  baseline: bi
  margin: {nDCG@10: 0.05}
"""
TRAINED = """study: trained
seed: 3
collections:
  test: {kind: files, docs: docs, queries_file: queries, qrels: qrels}
  scenes: {kind: beir, path: scenes, split: train}
first_stages:
  bm25: {kind: bm25, depth: 5}
  mine: {kind: run_files, paths: {test: a.run}, depth: 5}
teachers:
  llm: {kind: permutations, path: answers, candidates: candidates}
  lists: {kind: kd, path: lists}
rankers:
  plain: {kind: cross_encoder, backbone: ce, max_length: 32}
  C:
    start: plain
    samples: {collection: test, labels: llm, group_size: 2}
    loss: ranknet
    max_updates: 2
    learning_rate: 1.0e-3
    queries_per_update: 2
    queries_per_batch: 2
  D:
    start: plain
    samples: {collection: test, labels: lists, group_size: 2}
    loss: ranknet
    max_updates: 2
    learning_rate: 1.0e-3
    queries_per_update: 2
    queries_per_batch: 2
evaluate:
  over: [scenes]
  rerank: {from: [bm25], depth: 4}
"""
PROBED = (
    STUDY.replace("study: small", "study: probed")
    + """explain:
  probes:
    rows:
      examples: {kind: sampled, train: train.jsonl, test: test.jsonl}
      candidates: [2, 3]
      fits: 1
      published: {path: curves.csv, dataset: nq, curves: {bi: cls/dpr-question}}
"""
)


def study(text: str) -> Maker:
    return lambda rng: text.encode()


# -- what must have been answered -------------------------------------------------------------------

Again = Callable[[bytes], Answer]
"""The same command over another file in the place of the spoilt one."""
Check = Callable[[Answer, bytes, Again], None]


class Case(NamedTuple):
    """A verb over the folder's files, of which one is spoilt, and what it must have answered with 0."""

    file: str
    made: Maker
    words: tuple[str, ...]
    check: Check
    share: float = 1.0
    """How often it is drawn, to the others."""
    beside: Mapping[str, Maker] = {}
    """Other files than the folder's usual ones."""


def theirs(run: bytes, qrels: bytes) -> dict[str, dict[str, float]]:
    """pytrec_eval's values by query and our names; 0 for a query that is not ranked."""
    judgements = as_qrels(qrels)
    evaluator = pytrec_eval.RelevanceEvaluator(judgements, set(MEASURES.values()))
    found = evaluator.evaluate(as_run(run))
    return {
        query: {name: found.get(query, {}).get(its, 0.0) for name, its in MEASURES.items()}
        for query in judgements
    }


def close(one: Any, other: Any) -> bool:
    return bool(one == pytest.approx(other, abs=1e-5))


def same_values(ours: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """By query and measure."""
    return ours.keys() == expected.keys() and all(close(ours[q], expected[q]) for q in expected)


def mean(values: Mapping[str, Mapping[str, float]], measure: str) -> float:
    return float(np.mean([of[measure] for of in values.values()]))


def read(name: str) -> bytes:
    return Path(name).read_bytes()


def measured(answer: Answer, data: bytes, again: Again) -> None:
    (ours,) = json.loads(answer.out)["runs"]
    assert same_values(ours["per_query"], theirs(read("a.run"), read(qrels_of(again))))


def qrels_of(again: Again) -> str:
    return "beir/qrels/test.tsv" if "beir" in getattr(again, "words", ()) else "qrels"


def in_csv(answer: Answer, data: bytes, again: Again) -> None:
    expected = theirs(read("a.run"), read("qrels"))
    (row,) = [row for row in csv_rows(answer.out.encode()) if row.get("query", "") in ("", "all")]
    assert close(
        [float(row[name]) for name in MEASURES], [mean(expected, name) for name in MEASURES]
    )


def as_page(answer: Answer, data: bytes, again: Again) -> None:
    assert read("page").startswith(b"<!")
    Path("page").unlink()


def compared(answer: Answer, data: bytes, again: Again) -> None:
    found = json.loads(answer.out)
    expected = {name: theirs(read(f"{name}.run"), read("qrels")) for name in "ab"}
    assert all(same_values(ours["per_query"], expected[ours["system"]]) for ours in found["runs"])
    for row in found["comparisons"]:
        one, other = (mean(expected[row[of]], row["measure"]) for of in ("system", "baseline"))
        assert close(row["difference"], one - other)


def reproduced(answer: Answer, data: bytes, again: Again) -> None:
    found = json.loads(answer.out)
    one, other = (theirs(read(name), read("qrels")) for name in ("a.run", "b.run"))
    for name, of in found["values"].items():
        error = np.sqrt(np.mean([(one[q][name] - other[q][name]) ** 2 for q in one]))
        expected = [mean(one, name), mean(other, name), float(error)]
        assert close([of["mean"], of["original_mean"], of["root_mean_square_error"]], expected)
    runs = as_run(read("a.run")), as_run(read("b.run"))
    shared = [{*runs[0][q]} & {*runs[1][q]} for q in runs[0] if q in runs[1]]
    longest = [max(len(runs[0][q]), len(runs[1][q])) for q in runs[0] if q in runs[1]]
    overlap = np.mean([len(docs) / n for docs, n in zip(shared, longest, strict=True)])
    assert close(found["order"]["overlap"], float(overlap))


def in_columns() -> list[list[bytes]]:
    """What was written of a run but its tag, if anything."""
    return [columns[:5] for columns in rows(read("out"))] if Path("out").exists() else []


def ranked() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for columns in in_columns():
        found.setdefault(columns[0].decode(), []).append(columns[2].decode())
    return found


def converted(answer: Answer, data: bytes, again: Again) -> None:
    assert ranked() == {query: in_order(docs) for query, docs in as_run(data).items()}
    scores: dict[bytes, list[np.float32]] = {}
    for query, _, _, _, score in in_columns():
        scores.setdefault(query, []).append(np.float32(score))
    assert all(each == sorted(set(each), reverse=True) for each in scores.values())


def with_metadata(answer: Answer, data: bytes, again: Again) -> None:
    beside = plainly.as_yaml(read("out.ir_metadata.yml"))
    assert beside | plainly.as_yaml(data) == beside
    assert ranked() == {query: in_order(docs) for query, docs in as_run(read("a.run")).items()}


def listed(answer: Answer, data: bytes, again: Again) -> None:
    """The first of a query's lists and of a doc's scores count; each other one is told."""
    told, given = json.loads(answer.out), plainly.given_lists(data)
    first = {query: [doc for doc, _ in docs] for query, docs in reversed(given)}
    n_again = sum(len(docs) - len({*docs}) for docs in first.values())
    assert told["dropped_lists"].get("query listed before", 0) == len(given) - len(first)
    assert told.get("dropped_docs", {}).get("doc listed before", 0) == n_again
    assert ranked() == {query: in_order(docs) for query, docs in plainly.as_lists(data).items()}


def ordered(answer: Answer, data: bytes, again: Again) -> None:
    shown = {  # ties by rank, which goes down the file
        query: sorted(docs, key=lambda doc: -docs[doc])
        for query, docs in as_run(read("a.run")).items()
    }
    found, n_clean = ranked(), 0
    for entry in plainly.entries(data):
        query, response = str(entry["query_id"]), entry["response"]
        n = len(shown.get(query, ()))
        ids = re.findall(r"\d+", response) if isinstance(response, str) else []
        is_clean = response == " > ".join(f"[{number}]" for number in ids)
        if n and is_clean and {*map(int, ids)} == {*range(1, n + 1)}:
            n_clean += 1
            assert found[query] == [shown[query][int(number) - 1] for number in dict.fromkeys(ids)]
    told = json.loads(answer.out)
    n_entries = len(plainly.entries(data))
    assert n_clean == n_entries or told["n_repaired_answers"] or told["dropped_lists"]
    as_anew(plainly.plain_answers)(answer, data, again)


def pooled(answer: Answer, data: bytes, again: Again) -> None:
    as_anew(plainly.plain_cells)(answer, data, again)
    table = {(r["system"], r["test"], r["first_stage"], r["measure"]): float(r["mean"]) for r in csv_rows(data)}  # fmt: skip
    for row in json.loads(answer.out)["pooled"]:
        of: dict[str, list[float]] = {}
        for (system, test, stage, measure), value in table.items():
            other = table.get((row["baseline"], test, stage, measure))
            if (system, measure) == (row["system"], row["measure"]) and other is not None:
                of.setdefault(test, []).append(value - other)
        assert row["difference"] == pytest.approx(
            np.mean([np.mean(each) for each in of.values()]), rel=1e-5, abs=1e-5
        )


PAGE = re.compile(r"(report-\w+-)[0-9a-f]{12}")
"""The name of a page's step, which follows the text of the study file, since the page shows it as written."""


def as_anew(plain: Callable[[bytes], bytes]) -> Check:
    """The same answer, and the same run, as to the same content written plainly; a page may have another name."""

    def check(answer: Answer, data: bytes, again: Again) -> None:
        content, written = plain(data), in_columns()
        Path("out").unlink(missing_ok=True)
        other = again(content)
        assert other.code == answer.code, f"{other.err} where the content is {content[:600]!r}"
        assert PAGE.sub(r"\1", other.out) == PAGE.sub(r"\1", answer.out), content[:600]
        assert in_columns() == written, content[:600]

    return check


def results_as_anew(plain: Callable[[bytes], bytes]) -> Check:
    """The same numbers of a study as of the same content written plainly."""

    def check(answer: Answer, data: bytes, again: Again) -> None:
        found, other = summary(answer), again(plain(data))
        assert other.code == 0, other.err
        assert summary(other) == found

    return check


def summary(answer: Answer) -> Any:
    """What a study or a doctor found, without what names the bytes it was read from."""
    found = json.loads(answer.out)
    return without(
        found.get("summary", found), {"run", "runs", "steps", "done", "skipped", "versions"}
    )


def without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: without(each, names) for name, each in value.items() if name not in names}
    return [without(each, names) for each in value] if isinstance(value, list) else value


def without_failure(answer: Answer, data: bytes, again: Again) -> None:
    """Nothing is told of a damaged file that counts for nothing."""


def unspoilt_results(answer: Answer, data: bytes, again: Again) -> None:
    """What was computed before, whole: the summary of the whole folder."""
    assert summary(answer) == json.loads(read("kept/summary.json"))


def unspoilt_page(answer: Answer, data: bytes, again: Again) -> None:
    assert read("results/small/report.html") == read("kept/report.html")


JSON_MEASURES = ("--measures", " ".join(MEASURES), "--json")
EVALUATE = ("evaluate", "a.run", "--qrels", "qrels", *JSON_MEASURES)
EVALUATE_SPLIT = ("evaluate", "a.run", "--qrels", "beir", *JSON_MEASURES)
EVALUATE_CSV = ("evaluate", "a.run", "--qrels", "qrels", *JSON_MEASURES[:2], "--csv")
EVALUATE_PAGE = (
    "evaluate", "a.run", "--qrels", "qrels", *JSON_MEASURES[:2], "--html", "--out", "page",
)  # fmt: skip
COMPARE = (
    "compare", "a=a.run", "b=b.run", "--qrels", "qrels", "--resamples", "0", *JSON_MEASURES,
)  # fmt: skip
REPRODUCE = (
    "reproduce", "a.run", "--original", "b.run", "--qrels", "qrels", "--published", "AP=0.50", *JSON_MEASURES,
)  # fmt: skip
CONVERT = ("convert", "a.run", "--out", "out")
SEARCH = ("search", "bm25", "--collection", "beir", "--out", "out", "--depth", "5")
SEARCH_MODEL = ("search", "bi", "--collection", "beir", "--out", "out", "--depth", "5")
RERANK = ("rerank", "ce", "--collection", "beir", "--run", "a.run", "--out", "out", "--depth", "3")
POOL = ("pool", "cells.csv", "--baseline", "plain", "--margin", "nDCG@10=0.05", "--json")
PROBE = (
    "probe", "bi", "--collection", "scenes", "--candidates", "2", "--seeds", "1", "--rank", "2", "--json",
)  # fmt: skip
ATTRIBUTE = (
    "attribute", "bi", "--collection", "scenes", "--examples", "2", "--nodes", "1", "--no-ablate", "--json",
)  # fmt: skip
DIFF = (
    "diff", "one=bi", "two=bi2", "--collection", "scenes", "--queries", "20", "--depth", "4", "--texts", "20", "--neighbours",
    "2", "--json",
)  # fmt: skip


def teacher(file: str, form: str | None, *more: str) -> tuple[str, ...]:
    said = ("--format", form) if form else ()
    return ("teacher", "read", file, "--out", "out", *said, *more, "--json")


SHOWN = ("--candidates", "a.run")
LOOKED_UP = ("--collection", "beir")
JUDGED = ("--qrels", "qrels")
RUNS = {
    "TREC run": trec_run, "JSON run": json_run, "run of three columns": plain_columns, "RankLLM run": rankllm_run,
    "Parquet run": parquet_run,
}  # fmt: skip
QRELS = {
    "TREC qrels": trec_qrels, "BEIR qrels": beir_qrels, "JSON qrels": json_qrels, "Parquet qrels": parquet_qrels,
}  # fmt: skip
TEXTS = {"JSON docs": json_docs, "TSV docs": tsv_docs, "Parquet docs": parquet_docs}
ASKED = {"JSON queries": json_queries, "TSV queries": tsv_queries}
CASES: dict[str, Case] = {
    **{f"{name}, evaluate": Case("a.run", made, EVALUATE, measured) for name, made in RUNS.items()},
    **{f"{name}, evaluate": Case("qrels", made, EVALUATE, measured) for name, made in QRELS.items()},
    "split, evaluate": Case("beir/qrels/test.tsv", beir_qrels, EVALUATE_SPLIT, measured),
    "TREC run, evaluate --csv": Case("a.run", trec_run, EVALUATE_CSV, in_csv),
    "TREC run, evaluate --html": Case("a.run", trec_run, EVALUATE_PAGE, as_page, 0.1),
    **{f"{name}, compare": Case("a.run", made, COMPARE, compared, 0.6) for name, made in RUNS.items()},
    **{f"{name}, compare": Case("qrels", made, COMPARE, compared, 0.6) for name, made in QRELS.items()},
    "groups, compare": Case("groups", group_lines, (*COMPARE, "--groups", "groups"), as_anew(plainly.plain_groups)),
    **{f"{name}, reproduce": Case("a.run", made, REPRODUCE, reproduced, 0.5) for name, made in RUNS.items()},
    "original, reproduce": Case("b.run", trec_run, REPRODUCE, reproduced),
    **{f"{name}, reproduce": Case("qrels", made, REPRODUCE, reproduced, 0.5) for name, made in QRELS.items()},
    **{f"{name}, convert": Case("a.run", made, CONVERT, converted) for name, made in RUNS.items()},
    "metadata, convert": Case("metadata", metadata, (*CONVERT, "--metadata", "metadata"), with_metadata),
    **{f"{name}, search bm25": Case("beir/corpus.jsonl", made, SEARCH, as_anew(plainly.plain_texts)) for name, made in TEXTS.items()},
    **{f"{name}, search bm25": Case("beir/queries.jsonl", made, SEARCH, as_anew(plainly.plain_texts)) for name, made in ASKED.items()},
    "split, search bm25": Case("beir/qrels/test.tsv", beir_qrels, SEARCH, as_anew(plainly.plain_qrels)),
    "JSON docs, search MODEL": Case("beir/corpus.jsonl", json_docs, SEARCH_MODEL, as_anew(plainly.plain_texts), 0.5),
    "JSON queries, search MODEL": Case("beir/queries.jsonl", json_queries, SEARCH_MODEL, as_anew(plainly.plain_texts), 0.5),
    "TREC run, rerank": Case("a.run", trec_run, RERANK, as_anew(plainly.plain_run)),
    "JSON run, rerank": Case("a.run", json_run, RERANK, as_anew(plainly.plain_run), 0.5),
    "JSON docs, rerank": Case("beir/corpus.jsonl", json_docs, RERANK, as_anew(plainly.plain_texts), 0.5),
    "JSON queries, rerank": Case("beir/queries.jsonl", json_queries, RERANK, as_anew(plainly.plain_texts), 0.5),
    "split, rerank": Case("beir/qrels/test.tsv", beir_qrels, RERANK, as_anew(plainly.plain_qrels), 0.5),
    "answers, teacher": Case("answers", answers, teacher("answers", "permutations", *SHOWN), ordered),
    "answers that name no query, teacher": Case("answers", rankgpt_answers, teacher("answers", None, "--candidates", "candidates"), as_anew(plainly.plain_answers), beside={"candidates": rankgpt_candidates}),
    "RankGPT's candidates, teacher": Case("candidates", rankgpt_candidates, teacher("answers", None, "--candidates", "candidates"), as_anew(plainly.plain_entries("candidates")), beside={"answers": rankgpt_answers}),
    "candidates, teacher": Case("a.run", trec_run, teacher("answers", None, *SHOWN), as_anew(plainly.plain_run)),
    "run, teacher": Case("a.run", trec_run, teacher("a.run", None, *JUDGED), as_anew(plainly.plain_run)),
    "scored lists, teacher": Case("lists", kd_lists, teacher("lists", "kd"), listed),
    "FlagEmbedding's lists, teacher": Case("lists", flag_lists, teacher("lists", None, *LOOKED_UP), as_anew(plainly.plain_entries("flag_embedding"))),
    "Tevatron's lists, teacher": Case("lists", tevatron_lists, teacher("lists", None, *LOOKED_UP), as_anew(plainly.plain_entries("tevatron"))),
    "DPR's lists, teacher": Case("lists", dpr_lists, teacher("lists", None, *LOOKED_UP), as_anew(plainly.plain_entries("dpr"))),
    "docs, teacher": Case("beir/corpus.jsonl", untitled_docs, teacher("lists", "dpr", *LOOKED_UP), as_anew(plainly.plain_texts), beside={"lists": dpr_lists}),
    "qrels, teacher": Case("qrels", trec_qrels, teacher("lists", "kd", *JUDGED), as_anew(plainly.plain_qrels), beside={"lists": kd_lists}),
    "published means, pool": Case("cells.csv", published_cells, POOL, pooled),
    **{f"study, {verb}": Case("study.yaml", study(STUDY), (verb, "study.yaml", "--json"), as_anew(plainly.plain_yaml), 1.5) for verb in ("check", "plan", "status")},
    "study with teachers, check": Case("study.yaml", study(TRAINED), ("check", "study.yaml", "--json"), as_anew(plainly.plain_yaml)),
    "study with probes, check": Case("study.yaml", study(PROBED), ("check", "study.yaml", "--json"), as_anew(plainly.plain_yaml)),
    "published curves, check": Case("curves.csv", published_curves, ("check", "study.yaml", "--json"), as_anew(plainly.plain_curves), beside={"study.yaml": study(PROBED)}),
}  # fmt: skip
IN_SCENES = {
    "corpus.jsonl": plainly.plain_texts, "queries.jsonl": plainly.plain_texts, "qrels/train.tsv": plainly.plain_qrels,
    "qrels/test.tsv": plainly.plain_qrels,
}  # fmt: skip


def of_scenes(name: str) -> Maker:
    return lambda rng: read(f"whole/{name}")


CASES |= {
    f"{name.split('.', maxsplit=1)[0]}, {words[0]}": Case(f"scenes/{name}", of_scenes(name), words, as_anew(plain), 0.04 if words is PROBE else 0.1)
    for words in (PROBE, ATTRIBUTE, DIFF)
    for name, plain in IN_SCENES.items()
    if words is PROBE or "train" not in name
}  # fmt: skip
OF_STUDY: dict[str, tuple[Maker, Callable[[bytes], bytes]]] = {
    "docs": (json_docs, plainly.plain_texts), "queries": (json_queries, plainly.plain_texts), "qrels": (trec_qrels, plainly.plain_qrels),
    "a.run": (trec_run, plainly.plain_run),
}  # fmt: skip
OF_TRAINING: dict[str, tuple[Maker, Callable[[bytes], bytes]]] = {
    "answers": (rankgpt_answers, plainly.plain_answers), "candidates": (rankgpt_candidates, plainly.plain_entries("candidates")),
    "lists": (kd_lists, plainly.plain_entries("kd")),
}  # fmt: skip
CASES |= {
    f"{name} of a study, run": Case(name, made, ("run", "study.yaml", "--json"), results_as_anew(plain), 0.1)
    for name, (made, plain) in OF_STUDY.items()
}  # fmt: skip
CASES |= {
    f"{name} of a study, doctor": Case(name, made, ("doctor", "study.yaml", "--json"), results_as_anew(plain), 0.1, {"study.yaml": study(TRAINED)})
    for name, (made, plain) in (OF_TRAINING | OF_STUDY).items()
    if name != "a.run"
}  # fmt: skip
STORED = {
    "run": unspoilt_results,
    "report": unspoilt_page,
    "status": without_failure,
    "plan": without_failure,
}
CASES |= {
    f"stored results, {verb}": Case("results", study(""), (verb, "study.yaml", *(() if verb == "report" else ("--json",))), check, 0.15)
    for verb, check in STORED.items()
}  # fmt: skip


# -- the world, and what is done to it --------------------------------------------------------------


def usual_files(rng: Random) -> dict[str, bytes]:
    return {
        "a.run": trec_run(rng), "b.run": trec_run(rng), "qrels": trec_qrels(rng), "groups": group_lines(rng),
        "docs": json_docs(rng), "queries": json_queries(rng), "beir/corpus.jsonl": untitled_docs(rng),
        "beir/queries.jsonl": json_queries(rng), "beir/qrels/test.tsv": beir_qrels(rng), "study.yaml": STUDY.encode(),
        "metadata": metadata(rng), "curves.csv": published_curves(rng), "answers": answers(rng), "lists": kd_lists(rng),
        "candidates": rankgpt_candidates(rng), "cells.csv": published_cells(rng),
    }  # fmt: skip


@dataclass
class Files:
    """What stands in the folder of the tests: nothing is written twice."""

    known: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, content: bytes) -> None:
        if self.known.get(name) != content:
            Path(name).write_bytes(content)
            self.known[name] = content

    def put_usual(self, rng: Random, beside: Mapping[str, Maker] = {}) -> None:
        files = usual_files(rng) | {name: made(rng) for name, made in beside.items()}
        files |= {f"scenes/{name}": read(f"whole/{name}") for name in IN_SCENES}
        for name, content in files.items():
            self.put(name, content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With tiny models, scenes, and rows for probes."""
    folder = tmp_path_factory.mktemp("world")
    scenes.write(folder / "whole")
    shutil.copytree(folder / "whole", folder / "scenes")
    (folder / "beir" / "qrels").mkdir(parents=True)
    tiny.save_bi_encoder(folder / "bi", seed=1)
    tiny.save_bi_encoder(folder / "bi2", seed=2)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        tiny.cross_encoder(folder / "made").save(folder / "ce")
    for name in ("train", "test"):
        (folder / f"{name}.jsonl").write_bytes(sampled(Random(name)))
    return folder


@pytest.fixture(scope="module")
def world(folder: Path) -> Files:
    return Files()


@pytest.fixture
def ask(folder: Path, rankscope: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in that folder; its tree of commands is built once."""
    monkeypatch.chdir(folder)
    tree = typer.main.get_command(app)
    monkeypatch.setattr(typer.main, "get_command", lambda _: tree)
    return rankscope


def is_refusal(answer: Answer) -> bool:
    """Whether it is exit 1 with one line that names something (of a study file one more for each mistake), no traceback."""
    if answer.code == 0:
        return False
    lines = answer.err.splitlines()
    told = [line for line in lines if line.startswith("rankscope: ")]
    assert answer.code == 1, answer
    assert len(told) == 1, answer.err
    after = lines[lines.index(told[0]) + 1 :]
    assert all(line.startswith("  ") for line in after), answer.err
    assert len(told[0]) < 900, "a sentence, not the file"
    assert "Traceback" not in answer.err, answer.err
    return True


class Spoilt(NamedTuple):
    """The class, the file that is spoilt, and what stands in it now; all others are whole."""

    kind: str
    name: str
    data: bytes


def prepared(ask: Command, files: Files, case: Case, rng: Random, usual: str) -> Spoilt:
    for name in ("out", "page"):
        Path(name).unlink(missing_ok=True)
    files.put_usual(Random(usual), case.beside)
    name = one_stored(ask, files, rng) if case.file == "results" else case.file
    kind, data = spoilt(rng, read(name) if case.file == "results" else case.made(rng))
    files.put(name, data)
    return Spoilt(kind, name, data)


def one_stored(ask: Command, files: Files, rng: Random) -> str:
    """A file of a study's results, which are all whole again."""
    files.put_usual(Random("stored"))
    files.known = {name: data for name, data in files.known.items() if "results" not in name}
    if not Path("kept").exists():
        shutil.rmtree("results", ignore_errors=True)
        answer = ask("run", "study.yaml", "--json")
        assert answer.code == 0, answer.err
        shutil.copytree("results/small", "kept")
        Path("kept/summary.json").write_text(json.dumps(summary(answer)))
    shutil.rmtree("results/small", ignore_errors=True)
    shutil.copytree("kept", "results/small")
    names = [
        path.relative_to("kept")
        for path in sorted(Path("kept").rglob("*"))
        if path.suffix in {".json", ".csv", ".trec", ".jsonl", ".html", ".tex", ".tsv"} and path.stat().st_size
    ]  # fmt: skip
    return str("results/small" / rng.choice(names))


def judged_rightly(ask: Command, files: Files, case: Case, name: str, data: bytes) -> str:
    """Refused or read; AssertionError says what is wrong."""

    def again(content: bytes) -> Answer:
        files.put(name, content)
        return ask(*case.words)

    again.words = case.words  # type: ignore[attr-defined]
    answer = ask(*case.words)
    if case.words[0] == "doctor" and answer.code == 1 and answer.out:
        case.check(answer._replace(code=0), data, lambda content: again(content)._replace(code=0))
        return "read"
    if is_refusal(answer):
        assert answer.out == "", answer
        assert not Path("out").exists(), "nothing half-written is left"
        return "refused"
    case.check(answer, data, again)
    return "read"


def drawn_cases(n: int) -> Iterator[str]:
    """The names of cases in turn, each as often as its share; what takes long only where many are drawn."""
    due = {name: 1.0 for name, case in CASES.items() if case.share >= QUICK or n >= MANY}
    for _ in range(n):
        name = max(due, key=due.__getitem__)
        due[name] -= 1 / CASES[name].share
        yield name


def spoil_and_ask(
    ask: Command, files: Files, n: int, seed: int
) -> tuple[Counter[tuple[str, str, str]], list[str], dict[str, float]]:
    """Counts by case, class and outcome of so many spoilt files; what is wrong; seconds by case."""
    found: Counter[tuple[str, str, str]] = Counter()
    wrong: list[str] = []
    seconds: dict[str, float] = dict.fromkeys(CASES, 0.0)
    for at, name in enumerate(drawn_cases(n)):
        rng, case = Random(f"{seed} {at}"), CASES[name]
        kind, file, data = prepared(ask, files, case, rng, f"{seed} usual {at // 200}")
        begun = time.process_time()
        try:
            with within(SECONDS):
                outcome = judged_rightly(ask, files, case, file, data)
        except (Exception, TooLong) as error:
            outcome = "WRONG"
            said = f"{type(error).__name__} {str(error)[:1200]}"
            wrong.append(f"{at} {name}, {kind} of {file}: {said}\n   {data[:400]!r}")
            print(f"WRONG {wrong[-1]}", file=sys.__stderr__, flush=True)
        seconds[name] += time.process_time() - begun
        found[name, kind, outcome] += 1
    return found, wrong, seconds


def told(
    found: Counter[tuple[str, str, str]], seconds: Mapping[str, float], n: int, seed: int
) -> None:
    print(f"\n{n} spoilt text files with seed {seed}")  # noqa: T201
    verbs = {name: " ".join(CASES[name].words[: 2 if "search" in name else 1]) for name in CASES}
    for kind in ("structure", "value"):
        for outcome in ("refused", "read", "WRONG"):
            by_verb: Counter[str] = Counter()
            for (name, its_kind, its_outcome), count in found.items():
                if (its_kind, its_outcome) == (kind, outcome):
                    by_verb[verbs[name]] += count
            print(f"  {kind}, {outcome}: {by_verb.total()} {dict(sorted(by_verb.items()))}")  # noqa: T201
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:8]
    print("  slowest: " + ", ".join(f"{name} {seconds[name]:.1f} s" for name in slowest))  # noqa: T201


@pytest.mark.parametrize(
    ("n", "seed"),
    [
        (int(os.environ.get("RANKSCOPE_MUTATIONS", "70")), int(os.environ.get("RANKSCOPE_SEED", SEED))),
        pytest.param(6000, SEED + 1, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)  # fmt: skip
def test_a_spoilt_text_file_is_refused_in_one_sentence_or_read_as_it_stands(
    ask: Command, world: Files, n: int, seed: int
) -> None:
    found, wrong, seconds = spoil_and_ask(ask, world, n, seed)
    told(found, seconds, n, seed)
    assert not wrong, f"{len(wrong)} of {n} with seed {seed}:\n" + "\n".join(wrong)
    for kind in ("structure", "value"):
        for outcome in ("refused", "read"):
            assert sum(found[name, kind, outcome] for name in CASES) > n / 40


@pytest.mark.slow
def test_every_file_is_read_where_it_is_whole(ask: Command, world: Files) -> None:
    """Else the laws above would hold of one who refuses everything."""
    for name, case in CASES.items():
        if case.share >= 0.5:
            _, file, _ = prepared(ask, world, case, Random(name), name)
            whole = case.made(Random(name))
            world.put(file, whole)
            assert judged_rightly(ask, world, case, file, whole) == "read", name
