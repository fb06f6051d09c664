"""Scoring by a cross-encoder, against each backend of sentence-transformers, paired in one run.

    python benchmarks/backends.py [--peers PYTHON] [WikiQA] [SciFact]

Model and texts are those of `cross_encoder.py`. A peer is a process of its own (`backend.py`), so that it may be another
Python with other versions: as of this writing no version of optimum-onnx takes transformers 5. It loads the folder that we
saved and exports it itself. Every round times each of them on the same 256 pairs in turn, after one that warms up.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch "sentence-transformers[onnx,openvino]<6"
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from cross_encoder import LENGTHS, QUERY, fresh, seconds, texts

from rankscope.core.errors import BadInput
from rankscope.core.rng import stream
from rankscope.models import opening
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast.precision import narrowed, require

BACKENDS = ("torch", "onnx", "openvino-f32", "openvino", "onnx-int8")
OURS = {"rankscope": "float32", "rankscope, bfloat16": "bfloat16", "rankscope, int8": "int8"}
N_DOCS, ROUNDS = 256, 5
Timed = Callable[[list[str]], tuple[float, list[float]]]
"""From docs to the seconds that their scores took, and the scores."""


@contextmanager
def peer(python: str, folder: Path, backend: str) -> Iterator[Timed]:
    """A backend in a process of its own."""
    script, threads = Path(__file__).with_name("backend.py"), torch.get_num_threads()
    command = [python, str(script), str(folder), backend, str(threads)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, answers = process.stdin, process.stdout

        def scored(docs: list[str]) -> tuple[float, list[float]]:
            print(json.dumps([(QUERY, doc) for doc in docs]), file=given, flush=True)
            answer = answers.readline()
            if not answer:
                sys.exit(f"{backend}: the process ended; what it said stands above")
            took, scores = json.loads(answer)
            return took, scores

        yield scored
        given.close()


def can(precision: str) -> bool:
    """Whether the precision is faster on this device; said where it is not."""
    try:
        require(precision, opening.device())
    except BadInput as refused:
        print(f"left out: {refused}")
        return False
    return True


def ours(ranker: CrossEncoder, precision: str) -> Timed:
    """Our ranker in a precision; preparing the weights is part of it."""

    def scored(docs: list[str]) -> tuple[float, list[float]]:
        scores: list[float] = []

        def work() -> None:
            with narrowed(ranker.model, precision):
                scores.extend(ranker.score(QUERY, docs))

        return seconds(work), scores

    return scored


def compare(collection: str, engines: dict[str, Timed]) -> None:
    docs = texts(collection, N_DOCS, stream(1, "scoring", collection))
    _, expected = engines["rankscope"](docs)
    gaps: dict[str, float] = {}
    for name, scored in engines.items():
        _, scores = scored(docs)
        gaps[name] = max(abs(a - b) for a, b in zip(scores, expected, strict=True))
    rounds = [{name: scored(docs)[0] for name, scored in engines.items()} for _ in range(ROUNDS)]
    print(f"\n{collection}, {N_DOCS} pairs, {ROUNDS} rounds\n")
    print("| engine | pairs/s | ours / it | largest difference of scores |\n|---|---|---|---|")
    for name in engines:
        speed = N_DOCS / statistics.median(row[name] for row in rounds)
        ratio = statistics.median(row[name] / row["rankscope"] for row in rounds)
        print(f"| {name} | {speed:.0f} | {ratio:.2f} | {gaps[name]:.1e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("collections", nargs="*", default=list(LENGTHS))
    parser.add_argument("--peers", default=sys.executable)
    given = parser.parse_args()
    ranker = fresh()

    with TemporaryDirectory() as folder, ExitStack() as inside:
        engines = {
            name: ours(ranker, precision) for name, precision in OURS.items() if can(precision)
        }
        for backend in BACKENDS:
            own = Path(folder) / backend
            own.mkdir()
            ranker.save(own)
            engines[backend] = inside.enter_context(peer(given.peers, own, backend))
        print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
        for collection in given.collections:
            compare(collection, engines)


if __name__ == "__main__":
    main()
