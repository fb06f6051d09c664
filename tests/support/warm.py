"""Processes of the command line that begin warm, alone or several, and die by SIGKILL when asked.

A fresh interpreter takes seconds to import torch, and twenty kills need forty of them. So one
interpreter imports everything, starts no thread, and forks a process for each command. The forks
are what a launcher would start: RANK and WORLD_SIZE stand in their environment, and gloo joins them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

WRITES = frozenset({"os.rename", "os.mkdir", "os.remove", "shutil.rmtree"})


class Kill(NamedTuple):
    """All processes die so many seconds after the first begins its n-th write into the results."""

    at_write: int
    seconds_later: float = 0.0
    within: str = ""
    """The part of the results whose writes count: work, for the checkpoints."""


def after(step: str) -> Kill:
    """At the moment at which a step, by the start of its name, is stored: what follows is spared."""
    return Kill(1, within=f"errors/{step}")  # the record of a former error is taken away then


@final
class Warm:
    """The interpreter that forks; `run` gives the exit codes by rank, negative for a signal."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log.txt"
        tests = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.warm"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ
            | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip

    def run(
        self,
        words: Sequence[object],
        *,
        results: Path,
        count: int = 1,
        kill: Kill | None = None,
        tokens_per_batch: int | None = None,
        docs_per_block: int | None = None,
        shards: Mapping[str, str] | None = None,
    ) -> list[int]:
        """Run `rankscope WORDS --results RESULTS` as `count` processes; `shards` are FSDP's options."""
        job = {
            "words": [*map(str, words), "--results", str(results)], "results": str(results),
            "count": count, "kill": kill, "log": str(self.log), "tokens": tokens_per_batch,
            "shards": shards, "block": docs_per_block,
        }  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def done(self, words: Sequence[object], *, results: Path, **how: Any) -> None:
        """Run it to its end (with `until`, to a step), or show what it said."""
        step = how.pop("until", None)
        codes = self.run(words, results=results, kill=after(step) if step else None, **how)
        wanted = -signal.SIGKILL if step else 0
        assert set(codes) == {wanted}, (codes, self.log.read_text()[-4000:])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


def _serve() -> None:
    import accelerate
    import peft
    import sentence_transformers
    import transformers

    from rankscope import cli
    from support.kinds import kinds

    os.fsync = lambda handle: None  # type: ignore[assignment]  # a kill is no power cut
    for kind in kinds():
        kind.function()
    del accelerate, cli, peft, sentence_transformers, transformers
    for line in sys.stdin:
        job = json.loads(line)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        pids = []
        for rank in range(job["count"]):
            pid = os.fork()
            if pid == 0:
                _become(job, rank, port)
            pids.append(pid)
            os.setpgid(pid, pids[0])
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def _become(job: dict[str, Any], rank: int, port: int) -> None:
    """Be process `rank` of the job; never returns."""
    from rankscope import cli
    from rankscope.models.fast import lengths
    from rankscope.retrieve import embeddings

    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if job["count"] > 1:
        os.environ |= {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job["count"]),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    if job["tokens"]:
        lengths.TOKENS_PER_BATCH["cpu"] = job["tokens"]
    if job["block"]:
        embeddings.DOCS_PER_BLOCK = job["block"]
    if job["shards"] is not None:
        _shard(job["shards"])
    if job["kill"] and rank == 0:
        _die(job["results"], Kill(*job["kill"]))
    sys.argv = ["rankscope", *job["words"]]
    code: Any = 1
    try:
        cli.main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _shard(options: Mapping[str, str]) -> None:
    """Begin as `accelerate launch` does with FSDP, on processors too, where accelerate leaves it out."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    os.environ |= {
        "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_OFFLOAD_PARAMS": "false",
        "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
        **options,
    }  # fmt: skip
    usual = AcceleratorState.__init__

    def made(self: Any, *args: Any, fsdp_plugin: Any = None, **more: Any) -> None:
        usual(self, *args, fsdp_plugin=fsdp_plugin, **more)
        if fsdp_plugin is not None:
            self.fsdp_plugin, self.distributed_type = fsdp_plugin, DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = made


def _die(results: str, kill: Kill) -> None:
    n = [0]

    def dying() -> None:
        time.sleep(kill.seconds_later)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        writes = event in WRITES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(args[0]).startswith(results) and kill.within in str(args[0]):
            n[0] += 1
            if n[0] == kill.at_write:
                threading.Thread(target=dying).start() if kill.seconds_later else dying()

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
