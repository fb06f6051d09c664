"""Seconds and memory of commands that compute little: what a person waits for who asks for a table.

    python benchmarks/startup.py RESULTS            RESULTS: what `rankscope demo --results RESULTS` left

Each command runs as a process of its own: once after the files of all packages have been dropped from the page cache,
if this process may do so (root), and then five times; the median of those is warm. MB: the process' peak.

`search bm25` reads 11,429 made-up docs of 30 to 60 words, as many as NPL has, and ranks for 93 queries. `evaluate` and
ir_measures read the same run of 93 queries of 100 docs, and take turns.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

N_DOCS, N_QUERIES, ROUNDS = 11_429, 93, 5
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Where a machine forbids bytecode, every process would compile each module anew; here it is allowed."""
DROP = Path("/proc/sys/vm/drop_caches")


class Took(NamedTuple):
    """One process."""

    seconds: float
    megabytes: float


def took(words: Sequence[str]) -> Took:
    """Run a command, silent; an exit code but 0 ends the benchmark."""
    started = time.perf_counter()
    env = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    assert process.stderr
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(words)}: {said.decode()}")
    return Took(time.perf_counter() - started, usage.ru_maxrss / 1e3)


def write_collection(folder: Path) -> None:
    """Made-up docs and queries in BEIR layout, words by Zipf's law."""
    rng = random.Random(0)
    words = [
        f"{a}{b}{c}"
        for a in ("ba", "ke", "li", "mo")
        for b in "bcdfgl"
        for c in ("an", "er", "it", "os")
    ]
    words = [f"{word}{end}" for word in words for end in ("", "s", "ing", "ed", "ation")]
    weights = [1 / (at + 1) for at in range(len(words))]

    def text(n: int) -> str:
        return " ".join(rng.choices(words, weights, k=n))

    (folder / "qrels").mkdir(parents=True)
    docs = (f'{{"_id": "{at}", "text": "{text(rng.randint(30, 60))}"}}\n' for at in range(N_DOCS))
    (folder / "corpus.jsonl").write_text("".join(docs), "utf-8")
    queries = (f'{{"_id": "{at}", "text": "{text(7)}"}}\n' for at in range(N_QUERIES))
    (folder / "queries.jsonl").write_text("".join(queries), "utf-8")
    rows = (f"{at}\t{rng.randrange(N_DOCS)}\t1\n" for at in range(N_QUERIES) for _ in range(20))
    lines = dict.fromkeys(rows)
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(lines), "utf-8"
    )


def write_run(folder: Path) -> None:
    """`a.run`, 100 docs for each query, and `a.qrels`."""
    rng = random.Random(1)
    lines = [
        f"{query} Q0 {doc} {rank + 1} {100 - rank} made\n"
        for query in range(N_QUERIES)
        for rank, doc in enumerate(rng.sample(range(N_DOCS), 100))
    ]
    (folder / "a.run").write_text("".join(lines), "utf-8")
    judged = (f"{query} 0 {doc} 1\n" for query in range(N_QUERIES) for doc in range(20))
    (folder / "a.qrels").write_text("".join(judged), "utf-8")


def commands(results: str, folder: Path) -> dict[str, list[str]]:
    """Each command by its name in the table."""
    rankscope = [sys.executable, "-m", "rankscope"]
    study = [str(Path(results) / "demo" / "study.yaml"), "--results", results]
    run, qrels, measures = (
        folder / "a.run",
        folder / "a.qrels",
        "nDCG@10 RR@10 AP",
    )
    return {
        "`--help`": [*rankscope, "--help"],
        "`status`": [*rankscope, "status", *study],
        "`plan`": [*rankscope, "plan", *study],
        "`run`, all stored": [*rankscope, "run", *study],
        "`report` of the demo": [*rankscope, "report", *study],
        "`search bm25`, 11,429 docs": [
            *rankscope, "search", "bm25", "--collection", str(folder / "data"), "--out", str(folder / "out.run"),
        ],
        "`evaluate`": [*rankscope, "evaluate", str(run), "--qrels", str(qrels), "--measures", measures],
        "ir_measures, the same": [sys.executable, "-m", "ir_measures", str(qrels), str(run), measures],
        "`convert`": [*rankscope, "convert", str(run), "--out", str(folder / "converted.run")],
    }  # fmt: skip


def cold(words: Sequence[str]) -> str:
    """Seconds after the page cache was dropped; a dash where this process may not drop it."""
    try:
        os.sync()
        DROP.write_text("3")
    except OSError:
        return "-"
    return f"{took(words).seconds:.2f}"


def main() -> int:
    """Measure, and print a table."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_collection(folder / "data")
        write_run(folder)
        asked = commands(sys.argv[1], folder)
        first = {name: cold(words) for name, words in asked.items()}
        warm: dict[str, list[Took]] = {name: [] for name in asked}
        for _ in range(ROUNDS):
            for name, words in asked.items():
                warm[name].append(took(words))
    print("| command | cold, s | warm, s | MB |\n|---|---|---|---|")
    for name, rounds in warm.items():
        seconds, megabytes = (median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {first[name]} | {seconds:.2f} | {megabytes:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
