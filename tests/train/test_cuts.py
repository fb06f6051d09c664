"""An update's loss is that of all its queries, however it is cut into batches and shared out.

The lists are unequal, so that the batches have unequal numbers of pairs and docs, and a query has
docs that are all alike. Dropout is off: its draws follow the batches.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, final

import pytest
import torch
from torch import Tensor, nn

from rankscope.core.errors import EmptyBatch
from rankscope.core.records import ListwiseSample
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.processes import ALONE, Processes, joined
from rankscope.train.loop import fit
from rankscope.train.losses import LOSSES, pairs
from rankscope.train.needs import NEEDS
from rankscope.train.objectives.batches import ListwiseObjective, MixedObjective, Order, labelled
from rankscope.train.objectives.in_batch import InBatchObjective
from support import tiny
from support.training import DOCS, recipe

N = 8
"""Queries in one update."""
SIZES = [2, 9, 3, 4, 2, 7, 5, 3]
LABELS = {
    "one positive": lambda n: [1.0] + [0.0] * (n - 1),
    "positives": lambda n: [float(3 * i < n) for i in range(n)],
    "order": lambda n: [float(n - i) for i in range(n)],
    "grades": lambda n: [float(max(0, 2 - i)) for i in range(n)],
    "scores": lambda n: [0.7 * (n - i) - 2 for i in range(n)],
}
ALIKE = {"order", "grades", "scores"}
"""Needs of losses that learn from the others, where a query's docs all tie."""


def samples(needs: str) -> list[ListwiseSample]:
    """Three updates of queries with 2 to 9 docs; of some, where that is allowed, the docs all tie."""
    ids, made = list(DOCS), []
    for number in range(3 * N):
        n = SIZES[number % N]
        labels = LABELS[needs](n)
        if needs in ALIKE and number % N in (0, 3):
            labels = [labels[0]] * n
        docs = tuple(ids[(number + 5 * place) % len(ids)] for place in range(n))
        made.append(ListwiseSample(f"q{number}", docs, tuple(labels)))
    return made


def order_of(name: str, per_batch: int, seed: int = 5) -> Order:
    made = samples(NEEDS[name])
    return Order(
        lambda _: made, lambda s: max(len(DOCS[d]) for d in s.doc_ids), queries_per_update=N,
        queries_per_batch=per_batch, seed=seed,
    )  # fmt: skip


def texts(sample: ListwiseSample) -> tuple[str, list[str]]:
    return f"who sits {DOCS[sample.doc_ids[0]].split()[1]}", [DOCS[d] for d in sample.doc_ids]


def sure(ranker: Any) -> Any:
    """Without dropout, and with scores so far apart that losses and gradients are of a training's size."""
    for module in ranker.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for name, weight in ranker.model.named_parameters():
            if "classifier" in name:
                weight.mul_(10)
    if isinstance(ranker, BiEncoder):
        for weight in ranker.frozen_weights([], 0):
            weight.requires_grad_(False)
    return ranker


def cross_encoded(ranker: CrossEncoder, name: str, per_batch: int) -> ListwiseObjective:
    return ListwiseObjective(ranker, LOSSES[name], order_of(name, per_batch), texts)


def embedded(ranker: BiEncoder, name: str, per_batch: int) -> InBatchObjective:
    return InBatchObjective(
        ranker, LOSSES[name], order_of(name, per_batch), texts,
        is_known=lambda query_id, doc_id: False, all_docs=False,
    )  # fmt: skip


def mixed(ranker: CrossEncoder, name: str, per_batch: int) -> MixedObjective:
    """With ten queries of another loss in every update, cut otherwise."""
    other = order_of("margin_mse", min(per_batch + 2, 10), seed=6)
    second = replace(cross_encoded(ranker, "margin_mse", 1), order=other)
    other.queries_per_update = 10
    return MixedObjective(cross_encoded(ranker, name, per_batch), second, 0.3)


KINDS: dict[str, Any] = {"cross-encoder": cross_encoded, "bi-encoder": embedded, "mixed": mixed}
CASES = [(kind, name) for kind in ("cross-encoder", "bi-encoder") for name in LOSSES]
CASES += [("mixed", "localized_contrastive"), ("mixed", "ranknet")]
every_case = pytest.mark.parametrize(("kind", "name"), CASES)


class Trained(NamedTuple):
    """What a training by the loop left."""

    log: list[dict[str, float]]
    gradient: dict[str, Tensor]
    """Of the last update."""
    weights: dict[str, Tensor]


