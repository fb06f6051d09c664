"""A study by one process and by two: the same numbers, and only the first writes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from rankscope.core.formats import read_run
from support.warm import Kill, Warm

STAGE = {
    "start": "plain",
    "samples": {"labels": "qrels", "negatives": {"from": "bm25", "depth": 10}, "group_size": 4},
    "loss": "localized_contrastive", "max_updates": 12, "learning_rate": 1e-3,
    "queries_per_update": 4, "queries_per_batch": 2,
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "checkpointed": {"memory": "gradient_checkpointing"},
    "cached": {"memory": "grad_cache"},
    "lora": {"lora": {"rank": 4, "dropout": 0.1}},
    "frozen": {"freeze_layers": 1},
    "few-batches": {"queries_per_update": 2},
    "uneven": {"queries_per_update": 6},
    "mixed": {
        "mixed_with": {
            "samples": {"labels": "bi", "group_size": 4}, "loss": "ranknet", "weight": 0.3,
        },
    },
    "unequal": {  # one process has a batch of 8 pairs, the other of 4: other numbers of passes
        "queries_per_update": 2,
        "mixed_with": {
            "samples": {"labels": "bi", "group_size": 2}, "loss": "ranknet", "weight": 0.3,
        },
    },
}  # fmt: skip
IN_PARTS = [way for way in WAYS if way != "cached"]
SHORT = ["evaluate.rankers=[C]", "evaluate.baseline=[bm25]"]
TWENTY = [
    *SHORT,
    "rankers.C.max_updates=20",
    "rankers.C.validate.every=4",
    "rankers.C.checkpoint_every=4",
    "rankers.C.guards={loss_above_chance: warn}",
]


def log(results: Path, ranker: str = "C") -> list[dict[str, float]]:
    (path,) = results.glob(f"tiny/steps/train-{ranker}-*/log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def curve(results: Path, what: str = "loss", ranker: str = "C") -> list[float]:
    return [row[what] for row in log(results, ranker) if what in row]


def summary(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "tiny" / "summary.json").read_text()))


def means(results: Path) -> Mapping[str, Mapping[str, float]]:
    return {row["system"]: row["means"] for row in summary(results)["results"]}


def manifest(results: Path) -> dict[str, Any]:
    (path,) = results.glob("tiny/steps/train-C-*/manifest.json")
    return dict(json.loads(path.read_text()))


def scores_of(results: Path, ranker: str) -> dict[tuple[str, str], float]:
    """Scores of the top ten as distances from their mean: the losses see differences only."""
    (path,) = results.glob(f"tiny/steps/rerank-{ranker}.test.bm25-*/run.trec")
    found = {}
    for ranking in read_run(path).top(10).rankings.values():
        mean = fmean(doc.score for doc in ranking)
        found |= {(doc.query_id, doc.doc_id): doc.score - mean for doc in ranking}
    return found


@pytest.fixture(scope="module")
def one(warm: Warm, tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process, dropout on."""
    results = tmp_path_factory.mktemp("one")
    warm.done(["run", tiny_study, *TWENTY], results=results)
    return results


def torchrun(*words: object) -> str:
    """What `rankscope WORDS` prints where torchrun starts two processes, as a person does."""
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
            "-m", "rankscope", *map(str, words),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True, capture_output=True, timeout=280, text=True,
    ).stdout  # fmt: skip


@pytest.mark.slow
def test_torchrun_starts_the_command_line(tiny_study: Path, tmp_path: Path) -> None:
    assert "train" in torchrun("plan", tiny_study, "--results", tmp_path)


