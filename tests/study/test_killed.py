"""Killed with SIGKILL at random moments and begun again: the bytes of an undisturbed training."""

import random
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from support.warm import Kill, Warm

STUDY = [
    "evaluate.rankers=[C]",
    "evaluate.baseline=[bm25]",
    "rankers.C.validate.every=20",
    "rankers.C.checkpoint_every=1",
    "rankers.C.guards={loss_above_chance: warn}",
]
WAYS = {"whole": [], "lora": ["rankers.C.lora={rank: 4, dropout: 0.1}"]}
N_UPDATES, FURTHEST = {3: 24, 20: 60}, {3: 45, 20: 20}
"""By the number of kills: the updates, and how many writes a life has at most; with more, the last kill would find none."""
CASES = [
    ("lora", 2, 3),
    *(pytest.param((way, count, 20), marks=pytest.mark.slow) for way in WAYS for count in (1, 2)),
]


class Undisturbed(NamedTuple):
    """The command, how many processes carry it out, and what they leave."""

    words: list[object]
    count: int
    results: Path
    n_kills: int
    """Of the other training."""


def trained(results: Path) -> dict[str, bytes]:
    """The weights and the log of the stage."""
    (folder,) = results.glob("tiny/steps/train-C-*")
    kept = [path for path in folder.rglob("*") if path.suffix in {".safetensors", ".jsonl"}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def undisturbed(
    request: pytest.FixtureRequest,
    warm: Warm,
    tiny_study: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Undisturbed:
    way, count, n_kills = request.param
    results = tmp_path_factory.mktemp(f"{way}-{count}")
    length = f"rankers.C.max_updates={N_UPDATES[n_kills]}"
    words = ["run", tiny_study, *STUDY, length, *WAYS[way]]
    warm.done(words, results=results, count=count, until="train-C")
    return Undisturbed(words, count, results, n_kills)


def test_a_killed_training_ends_in_the_same_bytes(
    undisturbed: Undisturbed, warm: Warm, tmp_path: Path
) -> None:
    """Each kill is some writes after the start, at once or some time later: it may fall anywhere."""
    shutil.copytree(undisturbed.results, tmp_path, dirs_exist_ok=True)
    for lost in (*tmp_path.glob("tiny/steps/train-*"), *tmp_path.glob("tiny/[tw]o*")):
        shutil.rmtree(lost)
    moments = random.Random(7)
    reached = []
    for _ in range(undisturbed.n_kills):
        kill = Kill(
            moments.randint(1, FURTHEST[undisturbed.n_kills]),
            moments.choice([0.0, moments.uniform(0, 0.03)]),
        )
        codes = warm.run(undisturbed.words, results=tmp_path, count=undisturbed.count, kill=kill)
        assert codes == [-signal.SIGKILL] * undisturbed.count, warm.log.read_text()[-2000:]
        stored = tmp_path.glob("tiny/work/*/updates-*")
        reached.append(max((int(path.name.split("-")[1]) for path in stored), default=0))
    assert 0 < reached[-1] < N_UPDATES[undisturbed.n_kills]
    assert reached == sorted(reached), "no kill loses a checkpoint"
    warm.done(undisturbed.words, results=tmp_path, count=undisturbed.count, until="train-C")
    assert trained(tmp_path) == trained(undisturbed.results)
    assert not list(tmp_path.rglob("*partial*"))


@pytest.mark.timeout(1_800)
@pytest.mark.slow  # in the default suite: `put` in tests/store/test_artifacts.py
def test_whenever_a_report_is_killed_every_file_of_it_is_the_old_one_or_the_new_one(
    warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    """Two forms of one study take turns; the kills fall while the page is made, and while it is put in place."""
    little = ["evaluate.rankers=[C]", "evaluate.baseline=[bm25]"]
    forms: list[list[object]] = [
        [tiny_study, *little],
        [tiny_study, *little, "evaluate.measures=[nDCG@10]"],
    ]
    root = tmp_path / "tiny"

    def shown() -> dict[str, bytes]:
        paths = [root / "report.html", root / "summary.json", *(root / "tables").glob("[!.]*")]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}

    pages = []
    for form in forms:
        warm.done(["run", *form], results=tmp_path)
        pages.append(shown())
    assert pages[0] != pages[1]
    moments = random.Random(22)
    for number in range(20):
        kill = Kill(moments.randint(1, 60), moments.choice([0.0, moments.uniform(0, 0.02)]))
        warm.run(["report", *forms[number % 2]], results=tmp_path, kill=kill)
        for name, found in shown().items():
            assert found in [page.get(name) for page in pages], (name, kill)
    for form, page in zip(forms, pages, strict=True):
        warm.done(["run", *form], results=tmp_path)
        assert shown() == page
    assert not list(root.rglob("*partial*"))