@final
class Bench:
    """Rankers that are trained again and again from the same weights."""

    processes: Processes = ALONE

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rankers: dict[str, Any] = {
            "cross-encoder": sure(tiny.cross_encoder(folder)),
            "bi-encoder": sure(tiny.bi_encoder(folder)),
        }
        self._rankers["mixed"] = self._rankers["cross-encoder"]
        self._begun = {kind: deepcopy(r.model.state_dict()) for kind, r in self._rankers.items()}

    def ranker(self, kind: str) -> Any:
        """One as it was at first."""
        ranker = self._rankers[kind]
        ranker.model.to(torch.get_default_dtype()).load_state_dict(self._begun[kind])
        return ranker

    def trained(self, kind: str, name: str, per_batch: int, **how: Any) -> Trained:
        """By a named loss, so many queries in a batch; in the default type of numbers."""
        gradient: dict[str, Tensor] = {}
        ranker = self.ranker(kind)
        model = ranker.model

        def keeping(name: str) -> Any:
            return lambda weight: gradient.__setitem__(name, weight.grad.clone())

        handles = [
            weight.register_post_accumulate_grad_hook(keeping(name))
            for name, weight in model.named_parameters()
            if weight.requires_grad
        ]
        plan = recipe(schedule="constant", warmup=0.0, clip_norm=1e9, checkpoint_every=99, **how)
        objective = KINDS[kind](ranker, name, per_batch)
        if isinstance(objective, InBatchObjective):
            objective.processes = self.processes
        with TemporaryDirectory(dir=self._folder) as work:
            log = fit(model, objective, plan, checkpoints=Path(work) / "w").log
        for handle in handles:
            handle.remove()
        return Trained(log, gradient, {n: w.detach().clone() for n, w in model.named_parameters()})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@contextmanager
def doubles() -> Iterator[None]:
    """Weights, labels and scores are float64, those too that the models give as float32."""
    single, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double  # type: ignore[method-assign]
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.float = single  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)