@pytest.fixture(scope="module", params=["forked", pytest.param("torchrun", marks=pytest.mark.slow)])
def two(
    request: pytest.FixtureRequest,
    warm: Warm,
    tiny_study: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The results of two processes: the whole command line, forked, or by torchrun, as a person starts it."""
    results = tmp_path_factory.mktemp("two")
    if request.param == "forked":
        warm.done(["run", tiny_study, *TWENTY], results=results, count=2)
    else:
        torchrun("run", tiny_study, *TWENTY, "--results", results)
    return results


def test_two_processes_give_the_losses_and_measures_of_one(one: Path, two: Path) -> None:
    losses = curve(one)
    assert len(losses) == 20
    assert losses == pytest.approx(curve(two), abs=1e-4)
    assert curve(one, "gradient_norm") == pytest.approx(curve(two, "gradient_norm"), rel=1e-2)
    assert curve(one, "validation") == pytest.approx(curve(two, "validation"), abs=1e-9)
    assert means(one).keys() == means(two).keys() == {"bm25", "C"}
    for system, values in means(one).items():
        assert values == pytest.approx(means(two)[system], abs=1e-9)
    assert [manifest(r)["summary"]["n_processes"] for r in (one, two)] == [1, 2]


def test_only_the_first_process_writes(one: Path, two: Path) -> None:
    """The files of two are those of one; nothing half-written, nothing of the second's is left."""

    def names(results: Path) -> list[str]:
        return sorted(path.relative_to(results).as_posix() for path in results.rglob("*"))

    assert names(two) == names(one)
    assert not [name for name in names(two) if "partial" in name or "first process" in name]


@pytest.fixture(scope="module")
def in_every_way(warm: Warm, tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study of a ranker for each way, by one process and by two, in small parts of batches."""
    folder = tmp_path_factory.mktemp("ways")
    for count in (1, 2):
        results = folder / str(count)
        train_in(WAYS, warm, tiny_study, results=results, count=count, tokens_per_batch=40)
    return folder


@pytest.fixture(scope="module")
def in_parts(warm: Warm, tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study by one process, and by two that hold a part of the model each; batches are whole."""
    folder = tmp_path_factory.mktemp("parts")
    train_in(IN_PARTS, warm, tiny_study, results=folder / "1")
    train_in(IN_PARTS, warm, tiny_study, results=folder / "2", count=2, shards={})
    return folder


def train_in(ways: Sequence[str], warm: Warm, study: Path, **how: Any) -> None:
    stages = [f"rankers.{way}={json.dumps(STAGE | WAYS[way])}" for way in ways]
    words = ["run", study, *stages, f"evaluate.rankers=[{', '.join(ways)}]", SHORT[1]]
    warm.done(words, until=f"rerank-{list(ways)[-1]}", **how)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_so_do_two_however_they_train(in_every_way: Path, way: str) -> None:
    """Batches in several parts for the model; also with fewer batches than processes."""
    one, two = (curve(in_every_way / count, ranker=way) for count in ("1", "2"))
    assert len(one) == 12
    assert one == pytest.approx(two, abs=1e-4)
    scores = [scores_of(in_every_way / count, way) for count in ("1", "2")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("way", IN_PARTS)
def test_so_do_two_that_hold_a_part_each(in_parts: Path, way: str) -> None:
    one, two = in_parts / "1", in_parts / "2"
    assert curve(one, ranker=way) == pytest.approx(curve(two, ranker=way), abs=1e-4)
    assert scores_of(one, way) == pytest.approx(scores_of(two, way), abs=1e-4)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ("memory=grad_cache", {}, "grad_cache runs whole models"),
        ("seed=2", {"FSDP_VERSION": "1"}, "Set `fsdp_version: 2`"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("compile=true", {}, "does not go with FSDP"),
                ("seed=1", {"FSDP_ACTIVATION_CHECKPOINTING": "true"}, "renames the layers"),
                ("seed=3", {"ACCELERATE_DYNAMO_BACKEND": "inductor"}, "asks for torch.compile"),
            ]
        ),
    ],
)
def test_what_shards_cannot_do_is_refused(
    warm: Warm, tiny_study: Path, tmp_path: Path, change: str, options: dict[str, str], said: str
) -> None:
    words = ["run", tiny_study, *SHORT, f"rankers.C.{change}"]
    codes = warm.run(words, results=tmp_path, count=2, shards=options)
    assert codes == [1, 1]
    assert said in warm.log.read_text()[-3000:]


@pytest.mark.slow
def test_what_was_begun_in_shards_says_so_where_it_goes_on_without(
    warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    words = ["run", tiny_study, *TWENTY]
    assert (
        warm.run(words, results=tmp_path, count=2, shards={}, kill=Kill(20, within="work"))
        == [-signal.SIGKILL] * 2
    )
    warm.done(words, results=tmp_path, count=2, until="train-C")
    assert "begun in shards, continued without them" in warm.log.read_text()


def test_what_one_process_began_two_go_on_with_and_say_so(
    one: Path, warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    words = ["run", tiny_study, *TWENTY]
    assert warm.run(words, results=tmp_path, kill=Kill(20, within="work")) == [-signal.SIGKILL]
    begun = [int(path.name.split("-")[1]) for path in tmp_path.glob("tiny/work/*/updates-*")]
    assert 0 < max(begun) < 20
    said = len(warm.log.read_text())
    warm.done(words, results=tmp_path, count=2, until="train-C")
    assert "train C: begun by 1 processes, continued by 2" in warm.log.read_text()[said:]
    assert curve(tmp_path) == pytest.approx(curve(one), abs=1e-4)


@pytest.mark.slow
def test_a_scratch_backbone_is_pretrained_by_two_as_by_one(
    warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    """One batch an update, so the second process has none of its own."""
    scratch = "{kind: scratch, collection: train, updates: 12, width: 16, heads: 2, layers: 1}"
    words = ["run", tiny_study, *SHORT, f"rankers.plain.backbone={scratch}"]
    logs = []
    for count in (1, 2):
        results = tmp_path / str(count)
        warm.done(words, results=results, count=count, until="scratch")
        (path,) = results.glob("tiny/steps/scratch-*/log.jsonl")
        logs.append([json.loads(line)["loss"] for line in path.read_text().splitlines()])
    assert len(logs[0]) == 12
    assert logs[0] == pytest.approx(logs[1], abs=1e-4)


def test_a_training_that_is_refused_ends_all_processes(
    warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    words = ["run", tiny_study, *SHORT, "rankers.C.learning_rate=6e-12"]
    assert warm.run(words, results=tmp_path, count=2) == [1, 1]
    assert not list(tmp_path.glob("tiny/steps/train-*"))
    assert "cannot move the weights" in warm.log.read_text()[-3000:]


def test_two_that_hold_a_part_of_the_model_each_train_as_one(
    one: Path, warm: Warm, tiny_study: Path, tmp_path: Path
) -> None:
    """FSDP as accelerate's launcher asks for it: losses, validations, checkpoints and the ranker."""
    words = ["run", tiny_study, *TWENTY]
    killed = warm.run(words, results=tmp_path, count=2, shards={}, kill=Kill(20, within="work"))
    assert killed == [-signal.SIGKILL] * 2
    said = len(warm.log.read_text())
    warm.done(words, results=tmp_path, count=2, shards={}, until="rerank-C")
    assert "train C: the model is in 2 shards" in warm.log.read_text()[said:]
    assert curve(tmp_path) == pytest.approx(curve(one), abs=1e-4)
    assert curve(tmp_path, "gradient_norm") == pytest.approx(curve(one, "gradient_norm"), rel=1e-2)
    assert curve(tmp_path, "validation") == pytest.approx(curve(one, "validation"), abs=1e-9)
    assert scores_of(tmp_path, "C") == pytest.approx(scores_of(one, "C"), abs=1e-4)
