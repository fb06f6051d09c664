"""Queries learnt against a copy of the ranker: momentum contrast and aligned queries, by hand and resumed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from rankscope.core.records import ListwiseSample
from rankscope.models.bi_encoder import BiEncoder
from rankscope.train.loop import fit
from rankscope.train.objectives.anchored import AlignedObjective, MomentumObjective
from rankscope.train.objectives.batches import Order
from support import tiny
from support.training import DOCS, recipe

NAMES = list(DOCS)
BATCH = [ListwiseSample(name, (name,), (1.0,)) for name in NAMES[:3]]


def order() -> Order:
    samples = [ListwiseSample(name, (name,), (1.0,), seed) for seed, name in enumerate(NAMES)]
    return Order(lambda _: samples, lambda _: 1, queries_per_update=4, queries_per_batch=4, seed=5)


def halves(sample: ListwiseSample) -> tuple[str, str]:
    words = DOCS[sample.query_id].split()
    return " ".join(words[:2]), " ".join(words[1:])


def momentum(ranker: BiEncoder, size: int = 6, kept: float = 0.9) -> MomentumObjective:
    return MomentumObjective(ranker, order(), halves, 0.1, kept, size, seed=3)


def aligned(ranker: BiEncoder, alignment: float = 0.5) -> AlignedObjective:
    return AlignedObjective(ranker, order(), halves, 0.1, alignment)


def tiny_ranker(folder: Path) -> BiEncoder:
    return tiny.bi_encoder(folder, similarity="cosine")


def without_dropout(ranker: BiEncoder) -> BiEncoder:
    for module in ranker.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return ranker


def test_momentum_contrast_by_hand(tmp_path: Path) -> None:
    """Own crop against the queue; then the queue holds the crops, and the copy has moved by a tenth."""
    ranker = without_dropout(tiny_ranker(tmp_path))
    made = momentum(ranker)
    queue = normalize(torch.randn(6, 32, generator=torch.Generator().manual_seed(3)), dim=-1)
    firsts, seconds = zip(*map(halves, BATCH), strict=True)
    queries, keys = ranker.embed_queries(firsts).clone(), ranker.embed_docs(seconds).clone()
    logits = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ queue.T], dim=1) / 0.1
    expected = cross_entropy(logits, torch.zeros(3, dtype=torch.int64))
    ranker.model.train()
    found = made.outcome(ranker.model, made.prepared(BATCH)).loss
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(made.state()["queue"][:3], keys, atol=1e-5)
    assert torch.equal(made.state()["queue"][3:], queue[3:])

    before = {n: w.clone() for n, w in made.state().items() if n.startswith("copy/")}
    with torch.no_grad():
        for weight in ranker.model.parameters():
            weight.add_(1.0)
    made.outcome(ranker.model, made.prepared(BATCH))
    for name, weight in before.items():
        assert torch.allclose(made.state()[name], weight + 0.1, atol=1e-5), name
    made.outcome(ranker.model, made.prepared(BATCH))
    assert int(made.state()["place"]) == 3, "nine crops in a queue of six"


def test_a_look_at_the_scores_moves_neither_copy_nor_queue(tmp_path: Path) -> None:
    ranker = tiny_ranker(tmp_path)
    made = momentum(ranker)
    before = {name: tensor.clone() for name, tensor in made.state().items()}
    ranker.model.eval()
    made.outcome(ranker.model, made.prepared(BATCH))
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state().items())


def test_a_batch_larger_than_the_queue_leaves_its_last(tmp_path: Path) -> None:
    ranker = without_dropout(tiny_ranker(tmp_path))
    made = momentum(ranker, size=2)
    ranker.model.train()
    made.outcome(ranker.model, made.prepared(BATCH))
    keys = ranker.embed_docs([halves(sample)[1] for sample in BATCH])
    queue = made.state()["queue"]
    assert torch.allclose(queue[[0, 1]], keys[[2, 1]], atol=1e-5)


def test_aligned_queries_by_hand(tmp_path: Path) -> None:
    """Noisy against all clean ones as they were; and how far the clean ones have moved."""
    ranker = without_dropout(tiny_ranker(tmp_path))
    made = aligned(ranker)
    firsts, seconds = zip(*map(halves, BATCH), strict=True)
    anchors = ranker.embed_queries(seconds).clone()
    with torch.no_grad():
        for weight in ranker.model.parameters():
            weight.add_(0.01)
    noisy, clean = ranker.embed_queries(firsts).clone(), ranker.embed_queries(seconds).clone()
    contrast = cross_entropy(noisy @ anchors.T / 0.1, torch.arange(3))
    expected = contrast + 0.5 * (clean - anchors).square().sum(1).mean()
    found = made.outcome(ranker.model, made.prepared(BATCH)).loss
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_noisy_query_learns_to_score_docs_as_its_clean_form_did(tmp_path: Path) -> None:
    """The divergence over docs by hand; the clean queries themselves are not read again."""
    ranker = without_dropout(tiny_ranker(tmp_path))
    made = aligned(ranker, alignment=0.0)
    docs = normalize(torch.randn(50, 32, generator=torch.Generator().manual_seed(1)), dim=-1)
    asked: list[Tensor] = []

    def near(queries: Tensor) -> Tensor:
        asked.append(queries)
        return docs

    made.docs = near
    firsts, seconds = zip(*map(halves, BATCH), strict=True)
    anchors = ranker.embed_queries(seconds).clone()
    with torch.no_grad():
        for weight in ranker.model.parameters():
            weight.add_(0.01)
    noisy = ranker.embed_queries(firsts).clone()
    wanted, found = ((each @ docs.T / 0.1).log_softmax(1) for each in (anchors, noisy))
    expected = (wanted.exp() * (wanted - found)).sum(1).mean()
    outcome = made.outcome(ranker.model, made.prepared(BATCH))
    assert outcome.loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(asked[0], anchors, atol=1e-6)
    at_chance = wanted.exp() * (wanted + torch.tensor(50.0).log())
    assert outcome.seen.chance.item() == pytest.approx(at_chance.sum(1).mean().item(), abs=1e-4)
    assert 0 < outcome.seen.right_pairs.value <= 1


def test_a_query_twice_in_a_batch_is_no_negative_of_itself(tmp_path: Path) -> None:
    ranker = without_dropout(tiny_ranker(tmp_path))
    made = aligned(ranker, alignment=0.0)
    clean = [halves(sample)[1] for sample in BATCH]
    noisy, anchors = (
        ranker.embed_queries([halves(s)[0] for s in BATCH]),
        ranker.embed_queries(clean),
    )
    twice = [*BATCH, BATCH[0]]
    logits = noisy @ anchors.T / 0.1
    losses = [cross_entropy(logits[[n]], torch.tensor([n])).item() for n in (0, 1, 2)]
    found = made.outcome(ranker.model, made.prepared(twice)).loss.item()
    both = torch.cat([logits, logits[:, :1]], dim=1)  # of the others it is a negative twice
    losses[1:] = [cross_entropy(both[[n]], torch.tensor([n])).item() for n in (1, 2)]
    assert found == pytest.approx((2 * losses[0] + losses[1] + losses[2]) / 4, abs=1e-5)


def test_queries_of_the_same_words_are_no_negatives_of_each_other(tmp_path: Path) -> None:
    """Tokens differ where case does; the words do not. With no other query in the batch there is no loss."""
    spoken = {"n0": ("where sits", "where a cat sits"), "n1": ("a cat", "Where  a CAT sits !")}

    def alike(sample: ListwiseSample) -> tuple[str, str]:
        noisy, clean = spoken[sample.query_id]
        return noisy, clean.removesuffix(" !")

    made = AlignedObjective(tiny_ranker(tmp_path), order(), alike, 0.1, 0.0)
    batch = [ListwiseSample(name, (name,), (1.0,)) for name in spoken]
    assert not made.prepared(batch).others.any()
    assert made.outcome(made.ranker.model, made.prepared(batch)).loss.item() == 0.0
    made.texts = lambda sample: spoken[sample.query_id]
    assert made.outcome(made.ranker.model, made.prepared(batch)).loss.item() > 0


def test_a_hundred_thousand_negatives_fit(tmp_path: Path) -> None:
    """Contriever's queue: never (docs, docs) in memory."""
    ranker = tiny_ranker(tmp_path)
    made = momentum(ranker, size=131_072)
    ranker.model.train()
    loss = made.outcome(ranker.model, made.prepared(BATCH)).loss
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert any(weight.grad is not None for weight in ranker.model.parameters())


