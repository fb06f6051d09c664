"""A command that is killed at any moment goes on where it was: each answer stands once, and no budget is passed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from rankscope.core.rng import stream
from rankscope.llm.answer_file import answers_in
from support import interrupts
from support.asked_world import AskedWorld, asked_world
from support.command import Command
from support.llm_server import LLMServer, llm_server, oracle

PARALLEL = 4
PRICES = ("--price-in", "1000", "--price-out", "2000")


def killed(words: list[object], server: LLMServer, after: int, wait: float) -> bool:
    """Begin the command, and kill it a moment after the server has paid so many more answers; whether it was killed."""
    before = server.n_paid
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "rankscope", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environ,
    ) as process:
        while process.poll() is None and server.n_paid - before < after:
            time.sleep(0.001)
        time.sleep(wait)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read() if process.stderr else ""
            return False
        process.send_signal(signal.SIGKILL)
        process.wait()
    return True


def goes_on(rankscope: Command, world: AskedWorld, folder: Path, n_kills: int) -> None:
    out, budget = folder / "answers.jsonl", 3000.0
    rng = stream(1, "kills")
    with llm_server(oracle, waits=0.01) as server:
        words = world.words(server.address, out, "--window", 6, "--parallel", PARALLEL, *PRICES, "--budget", budget)  # fmt: skip
        n = sum(killed(words, server, rng.randrange(1, 12), rng.uniform(0, 0.02)) for _ in range(n_kills))  # fmt: skip
        assert n == n_kills, "the world is large enough for all kills"
        told = rankscope(*words)
        assert told.code == 0, told.err
        keys = Counter(answer.key for answer in answers_in(out))
        assert set(keys.values()) == {1}
        assert server.n_paid - len(keys) <= n_kills * PARALLEL
        assert sum(1000 * a + 2000 * b for a, b in server.tokens) / 1e6 <= budget
        whole = folder / "whole.jsonl"
        assert rankscope(*world.words(server.address, whole, "--window", 6)).code == 0
    lists = []
    for answers in (out, whole):
        words = ["teacher", "read", answers, "--candidates", world.run, "--out", folder / "r.run"]
        assert rankscope(*words).code == 0
        lists.append(dict(read_run(folder / "r.run").rankings))
    assert lists[0] == lists[1]


def test_killed_twice(rankscope: Command, tmp_path: Path) -> None:
    goes_on(rankscope, asked_world(tmp_path / "world", n_queries=6), tmp_path, 2)


@pytest.mark.slow
def test_killed_at_thirty_random_moments(rankscope: Command, tmp_path: Path) -> None:
    goes_on(rankscope, asked_world(tmp_path / "world", n_queries=100), tmp_path, 30)


def test_an_interrupt_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    world = asked_world(tmp_path / "world", n_queries=6)
    with llm_server(oracle, waits=0.05) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--parallel", 2)
        command = [sys.executable, "-m", "rankscope", *map(str, words)]
        with interrupts.heard():
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        with process:
            while not server.n_paid:
                assert process.poll() is None
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on where this stopped" in told
    assert "Traceback" not in told
