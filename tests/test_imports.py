"""What each command may load: a command that opens no model loads no torch, and a mean needs no statistics."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out

TORCH = {"torch", "transformers", "peft", "sentence_transformers", "sklearn"}
STATISTICS = {"scipy.stats", "statsmodels", "pandas"}
PAGE = {"altair", "jinja2"}
HEAVY = {
    *TORCH,
    *STATISTICS,
    *PAGE,
    "scipy",
    "numpy",
    "pydantic",
    "ir_measures",
    "ir_datasets",
    "openai",
    "httpx",
}
"""Modules that take long to import."""
PLANNED = {"numpy", "pydantic", "ir_measures"}
ASKED = "--model m --run first.run --collection data"
MAY_LOAD = {
    "--help": set(),
    "run --help": {"numpy", "pydantic"},
    "data": {"numpy", "pydantic"},
    "studies": PLANNED,
    "check study.yaml": PLANNED,
    "plan study.yaml --results results": PLANNED,
    "status study.yaml --results results": PLANNED,
    "run study.yaml --results results": PLANNED,
    "report study.yaml --results results": PLANNED | PAGE,
    "search bm25 --collection data --split test --out new.run": {"numpy", "pydantic"},
    "evaluate first.run --qrels data/qrels/test.tsv --measures nDCG@10": PLANNED,
    "compare first.run second.run --qrels data/qrels/test.tsv": PLANNED | {"scipy", "scipy.stats"},
    "convert first.run --out new.run": {"numpy", "pydantic"},
    "teacher read first.run --out new.run": PLANNED,
    f"teacher ask {ASKED} --endpoint http://127.0.0.1:9/v1 --out new.jsonl --dry-run": PLANNED
    | {"jinja2"},
    f"teacher prompts {ASKED} --out new.jsonl --requests requests.jsonl": PLANNED | {"jinja2"},
}
"""Which of these modules a command may load; `run` and `report` from stored results."""


@pytest.fixture(scope="module")
def place(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny study that was carried out, its collection, and two run files."""
    folder = tmp_path_factory.mktemp("light")
    shutil.copytree(tiny_study.parent, folder, dirs_exist_ok=True)
    text = tiny_study.read_text("utf-8").replace(str(tiny_study.parent), str(folder))
    (folder / "study.yaml").write_text(text, "utf-8")
    store = Store(folder / "results" / "tiny")
    carry_out(plan(load(folder / "study.yaml"), Digests().of), store)
    first, second = sorted((folder / "results").rglob("run.trec"))[:2]
    for name, path in (("first", first), ("second", second)):
        shutil.copy(path, folder / f"{name}.run")
    return folder


def loaded(folder: Path, words: str) -> set[str]:
    """The heavy modules that a command loaded, in a process of its own."""
    script = (
        "import sys; from rankscope.cli import main\n"
        f"sys.argv = ['rankscope', *{words.split()!r}]\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)), file=open('loaded.txt', 'w'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set((folder / "loaded.txt").read_text().split())


@pytest.mark.parametrize("words", MAY_LOAD)
def test_a_command_loads_what_it_does(words: str, place: Path) -> None:
    assert loaded(place, words) <= MAY_LOAD[words]
