"""Study files made to hurt: each is answered in one line, soon, and in little memory.

A seeded generator spoils a good study: values of other kinds and sizes in every place, names, sweeps, circles, and
what YAML itself can be made to do. What is no mistake after all is carried on with; nothing is a traceback, or a bug.
"""

import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import tiny
from support.command import Command

SEED = 22
N_IN_PROCESS, N_IN_PROCESSES = 25, 100
SECONDS, MEGABYTES = 2, 200
"""Of a processor, the start of Python among them; of memory."""
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e9, 10**30, float("nan"), float("inf"), 1e-320, "", " ", "x" * 300, "y" * 9000, "..", "/", "-x",
    "a/b", "~nobody-here", "${NOT_SET_ANYWHERE}", "[bold]x[/]", "x[/y]", "C", "C-D", "plain", "bm25", [], {}, [[]], [{}],
    [1, 1], [1, "1"], list(range(3000)), [True, 1], {"a": {"b": {}}}, {"kind": "scratch"}, {"kind": []}, "2026-02-31",
    {"from": "bm25"}, {"seed": 1}, "\u202eabc", "é" * 200, "5%", "99999999999999999999%", "NDCG@0", "nDCG(@10",
)  # fmt: skip


def spoilt(text: str, drawn: random.Random) -> str:
    """One file of the generator's."""
    kind = drawn.choice([*["value"] * 5, *["text"] * 3, "yaml", "many"])
    if kind == "text":
        return _characters(text, drawn)
    if kind == "yaml":
        return drawn.choice(_of_yaml(text))
    values = yaml.safe_load(text)
    if kind == "many":
        drawn.choice([_seeds, _sweeps, _line, _fusions, _circle, _unknown, _long_names])(values)
    for _ in range(drawn.randint(1, 3) if kind == "value" else 0):
        place, key = drawn.choice([*_places(values)])
        chosen = drawn.choice(["set", "set", "set", "drop", "add", "rename"])
        if chosen == "set" or isinstance(place, list):
            place[key] = drawn.choice(VALUES)
        elif chosen == "add":
            place[drawn.choice(["seeds", "kind", "start", "recipe", "lora", "x", "C", "depth"])] = (
                drawn.choice(VALUES)
            )
        else:
            value = place.pop(key)
            if chosen == "rename":
                place[
                    drawn.choice(
                        ["C", "bm25", "x" * 99, "C.seed=1", "..", "ü", "null", key.upper()]
                    )
                ] = value
    return (
        json.dumps(values)
        if drawn.random() < 0.2
        else yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    )


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield values, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _characters(text: str, drawn: random.Random) -> str:
    made = list(text)
    for _ in range(drawn.randint(1, 6)):
        at = drawn.randrange(len(made))
        made[at : at + drawn.choice([0, 1, 1, 40])] = drawn.choice(
            [
                *string.punctuation,
                "\t",
                "\0",
                "\x1b",
                "\n",
                "\u2028",
                "\ufeff",
                "é",
                "&a ",
                "*a ",
                "<<: ",
                "!!set ",
                "---\n",
                "? ",
            ]
        )
    return "".join(made)


def _of_yaml(text: str) -> list[str]:
    return [
        LAUGHS + text, text + LAUGHS, text + "more: &m [*m]\n", text + "more: " + "[" * 800 + "]" * 800 + "\n",
        text + "more: " + "9" * 6000 + "\n", text.replace("seed: 3", "seed: 2026-02-31"), text + text, text + "---\n" + text,
        text.replace("seed: 3", "seed: !!python/object/apply:os.getcwd []"), "- " * 20_000 + "x", "{" * 100_000, "? " * 9000,
        "%TAG !a! b\n" * 20_000 + text, text + f"more: [{'1, ' * 60_000}]\n", text + f"more: {'x' * 900_000}\n",
        "\n" * 900_000 + text, "# " + "x" * 990_000 + "\n" + text, text + "".join(f"k{n}: 1\n" for n in range(15_000)),
        "&a " * 9000 + "x", "\t" + text, text.replace("\n", "\r"), text.replace("  ", "\t"), "'" + text, '"\\U00110000"',
        text.replace("{", "{<<: {a: 1}, "), "*" * 9000, "|\n" + text, text.encode("utf-16").decode("latin-1"),
    ]  # fmt: skip


