"""How near `teacher ask` comes to the ideal: 43 queries, 9 windows each, a server that answers in 100 ms, 8 at once.

The server is another process, so that its work does not count as ours. Ideal is requests x 0.1 s / 8.
"""

import json
import statistics
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.asked_world import asked_world  # noqa: E402
from support.llm_server import llm_server  # noqa: E402

N_QUERIES, N_DOCS, SECONDS, PARALLEL, ROUNDS = 43, 100, 0.1, 8, 5
ORDER = " > ".join(f"[{n}]" for n in range(20, 0, -1))


def serve() -> None:
    """Serve until the standard input ends; the first line of output is the address."""
    with llm_server(lambda _: ORDER, waits=SECONDS) as server:
        print(server.address, flush=True)
        sys.stdin.read()


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        world = asked_world(folder / "world", n_queries=N_QUERIES, n_docs=N_DOCS)
        server = subprocess.Popen(
            [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert server.stdout
        assert server.stdin
        address = server.stdout.readline().strip()
        asking, whole = [], []
        for n in range(ROUNDS):
            out = folder / f"{n}.jsonl"
            words = world.words(address, out, "--parallel", PARALLEL)
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "rankscope", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            whole.append(time.perf_counter() - began)
            asking.append(_seconds_of_asking(words, folder / f"{n}-inside.jsonl"))
            answers = [json.loads(line) for line in out.read_text().splitlines()[1:]]
            assert len(answers) == N_QUERIES * 9
        server.stdin.close()
        server.wait()
    ideal = N_QUERIES * 9 * SECONDS / PARALLEL
    middle = statistics.median(asking)
    print(f"ideal {ideal:.2f} s; asking {middle:.2f} s ({min(asking):.2f} to {max(asking):.2f}), {middle / ideal:.2f} times the ideal")  # fmt: skip
    print(f"the whole command, with loading and reading: {statistics.median(whole):.2f} s")


def _seconds_of_asking(words: list[object], out: Path) -> float:
    """Seconds from the first request on, in this process: what loading takes is left out."""
    from rankscope import cli
    from rankscope.verbs.asking import ask

    inner, took = ask._asked, []

    def timed(*given: object) -> int:
        began = time.perf_counter()
        try:
            return inner(*given)  # type: ignore[arg-type]
        finally:
            took.append(time.perf_counter() - began)

    ask._asked = timed  # type: ignore[assignment]
    argv = [*map(str, words)]
    argv[argv.index("--out") + 1] = str(out)
    before, sys.argv = sys.argv, ["rankscope", *argv]
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), suppress(SystemExit):
            cli.main()
    finally:
        sys.argv, ask._asked = before, inner
    return took[0]


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
