"""What a recipe may ask beside the updates themselves, and what it must not change."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.models import adapters
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast import lengths
from rankscope.train import checkpoint
from rankscope.train.loop import Trained, fit, part_of
from rankscope.train.objectives.objective import BatchOutcome
from support import tiny
from support.training import objective, recipe

MEMORIES = ["plain", "gradient_checkpointing", "grad_cache"]


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of six docs is three parts for the model."""
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 40)


def trained(
    folder: Path,
    architecture: str = "bert",
    *,
    dropout: bool = True,
    dtype: torch.dtype = torch.float32,
    **changes: object,
) -> tuple[Trained, dict[str, Tensor]]:
    """The log and the weights of a training."""
    ranker = tiny.cross_encoder(folder, architecture)
    ranker.model.to(dtype)
    for module in ranker.model.modules():
        if isinstance(module, nn.Dropout) and not dropout:
            module.p = 0.0
    found = fit(ranker.model, objective(ranker), recipe(**changes), checkpoints=folder / "w")
    shutil.rmtree(folder)
    return found, checkpoint.weights_of(ranker.model)


def check_same(
    one: tuple[Trained, dict[str, Tensor]],
    other: tuple[Trained, dict[str, Tensor]],
    *,
    within: float,
) -> None:
    rows = zip(one[0].log, other[0].log, strict=True)
    for ours, theirs in rows:
        assert ours == pytest.approx(theirs, abs=within)
    for name, weight in one[1].items():
        # LCE sees differences only: rounding is the gradient of the last bias, and Adam scales it up
        if not name.endswith(("classifier.bias", "out_proj.bias")):
            torch.testing.assert_close(weight, other[1][name], atol=within, rtol=0)