def _seeds(values: Any) -> None:
    values["rankers"]["C"]["seeds"] = list(range(15_000))


def _sweeps(values: Any) -> None:
    for field in ("learning_rate", "weight_decay", "clip_norm", "warmup", "temperature"):
        values["rankers"]["C"][field] = [at / 1000 for at in range(1, 999)]


def _line(values: Any) -> None:
    values["rankers"] |= {
        f"R{at}": values["rankers"]["C-D"] | {"start": f"R{at - 1}"} for at in range(1200)
    }
    values["rankers"]["R0"]["start"] = "plain"


def _circle(values: Any) -> None:
    values["rankers"] |= {
        f"R{at}": values["rankers"]["C-D"] | {"start": f"R{(at - 1) % 1200}"} for at in range(1200)
    }


def _fusions(values: Any) -> None:
    two = {
        f"f{at}": {"kind": "fuse", "of": [f"f{at - 1}", f"f{at - 2}"], "depth": 20}
        for at in range(2, 300)
    }
    values["first_stages"] |= {"f0": {"kind": "bm25"}, "f1": {"kind": "bm25"}, **two}
    values["evaluate"]["rerank"]["from"] = ["f40"]


def _unknown(values: Any) -> None:
    values["rankers"] |= {
        f"R{at}": values["rankers"]["C-D"] | {"start": f"S{at}"} for at in range(1500)
    }


def _long_names(values: Any) -> None:
    values["rankers"] = {name + "x" * 96: spec for name, spec in values["rankers"].items()}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.write_study(tmp_path_factory.mktemp("good")).read_text()


def answered(code: int, told: str, written: str) -> None:
    """One line that names a mistake, or none where there is none; no traceback, no bug of ours."""
    shown = f"{told[:600]}\n--- for ---\n{written[:1500]}"
    assert code in {0, 1}, shown
    assert "Traceback" not in told, shown
    assert "bug of rankscope" not in told, shown
    lines = [line for line in told.splitlines() if line.startswith("rankscope: ")]
    assert len(lines) == code, shown
    assert len(told) < 4000, shown
    for theirs in ("Input should", "unable to parse", "valid dictionary"):
        assert theirs not in told, shown


@pytest.mark.parametrize("number", range(N_IN_PROCESS))
def test_a_spoilt_study_is_answered_in_one_line(
    rankscope: Command, tmp_path: Path, text: str, number: int
) -> None:
    written = spoilt(text, random.Random(f"{SEED} {number}"))
    (tmp_path / "study.yaml").write_text(written, "utf-8")
    found = rankscope("check", tmp_path / "study.yaml")
    answered(found.code, found.err, written)


ALONE = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds} + 1))
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
from rankscope.cli import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    Path(sys.argv[2].removeprefix("--results=")).with_suffix(".used").write_text(f"{{used.ru_utime + used.ru_stime}} {{peak}}")
"""
"""A check that says what it used, ended where it takes twice the time."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_are_answered_soon_and_in_little_memory(tmp_path: Path, text: str) -> None:
    """Each in a process of its own: at most 2 s of a processor, the start of Python among them, and 200 MB."""
    study, results = tmp_path / "study.yaml", tmp_path / "results"
    used = []
    for number in range(N_IN_PROCESSES):
        written = spoilt(text, random.Random(f"{SEED} alone {number}"))
        study.write_text(written, "utf-8")
        script = ALONE.format(seconds=2 * SECONDS)
        done = subprocess.run(
            [sys.executable, "-c", script, "check", f"--results={results}", study],
            capture_output=True, text=True, check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        answered(done.returncode, done.stderr, written)
        seconds, kilobytes = map(float, results.with_suffix(".used").read_text().split())
        used.append((seconds, kilobytes / 1024))
        assert used[-1][1] < MEGABYTES, written[:1500]
        results.with_suffix(".used").unlink()
    seconds, megabytes = (max(each) for each in zip(*used, strict=True))
    sys.stderr.write(
        f"seed {SEED}, {len(used)} files: at most {seconds:.2f} s, {megabytes:.0f} MB\n"
    )
