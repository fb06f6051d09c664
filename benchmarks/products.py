"""What decision 12 rests on: single products, masks and gradients of embeddings, each way by turns, on one thread.

    python benchmarks/products.py

Told is the median over `ROUNDS` turns. Rates of dense layers are over all-MiniLM-L6-v2's shapes and 1,024 tokens, as in
one pass: GFLOP/s, a multiplication and an addition being two. A way that this processor does not have is left out.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from rankscope.core.errors import BadInput
from rankscope.models.fast import packed, precision, products
from rankscope.train import dropout
from rankscope.train.embeddings import gradients_by_row

ROUNDS, CALLS = 15, 20
TOKENS = 1_024
SHAPES = ((384, 384), (384, 1_536), (1_536, 384))
"""(inputs, outputs) of the dense layers in a block."""
HEADS, WIDTH = 12, 32
Ways = Mapping[str, Callable[[], object]]


def seconds(ways: Ways, calls: int = CALLS) -> dict[str, float]:
    """The median seconds of a call of each way; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, call in ways.items():
            started = time.perf_counter()
            for _ in range(calls):
                call()
            took[name].append((time.perf_counter() - started) / calls)
    return {name: median(turns[1:]) for name, turns in took.items()}  # the first turn warms up


def dense_ways(dense: nn.Linear, rows: Tensor) -> dict[str, Callable[[], object]]:
    """The ways to compute a dense layer on this processor."""
    ways: dict[str, Callable[[], object]] = {
        "float32, linear": lambda: linear(rows, dense.weight, dense.bias),
    }
    if products.is_by_onednn(dense.weight):
        by_packed = packed._forward(dense)
        ways["float32, convolution"] = lambda: products.product(rows, dense.weight, dense.bias)
        ways["float32, packed weights"] = lambda: by_packed(rows)
    for name, narrow in precision.PRECISIONS.items():
        if narrow is not None and _is_faster(name):
            forward = narrow(dense)
            ways[name] = lambda forward=forward: forward(rows)  # type: ignore[misc]
    return ways


def _is_faster(name: str) -> bool:
    try:
        precision.require(name, torch.device("cpu"))
    except BadInput:
        return False
    return True


def rates() -> dict[str, float]:
    """GFLOP/s of each way over a block's dense layers."""
    total: dict[str, float] = {}
    for inputs, outputs in SHAPES:
        ways = dense_ways(nn.Linear(inputs, outputs), torch.randn(TOKENS, inputs))
        for name, took in seconds(ways).items():
            total[name] = total.get(name, 0.0) + took
    work = sum(2 * TOKENS * inputs * outputs for inputs, outputs in SHAPES)
    return {name: work / took / 1e9 for name, took in total.items()}


class Packed(torch.autograd.Function):
    """A dense layer whose output and whose inputs' gradient are products with packed weights."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, dense: nn.Linear, both: tuple[Tensor, Tensor]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.dense, ctx.both = dense, both
        gave: Tensor = torch.ops.mkldnn._linear_pointwise(rows, both[0], dense.bias, "none", [], "")
        return gave

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (rows,), dense = ctx.saved_tensors, ctx.dense
        for parameter, value in (
            (dense.weight, gradient.mT @ rows),
            (dense.bias, gradient.sum(0)),
        ):
            parameter.grad = value if parameter.grad is None else parameter.grad.add_(value)
        back: Tensor = torch.ops.mkldnn._linear_pointwise(
            gradient, ctx.both[1], None, "none", [], ""
        )
        return back, None, None


def trained() -> dict[str, float]:
    """Milliseconds of a block's dense layers, forward and backward, in eight passes of an update."""
    total: dict[str, float] = {}
    for inputs, outputs in SHAPES:
        dense, rows = nn.Linear(inputs, outputs), torch.randn(TOKENS, inputs, requires_grad=True)

        def plainly(dense: nn.Linear = dense, rows: Tensor = rows) -> None:
            for _ in range(8):
                dense(rows).sum().backward()

        def packed_once(dense: nn.Linear = dense, rows: Tensor = rows) -> None:
            weight = dense.weight.detach()
            reorder = torch.ops.mkldnn._reorder_linear_weight
            both = reorder(weight, TOKENS), reorder(weight.t().contiguous(), TOKENS)
            for _ in range(8):
                Packed.apply(rows, dense, both).sum().backward()

        ways: dict[str, Callable[[], object]] = {"PyTorch": plainly}
        if products.is_by_onednn(dense.weight):
            ways["packed once an update"] = packed_once
        for name, took in seconds(ways, calls=1).items():
            total[name] = total.get(name, 0.0) + 1e3 * took
    return total


