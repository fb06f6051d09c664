from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from rankscope.models.cross_encoder import CrossEncoder
from rankscope.train.loop import fit
from rankscope.train.objectives.batches import ListwiseObjective, MixedObjective
from support import tiny
from support.training import objective, recipe


@pytest.fixture
def ranker(tmp_path: Path) -> CrossEncoder:
    """Without dropout: what an update's loss is does not depend on chance."""
    made = tiny.cross_encoder(tmp_path)
    for module in made.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return made


def mean_loss(alone: ListwiseObjective, update: int) -> float:
    """The loss of an update's queries together, of one objective alone."""
    alone.ranker.model.eval()
    whole = [sample for batch in alone.batches(update) for sample in batch]
    with torch.no_grad():
        return alone.outcome(alone.ranker.model, alone.prepared(whole)).loss.item()


@pytest.mark.parametrize("weight", [0.25, 0.9])
@pytest.mark.parametrize("n_queries", [2, 4, 6], ids="{} of the second".format)
def test_a_mixed_loss_is_the_weighted_sum_of_the_two(
    ranker: CrossEncoder, tmp_path: Path, weight: float, n_queries: int
) -> None:
    """(1 - w) first + w second, with as many batches of the second, half or three times as many."""
    first, second = objective(ranker), objective(ranker, "margin_mse")
    first.order = replace(first.order, queries_per_update=4, queries_per_batch=2)
    second.order = replace(second.order, queries_per_update=n_queries, queries_per_batch=2, seed=6)
    mixed = MixedObjective(first, second, weight)
    assert len(mixed.batches(0)) == 2 + n_queries // 2
    expected = (1 - weight) * mean_loss(first, 0) + weight * mean_loss(second, 0)
    (row,) = fit(ranker.model, mixed, recipe(max_updates=1), checkpoints=tmp_path / "w").log
    assert row["loss"] == pytest.approx(expected, abs=1e-6)
    assert mean_loss(first, 0) != pytest.approx(mean_loss(second, 0), abs=1e-2)


def test_a_mixed_gradient_is_the_weighted_sum_of_the_two(ranker: CrossEncoder) -> None:
    first, second = objective(ranker), objective(ranker, "margin_mse")
    mixed = MixedObjective(first, second, 0.25)

    def gradient(of: ListwiseObjective | MixedObjective) -> torch.Tensor:
        ranker.model.eval()
        ranker.model.zero_grad()
        batches = of.batches(1)
        for batch, share in zip(batches, of.shares(batches), strict=True):
            (of.outcome(ranker.model, of.prepared(batch)).loss * share).backward()
        return torch.cat(
            [w.grad.flatten() for w in ranker.model.parameters() if w.grad is not None]
        )

    torch.testing.assert_close(
        gradient(mixed), 0.75 * gradient(first) + 0.25 * gradient(second), atol=1e-6, rtol=1e-4
    )


def test_what_is_prepared_ahead_does_not_depend_on_what_was_prepared_before(
    ranker: CrossEncoder,
) -> None:
    """The loop prepares in a thread, and a training begun anew prepares from the middle."""
    made, again = objective(ranker), objective(ranker)
    for update in range(6):
        ready = [made.prepared(batch) for batch in made.batches(update)]
    last = [again.prepared(batch) for batch in again.batches(5)]
    for one, other in zip(ready, last, strict=True):
        assert [pair.ids.tolist() for pair in one.pairs] == [p.ids.tolist() for p in other.pairs]
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.mask, other.mask)