def furthest(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


@every_case
def test_the_loss_and_gradient_of_an_update_are_the_same_however_it_is_cut(
    bench: Bench, kind: str, name: str
) -> None:
    whole = bench.trained(kind, name, N, max_updates=1)
    (expected,) = whole.log
    for per_batch in (1, 2, 4):
        cut = bench.trained(kind, name, per_batch, max_updates=1)
        for fact in ("loss", "chance", "right_pairs", "gradient_norm"):
            assert cut.log[0][fact] == pytest.approx(expected[fact], rel=1e-6, abs=1e-6), fact
        size = max(1.0, expected["loss"], expected["gradient_norm"])  # of what is rounded
        assert furthest(cut.gradient, whole.gradient) < 1e-6 * size


@every_case
def test_three_updates_end_in_the_same_weights_however_they_are_cut(
    bench: Bench, kind: str, name: str
) -> None:
    """Of three queries a batch, the last batch has two."""
    with doubles():
        whole, cut = (bench.trained(kind, name, size, max_updates=3) for size in (N, 3))
    assert furthest(cut.weights, whole.weights) < 1e-9


SHARED = [
    ("cross-encoder", "ranknet", 1),
    ("cross-encoder", "margin_mse", 3),
    ("cross-encoder", "ranknet", N),
    ("mixed", "ranknet", 2),
    ("bi-encoder", "ranknet", 2),
]
"""Batches of which one process has as many as the other, more, or all."""


@pytest.mark.slow  # in the default suite, to 1e-4 in the losses: tests/study/test_several_processes.py
def test_two_processes_end_in_the_weights_of_one(bench: Bench, tmp_path: Path) -> None:
    """Also where a batch has no pair, and where a process has fewer batches than the other, or none."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", __file__]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    subprocess.run(
        [sys.executable, *command, str(tmp_path)], check=True, capture_output=True, timeout=280,
        env=os.environ
        | {
            "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": os.pathsep.join(paths),
        },
    )  # fmt: skip
    for place, (kind, name, per_batch) in enumerate(SHARED):
        found = torch.load(tmp_path / f"{place}.pt")
        with doubles():
            one = bench.trained(kind, name, N, max_updates=3)
        assert furthest(found["weights"], one.weights) < 1e-9, (kind, name, per_batch)
        for fact in ("loss", "chance", "right_pairs"):
            assert [row[fact] for row in found["log"]] == pytest.approx(
                [row[fact] for row in one.log], rel=1e-6
            )


def one_of_two(folder: Path) -> None:
    """What each of two processes does."""
    alone = folder / f"process-{os.environ['RANK']}"
    alone.mkdir()
    bench = Bench(alone)  # before they join: of processes that have, only the first saves a model
    bench.processes = processes = joined()
    for place, (kind, name, per_batch) in enumerate(SHARED):
        with doubles():
            found = bench.trained(kind, name, per_batch, max_updates=3)
        if processes.is_first:
            torch.save({"log": found.log, "weights": found.weights}, folder / f"{place}.pt")


@pytest.mark.parametrize("name", [name for name in LOSSES if NEEDS[name] in ALIKE])
def test_a_query_whose_docs_all_tie_may_be_alone_in_its_batch(bench: Bench, name: str) -> None:
    """A loss over pairs has none there, so that the batch counts exactly nothing; the others count it."""
    ranker = bench.ranker("cross-encoder")
    made = cross_encoded(ranker, name, 1)
    tied = [batch[0] for batch in made.batches(0) if len({*batch[0].labels}) == 1]
    other = next(batch[0] for batch in made.batches(0) if len({*batch[0].labels}) > 1)
    ranker.model.eval()
    for sample in tied:
        share, rest = made.shares([[sample], [other]])
        assert share + rest == pytest.approx(1)
        outcome = made.outcome(ranker.model, made.prepared([sample]))
        ranker.model.zero_grad()
        (outcome.loss * share).backward()
        gradients = [w.grad for w in ranker.model.parameters()]
        assert all(each is not None for each in gradients), "another process may wait for it"
        if name in {"ranknet", "weighted_ranknet", "student_weighted_ranknet", "lambdarank"}:
            assert (share, rest, outcome.loss.item()) == (0, 1, 0)
            assert all(each.eq(0).all() for each in gradients)
    if NEEDS[name] != "scores" and name != "adr_mse":
        with pytest.raises(EmptyBatch, match="nothing to rank"):
            made.shares([[sample] for sample in tied])


@pytest.mark.parametrize("weight", [0.2, 0.5])
def test_shares_of_a_mixed_loss_are_those_of_its_parts_weighed(bench: Bench, weight: float) -> None:
    made = replace(mixed(bench.ranker("cross-encoder"), "ranknet", 3), weight=weight)
    batches, first, second = made.batches(0), made.first.batches(0), made.second.batches(0)
    n = len(first)
    shares = made.shares(batches)
    assert len(shares) == n + len(second)
    assert shares[:n] == pytest.approx([(1 - weight) * each for each in made.first.shares(first)])
    assert shares[n:] == pytest.approx([weight * each for each in made.second.shares(second)])
    assert sum(shares) == pytest.approx(1)


def test_where_a_batch_gives_the_negatives_it_counts_by_its_queries(bench: Bench) -> None:
    made = replace(embedded(bench.ranker("bi-encoder"), "info_nce", 3), all_docs=True)
    assert made.shares(made.batches(0)) == [3 / 8, 3 / 8, 2 / 8]


@pytest.mark.parametrize("name", LOSSES)
def test_units_are_those_that_the_loss_is_a_mean_over(name: str) -> None:
    """Two copies of a query have twice the units and twice the total, and the same mean."""
    labels, mask = labelled(samples(NEEDS[name])[1:2])
    scores = torch.linspace(-1, 1, mask.shape[1])[None]
    loss, twice = LOSSES[name], [each.expand(2, -1) for each in (scores, labels, mask)]
    assert loss.units(*twice[1:]) == 2 * loss.units(labels, mask) > 0
    torch.testing.assert_close(loss.total(*twice), 2 * loss.total(scores, labels, mask))
    torch.testing.assert_close(loss(*twice), loss(scores, labels, mask))


def test_pairs_are_counted_as_they_are_named() -> None:
    labels = torch.randint(4, (5, 9), generator=torch.Generator().manual_seed(1)).float()
    mask = torch.arange(9) < torch.tensor([9, 1, 0, 5, 7])[:, None]
    dirty = labels.masked_fill(~mask, float("nan"))
    rows = [row[real].tolist() for row, real in zip(labels, mask, strict=True)]
    assert pairs(dirty, mask) == sum(a > b for row in rows for a in row for b in row)


if __name__ == "__main__":
    one_of_two(Path(sys.argv[1]))
