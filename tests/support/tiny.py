"""Real but tiny models and collections, made here: no downloads, no third-party text."""

import json
import shutil
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location

WORDS = [
    "red",
    "green",
    "blue",
    "cat",
    "dog",
    "bird",
    "sits",
    "runs",
    "sings",
    "on",
    "under",
    "the",
    "a",
    "mat",
    "tree",
    "house",
    "what",
    "who",
    "where",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
ARCHITECTURES = {
    "bert": transformers.BertConfig(**SMALL, intermediate_size=64, vocab_size=64),
    "roberta": transformers.RobertaConfig(
        **SMALL, intermediate_size=64, vocab_size=64, max_position_embeddings=66, pad_token_id=0
    ),
    "electra": transformers.ElectraConfig(
        **SMALL, intermediate_size=64, vocab_size=64, embedding_size=32
    ),
    "distilbert": transformers.DistilBertConfig(
        dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=64
    ),
    "mpnet": transformers.MPNetConfig(**SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0),
    "modernbert": transformers.ModernBertConfig(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0, cls_token_id=2, sep_token_id=3,
        bos_token_id=2, eos_token_id=3,
    ),
    "deberta-v2": transformers.DebertaV2Config(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0
    ),
}  # fmt: skip
VARIANTS = {
    "deberta-v2-with-conv": transformers.DebertaV2Config(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0, conv_kernel_size=3
    ),
}
"""What some checkpoints of an architecture have, and most have not."""
DECODERS = {
    "llama": transformers.LlamaConfig(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0, bos_token_id=2, eos_token_id=3,
        num_key_value_heads=2,
    ),
    "mistral": transformers.MistralConfig(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0, num_key_value_heads=2
    ),
    "qwen3": transformers.Qwen3Config(
        **SMALL, intermediate_size=64, vocab_size=64, pad_token_id=0, num_key_value_heads=2, head_dim=8
    ),
}  # fmt: skip


def tokenizer(max_length: int = 64) -> transformers.PreTrainedTokenizerFast:
    """Words of WORDS, anything else [UNK]; pairs as [CLS] a [SEP] b [SEP]."""
    inner = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate([*SPECIAL, *WORDS])}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


_MADE = TemporaryDirectory(prefix="rankscope-tests-")
"""What was made once, for this process to copy: a tiny model takes longer to make than to train."""


def _copied(made: Path, folder: Path) -> Path:
    """A copy whose files have times of their own."""
    return Path(shutil.copytree(made, folder, copy_function=shutil.copy, dirs_exist_ok=True))


def save_encoder(folder: Path, architecture: str = "bert", seed: int = 0) -> Path:
    """A bare encoder with random weights, as a checkpoint folder."""
    return _copied(_saved_encoder(architecture, seed), folder)


@cache
def _saved_encoder(architecture: str, seed: int) -> Path:
    folder = Path(_MADE.name) / f"{architecture}-{seed}" / architecture
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = (ARCHITECTURES | VARIANTS | DECODERS)[architecture]
        model = transformers.AutoModel.from_config(config)
    with backbone.quiet():
        model.save_pretrained(folder)
        made = decoder_tokenizer() if architecture in DECODERS else tokenizer()
        made.save_pretrained(folder)
    return folder


def decoder_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """As LLaMA's: `<s>` before a text and nothing behind it, though there is an end token; no padding."""
    made = tokenizer()
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made.backend_tokenizer,
        unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]", model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def bi_encoder(folder: Path, architecture: str = "bert", **how: Any) -> BiEncoder:
    """A bi-encoder on a tiny encoder or decoder; mean pooling and dot products, if nothing is said."""
    save_encoder(folder / architecture, architecture)
    usual = {"pooling": "mean", "max_length": {"query": 16, "document": 32}}
    return BiEncoder.on(deepcopy(_loaded_encoder(architecture)), **usual | how)


@cache
def _loaded_encoder(architecture: str) -> backbone.Encoder:
    return backbone.load_encoder(Location(architecture, _saved_encoder(architecture, 0)))


