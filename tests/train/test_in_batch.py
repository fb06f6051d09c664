"""In-batch negatives: by hand, against the plain formula, in parts, with memory saved, and frozen."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers.base.modules import Dense
from torch import Tensor

from rankscope.core.errors import BadInput, EmptyBatch
from rankscope.core.records import ListwiseSample
from rankscope.models import adapters, backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.fast import lengths
from rankscope.models.location import Location
from rankscope.train.loop import fit
from rankscope.train.losses import LOSSES
from rankscope.train.memory import Recomputed
from rankscope.train.objectives.batches import Order
from rankscope.train.objectives.in_batch import InBatchObjective
from support import tiny
from support.training import DOCS, recipe, samples


def texts(sample: ListwiseSample) -> tuple[str, list[str]]:
    """No two queries have the same words."""
    own = tiny.WORDS[int(sample.query_id[1:])]
    query = f"who sits {DOCS[sample.doc_ids[0]].split()[1]} {own}"
    return query, [DOCS[doc_id] for doc_id in sample.doc_ids]


def objective(ranker: BiEncoder, **how: Any) -> InBatchObjective:
    order = Order(
        samples, lambda s: max(len(DOCS[d]) for d in s.doc_ids),
        queries_per_update=4, queries_per_batch=4, seed=5,
    )  # fmt: skip
    return InBatchObjective(
        ranker=ranker,
        loss_function=LOSSES[how.pop("loss", "info_nce")],
        order=how.pop("order", order),
        texts=how.pop("texts", texts),
        is_known=how.pop("is_known", lambda query_id, doc_id: False),
        **how,
    )


BATCH = [
    ListwiseSample("q0", ("d0", "d1"), (1.0, 0.0)),
    ListwiseSample("q1", ("d3", "d1"), (1.0, 0.0)),
    ListwiseSample("q2", ("d6", "d7"), (1.0, 0.0)),
]


def test_a_query_meets_every_doc_of_the_batch_once_but_those_known_to_be_relevant(
    tmp_path: Path,
) -> None:
    """Distinct docs d0 d1 d3 d7 d6 ...: q0 has its own two, then the others' but d6, which it wants."""
    made = objective(
        tiny.bi_encoder(tmp_path),
        is_known=lambda query_id, doc_id: (query_id, doc_id) == ("q0", "d6"),
    )
    ready = made.prepared(BATCH)
    assert [len(ready.inputs[side]) for side in ("query", "document")] == [3, 5]
    docs = ["d0", "d1", "d3", "d6", "d7"]
    met = [
        [docs[place] for place, real in zip(row, mask, strict=True) if real]
        for row, mask in zip(ready.columns.tolist(), ready.mask.tolist(), strict=True)
    ]
    assert met == [
        ["d0", "d1", "d3", "d7"],
        ["d3", "d1", "d0", "d6", "d7"],
        ["d6", "d7", "d0", "d1", "d3"],
    ]
    assert ready.labels.tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    alone = objective(made.ranker, all_docs=False).prepared(BATCH)
    assert alone.mask.shape == (3, 2)


def test_the_loss_is_the_cross_entropy_of_each_positive_among_all_docs(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path, similarity="cosine")
    ranker.model.eval()
    made = objective(ranker, temperature=0.05)
    queries = ranker.embed_queries([made.texts(sample)[0] for sample in BATCH])
    docs = ranker.embed_docs([DOCS[d] for d in ("d0", "d3", "d6", "d1", "d7")])
    expected = torch.nn.functional.cross_entropy(queries @ docs.T / 0.05, torch.arange(3))
    found = made.outcome(ranker.model, made.prepared(BATCH)).loss
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)


