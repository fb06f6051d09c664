"""Bi-encoders trained and docs encoded by one process and by two, and by one that is killed."""

import json
import random
import signal
from pathlib import Path
from shutil import rmtree

import pytest

from rankscope.core.formats import read_run
from support import dense_study
from support.warm import Kill, Warm

TUNED = ["cls", "mean", "last", "frozen", "crops", "noisy"]
"""Not `mined` and `fresh`: two docs that score alike to the last digits change places in the run it is mined from."""


pytestmark = (
    pytest.mark.slow
)  # minutes; tests/train/test_cuts.py and test_several_processes.py are quick ones


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_study.write(tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="module")
def results(study: Path, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By one process and by two, dropout on, batches in several parts, docs in several blocks."""
    folder = tmp_path_factory.mktemp("dense-results")
    for count in (1, 2):
        warm.done(
            ["run", study], results=folder / str(count), count=count, tokens_per_batch=40,
            docs_per_block=5,
        )  # fmt: skip
    return folder


def log(results: Path, ranker: str) -> list[dict[str, float]]:
    (path,) = results.glob(f"dense/steps/train-{ranker}-*/log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("ranker", TUNED)
def test_two_processes_give_the_losses_of_one(results: Path, ranker: str) -> None:
    one, two = (log(results / count, ranker) for count in ("1", "2"))
    for what, limit in (("loss", {"abs": 1e-4}), ("gradient_norm", {"rel": 1e-2})):
        values = [[row[what] for row in rows if what in row] for rows in (one, two)]
        assert len(values[0]) == 8
        assert values[0] == pytest.approx(values[1], **limit)


def test_so_do_two_that_hold_a_part_of_the_towers_each(
    study: Path, warm: Warm, results: Path, tmp_path: Path
) -> None:
    words = ["run", study, "evaluate.rankers=[cls, last]", "evaluate.baseline=[bm25, cls]"]
    warm.done(words, results=tmp_path, count=2, shards={}, tokens_per_batch=40, until="search-last")
    assert "train cls: the model is in 2 shards" in warm.log.read_text()
    for ranker in ("cls", "last"):
        losses = [
            [row["loss"] for row in log(of, ranker) if "loss" in row]
            for of in (results / "1", tmp_path)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize("ranker", [*TUNED, "cls-plain"])
def test_and_the_runs_of_one(results: Path, ranker: str) -> None:
    runs = []
    for count in ("1", "2"):
        (path,) = (results / count).glob(f"dense/steps/search-{ranker}.test-*/run.trec")
        runs.append(read_run(path))
    assert runs[0].rankings.keys() == runs[1].rankings.keys()
    for query_id in runs[0].rankings:
        one, two = ({doc.doc_id: doc.score for doc in run.rankings[query_id]} for run in runs)
        # docs at the cut may be as near to each other as the two runs are: one has this, the other that
        last = min(one.values())
        for doc_id in one.keys() | two.keys():
            assert one.get(doc_id, last) == pytest.approx(two.get(doc_id, last), abs=1e-4)
        assert sorted(one.values()) == pytest.approx(sorted(two.values()), abs=1e-4)


def test_untuned_docs_have_the_same_bytes_by_two(results: Path) -> None:
    """Where the weights are the same to the bit, so are the embeddings, whoever makes a block."""
    for ranker in ("cls-plain", "mean-plain", "last-plain"):
        stored = [
            path.read_bytes()
            for count in ("1", "2")
            for path in (results / count).glob(f"dense/steps/encode-{ranker}.test-*/embeddings.npy")
        ]
        assert len(stored) == 2
        assert stored[0] == stored[1]


@pytest.mark.parametrize("count", [1, 2])
def test_encoding_killed_at_ten_random_moments_ends_in_the_same_bytes(
    study: Path, warm: Warm, results: Path, tmp_path: Path, count: int
) -> None:
    words = ["run", study, "evaluate.rankers=[cls-plain]"]
    warm.done(words, results=tmp_path / "whole", docs_per_block=3)
    (whole,) = tmp_path.glob("whole/dense/steps/encode-cls-plain.test-*/embeddings.npy")
    rng, killed = random.Random(count), 0
    while killed < 10:
        kill = Kill(rng.randrange(1, 9), rng.choice([0, 0.02]), within="work")
        codes = warm.run(words, results=tmp_path, count=count, docs_per_block=3, kill=kill)
        killed += codes == [-signal.SIGKILL] * count
        if killed == 10 or codes == [0] * count:
            warm.done(words, results=tmp_path, count=count, docs_per_block=3)
            (made,) = tmp_path.glob("dense/steps/encode-cls-plain.test-*/embeddings.npy")
            assert made.read_bytes() == whole.read_bytes()
            assert not list(tmp_path.glob("dense/work/*"))
            rmtree(tmp_path / "dense")  # all is done: begin again
