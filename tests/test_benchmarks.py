"""Benchmarks that nobody can run here, or that take long, are carried out in tiny shapes, so that they can be run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def said_by(benchmark: str, *options: str) -> list[str]:
    """The lines that a benchmark prints."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / benchmark, *options],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.splitlines()


def test_the_benchmark_of_a_gpu_runs_through() -> None:
    said = said_by("gpu.py", "--dry-run")
    for what in ("scoring", "embedding", "cross_encoder", "bi_encoder"):
        assert any(line.startswith("ELECTRA") and what in line for line in said)
    assert said[-1].endswith("s in all")


@pytest.mark.slow
def test_the_study_of_a_large_collection_runs_through_in_small() -> None:
    said = said_by("large_study.py", "--docs", "1000", "--queries", "100")
    assert said[-1].startswith("1,000 docs, 100 queries: ")
