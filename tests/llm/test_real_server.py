"""A real decoder behind the interface: its rankings are rubbish, and that is counted, from the command to the table."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from support.asked_world import AskedWorld, asked_world
from support.command import Command

pytestmark = pytest.mark.slow

WAYS = {
    "listwise": ("--way", "listwise", "--window", 4, "--step", 2),
    "setwise": ("--way", "setwise", "--top", 3),
    "pairwise": ("--way", "pairwise", "--top", 3),
}


def from_the_command_to_the_table(
    rankscope: Command, world: AskedWorld, folder: Path, endpoint: str, model: str
) -> None:
    """All ways are asked, read and measured; what is malformed is counted."""
    runs = []
    for way, more in WAYS.items():
        answers, run = folder / f"{way}.jsonl", folder / f"{way}.run"
        words = world.words(endpoint, answers, *more, "--max-tokens", 24, "--retries", 2, "--json")
        words[words.index("made-up")] = model
        told = rankscope(*words)
        assert told.code == 0, told.err
        found = json.loads(told.out)
        assert found["n_answers"] >= 3
        assert found["tokens_out"] > 0
        assert sum(found["malformed"].values()) > 0, "random weights give no order"
        read = rankscope("teacher", "read", answers, "--candidates", world.run, "--out", run, "--json")  # fmt: skip
        assert read.code in (0, 1), read.err
        if read.code:  # no answer of any query is an order, and that is told with the numbers
            assert "no list is left (" in read.err
            continue
        assert json.loads(read.out)["malformed"] == found["malformed"]
        assert {*read_run(run).rankings} <= {*world.ranked}
        runs.append(run)
    table = rankscope("evaluate", world.run, *runs, "--qrels", world.folder, "--measures", "nDCG@10")  # fmt: skip
    assert table.code == 0, table.err
    assert len(table.out.splitlines()) == 2 + len(runs)


def test_a_decoder_behind_generate(rankscope: Command, tmp_path: Path) -> None:
    from support.chat_decoder import decoder_server, save_chat_decoder

    world = asked_world(tmp_path / "world", n_queries=2, n_docs=6)
    with decoder_server(save_chat_decoder(tmp_path / "decoder")) as server:
        from_the_command_to_the_table(rankscope, world, tmp_path, server.address, "tiny")
        assert server.asked


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """The server of transformers itself, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    ) as process:
        try:
            for _ in range(600):
                assert process.poll() is None, "transformers serve ended"
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


@pytest.mark.skipif(
    not (find_spec("fastapi") and find_spec("uvicorn")),
    reason="transformers serve needs pip install 'transformers[serving]'",
)
def test_a_decoder_behind_transformers_serve(rankscope: Command, tmp_path: Path) -> None:
    from support.chat_decoder import save_chat_decoder

    world = asked_world(tmp_path / "world", n_queries=2, n_docs=6)
    model = save_chat_decoder(tmp_path / "decoder")
    with transformers_serve(tmp_path) as endpoint:
        from_the_command_to_the_table(rankscope, world, tmp_path, endpoint, str(model))