def trained(folder: Path, kind: str, **how: Any) -> tuple[list[float], dict[str, Tensor]]:
    ranker = tiny_ranker(folder)
    made = momentum(ranker) if kind == "momentum" else aligned(ranker)
    found = fit(ranker.model, made, recipe(**how), checkpoints=folder / "w")
    weights = {n: w.detach().clone() for n, w in ranker.model.named_parameters()}
    return [row["loss"] for row in found.log if "loss" in row], weights


@pytest.mark.parametrize("kind", ["momentum", "aligned"])
def test_a_training_gone_on_with_gives_the_bytes_of_one_in_one_go(
    tmp_path: Path, kind: str
) -> None:
    """Stopped after update 4 of 6 by a validation that breaks, with its queue and copy half way."""
    losses, weights = trained(tmp_path / "whole", kind, schedule="constant")

    def breaks() -> dict[str, float]:
        breaks.calls += 1  # type: ignore[attr-defined]
        if breaks.calls == 3:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return {"validation": 0.0}

    breaks.calls = 0  # type: ignore[attr-defined]
    ranker = tiny_ranker(tmp_path / "parts")
    made = momentum(ranker) if kind == "momentum" else aligned(ranker)
    with pytest.raises(KeyboardInterrupt):
        fit(
            ranker.model, made, recipe(schedule="constant", validate_every=2),
            checkpoints=tmp_path / "parts" / "w", validate=breaks,
        )  # fmt: skip
    assert list((tmp_path / "parts" / "w").glob("updates-*"))
    again, ended = trained(tmp_path / "parts", kind, schedule="constant")
    assert again[-2:] == losses[-2:]
    assert all(torch.equal(weight, ended[name]) for name, weight in weights.items())


@pytest.mark.parametrize("kind", ["momentum", pytest.param("aligned", marks=pytest.mark.slow)])
def test_it_learns_and_saving_memory_changes_nothing(tmp_path: Path, kind: str) -> None:
    losses, weights = trained(tmp_path / "plain", kind, max_updates=40, schedule="constant")
    assert sum(losses[-6:]) < 0.9 * sum(losses[2:8]), "the first meet a queue of random numbers"
    cached, others = trained(
        tmp_path / "cached", kind, max_updates=40, schedule="constant", memory="grad_cache"
    )
    assert cached == pytest.approx(losses, abs=1e-4)
    assert all(torch.allclose(weight, others[name], atol=1e-3) for name, weight in weights.items())
