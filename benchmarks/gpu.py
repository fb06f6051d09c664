"""Scoring, embedding, training and attribution on a GPU, against sentence-transformers, paired in one run.

    python benchmarks/gpu.py [--dry-run]          # needs `datasets`; under ten minutes on one GPU

Models: BERT-base's and ELECTRA-base's shapes with random weights, and a vocabulary of made-up words, so nothing is
fetched. Texts and trainings are those of cross_encoder.py and bi_encoder.py, in the lengths of WikiQA and SciFact.
Training is in bfloat16 on both sides; scoring and embedding in float32, and in bfloat16 by autocast on both sides.
Beside each ratio stands the share of the GPU's peak: the operations of all matrix products over what the GPU reaches in
a large square product of the same type, the best of five. Attribution: see `accelerated` in attribution.py.

`--dry-run` carries out one family in tiny shapes over few short texts, on whatever device there is, in under a minute on
a processor. Its figures say nothing.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import attribution
import bi_encoder
import cross_encoder
import torch
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, ElectraConfig, ElectraModel, PreTrainedModel

from rankscope.core.rng import stream
from rankscope.data.world import world
from rankscope.models import backbone, opening, scratch
from rankscope.models.location import located
from rankscope.train import guards

HALF = {"float32": False, "bfloat16": True}


@dataclass(frozen=True)
class Size:
    """The size of the models, and how much work they get."""

    layers: int
    width: int
    heads: int
    deviation: float
    """Of the random weights: large enough that a small model's scores differ."""
    pieces: int
    """Rows of the embedding matrix: a vocabulary of fewer words leaves the others unused."""
    n_texts: int
    rounds: int
    updates: int
    square: int
    """Rows of the product whose rate is the peak."""
    attributed: tuple[int, int]
    """Texts, and the tokens of each."""
    collections: tuple[str, ...]
    """Whose lengths the texts have."""
    families: tuple[str, ...]
    """Of models."""


BASE = Size(
    12,
    768,
    12,
    0.02,
    30_522,
    4_096,
    3,
    guards.LOOK_EVERY,
    8_192,
    (256, 128),
    (*cross_encoder.LENGTHS,),
    ("BERT", "ELECTRA"),
)
DRY = Size(2, 32, 2, 0.5, 2_000, 24, 1, 2, 256, (2, 8), ("WikiQA",), ("ELECTRA",))


def shape(size: Size) -> dict[str, Any]:
    """What a configuration says of the size."""
    return {
        "vocab_size": size.pieces, "hidden_size": size.width, "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "intermediate_size": 4 * size.width,
        "initializer_range": size.deviation,
    }  # fmt: skip


def encoder(family: str, size: Size) -> PreTrainedModel:
    torch.manual_seed(1)
    if family == "BERT":
        return BertModel(BertConfig(**shape(size)))
    return ElectraModel(ElectraConfig(**shape(size), embedding_size=size.width))


def save(folder: Path, family: str, size: Size) -> Path:
    """A bi-encoder with mean pooling; cross-encoders begin from its backbone."""
    texts = [doc.text for doc in world(1, n_people=60).docs]
    tokenizer = scratch.tokenizer(scratch.vocabulary(texts, size.pieces), max_length=512)
    with backbone.quiet():
        encoder(family, size).save_pretrained(folder / "backbone")
        tokenizer.save_pretrained(folder / "backbone")
        transformer = Transformer(str(folder / "backbone"), max_seq_length=cross_encoder.MAX_LENGTH)
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
        SentenceTransformer(modules=[transformer, pooling]).save(str(folder / "bi_encoder"))
    return folder


def share(work: Callable[[], object], seconds: float, peak: float) -> str:
    """The share of the peak that work of so many seconds reaches."""
    with FlopCounterMode(display=False) as counter:
        work()
    return f"{counter.get_total_flops() / seconds / peak:.0%} of the peak"


