"""Six measures of a run file, against pytrec_eval and ir_measures: seconds, memory, and the values.

    python benchmarks/measures.py                           1,000 queries x 1,000 docs, and 6,980 x 1,000
    python benchmarks/measures.py --queries 43 --docs 100

The run and the qrels are made up: the docs of a query are drawn from MS MARCO's number, and five of them have a grade of
0 to 3. Engines read the same files and take turns, five times, each time in a process of its own. Told is the median of
processor seconds from the files to six means, without the imports; the median ratio to pytrec_eval in the same turn; and
the process' peak memory. Every value of every query is compared with pytrec_eval's, bit by bit.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from peaks import peak_megabytes

ROUNDS, N_DOCS, N_JUDGED = 5, 8_841_823, 5
MEASURES = {
    "nDCG@10": "ndcg_cut_10",
    "RR": "recip_rank",
    "AP": "map",
    "R@100": "recall_100",
    "P@10": "P_10",
    "R@1000": "recall_1000",
}
"""ir_measures' names, and those of pytrec_eval's values."""
Values = dict[str, dict[str, float]]
"""Measure -> query -> value."""


def write_files(folder: Path, n_queries: int, depth: int) -> None:
    """`run` and `qrels`."""
    rng = np.random.default_rng(0)
    with (folder / "run").open("w") as run, (folder / "qrels").open("w") as qrels:
        for query in range(1_000, 1_000 + n_queries):
            docs = rng.choice(N_DOCS, depth, replace=False)
            scores = np.sort(rng.random(depth) * 20)[::-1]
            ranked = enumerate(zip(docs.tolist(), scores.tolist(), strict=True), 1)
            run.writelines(
                f"{query} Q0 {doc} {at} {score:.6f} made\n" for at, (doc, score) in ranked
            )
            judged = docs[rng.choice(depth, N_JUDGED, replace=False)].tolist()
            qrels.writelines(f"{query} 0 {doc} {rng.integers(0, 4)}\n" for doc in judged)


def ours() -> Callable[[Path], Values]:
    """Our reader and our call of the tools."""
    from rankscope.core.formats import read_qrels, read_run
    from rankscope.evaluate.measuring import measured

    def work(folder: Path) -> Values:
        found = measured(read_run(folder / "run"), read_qrels(folder / "qrels"), [*MEASURES])
        found.means()
        return {measure: dict(values) for measure, values in found.values.items()}

    return work


def pytrec_eval_alone() -> Callable[[Path], Values]:
    """pytrec_eval with its own reader."""
    import pytrec_eval

    def work(folder: Path) -> Values:
        with (folder / "qrels").open() as qrels, (folder / "run").open() as run:
            judged, ranked = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
        names = {name.replace("_1", ".1") for name in MEASURES.values()}
        by_query = pytrec_eval.RelevanceEvaluator(judged, names).evaluate(ranked)
        return _by_measure(by_query)

    return work


def _by_measure(by_query: dict[str, dict[str, float]]) -> Values:
    values: Values = {
        measure: {query: of_query[name] for query, of_query in by_query.items()}
        for measure, name in MEASURES.items()
    }
    for of_measure in values.values():
        sum(of_measure.values()) / len(of_measure)
    return values


def ir_measures_alone() -> Callable[[Path], Values]:
    """ir_measures with its own reader."""
    import ir_measures

    def work(folder: Path) -> Values:
        qrels = ir_measures.read_trec_qrels(str(folder / "qrels"))
        run = ir_measures.read_trec_run(str(folder / "run"))
        measures = [ir_measures.parse_measure(name) for name in MEASURES]
        values: Values = {name: {} for name in MEASURES}
        for metric in ir_measures.iter_calc(measures, qrels, run):
            values[str(metric.measure)][metric.query_id] = metric.value
        return values

    return work


ENGINES: dict[str, Callable[[], Callable[[Path], Values]]] = {
    "pytrec_eval": pytrec_eval_alone,
    "ir_measures": ir_measures_alone,
    "rankscope": ours,
}


def one(engine: str, folder: Path) -> None:
    """Measure once in this process; print what it took and leave the values in the folder."""
    work = ENGINES[engine]()
    started = time.process_time()
    values = work(folder)
    seconds = time.process_time() - started
    peak = peak_megabytes()
    (folder / engine).write_text(json.dumps(values))
    print(json.dumps([seconds, peak]))


def compared(n_queries: int, depth: int) -> int:
    """Print the table of one size; the number of our values that are not pytrec_eval's."""
    took: dict[str, list[Any]] = {engine: [] for engine in ENGINES}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_files(folder, n_queries, depth)
        for _ in range(ROUNDS):
            for engine in ENGINES:
                words = [sys.executable, __file__, "--one", engine, "--folder", temporary]
                took[engine].append(json.loads(subprocess.check_output(words)))
        ours, theirs = (
            json.loads((folder / engine).read_text()) for engine in ("rankscope", "pytrec_eval")
        )
    print(f"{n_queries:,} queries x {depth:,} docs, 6 measures\n")
    print("| engine | CPU seconds | of pytrec_eval | MB |\n|---|---|---|---|")
    for engine, rounds in took.items():
        pairs = zip(rounds, took["pytrec_eval"], strict=True)
        ratio = median(a[0] / b[0] for a, b in pairs)
        seconds, peak = (median(column) for column in zip(*rounds, strict=True))
        print(f"| {engine} | {seconds:.2f} | {ratio:.2f} | {peak:.0f} |")
    n_different = sum(
        ours[measure][query] != theirs[measure][query]
        for measure in MEASURES
        for query in theirs[measure]
    )
    print(f"\n{n_different} of {6 * n_queries:,} values differ from pytrec_eval's\n")
    return n_different


def main() -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int)
    parser.add_argument("--docs", type=int, default=1_000)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.folder)
        return 0
    sizes = [given.queries] if given.queries else [1_000, 6_980]
    return int(sum(compared(n_queries, given.docs) for n_queries in sizes) > 0)


if __name__ == "__main__":
    sys.exit(main())