def random_numbers() -> dict[str, float]:
    """Milliseconds of the random numbers for the masks of 3 million values, four values a number."""
    ours, other = torch.empty(750_000, dtype=torch.int64), np.random.Generator(np.random.SFC64(1))
    ways: Ways = {
        "PyTorch's generator": lambda: ours.random_(-(1 << 63), None),
        "numpy's SFC64": lambda: other.integers(-(1 << 63), 1 << 63, 750_000, dtype=np.int64),
    }
    return {name: 1e3 * took for name, took in seconds(ways).items()}


def masks() -> dict[str, float]:
    """Milliseconds to multiply 3 million float32 by a mask of dropout."""
    values, truths = torch.randn(3_000_000), torch.rand(3_000_000) > 0.1
    numbers = truths.float()
    ways: Ways = {"truth values": lambda: values * truths, "numbers": lambda: values * numbers}
    return {name: 1e3 * took for name, took in seconds(ways).items()}


def embedding_gradients(rows: int) -> dict[str, float]:
    """Milliseconds of reading 1,024 rows of a table of 384 columns and adding their gradients, in four passes."""
    table = nn.Embedding(rows, 384)
    ids = torch.randint(rows, (8, TOKENS // 8))

    def update() -> None:
        table.weight.grad = None
        for _ in range(4):
            table(ids).sum().backward()

    def by_row() -> None:
        with gradients_by_row(table):
            update()

    took = seconds({"PyTorch": update, "by row": by_row}, calls=1)
    return {name: 1e3 * value for name, value in took.items()}


def attention(length: int) -> dict[str, float]:
    """Milliseconds of attention over 1,024 tokens in texts of one length."""
    shape = (TOKENS // length, HEADS, length, WIDTH)
    query, key, value = (torch.randn(shape) for _ in range(3))

    def by_products() -> Tensor:
        return torch.softmax(query @ key.mT * WIDTH**-0.5, -1) @ value

    ways: Ways = {
        "PyTorch": lambda: scaled_dot_product_attention(query, key, value),
        "two products and a softmax": by_products,
    }
    return {name: 1e3 * took for name, took in seconds(ways).items()}


def attention_with_dropout(length: int) -> dict[str, float]:
    """Milliseconds of attention with dropout, forward and backward, over 1,024 tokens in texts of one length."""
    shape = (TOKENS // length, length, HEADS, WIDTH)
    query, key, value = (torch.randn(shape).transpose(1, 2).requires_grad_() for _ in range(3))

    def by_pytorch() -> None:
        mask, scale = dropout.kept(query.shape[:3] + key.shape[2:3], 0.1, query.dtype)
        weights = ((query * WIDTH**-0.5) @ key.mT).softmax(-1)
        ((weights * mask) @ (value * scale)).transpose(1, 2).contiguous().sum().backward()

    def by_hand() -> None:
        dropout.attention(nn.Module(), query, key, value, None, dropout=0.1)[0].sum().backward()

    took = seconds({"PyTorch's derivative": by_pytorch, "by hand": by_hand}, calls=2)
    return {name: 1e3 * each for name, each in took.items()}


def heads_products(length: int) -> dict[str, float]:
    """Milliseconds of queries by keys over 1,024 tokens, whose heads stand beside each other in a token's row."""
    shape = (TOKENS // length, length, HEADS, WIDTH)
    query, key = (torch.randn(shape).transpose(1, 2) for _ in range(2))
    weights = torch.empty(*query.shape[:3], length)

    def copied() -> None:
        heads = [each.flatten(0, 1).contiguous() for each in (query, key)]
        torch.bmm(heads[0], heads[1].mT, out=weights.flatten(0, 1))

    def in_place() -> None:
        for text in range(len(query)):
            torch.bmm(query[text], key[text].mT, out=weights[text])

    ways: Ways = {"heads copied out first": copied, "where they stand, a text at a time": in_place}
    return {name: 1e3 * took for name, took in seconds(ways).items()}


def show(what: str, values: Mapping[str, float], unit: str) -> None:
    for name, value in values.items():
        print(f"{what}\t{name}\t{value:.2f} {unit}")


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    for length in (32, 64, 128, 256):
        what = f"attention with dropout, forward and backward, {length} tokens a text"
        show(what, attention_with_dropout(length), "ms")
    with torch.no_grad():
        show(f"dense layers, {TOKENS} tokens", rates(), "GFLOP/s")
        show("3 million numbers by a mask", masks(), "ms")
        show("random numbers for such masks", random_numbers(), "ms")
        for length in (32, 128, 256):
            show(f"attention, {length} tokens a text", attention(length), "ms")
            show(f"queries by keys, {length} tokens a text", heads_products(length), "ms")
    show(
        f"a block's dense layers, forward and backward, {TOKENS} tokens, 8 passes", trained(), "ms"
    )
    for rows in (30_522, 250_000):
        show(f"embeddings, {rows:,} rows, 4 passes", embedding_gradients(rows), "ms")


if __name__ == "__main__":
    main()