def gradients(
    ranker: BiEncoder, made: InBatchObjective, model: torch.nn.Module | None = None
) -> dict[str, Tensor]:
    ranker.model.zero_grad()
    made.outcome(model or ranker.model, made.prepared(BATCH)).loss.backward()  # type: ignore[no-untyped-call]
    return {n: w.grad.clone() for n, w in ranker.model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("with_lora", [False, True])
def test_gradcache_in_many_parts_gives_the_gradients_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_lora: bool
) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    if with_lora:
        lora = adapters.LoRA(rank=4, alpha=8.0, dropout=0.0, targets=())
        ranker.adapt(lora, base=tmp_path, seed=1)
        for name, weight in ranker.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
    ranker.model.eval()
    whole = gradients(ranker, objective(ranker))
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 16)
    cached = gradients(ranker, objective(ranker), Recomputed(ranker.model))
    assert whole.keys() == cached.keys()
    assert sum(float(each.abs().sum()) for each in whole.values()) > 0
    for name, gradient in whole.items():
        torch.testing.assert_close(cached[name], gradient, rtol=1e-4, atol=1e-6)


def test_texts_in_many_parts_give_the_gradients_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    ranker.model.eval()
    whole = gradients(ranker, objective(ranker))
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 16)
    parts = gradients(ranker, objective(ranker))
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        assert torch.allclose(gradient, parts[name], atol=1e-5), name


@pytest.mark.parametrize("with_lora", [pytest.param(False, marks=pytest.mark.slow), True])
def test_saving_memory_changes_no_loss_and_no_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_lora: bool
) -> None:
    """GradCache in many parts, dropout on: the losses and weights of the plain batch."""
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 16)
    found = []
    for how in ("plain", "grad_cache", "gradient_checkpointing"):
        ranker = tiny.bi_encoder(tmp_path / how)
        if with_lora:
            lora = adapters.LoRA(rank=4, alpha=8.0, dropout=0.1, targets=())
            ranker.adapt(lora, base=tmp_path / how, seed=1)
        trained = fit(
            ranker.model, objective(ranker), recipe(memory=how), checkpoints=tmp_path / how / "w"
        )
        weights = dict(ranker.model.named_parameters())
        found.append(([row["loss"] for row in trained.log], weights))
    (losses, weights), *saving = found
    for saving_losses, saving_weights in saving:
        assert losses == pytest.approx(saving_losses, abs=1e-5)
        for name, weight in weights.items():
            assert torch.allclose(weight, saving_weights[name], atol=1e-5), name


def test_training_brings_queries_to_their_docs(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path, similarity="cosine")
    trained = fit(
        ranker.model, objective(ranker, temperature=0.1),
        recipe(max_updates=40, schedule="constant"), checkpoints=tmp_path / "w",
    )  # fmt: skip
    losses = [row["loss"] for row in trained.log]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_frozen_doc_tower_leaves_every_doc_vector_as_it_was(tmp_path: Path) -> None:
    where = Location("b", tiny.save_encoder(tmp_path / "b"))
    towers = [backbone.load_encoder(where) for _ in range(2)]
    ranker = BiEncoder.on(*towers, pooling="mean", max_length={"query": 16, "document": 32})
    texts = list(DOCS.values())
    docs, queries = ranker.embed_docs(texts), ranker.embed_queries(texts)
    assert torch.equal(docs, queries)
    for weight in ranker.frozen_weights(["doc_tower"], 0):
        weight.requires_grad_(False)
    fit(ranker.model, objective(ranker), recipe(), checkpoints=tmp_path / "w")
    assert ranker.embed_docs(texts).numpy().tobytes() == docs.numpy().tobytes()
    assert not torch.allclose(ranker.embed_queries(texts), queries, atol=1e-3)


def test_a_frozen_tower_is_frozen_behind_its_transformer_too(tmp_path: Path) -> None:
    one = tiny.bi_encoder(tmp_path)
    one.inner.append(Dense(one.width, 8))
    ranker = one.separated()
    frozen = {id(weight) for weight in ranker.frozen_weights(["doc_tower"], 0)}
    left = [weight for weight in ranker.model.parameters() if id(weight) not in frozen]
    for weight in left:
        weight.data.add_(0.5)
    texts = list(DOCS.values())
    assert torch.equal(ranker.embed_docs(texts), one.embed_docs(texts))
    assert not torch.allclose(ranker.embed_queries(texts), one.embed_queries(texts), atol=1e-2)


