import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from torch import nn

from rankscope.core.errors import BadInput, TrainingStopped
from rankscope.core.progress import SILENT
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.train import checkpoint
from rankscope.train.loop import fit
from rankscope.train.movement import frozen
from rankscope.train.objectives.batches import QUERIES_LOOKED_AT, length_aware_order
from rankscope.train.objectives.objective import BatchOutcome
from rankscope.train.recipe import SCHEDULES, learning_rate_at
from support import tiny
from support.training import objective, recipe, samples


@pytest.fixture
def ranker(tmp_path: Path) -> CrossEncoder:
    return tiny.cross_encoder(tmp_path)


def test_training_lowers_the_loss_and_logs_every_update(
    ranker: CrossEncoder, tmp_path: Path
) -> None:
    trained = fit(
        ranker.model,
        objective(ranker),
        recipe(max_updates=40, schedule="constant"),
        checkpoints=tmp_path / "w",
    )
    losses = [row["loss"] for row in trained.log]
    assert len(losses) == 40
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert set(trained.log[0]) == {
        "update", "loss", "learning_rate", "gradient_norm", "chance", "right_pairs",
    }  # fmt: skip
    assert [row["update"] for row in trained.log if "score_spread" in row] == [10, 20, 30, 40]
    assert trained.kept_update == 40
    assert 0 < trained.displacement["all"] < 1
    assert trained.displacement["changed_share"] > 0.9


def test_every_sample_is_seen_once_an_epoch_across_updates(ranker: CrossEncoder) -> None:
    """10 samples, 4 an update: updates 0 to 4 hold each sample of epochs 0 and 1 exactly once."""
    made = objective(ranker)
    seen = [s for update in range(5) for batch in made.batches(update) for s in batch]
    assert sorted(seen) == sorted([*samples(0), *samples(1)])
    assert [len(batch) for batch in made.batches(3)] == [2, 2]
    again = objective(ranker)
    assert again.batches(4) == made.batches(4), "an update's samples do not depend on those before"


def test_the_order_is_length_aware_and_moves_with_the_epoch() -> None:
    lengths = [i * 7 % 64 for i in range(64)]
    orders = [length_aware_order(lengths, 8, seed=1, epoch=epoch) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(64)) for order in orders)
    assert orders[0] != orders[1]
    for start in range(0, 64, 8):
        within = [lengths[place] for place in orders[0][start : start + 8]]
        assert max(within) - min(within) == 7


def test_one_batch_or_two_give_the_same_update(tmp_path: Path) -> None:
    """LCE is a mean over queries: accumulating halves is the whole (dropout off)."""
    logs = []
    for size in (4, 2):
        ranker = tiny.cross_encoder(tmp_path / str(size))
        for module in ranker.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        made = objective(ranker)
        made.order.queries_per_batch = size
        logs.append(
            fit(ranker.model, made, recipe(max_updates=3), checkpoints=tmp_path / f"w{size}").log
        )
    for whole, halves in zip(*logs, strict=True):
        assert whole == pytest.approx(halves, rel=1e-3)


