"""A checkpoint is used only if every byte of it is what was written: never other final weights."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from rankscope.core.errors import DamagedArtifact
from rankscope.core.progress import SILENT
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.store.durable import SUMS
from rankscope.train import checkpoint
from rankscope.train.loop import fit
from support import tiny
from support.training import objective, recipe

LATEST, BEFORE, BEST = "updates-000000006", "updates-000000004", "updates-000000002"
WEIGHTS, MOMENTS, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"


class Stopped(NamedTuple):
    """A training of 8 updates that stopped after 6, and what it ends in when it is left alone."""

    model: Path
    work: Path
    final: dict[str, bytes]


def train(
    model: Path, work: Path, *, stop_at: int | None = None
) -> tuple[dict[str, bytes], list[str]]:
    """The weights of the best update, and what was told; further from the start is worse, so 2 is the best."""
    told: list[str] = []
    ranker = CrossEncoder.load(model)
    head = ranker.model.get_parameter("classifier.weight")
    start, made = head.detach().clone(), objective(ranker)
    whole = made.batches

    def dying(update: int) -> list[object]:
        if update == stop_at:
            raise KeyboardInterrupt
        return list(whole(update))

    made.batches = dying  # type: ignore[assignment, method-assign]
    fit(
        ranker.model, made, recipe(max_updates=8, validate_every=2, keep="best_validation"),
        checkpoints=work,
        validate=lambda: {"validation": -float((head.detach() - start).norm())},
        progress=SimpleNamespace(task=SILENT.task, note=told.append),
    )  # fmt: skip
    final = {k: w.numpy().tobytes() for k, w in checkpoint.weights_of(ranker.model).items()}
    return final | {"log": (work / "updates-000000008" / STATE).read_bytes()}, told


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    tiny.cross_encoder(folder).save(folder / "model")
    final, told = train(folder / "model", folder / "whole")
    assert told == []
    with pytest.raises(KeyboardInterrupt):
        train(folder / "model", folder / "work", stop_at=6)
    return Stopped(folder / "model", folder / "work", final)


def test_the_one_before_and_the_best_are_kept(stopped: Stopped) -> None:
    assert {path.name for path in stopped.work.iterdir()} == {LATEST, BEFORE, BEST}
    state = json.loads((stopped.work / LATEST / STATE).read_text())
    assert (state["update"], state["best_update"]) == (6, 2)
    for path in stopped.work.iterdir():
        assert {file.name for file in path.iterdir()} == {WEIGHTS, MOMENTS, STATE, SUMS}


def test_undamaged_it_goes_on_without_a_word(stopped: Stopped, tmp_path: Path) -> None:
    shutil.copytree(stopped.work, tmp_path / "w")
    assert train(stopped.model, tmp_path / "w") == (stopped.final, [])


@pytest.mark.parametrize("n_flips", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_one_flipped_bit_anywhere_never_gives_other_final_weights(
    stopped: Stopped, tmp_path: Path, n_flips: int
) -> None:
    rng = random.Random(22)
    files = sorted(path.relative_to(stopped.work) for path in stopped.work.rglob("*.*"))
    for number in range(n_flips):
        work = tmp_path / str(number)
        shutil.copytree(stopped.work, work)
        path = work / rng.choice(files)
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        final, told = train(stopped.model, work)
        assert final == stopped.final, path
        needed = path.parent.name in {LATEST, BEST}
        # a space of sums.json that became another space is the same sums
        assert bool(told) == needed or path.name == SUMS, (path, told)
        shutil.rmtree(work)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": cut, "emptied": emptied, "zeroed": zeroed, "missing": Path.unlink,
}  # fmt: skip


@pytest.mark.parametrize("file", [WEIGHTS, SUMS])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_gone_on_from(
    stopped: Stopped, tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(stopped.work, tmp_path / "w")
    damage(tmp_path / "w" / LATEST / file)
    final, told = train(stopped.model, tmp_path / "w")
    assert final == stopped.final
    (said,) = told
    assert file in said
    assert LATEST in said
    assert "train goes on from update 4" in said


@pytest.mark.parametrize("damaged", [(LATEST, BEFORE, BEST), (BEST,)], ids=["all", "the best"])
def test_where_none_can_be_gone_on_from_it_begins_anew(
    stopped: Stopped, tmp_path: Path, damaged: tuple[str, ...]
) -> None:
    shutil.copytree(stopped.work, tmp_path / "w")
    for name in damaged:
        zeroed(tmp_path / "w" / name / WEIGHTS)
    final, told = train(stopped.model, tmp_path / "w")
    assert final == stopped.final
    assert len(told) == 3
    assert all("train starts again" in said for said in told)


def test_what_is_no_checkpoint_is_told_and_swept(stopped: Stopped, tmp_path: Path) -> None:
    shutil.copytree(stopped.work, tmp_path / "w")
    shutil.copytree(tmp_path / "w" / LATEST, tmp_path / "w" / "updates-000000007")
    (tmp_path / "w" / "updates-000000009").write_text("a file")
    (tmp_path / "w" / LATEST / "objective.safetensors").write_bytes(b"put there")
    final, told = train(stopped.model, tmp_path / "w")
    assert final == stopped.final
    words = ("sums.json is missing", "another's place", "does not belong")
    assert all(word in said for word, said in zip(words, told, strict=True))
    assert len(list((tmp_path / "w").iterdir())) == 3


def test_the_best_damaged_while_the_training_runs_is_an_error_that_mends_itself(
    stopped: Stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stopped.work, tmp_path / "w")
    whole = checkpoint.best_weights

    def late(folder: Path, reached: checkpoint.Progressed) -> object:
        zeroed(folder / BEST / WEIGHTS)
        return whole(folder, reached)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "best_weights", late)
        with pytest.raises(DamagedArtifact, match="Run again"):
            train(stopped.model, tmp_path / "w")
    assert train(stopped.model, tmp_path / "w")[0] == stopped.final