def test_a_tower_cannot_be_frozen_before_weights_that_both_sides_share(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path).separated()
    ranker.inner.append(Dense(ranker.width, 8))
    with pytest.raises(BadInput, match="weights that both sides share"):
        ranker.frozen_weights(["doc_tower"], 0)


TWINS = [ListwiseSample("q0", ("d0",), (1.0,)), ListwiseSample("q1", ("d1",), (1.0,))]
ONE_DOC = [ListwiseSample("q0", ("d0",), (1.0,)), ListwiseSample("q1", ("d9",), (1.0,))]
OWN_DOUBLE = [
    ListwiseSample("q0", ("d0", "d9"), (1.0, 0.0)),
    ListwiseSample("q1", ("d9", "d0"), (1.0, 0.0)),
]
QUERIES = {
    "q0": "who sits on the mat",
    "q1": "Who  sits on the MAT",
    "q2": "what runs",
    "q3": "where",
}
WITH_DOUBLES = DOCS | {"d9": DOCS["d0"].upper().replace(" ", "  ")}


def by_words(ranker: BiEncoder, *query_ids: str) -> InBatchObjective:
    """An objective over docs of which d9 has the words of d0, at a temperature of .02."""

    def of(sample: ListwiseSample) -> tuple[str, list[str]]:
        asked = dict(zip(("q0", "q1", "q2"), query_ids, strict=False)).get(sample.query_id)
        return QUERIES[asked or sample.query_id], [WITH_DOUBLES[d] for d in sample.doc_ids]

    return objective(ranker, texts=of, temperature=0.02)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(
    ("batch", "query_ids"),
    [
        pytest.param(TWINS, ("q0", "q1"), id="a query's twin in words has a positive of its own"),
        pytest.param(ONE_DOC, ("q0", "q2"), id="one doc is relevant under two ids"),
        pytest.param(OWN_DOUBLE, ("q0", "q2"), id="a double is a hard negative"),
        pytest.param([*TWINS, *ONE_DOC], ("q0", "q1"), id="all of it"),
    ],
)
def test_what_has_the_same_words_is_no_negative(
    tmp_path: Path, batch: list[ListwiseSample], query_ids: tuple[str, str], cached: bool
) -> None:
    """By ids the loss had a floor (ln 2 for a doc against itself); nothing else is in the batch, so it is 0."""
    ranker = tiny.bi_encoder(tmp_path, similarity="cosine")
    made = by_words(ranker, *query_ids)
    model = Recomputed(ranker.model) if cached else ranker.model
    outcome = made.outcome(model, made.prepared(batch))
    assert outcome.loss.item() == 0.0
    outcome.loss.backward()  # type: ignore[no-untyped-call]
    found = [w.grad for w in ranker.model.parameters() if w.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_a_twin_and_a_double_meet_the_negatives_that_are_others(tmp_path: Path) -> None:
    """q0 and q1 ask the same, d9 says what d0 says: each query meets the docs of q2 alone, and once."""
    made = by_words(tiny.bi_encoder(tmp_path), "q0", "q1", "q2")
    ready = made.prepared([
        ListwiseSample("q0", ("d0", "d2"), (1.0, 0.0)),
        ListwiseSample("q1", ("d1", "d0"), (1.0, 0.0)),
        ListwiseSample("q2", ("d4", "d9"), (1.0, 0.0)),
    ])  # fmt: skip
    docs = ["d0", "d2", "d1", "d4"]
    assert len(ready.inputs["document"]) == len(docs)
    met = [
        [docs[place] for place, real in zip(row, mask, strict=True) if real]
        for row, mask in zip(ready.columns.tolist(), ready.mask.tolist(), strict=True)
    ]
    assert met == [["d0", "d2", "d4"], ["d1", "d2", "d4"], ["d4", "d0", "d2", "d1"]]


def test_a_batch_of_one_query_without_a_negative_is_still_refused(tmp_path: Path) -> None:
    made = objective(tiny.bi_encoder(tmp_path))
    with pytest.raises(EmptyBatch, match="a positive and a negative doc"):
        made.outcome(made.ranker.model, made.prepared(TWINS[:1]))
