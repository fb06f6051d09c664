"""All pairs of 20 runs over 6,980 queries: ours against ranx's compare, from files to corrected p-values.

    pip install ranx            # 0.3.21 was measured; it is no dependency
    python benchmarks/compare.py [--runs 20] [--queries 6980] [--depth 100]

Both read the same TREC files and qrels, compute the same six measures, and test every pair with the
paired t-test. Each runs in a process of its own, in turn, twice; the faster of its two is told (ranx compiles its
measures on first use and keeps them). Ours corrects over the family and words a verdict, too; intervals,
equivalence, power stand in the time; resampling is measured apart.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

MEASURES = {
    "nDCG@10": "ndcg@10",
    "nDCG@100": "ndcg@100",
    "AP@100": "map@100",
    "R@100": "recall@100",
    "P@10": "precision@10",
    "RR@10": "mrr@10",
}


def write_world(folder: Path, *, n_runs: int, n_queries: int, depth: int) -> None:
    """MS MARCO dev's shape: one or two relevant docs a query; runs of growing quality."""
    rng = np.random.default_rng(0)
    relevant = [rng.choice(1000, size=1 + (at % 10 == 0), replace=False) for at in range(n_queries)]
    with (folder / "qrels.txt").open("w") as file:
        for query, docs in enumerate(relevant):
            file.writelines(f"{1000 + query} 0 d{query}x{doc} 1\n" for doc in docs)
    for number in range(n_runs):
        with (folder / f"run{number:02d}.trec").open("w") as file:
            for query, docs in enumerate(relevant):
                scores = rng.normal(size=1000)
                scores[docs] += 1.0 + 0.1 * number
                best = np.argsort(-scores)[:depth]
                file.writelines(
                    f"{1000 + query} Q0 d{query}x{doc} {rank} {scores[doc]:.6f} run{number:02d}\n"
                    for rank, doc in enumerate(best, start=1)
                )


def ours(folder: Path, resamples: int) -> dict[str, float]:
    import rankscope

    runs = sorted(folder.glob("run*.trec"))
    found = rankscope.compare(
        runs, folder / "qrels.txt", list(MEASURES), resamples=resamples, processes=2
    ).record
    return {
        f"{measure} {system}": mean
        for system, means in found.evaluation.means().items()
        for measure, mean in means.items()
    } | {
        f"{row.measure} {row.system} {row.baseline}": row.judged.comparison.p_value
        for row in found.rows
    }


def ranxs(folder: Path) -> dict[str, float]:
    import ranx

    qrels = ranx.Qrels.from_file(str(folder / "qrels.txt"), kind="trec")
    runs = [ranx.Run.from_file(str(path), kind="trec") for path in sorted(folder.glob("run*.trec"))]
    report = ranx.compare(
        qrels, runs, list(MEASURES.values()), max_p=0.05, stat_test="student", make_comparable=True
    )
    found = report.to_dict()
    values = {}
    for measure, theirs in MEASURES.items():
        for system in found["model_names"]:
            values[f"{measure} {system}"] = found[system]["scores"][theirs]
            for baseline, by_measure in found[system]["comparisons"].items():
                values[f"{measure} {system} {baseline}"] = by_measure[theirs]
    return values


class PeakMemory(threading.Thread):
    """The most memory that this process and its children held at once, looked at 20 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._bytes = 0

    def run(self) -> None:
        me = psutil.Process()
        while True:
            held = 0
            for process in (me, *me.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
            self._bytes = max(self._bytes, held)
            time.sleep(0.05)

    def mb(self) -> float:
        return self._bytes / 2**20


def child(which: str, folder: Path) -> None:
    peak = PeakMemory()
    peak.start()
    started = time.perf_counter()
    values = {
        "ours": lambda: ours(folder, 0),
        "ours with resampling": lambda: ours(folder, 9_999),
        "ranx": lambda: ranxs(folder),
    }[which]()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak.mb(), "values": values}))


def measured(which: str, folder: Path) -> dict[str, object]:
    command = [sys.executable, __file__, "--child", which, "--folder", str(folder)]
    runs = [
        json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[
                -1
            ]
        )
        for _ in range(2)
    ]
    return min(runs, key=lambda run: run["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--queries", type=int, default=6980)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--child", default=None)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder)
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_world(
            folder, n_runs=arguments.runs, n_queries=arguments.queries, depth=arguments.depth
        )
        found = {
            which: measured(which, folder) for which in ("ours", "ours with resampling", "ranx")
        }
    theirs, mine = found["ranx"]["values"], found["ours"]["values"]
    means = [key for key in mine if key.count(" ") == 1]
    p_values = [key for key in mine if key.count(" ") == 2 and key in theirs]
    print(
        f"{arguments.runs} runs x {arguments.queries} queries x {arguments.depth} docs, 6 measures"
    )
    print("| | seconds | peak MB |\n|---|---|---|")
    for which, of in found.items():
        print(f"| {which} | {of['seconds']:.1f} | {of['peak_mb']:.0f} |")
    print(f"ranx / ours: {found['ranx']['seconds'] / found['ours']['seconds']:.2f}")
    print(
        f"{len(means)} means, largest difference {max(abs(mine[k] - theirs[k]) for k in means):.1e}; "
        f"{len(p_values)} p-values, largest difference {max((abs(mine[k] - theirs[k]) for k in p_values), default=0):.1e}"
    )


if __name__ == "__main__":
    main()