def test_a_study_can_name_every_schedule_and_no_other() -> None:
    assert set(get_args(TrainedSpec.model_fields["schedule"].annotation)) == set(SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_contract_of_every_schedule(schedule: str) -> None:
    plan = recipe(max_updates=100, warmup=0.1, schedule=schedule)
    rates = [learning_rate_at(update, plan) for update in range(100)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert all(a >= b > 0 for a, b in zip(rates[10:], rates[11:], strict=False))


def test_the_best_validation_is_kept_the_earliest_if_equal(
    ranker: CrossEncoder, tmp_path: Path
) -> None:
    values = iter([0.9, 0.1, 0.5, 0.5])
    trained = fit(
        ranker.model,
        objective(ranker),
        recipe(validate_every=2, keep="best_validation", checkpoint_every=99),
        checkpoints=tmp_path / "w",
        validate=lambda: {"validation": next(values)},
    )
    assert trained.kept_update == 4
    rows = [(row["update"], row["validation"]) for row in trained.log if "validation" in row]
    assert rows == [(0, 0.9), (2, 0.1), (4, 0.5), (6, 0.5)]
    stored = checkpoint.best_weights(tmp_path / "w", checkpoint.Progressed(best_update=4))
    for name, weight in ranker.model.named_parameters():
        assert torch.equal(weight, stored[name])


def test_keeping_the_best_needs_a_validation(ranker: CrossEncoder, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs a validation"):
        fit(ranker.model, objective(ranker), recipe(keep="best_validation"), checkpoints=tmp_path)


def test_a_learning_rate_that_moves_nothing_stops_before_the_first_update(
    ranker: CrossEncoder, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped, match="cannot move the weights"):
        fit(
            ranker.model, objective(ranker), recipe(learning_rate=6e-12), checkpoints=tmp_path / "w"
        )
    assert not (tmp_path / "w").exists()


def test_collapsed_scores_stop_the_training_whatever_dropout_adds(
    ranker: CrossEncoder, tmp_path: Path
) -> None:
    """Embeddings of zeros, frozen, make all docs alike; dropout (10 %) still spreads their scores."""
    still = [w for n, w in ranker.model.named_parameters() if "embeddings" in n or "encoder" in n]
    with torch.no_grad():
        for name, weight in ranker.model.named_parameters():
            if "embeddings" in name and "LayerNorm.weight" not in name:
                weight.fill_(0.3)
    with (
        frozen(still),
        pytest.raises(TrainingStopped, match="collapsed: at 3 looks up to update 30"),
    ):
        fit(ranker.model, objective(ranker), recipe(max_updates=60), checkpoints=tmp_path / "w")
    assert all(weight.requires_grad for weight in still)


def test_a_loss_that_is_not_finite_stops_the_training(ranker: CrossEncoder, tmp_path: Path) -> None:
    class Broken:
        splits_batches = False

        def batches(self, update: int) -> list[int]:
            return [update]

        def shares(self, batches: list[int]) -> list[float]:
            return [1.0 for _ in batches]

        def prepared(self, batch: int) -> int:
            return batch

        def looked_at(self, batch: int) -> None:
            pass

        def outcome(self, model: nn.Module, batch: int) -> BatchOutcome:
            weight = next(model.parameters())
            return BatchOutcome(weight.sum() * math.nan)

    with pytest.raises(TrainingStopped, match="loss is nan at update 1"):
        fit(ranker.model, Broken(), recipe(), checkpoints=tmp_path / "w")


def test_a_training_that_changes_nothing_is_stopped_at_its_end(
    ranker: CrossEncoder, tmp_path: Path
) -> None:
    class Flat:
        splits_batches = False

        def batches(self, update: int) -> list[int]:
            return [update]

        def shares(self, batches: list[int]) -> list[float]:
            return [1.0 for _ in batches]

        def prepared(self, batch: int) -> int:
            return batch

        def looked_at(self, batch: int) -> None:
            pass

        def outcome(self, model: nn.Module, batch: int) -> BatchOutcome:
            return BatchOutcome(sum(w.sum() for w in model.parameters()) * 0.0)

    with pytest.raises(TrainingStopped, match="changed nothing"):
        fit(ranker.model, Flat(), recipe(weight_decay=0.0), checkpoints=tmp_path / "w")


def test_training_leaves_the_random_state_as_it_was(ranker: CrossEncoder, tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(ranker.model, objective(ranker), recipe(max_updates=2), checkpoints=tmp_path / "w")
    assert torch.equal(torch.rand(3), expected)


def bytes_of(model: nn.Module) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in checkpoint.weights_of(model).items()}


def after(tmp_path: Path, name: str, stop_at: int | None = None) -> dict[str, bytes]:
    """Final weights; with `stop_at`, of a training that died there and began anew."""

    def values() -> Callable[[], dict[str, float]]:
        n = [0]

        def validate() -> dict[str, float]:
            n[0] += 1
            torch.rand(n[0])  # a validation may draw numbers; it must not matter
            return {"validation": 0.1}

        return validate

    def train(max_progress: int | None) -> CrossEncoder:
        ranker = tiny.cross_encoder(tmp_path / name)
        made = objective(ranker)
        if max_progress is not None:
            whole = made.batches

            def dying(update: int) -> list[object]:
                if update == max_progress:
                    raise KeyboardInterrupt
                return list(whole(update))

            made.batches = dying  # type: ignore[assignment, method-assign]
        fit(
            ranker.model, made, recipe(max_updates=8, validate_every=4),
            checkpoints=tmp_path / f"{name}-work", validate=values(),
        )  # fmt: skip
        return ranker

    if stop_at is not None:
        with pytest.raises(KeyboardInterrupt):
            train(stop_at)
        shutil.rmtree(tmp_path / name)
    return bytes_of(train(None).model)


@pytest.mark.parametrize("stop_at", [0, 1, 3, 4, 7])
def test_a_training_that_died_ends_in_the_same_bytes(tmp_path: Path, stop_at: int) -> None:
    assert after(tmp_path, "died", stop_at) == after(tmp_path, "whole")


def test_going_on_with_another_number_of_threads_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    noting = SimpleNamespace(task=SILENT.task, note=told.append)

    def train(max_updates: int) -> None:
        ranker = tiny.cross_encoder(tmp_path / "model")
        fit(
            ranker.model, objective(ranker), recipe(max_updates=max_updates),
            checkpoints=tmp_path / "w", progress=noting,
        )  # fmt: skip

    threads = torch.get_num_threads()
    train(2)
    train(3)
    assert told == []
    try:
        torch.set_num_threads(threads + 1)
        train(4)
    finally:
        torch.set_num_threads(threads)
    (said,) = told
    assert f"begun with {threads} threads, continued with {threads + 1}" in said


def test_another_seed_ends_elsewhere(tmp_path: Path) -> None:
    finals = []
    for seed in (1, 2):
        ranker = tiny.cross_encoder(tmp_path / str(seed))
        fit(ranker.model, objective(ranker), recipe(seed=seed), checkpoints=tmp_path / f"w{seed}")
        finals.append(bytes_of(ranker.model))
    assert finals[0] != finals[1]


@pytest.mark.slow  # in the default suite: tests/study/test_killed.py
def test_killed_five_times_a_study_ends_in_the_same_bytes(tiny_study: Path, tmp_path: Path) -> None:
    """SIGKILL at five points of the stage C, then run again: the bytes of an undisturbed run."""
    command = [
        sys.executable, "-m", "rankscope", "run", str(tiny_study),
        "rankers.C.max_updates=60", "rankers.C.validate.every=20", "rankers.C.checkpoint_every=3",
        "rankers.C.guards={loss_above_chance: warn}",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def run(results: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--results", str(results)], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    killed_at = []
    for wanted in (3, 12, 21, 36, 48):
        process = run(tmp_path / "killed")
        while process.poll() is None and (reached := updates_done(tmp_path / "killed")) < wanted:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed_at.append(reached)
    assert sorted(set(killed_at)) == killed_at, "each time it had come further"
    assert run(tmp_path / "killed").wait() == 0
    assert run(tmp_path / "whole").wait() == 0
    finals = [
        next((tmp_path / name / "tiny/steps").glob("train-C-[0-9a-f]*/model/model.safetensors"))
        for name in ("killed", "whole")
    ]
    assert finals[0].read_bytes() == finals[1].read_bytes()
    logs = [(final.parent.parent / "log.jsonl").read_text() for final in finals]
    assert logs[0] == logs[1]
    assert len([json.loads(line) for line in logs[0].splitlines()]) == 60 + 4


def updates_done(results: Path) -> int:
    """The latest checkpoint of any training under way."""
    found = [int(path.name.split("-")[1]) for path in results.glob("tiny/work/*/updates-*")]
    return max(found, default=0)


def test_the_guards_look_at_the_first_queries_of_a_batch(ranker: CrossEncoder) -> None:
    made = objective(ranker)
    samples = [sample for batch in made.batches(0) for sample in batch] * 2
    ready = made.prepared(samples)
    few = made.looked_at(ready)
    assert len(samples) == 8
    assert few.mask.shape[0] == QUERIES_LOOKED_AT
    assert few.pairs == ready.pairs[: int(few.mask.sum())]
    alone = made.prepared(samples[:QUERIES_LOOKED_AT])
    seen = [made.outcome(ranker.model.eval(), each).seen for each in (few, alone)]
    assert seen[0].score_spread.value == seen[1].score_spread.value
