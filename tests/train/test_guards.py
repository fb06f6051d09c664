"""The guards of the updates, and what a level does. That every guard of the table fires on a case
made for it, and none on a healthy study, is tests/study/test_every_guard.py."""

import math
from pathlib import Path

import pytest
import torch

from rankscope.core.errors import TrainingStopped, UnknownChoice
from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.train import guards
from rankscope.train.guards import GUARDS, PATIENCE, Watch
from rankscope.train.loop import fit
from support import tiny
from support.training import objective, recipe, samples


def rows(n: int, **columns: object) -> list[dict[str, float]]:
    """The log of n updates at a steady rate; a column is a value or a function of the update."""
    usual = {
        "loss": 0.5, "learning_rate": 1e-5, "gradient_norm": 1.0, "chance": 0.7, "right_pairs": 0.8,
    } | columns  # fmt: skip
    return [
        {"update": u, **{k: v(u) if callable(v) else v for k, v in usual.items()}}
        for u in range(1, n + 1)
    ]


def seen(log: list[dict[str, float]], *, ended: bool = True) -> dict[str, str]:
    """What a watch that lets all pass saw in a log."""
    watch = Watch(dict.fromkeys(GUARDS, "warn"))
    for row in log:
        watch.saw(row)
    if ended:
        watch.ended()
    return watch.findings


def noise(u: int) -> float:
    """Between -0.05 and 0.05, the same in every run."""
    return stream(1, "noise", u).uniform(-0.05, 0.05)


def test_a_level_stops_warns_once_or_lets_pass() -> None:
    told: list[str] = []

    class Listening:
        def note(self, text: str) -> None:
            told.append(text)

    watch = Watch({"tied_scores": "off"}, progress=Listening(), label="C")  # type: ignore[arg-type]
    watch.tell("truncated_docs", "cut")
    watch.tell("truncated_docs", "cut again")
    watch.tell("tied_scores", "tied")
    watch.tell("head_frozen", None)
    assert told == ["C: cut"]
    with pytest.raises(
        TrainingStopped, match=r"gone. \(`guards: \{unmoved: warn\}` would go on.\)"
    ):
        watch.tell("unmoved", "gone.")
    assert watch.findings == {"truncated_docs": "cut", "tied_scores": "tied", "unmoved": "gone."}
    with pytest.raises(UnknownChoice, match="Did you mean 'unmoved'"):
        Watch({"unmovd": "off"})


def test_every_guard_of_the_updates_is_in_the_table() -> None:
    during = [name for name, guard in GUARDS.items() if guard.when == "during"]
    assert ["not_finite", *guards.DURING] == during


def test_a_healthy_log_says_nothing() -> None:
    assert seen(rows(3 * PATIENCE, loss=lambda u: 0.6 + noise(u))) == {}