def scoring(collection: str, size: Size, dtype: str, peak: float) -> str:
    """Pairs per second, from texts."""
    ranker = cross_encoder.fresh()
    docs = cross_encoder.texts(collection, size.n_texts, stream(1, "scoring", collection))
    with TemporaryDirectory() as folder:
        ranker.save(Path(folder))
        with backbone.quiet():
            peer = TheirCrossEncoder(folder, device=str(opening.device()))
    ranker.model.to(opening.device())
    pairs = [(cross_encoder.QUERY, doc) for doc in docs]
    with mixed(dtype):
        return compared(
            f"scoring, {collection}, {dtype}, pairs/s",
            len(docs),
            lambda: ranker.score(cross_encoder.QUERY, docs),
            lambda: peer.predict(pairs, batch_size=128, show_progress_bar=False),
            peak,
        )


def embedding(collection: str, size: Size, dtype: str, peak: float) -> str:
    """Texts per second."""
    ours, theirs = opening.open_bi_encoder(located(bi_encoder.MODEL)), bi_encoder.peer()
    docs = cross_encoder.texts(collection, size.n_texts, stream(1, "encode", collection))
    with mixed(dtype):
        return compared(
            f"embedding, {collection}, {dtype}, texts/s",
            len(docs),
            lambda: ours.embed_docs(docs),
            lambda: theirs.encode(docs, batch_size=128, show_progress_bar=False),
            peak,
        )


def mixed(dtype: str) -> torch.autocast | nullcontext[None]:
    return torch.autocast(opening.device().type, torch.bfloat16) if HALF[dtype] else nullcontext()


def compared(
    what: str, n: int, ours: Callable[[], object], theirs: Callable[[], object], peak: float
) -> str:
    mine, other, ratio = cross_encoder.paired(
        lambda: cross_encoder.seconds(ours), lambda: cross_encoder.seconds(theirs)
    )
    return f"{what}: ours {n / mine:.0f} ({share(ours, mine, peak)}), theirs {n / other:.0f}, ratio {ratio:.2f}"


def of_family(family: str, size: Size, peaks: dict[str, float]) -> None:
    with TemporaryDirectory() as made:
        folder = save(Path(made), family, size)
        at = {"cross_encoder": str(folder / "backbone"), "bi_encoder": str(folder / "bi_encoder")}
        with (
            patch.object(cross_encoder, "MODEL", at["cross_encoder"]),
            patch.object(bi_encoder, "MODEL", at["bi_encoder"]),
            patch.object(cross_encoder, "ROUNDS", size.rounds),
            patch.object(cross_encoder, "UPDATES", size.updates),
            patch.object(bi_encoder, "UPDATES", size.updates),
        ):
            for collection in size.collections:
                for dtype, peak in peaks.items():
                    for work in (scoring, embedding):
                        print(f"{family}: {work(collection, size, dtype, peak)}", flush=True)
                for train in (cross_encoder.training, bi_encoder.train):
                    print(
                        f"{family}, {train.__module__}, bfloat16: {train(collection)}", flush=True
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes, on any device")
    size = DRY if parser.parse_args().dry_run else BASE
    where = opening.device()
    if where.type != "cuda" and size is BASE:
        raise SystemExit("No GPU is here. --dry-run carries it out in tiny shapes on a processor.")
    began = time.perf_counter()
    peaks = {
        dtype: attribution.most_flops(where, bfloat16=half, size=size.square)
        for dtype, half in HALF.items()
    }
    name = torch.cuda.get_device_name() if where.type == "cuda" else "processor"
    rates = ", ".join(f"{dtype} {peak / 1e12:.1f}" for dtype, peak in peaks.items())
    print(f"{name}, torch {torch.__version__}; peak TFLOP/s: {rates}", flush=True)
    for family in size.families:
        of_family(family, size, peaks)
    for half in HALF.values():
        attribution.accelerated(
            where,
            *size.attributed,
            bfloat16=half,
            shape=BertConfig(**shape(size)),
            square=size.square,
        )
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