@pytest.mark.parametrize(
    "architecture",
    ["bert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("distilbert", "electra"))],
)
@pytest.mark.parametrize("memory", MEMORIES[1:])
def test_saving_memory_changes_no_loss_and_no_weight(
    tmp_path: Path, in_small_parts: None, architecture: str, memory: str
) -> None:
    """What is computed again meets the dropout it met before."""
    plain = trained(tmp_path, architecture)
    check_same(plain, trained(tmp_path, architecture, memory=memory), within=1e-5)
    other = trained(tmp_path, architecture, memory=memory, seed=10)
    with pytest.raises(AssertionError):
        check_same(plain, other, within=1e-5)


class Weighed:
    """An objective that weighs what its loss keeps for the backward pass, weights apart."""

    splits_batches = False

    def __init__(self, ranker: CrossEncoder) -> None:
        self._inner = objective(ranker)
        self._weights = {w.untyped_storage().data_ptr() for w in ranker.model.parameters()}
        self.batches, self.shares = self._inner.batches, self._inner.shares
        self.prepared, self.looked_at = self._inner.prepared, self._inner.looked_at
        self.n_bytes: list[int] = []

    def outcome(self, model: Any, batch: Any) -> BatchOutcome:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            found = self._inner.outcome(model, batch)
        self.n_bytes.append(sum(kept.values()))
        return found


def test_saving_memory_keeps_less_for_the_backward_pass(
    tmp_path: Path, in_small_parts: None
) -> None:
    kept = {}
    for memory in MEMORIES:
        ranker = tiny.cross_encoder(tmp_path / memory)
        weighed = Weighed(ranker)
        plan = recipe(max_updates=1, memory=memory)
        fit(ranker.model, weighed, plan, checkpoints=tmp_path / memory / "w")
        kept[memory] = max(weighed.n_bytes)
    assert kept["gradient_checkpointing"] < kept["plain"] / 2
    assert kept["grad_cache"] < kept["plain"] / 20


@pytest.mark.parametrize("memory", MEMORIES)
def test_after_a_training_nothing_is_computed_twice(tmp_path: Path, memory: str) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    fit(ranker.model, objective(ranker), recipe(memory=memory), checkpoints=tmp_path / "w")
    assert not [m for m in ranker.model.modules() if getattr(m, "gradient_checkpointing", False)]


def test_a_model_without_gradient_checkpointing_is_refused(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    type(ranker.model).supports_gradient_checkpointing, before = (
        False, type(ranker.model).supports_gradient_checkpointing,
    )  # fmt: skip
    try:
        with pytest.raises(
            BadInput, match="has no gradient checkpointing. Use `memory: grad_cache`"
        ):
            fit(
                ranker.model, objective(ranker), recipe(memory="gradient_checkpointing"),
                checkpoints=tmp_path / "w",
            )  # fmt: skip
    finally:
        type(ranker.model).supports_gradient_checkpointing = before


# -- compile -------------------------------------------------------------------------------------


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How large each graph is that is compiled; compiled for nothing, which takes no compiler."""
    found: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        found.append(len(graph.graph.nodes))
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    return found


def test_a_compiled_training_has_the_same_losses(
    tmp_path: Path, graphs: list[int], in_small_parts: None
) -> None:
    """Without dropout: a compiled model draws random numbers of its own."""
    plain = trained(tmp_path, dropout=False)
    assert graphs == []
    check_same(plain, trained(tmp_path, dropout=False, compile=True), within=1e-4)
    assert sum(graphs) > 100, "the model is compiled, not a rest of it"
    assert len(graphs) < 10, "lengths are dynamic: not a graph for each"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_training_is_the_same_in_every_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_small_parts: None
) -> None:
    """As torch.compile does it but for the last step, dropout on: its masks are met again."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    found = []
    for memory in MEMORIES:
        torch.compiler.reset()
        found.append(trained(tmp_path, memory=memory, compile=True, max_updates=2))
    for other in found[1:]:
        check_same(found[0], other, within=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of torch.jit
def test_so_are_the_losses_compiled_for_this_processor(tmp_path: Path) -> None:
    """In doubles: this processor's code rounds as it likes, and Adam scales rounding up to a step."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    plain = trained(tmp_path, dropout=False, dtype=torch.float64)
    compiled = trained(tmp_path, dropout=False, dtype=torch.float64, compile=True)
    check_same(plain, compiled, within=1e-6)
    assert torch._dynamo.utils.counters["inductor"]


# -- precision -----------------------------------------------------------------------------------


def test_half_precision_is_of_the_forward_pass_alone(tmp_path: Path) -> None:
    """Losses move a little; weights, their moments and the scores of validation are float32."""
    whole, _ = trained(tmp_path / "whole")
    ranker = tiny.cross_encoder(tmp_path / "half")
    scores: list[list[float]] = []

    def validate() -> dict[str, float]:
        scores.append(ranker.score("who sits", ["red cat", "blue dog"]))
        return {"validation": 0.0}

    half = fit(
        ranker.model,
        objective(ranker),
        recipe(precision="bfloat16", validate_every=3),
        checkpoints=tmp_path / "w",
        validate=validate,
    )
    losses = [[row["loss"] for row in found.log if "loss" in row] for found in (whole, half)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    assert {weight.dtype for weight in ranker.model.parameters()} == {torch.float32}
    assert scores[-1] == ranker.score("who sits", ["red cat", "blue dog"])
    (stored,) = (tmp_path / "w").glob("updates-*6")
    from safetensors.torch import load_file

    kept = {t.dtype for t in load_file(stored / "optimizer.safetensors").values()}
    assert kept == {torch.float32}


def test_on_a_processor_precision_is_whole_unless_asked_for(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is an accelerator")
    auto, whole = (trained(tmp_path, precision=p) for p in ("auto", "float32"))
    assert auto[0].log == whole[0].log


# -- patience ------------------------------------------------------------------------------------

VALUES = [0.9, 0.1, 0.3, 0.3, 0.2, 0.5, 0.1, 0.2, 0.5, 0.1]
"""At updates 0, 2, 4, ...: the best so far are those of 2, 4 and 10."""


def with_patience(
    folder: Path, patience: int | None, die_at: int | None = None
) -> tuple[Trained, list[float]]:
    """A training of 18 updates watched every 2; with `die_at`, one that died there and began anew."""
    known: dict[bytes, float] = {}

    def once(stop: int | None) -> Trained:
        ranker = tiny.cross_encoder(folder / "model")
        made = objective(ranker)
        whole = made.batches

        def dying(update: int) -> Any:
            if update == stop:
                raise KeyboardInterrupt
            return whole(update)

        made.batches = dying  # type: ignore[method-assign]

        def validate() -> dict[str, float]:
            weights = next(ranker.model.parameters()).detach().numpy().tobytes()
            known.setdefault(weights, VALUES[len(known)])
            return {"validation": known[weights]}

        return fit(
            ranker.model, made,
            recipe(max_updates=18, validate_every=2, patience=patience, keep="best_validation"),
            checkpoints=folder / "w", validate=validate,
        )  # fmt: skip

    if die_at is not None:
        with pytest.raises(KeyboardInterrupt):
            once(die_at)
    found = once(None)
    return found, [row["validation"] for row in found.log if "validation" in row]


PATIENCES = [(1, 6, 4), (2, 8, 4), (3, 16, 10), (4, 18, 10), (None, 18, 10)]
RARE = [(3, 1), (4, 1), (None, 1), (4, 9), (None, 9)]
"""Patiences and deaths that add little to the others; `make test-slow`."""


@pytest.mark.parametrize(
    ("patience", "n_updates", "kept", "die_at"),
    [
        pytest.param(*row, die_at, marks=[pytest.mark.slow] if (row[0], die_at) in RARE else [])
        for row in PATIENCES
        for die_at in (None, 1, 6, 9)
        if (die_at or 0) < row[1]
    ],
)
def test_patience_ends_after_so_many_validations_in_a_row_that_were_not_the_best(
    tmp_path: Path, patience: int | None, n_updates: int, kept: int, die_at: int | None
) -> None:
    """An equal value is not a better one, and update 0 is no candidate; begun anew it is the same."""
    found, values = with_patience(tmp_path, patience, die_at)
    assert (found.n_updates, found.kept_update) == (n_updates, kept)
    assert values == VALUES[: n_updates // 2 + 1]


def test_patience_needs_a_validation(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    with pytest.raises(BadInput, match="patience needs a validation"):
        fit(ranker.model, objective(ranker), recipe(patience=2), checkpoints=tmp_path / "w")


def test_a_training_ended_by_patience_and_begun_anew_does_no_update(tmp_path: Path) -> None:
    with_patience(tmp_path, 2)
    ranker = tiny.cross_encoder(tmp_path / "again")
    again = fit(
        ranker.model, objective(ranker), recipe(max_updates=18, validate_every=2, patience=2),
        checkpoints=tmp_path / "w", validate=lambda: pytest.fail("it is over"),
    )  # fmt: skip
    assert (again.n_updates, again.updates_per_second) == (8, None)


# -- trackers ------------------------------------------------------------------------------------


def test_a_tracker_is_told_what_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = []
    for trackers in ((), ("tensorboard",)):
        ranker = tiny.cross_encoder(tmp_path / "model")
        work = tmp_path / str(len(trackers)) / "w"
        plan = recipe(trackers=trackers, validate_every=2)
        logs.append(
            fit(
                ranker.model, objective(ranker), plan, checkpoints=work,
                validate=lambda: {"validation": 0.5, "validation dev": 0.4}, label="train C",
            ).log
        )  # fmt: skip
    assert logs[0] == logs[1]
    assert not list((tmp_path / "0").rglob("*tfevents*"))
    (events,) = (tmp_path / "1" / "train-C").rglob("*tfevents*")
    told = EventAccumulator(str(events.parent)).Reload()
    losses = [(event.step, event.value) for event in told.Scalars("loss")]
    assert losses == [
        (row["update"], pytest.approx(row["loss"])) for row in logs[0] if "loss" in row
    ]
    assert len(told.Scalars("validation dev")) == 4


def test_a_tracker_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    with pytest.raises(BadInput, match="wandb"):
        fit(
            ranker.model, objective(ranker), recipe(trackers=("wandb",)), checkpoints=tmp_path / "w"
        )


# -- processes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_processes", [1, 2, 3, 4])
@pytest.mark.parametrize("n_batches", [1, 2, 3, 4, 7])
def test_every_batch_is_counted_by_one_process(n_processes: int, n_batches: int) -> None:
    parts = [part_of(n_batches, process, n_processes) for process in range(n_processes)]
    counted = [place for part in parts for place, counts in part if counts]
    assert sorted(counted) == list(range(n_batches))
    assert all(part for part in parts), "a process without a batch would leave the others waiting"
    even = [part_of(n_batches, p, n_processes, in_step=True) for p in range(n_processes)]
    assert len({len(part) for part in even}) == 1, "shards wait for each other at every batch"
    assert [[pair for pair in part if pair[1]] for part in even] == [
        [pair for pair in part if pair[1]] for part in parts
    ]


def test_shards_are_asked_for_on_accelerators_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    ranker = tiny.cross_encoder(tmp_path / "m")
    with pytest.raises(BadInput, match="several accelerators only"):
        fit(ranker.model, objective(ranker), recipe(), checkpoints=tmp_path / "w")


@pytest.mark.slow
def test_adapters_train_the_same_in_every_memory(tmp_path: Path, in_small_parts: None) -> None:
    logs = []
    for memory in MEMORIES:
        ranker = tiny.cross_encoder(tmp_path / "m")
        lora = adapters.LoRA(rank=4, alpha=8.0, dropout=0.1, targets=())
        ranker.model = adapters.adapted(ranker.model, lora, base=tmp_path, seed=1)
        assert isinstance(ranker.model, nn.Module)
        made = objective(ranker)
        logs.append(
            fit(ranker.model, made, recipe(memory=memory), checkpoints=tmp_path / memory).log
        )
    for log in logs[1:]:
        for ours, theirs in zip(logs[0], log, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