def save_bi_encoder(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers model with random weights and mean pooling."""
    return _copied(_saved_bi_encoder(seed), folder)


@cache
def _saved_bi_encoder(seed: int) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = Path(_MADE.name) / f"bi_encoder-{seed}"
    with backbone.quiet():
        inner = Transformer(str(_saved_encoder("bert", seed)))
        model = SentenceTransformer(modules=[inner, Pooling(32)], device="cpu")
        model.save(str(folder), create_model_card=False)
    return folder


def save_late_interaction(folder: Path, seed: int = 0) -> Path:
    """A ColBERT with random weights, as sentence-transformers saves it."""
    return _copied(_saved_late_interaction(seed), folder)


@cache
def _saved_late_interaction(seed: int) -> Path:
    from sentence_transformers import MultiVectorEncoder

    folder, encoder = Path(_MADE.name) / f"colbert-{seed}", _saved_encoder("bert", seed)
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        MultiVectorEncoder(str(encoder), device="cpu").save(str(folder), create_model_card=False)
    return folder


def cross_encoder(folder: Path, architecture: str = "bert", max_length: int = 32) -> CrossEncoder:
    """A cross-encoder on a tiny encoder, with a fresh head."""
    save_encoder(folder / architecture, architecture)
    return CrossEncoder.from_backbone(deepcopy(_loaded_scorer(architecture)), max_length=max_length)


@cache
def _loaded_scorer(architecture: str) -> backbone.Backbone:
    return backbone.load_scorer(Location(architecture, _saved_encoder(architecture, 0)), seed=1)


def write_collection(folder: Path, n_docs: int = 24) -> Path:
    """A BEIR folder: each query asks for a colour and an animal, one doc has both, graded 2."""
    colours, animals = WORDS[:3], WORDS[3:6]
    corpus, queries, test, train = [], [], [], []
    for number in range(n_docs):
        colour, animal = colours[number % 3], animals[(number // 3) % 3]
        place = WORDS[13 + (number // 9) % 3]
        text = f"the {colour} {animal} sits on the {place}"
        corpus.append({"_id": f"d{number}", "title": "a" if number % 2 else "", "text": text})
    for number in range(12):
        colour, animal = colours[number % 3], animals[(number // 3) % 3]
        queries.append({"_id": f"q{number}", "text": f"where sits the {colour} {animal}"})
        rows = test if number % 3 == 0 else train
        rows.append(f"q{number}\td{number}\t2\n")
        rows.append(f"q{number}\td{(number + 9) % n_docs}\t1\n")
        rows.append(f"q{number}\td{(number + 1) % n_docs}\t0\n")
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    for name, judged in (("test", test), ("train", train)):
        header = "query-id\tcorpus-id\tscore\n"
        (folder / "qrels" / f"{name}.tsv").write_text(header + "".join(judged), "utf-8")
    return folder


STUDY = """
study: tiny
seed: 3
collections:
  train: {{kind: beir, path: {data}, split: train}}
  test: {{kind: beir, path: {data}, split: test}}
first_stages:
  bm25: {{kind: bm25, depth: 20}}
teachers:
  bi: {{kind: ranker, ranker: bi, candidates: bm25, depth: 5}}
rankers:
  bi: {{kind: bi_encoder, model: {bi}}}
  plain: {{kind: cross_encoder, backbone: {encoder}, max_length: 32}}
  C:
    start: plain
    samples: {{labels: qrels, negatives: {{from: bm25, depth: 10}}, group_size: 4}}
    loss: localized_contrastive
    max_updates: 6
    learning_rate: 1.0e-3
    queries_per_update: 4
    queries_per_batch: 2
    validate: {{collection: train, from: bm25, depth: 5, every: 2}}
    checkpoint_every: 2
  C-D:
    start: C
    samples: {{labels: bi, group_size: 4}}
    loss: ranknet
    epochs: 1
    learning_rate: 1.0e-3
    queries_per_update: 4
    queries_per_batch: 4
evaluate:
  over: [test]
  rerank: {{from: [bm25], depth: 10}}
  measures: [nDCG@10, RR@10]
  baseline: [bm25, C]
  margin: {{nDCG@10: 0.05}}
"""


def write_study(folder: Path) -> Path:
    """A whole study over tiny models: a file that `rankscope run` carries out in seconds."""
    data = write_collection(folder / "data")
    encoder, bi = save_encoder(folder / "encoder"), save_bi_encoder(folder / "bi")
    study = folder / "study.yaml"
    study.write_text(STUDY.format(data=data, encoder=encoder, bi=bi), "utf-8")
    return study
