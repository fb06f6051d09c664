"""Memory of a study over 2 million docs and 100,000 training queries: planned, sampled, 10 updates.

All is made up here: words drawn by Zipf's law, a query out of each positive's words, and a run of 20
docs for each query. The backbone is a small BERT from scratch; BM25 is left out, since the runs are
files. Prints the peak memory of `rankscope run`, which must stay under 4 GB.
`python benchmarks/large_study.py [--docs N] [--queries N] [--keep FOLDER]`
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

WORDS, WORDS_PER_DOC, DEPTH, TEST_QUERIES = 50_000, 60, 20, 50

STUDY = """
study: large
collections:
  train: {kind: files, docs: docs.jsonl, queries_file: queries.tsv, qrels: train.qrels}
  test:  {kind: files, docs: docs.jsonl, queries_file: queries.tsv, qrels: test.qrels}
first_stages:
  made: {kind: run_files, depth: 20, paths: {train: train.run, test: test.run}}
rankers:
  plain: {kind: cross_encoder, backbone: {kind: scratch, collection: train, updates: 0}, max_length: 96}
  C:
    start: plain
    samples: {labels: qrels, negatives: {from: made, depth: 20}, group_size: 8}
    loss: localized_contrastive
    max_updates: 10
evaluate: {over: [test], rerank: {from: [made], depth: 20}, rankers: [C], measures: [nDCG@10]}
"""


def write(folder: Path, n_docs: int, n_queries: int) -> None:
    """Docs, queries, judgements and runs."""
    rng = np.random.default_rng(1)
    words = np.array([f"w{number:x}" for number in range(WORDS)])
    chances = 1 / np.arange(1, WORDS + 1)
    bounds = np.cumsum(chances / chances.sum())
    with (folder / "docs.jsonl").open("w") as file:
        for start in range(0, n_docs, 10_000):
            size = min(10_000, n_docs - start)
            drawn = words[
                np.searchsorted(bounds, rng.random((size, WORDS_PER_DOC))).clip(0, WORDS - 1)
            ]
            for number, doc in enumerate(drawn, start=start):
                file.write(json.dumps({"doc_id": f"d{number}", "text": " ".join(doc)}) + "\n")
    is_test = np.arange(n_queries + TEST_QUERIES) >= n_queries
    with (folder / "queries.tsv").open("w") as file:
        for number in range(len(is_test)):
            file.write(
                f"q{number}\tabout {words[number % WORDS]} and {words[number * 7 % WORDS]}, asked {number:x}\n"
            )
    for name, numbers in (("train", np.flatnonzero(~is_test)), ("test", np.flatnonzero(is_test))):
        ranked = rng.integers(0, n_docs, (len(numbers), DEPTH))
        with (
            (folder / f"{name}.qrels").open("w") as qrels,
            (folder / f"{name}.run").open("w") as run,
        ):
            for number, docs in zip(numbers, ranked, strict=True):
                found = dict.fromkeys(docs.tolist())
                qrels.write(f"q{number} 0 d{docs[3]} 1\n")
                for rank, doc in enumerate(found, start=1):
                    run.write(f"q{number} Q0 d{doc} {rank} {DEPTH - rank} made\n")
    (folder / "study.yaml").write_text(STUDY)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--docs", type=int, default=2_000_000)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "study.yaml").exists():
            write(folder, asked.docs, asked.queries)
        started = time.perf_counter()
        command = [sys.executable, "-m", "rankscope", "run", str(folder / "study.yaml")]
        subprocess.run([*command, "--results", str(folder / "results")], check=True)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
        print(
            f"{asked.docs:,} docs, {asked.queries:,} queries: {seconds:.0f} s, peak {peak:.2f} GB"
        )


if __name__ == "__main__":
    main()
