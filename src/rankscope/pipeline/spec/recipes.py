"""Published hyper-parameters of bi-encoders, as values of a stage; a study's own values override them.

Nothing but plain values: a stage with a recipe could have been written without it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Published(NamedTuple):
    """Values of a stage, and where they come from."""

    source: str
    values: Mapping[str, Any]


RECIPES: Mapping[str, Published] = {
    "dpr": Published(
        "Karpukhin et al. 2020, `conf/train/biencoder_nq.yaml`: 16 queries on each of 8 devices, Adam without "
        "decay, 1,237 of some 18,400 updates to warm up. Its towers are two: `towers: separate`, `pooling: cls`.",
        {
            "samples": {"labels": "qrels", "group_size": 2},
            "loss": "info_nce",
            "in_batch": True,
            "epochs": 40,
            "queries_per_update": 128,
            "queries_per_batch": 128,
            "learning_rate": 2.0e-5,
            "warmup": 0.067,
            "weight_decay": 0.0,
            "clip_norm": 2.0,
        },
    ),
    "contriever": Published(
        "Izacard et al. 2022: 64 docs on each of 32 devices, 20,000 of 500,000 updates to warm up. Its docs are "
        "chunks of 256 tokens, and crops are cut in tokens; ours are the collection's docs, cut in words.",
        {
            "samples": {"kind": "crops", "shortest": 0.05, "longest": 0.5, "deletion": 0.1},
            "loss": "info_nce",
            "momentum_queue": {"size": 131_072, "momentum": 0.9995},
            "temperature": 0.05,
            "max_updates": 500_000,
            "queries_per_update": 2_048,
            "queries_per_batch": 2_048,
            "learning_rate": 5.0e-5,
            "warmup": 0.04,
        },
    ),
    "repllama": Published(
        "Ma et al. 2023, as Tevatron's example trains it: 8 queries on each of 4 devices, 4 batches accumulated, "
        "100 of some 3,800 updates to warm up. The adapter is our default one. Prefixes, `pooling: last` and "
        "`similarity: cosine` are the ranker's it starts from.",
        {
            "samples": {"labels": "qrels", "group_size": 16},
            "loss": "info_nce",
            "in_batch": True,
            "temperature": 0.01,
            "epochs": 1,
            "queries_per_update": 128,
            "queries_per_batch": 32,
            "learning_rate": 1.0e-4,
            "warmup": 0.026,
            "lora": {},
            "memory": "gradient_checkpointing",
        },
    ),
    "aligned_queries": Published(
        "After CAPOT (Campos et al. 2023), which does not publish its loss and hyper-parameters, by the loss of "
        "self-teaching (Zhuang & Zuccon 2022): a noisy query learns to score docs as its clean form did. The "
        "values are ours. It needs `samples.docs`, the collection to be searched, and a ranker with `towers: "
        "separate`; the docs' embeddings stay what they are.",
        {
            "samples": {
                "kind": "noisy_queries", "noise": ["typos"], "clean": 0.3, "alignment": 0.0,
            },
            "loss": "kl",
            "temperature": 0.03,
            "dropout": 0.0,
            "epochs": 5,
            "queries_per_update": 64,
            "queries_per_batch": 64,
            "learning_rate": 5.0e-5,
            "freeze": ["doc_tower"],
        },
    ),
}  # fmt: skip

ENDS = {"max_updates", "epochs"}
"""A stage has one of them."""


def filled(recipe: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """The written values, and the recipe's for all that is not written; tables are filled likewise.

    Where only `queries_per_update` is written, batches stay whole updates, or no larger than they were.
    """
    values = dict(recipe)
    if ENDS & set(written):
        values = {name: value for name, value in values.items() if name not in ENDS}
    batch, update = "queries_per_batch", "queries_per_update"
    if update in written and batch not in written:
        wanted = written[update]
        if recipe[batch] == recipe[update] or (isinstance(wanted, int) and wanted < recipe[batch]):
            values[batch] = wanted
    for name, value in written.items():
        preset = recipe.get(name)
        if isinstance(preset, Mapping) and isinstance(value, Mapping):
            kind = value.get("kind", None if "labels" in value else preset.get("kind"))
            same = kind == preset.get("kind")
            values[name] = {**preset, **value} if same else value
        else:
            values[name] = value
    return values