@pytest.mark.parametrize("column", ["loss", "gradient_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite(column: str, value: float) -> None:
    found = seen([*rows(3), {"update": 4} | {column: value}])
    assert f"The {column.replace('_', ' ')} is {value} at update 4" in found["not_finite"]
    assert set(found) == {"not_finite"}
    assert set(seen(rows(60, **{column: value}))) == {"not_finite"}, "others bear such numbers"


def test_collapse_is_seen_only_when_it_lasts() -> None:
    def looks(*spreads: float) -> dict[str, str]:
        return seen([row | {"score_spread": s} for row, s in zip(rows(9), spreads, strict=False)])

    assert looks(0.0, 0.0) == looks(0.0, 0.0, 0.1, 0.0) == {}
    assert "scores have collapsed" in looks(1.0, 0.0, 0.0, 0.0)["collapsed_scores"]


def test_loss_at_chance_is_seen_behind_the_warm_up_and_the_patience() -> None:
    """Shuffled labels: the loss is a little above chance, half of the pairs are in order."""

    def log(n: int) -> list[dict[str, float]]:
        return rows(
            n, loss=lambda u: 0.702 + noise(u), right_pairs=lambda u: 0.5 + noise(-u),
            learning_rate=lambda u: min(u, 30) * 1e-6,
        )  # fmt: skip

    assert seen(log(PATIENCE + 28), ended=False) == {}
    found = seen(log(PATIENCE + 29), ended=False)["loss_above_chance"]
    assert f"over the {PATIENCE} updates to update {PATIENCE + 29} the mean loss was 0.70" in found
    assert "equal scores is 0.7000, and 49." in found
    assert seen(log(guards.FEWEST + 28)) == {}
    assert "over the 50 updates to" in seen(log(guards.FEWEST + 29))["loss_above_chance"]


def test_a_loss_that_is_below_chance_by_next_to_nothing_is_at_chance() -> None:
    """Without noise any difference is sure; under a ten-thousandth of chance none is a finding."""

    def told(below: float) -> dict[str, str]:
        return seen(rows(2 * PATIENCE, loss=0.7 * (1 - below), right_pairs=0.5))

    assert set(told(0.9e-4)) == {"loss_above_chance"}
    assert told(1.1e-4) == {}


@pytest.mark.parametrize("max_updates", [3, 4, 8, 24, 29, 30, 1000])
def test_every_training_of_three_updates_has_looks_enough(max_updates: int) -> None:
    n = len(range(guards.look_every(max_updates), max_updates + 1, guards.look_every(max_updates)))
    assert n >= guards.LOOKS
    assert guards.look_every(max_updates) <= guards.LOOK_EVERY
    assert guards.look_every(1) == guards.look_every(2) == 1


@pytest.mark.parametrize(
    ("loss", "right"),
    [
        (0.69, 0.5),  # a little below chance
        (0.72, 0.52),  # above, but more pairs in order than not
        (1.3, 0.65),  # scores too far apart for the loss: a second stage's beginning
        (0.1, 0.99),
    ],
)
def test_what_learns_however_slowly_is_left_alone(loss: float, right: float) -> None:
    log = rows(
        2 * PATIENCE, loss=lambda u: loss + noise(u), right_pairs=lambda u: right + noise(-u)
    )
    assert seen(log) == {}


def test_too_few_pairs_to_be_sure_say_nothing() -> None:
    log = rows(60, loss=0.7, right_pairs=lambda u: 0.5 + 8 * noise(u))
    assert seen(log) == {}


@pytest.mark.parametrize(
    ("norm", "words"), [(1e-9, "nothing is left"), (1e5, "every update is cut")]
)
def test_gradients_that_are_no_use(norm: float, words: str) -> None:
    assert seen(rows(19, gradient_norm=norm)) == {}
    assert words in seen(rows(20, gradient_norm=norm))["gradient_norm"]


def test_a_falling_validation_needs_five_values_under_the_first() -> None:
    def validations(*values: float) -> dict[str, str]:
        return seen([{"update": u, "validation": v} for u, v in enumerate(values)])

    assert validations(0.5, 0.4, 0.3, 0.3, 0.2) == {}
    assert validations(0.5, 0.4, 0.3, 0.6, 0.2, 0.2, 0.2) == {}
    found = validations(0.5, 0.6, 0.45, 0.4, 0.3, 0.3, 0.2)["validation_falling"]
    assert "(best 0.4500) are under the 0.5000" in found
    assert "4 of 6 fell" in found


def shuffled(epoch: int) -> list[ListwiseSample]:
    """The samples, each with its labels in an order drawn for the epoch."""
    return [
        sample._replace(labels=tuple(stream(epoch, sample.query_id).sample(sample.labels, k=3)))
        for sample in samples(epoch)
    ]


def test_a_label_shuffled_run_is_stopped(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    made = objective(ranker)
    made.order.epoch_samples, made.order.queries_per_batch = shuffled, 4
    plan = recipe(max_updates=600, learning_rate=1e-4, warmup=0.01, checkpoint_every=999)
    with pytest.raises(TrainingStopped, match="Nothing is learnt: over the 200 updates to update"):
        fit(ranker.model, made, plan, checkpoints=tmp_path / "w")


def test_the_same_run_with_its_own_labels_is_not(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    watch = Watch(dict.fromkeys(GUARDS, "stop"))
    plan = recipe(max_updates=220, learning_rate=1e-4, warmup=0.01, checkpoint_every=999)
    made = objective(ranker)
    made.order.queries_per_batch = 4
    fit(ranker.model, made, plan, checkpoints=tmp_path / "w", watch=watch)
    assert watch.findings == {}


def test_a_training_that_starts_again_is_guarded_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    """The warning of before the interruption is there after it; the log says all there is to know."""

    def findings(*, dies: bool) -> dict[str, str]:
        ranker, folder = tiny.cross_encoder(tmp_path / str(dies)), tmp_path / f"w{dies}"
        watch = Watch({"collapsed_scores": "warn"})
        plan = recipe(max_updates=40, checkpoint_every=5)
        whole, made = made_of(ranker), made_of(ranker)
        if dies:

            def dying(update: int) -> list[object]:
                if update == 36:
                    raise KeyboardInterrupt
                return list(whole.batches(update))

            made.batches = dying  # type: ignore[assignment, method-assign]
            with pytest.raises(KeyboardInterrupt):
                fit(ranker.model, made, plan, checkpoints=folder, watch=watch)
            assert watch.findings
            watch = Watch({"collapsed_scores": "warn"})
            ranker = tiny.cross_encoder(tmp_path / "again")
            flattened(ranker)
            whole = made_of(ranker)
        fit(ranker.model, whole, plan, checkpoints=folder, watch=watch)
        return watch.findings

    def made_of(ranker: CrossEncoder) -> object:
        flattened(ranker)
        return objective(ranker)

    assert findings(dies=True) == findings(dies=False) != {}


def flattened(ranker: CrossEncoder) -> None:
    """All docs alike, and frozen so."""
    with torch.no_grad():
        for name, weight in ranker.model.named_parameters():
            if "embeddings" in name or "encoder" in name:
                weight.requires_grad_(False)
            if "embeddings" in name and "LayerNorm.weight" not in name:
                weight.fill_(0.3)
