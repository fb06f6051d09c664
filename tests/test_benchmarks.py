"""Benchmarks that nobody can run here are carried out in tiny shapes, so that they can be run elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_benchmark_of_a_gpu_runs_through() -> None:
    words = [sys.executable, BENCHMARKS / "gpu.py", "--dry-run"]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    said = done.stdout.splitlines()
    for what in ("scoring", "embedding", "cross_encoder", "bi_encoder"):
        assert any(line.startswith("ELECTRA") and what in line for line in said)
    assert said[-1].endswith("s in all")
