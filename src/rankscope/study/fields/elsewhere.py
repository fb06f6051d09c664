"""What other tools call the fields of a study file, and the sentence for a field that is none.

The names are those of sentence-transformers, transformers' Trainer, Tevatron, FlagEmbedding, PyLate, ColBERT, Lightning IR
and Pyserini. None of them is read: a message names ours, with a word of how it differs.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from rankscope.core.errors import listed
from rankscope.study.fields.places import SpecType, below, either, leads_to, names, where

NONE = "there is no such field"
MANY = 3
"""Places that a message names, at most."""
TYPO, ALIKE = 0.9, 0.7
"""How alike two names are of which one is a slip of the other, and of which one may be meant."""


class Ours(NamedTuple):
    """What a study file has in the place of another tool's field."""

    field: str
    """Its dotted name, from the spec where the other would stand; empty where a study file has none."""
    differs: str = ""
    """How it differs, or what takes its place, as sentences."""


_MODEL = (
    Ours("start", "It names the ranker that the stage tunes."),
    Ours("model"),
    Ours("backbone"),
    Ours("rankers"),
)
_PRECISION = (Ours("precision", "It is float32 or bfloat16; no float16."), Ours("dtype"))
_BATCHES = "`queries_per_update` counts the queries of an update, `queries_per_batch` those in memory at once in each process."
_GROUP = "It counts the relevant doc too: 7 negatives are a group of 8."
_WARMUP = "It is a share of the updates: 100 steps of 1,000 are 0.1."
_SCALE = "Similarities are divided by it: a scale of 20 is a temperature of 0.05."
_ACCUMULATED = (
    "An update accumulates as many batches as it takes: `queries_per_update` is `queries_per_batch` times the steps and the "
    "devices."
)
_BY_NAME = "It names one of `collections`."
_DEVICES = "Rankers run on an accelerator if there is one; `torchrun` or `accelerate launch` starts a process for each."
_ADAMW = "The optimiser is AdamW, with betas of 0.9 and 0.999 and an eps of 1e-8."

ROWS: Mapping[str, tuple[Ours, ...]] = {
    # -- how long, how fast --
    "lr base_lr peak_lr init_lr": (Ours("learning_rate"),),
    "num_train_epochs num_epochs n_epochs max_epochs": (Ours("epochs"),),
    "max_steps maxsteps num_steps num_train_steps train_steps training_steps total_steps steps iterations num_iterations": (
        Ours("max_updates", "An update is one step of the optimiser."),
        Ours("updates"),
    ),
    "batch_size train_batch_size bsize bs global_batch_size effective_batch_size": (
        Ours("queries_per_update", _BATCHES),
        Ours("", "A ranker with `start` has `queries_per_update`; texts are scored in batches that fit the device."),
        Ours("docs_per_update"),
    ),
    "per_device_train_batch_size per_gpu_train_batch_size micro_batch_size mini_batch_size sub_batch_size": (
        Ours("queries_per_batch", _BATCHES),
        Ours("docs_per_update"),
    ),
    "per_device_eval_batch_size eval_batch_size": (
        Ours("", "Texts are scored in batches that fit the device; there is nothing to set."),
    ),
    "gradient_accumulation_steps accumulate_grad_batches accumsteps accumulation_steps grad_accum": (
        Ours("queries_per_update", _ACCUMULATED),
    ),
    "warmup_ratio warmup_proportion warmup_fraction": (Ours("warmup"),),
    "warmup_steps num_warmup_steps warmup_updates": (Ours("warmup", _WARMUP),),
    "lr_scheduler_type lr_scheduler scheduler lr_schedule scheduler_type learning_rate_scheduler": (
        Ours("schedule", "It is linear, cosine or constant; the warm-up stands in `warmup`."),
    ),
    "wd decay l2": (Ours("weight_decay"),),
    "max_grad_norm gradient_clip_val grad_clip clip_grad_norm gradient_clipping": (Ours("clip_norm"),),
    "optim optimizer optimiser optimizer_class optimizer_params adam_beta1 adam_beta2 adam_epsilon": (Ours("", _ADAMW),),
    "random_seed random_state data_seed": (Ours("seed"),),
    # -- how the machine is used --
    "bf16 fp16 use_amp amp fp16_full_eval bf16_full_eval mixed_precision torch_dtype dtype": _PRECISION,
    "gradient_checkpointing activation_checkpointing grad_checkpoint": (
        Ours("memory", "Write `memory: gradient_checkpointing`."),
    ),
    "grad_cache use_grad_cache gc_q_chunk_size gc_p_chunk_size": (Ours("memory", "Write `memory: grad_cache`."),),
    "torch_compile": (Ours("compile"),),
    "device devices gpus n_gpu use_cpu cuda accelerator": (Ours("", _DEVICES),),
    "deepspeed fsdp fsdp_config": (
        Ours("", "accelerate's configuration asks for shards (FSDP): docs/guide.md, “A model that one device cannot train”."),
    ),
    "trust_remote_code": (Ours("", "Code of a hub is never run."),),
    # -- what is learnt from --
    "loss_fn loss_function loss_functions loss_type losses criterion objective kd_loss_type": (Ours("loss"),),
    "temp tau softmax_temperature distil_temperature": (Ours("temperature"),),
    "scale logit_scale": (Ours("temperature", _SCALE),),
    "in_batch_negatives use_in_batch_negatives use_ib_negatives ib_negatives negatives_cross_device negatives_x_device "
    "gather_across_devices": (Ours("in_batch", "Write `in_batch: true`; several processes share their docs."),),
    "train_group_size train_n_passages nway n_way sample_size list_size listwise_size": (Ours("samples.group_size"),),
    "num_negatives n_negatives num_neg n_neg num_hard_negatives n_hard_negatives negatives_per_query neg_per_query": (
        Ours("samples.group_size", _GROUP),
    ),
    "hard_negatives hard_negative_mining mine_hard_negatives neg negs": (Ours("samples.negatives"),),
    "range_min skip_top_k": (Ours("samples.negatives.skip_top"),),
    "range_max negative_depth": (Ours("samples.negatives.depth"),),
    "cross_encoder rescorer": (Ours("samples.negatives.rescored_by"),),
    "teacher teacher_model teacher_name teacher_model_name_or_path distill_from knowledge_distillation": (
        Ours("samples.labels", "It names one of `teachers`, or qrels."),
    ),
    "train_data train_dataset training_data train_file train_path": (
        Ours("samples.collection", _BY_NAME),
    ),
    # -- models --
    "model_name_or_path model_name_or_dir pretrained_model_name_or_path model_name model_path model_id base_model pretrained "
    "from_pretrained checkpoint init_checkpoint model backbone encoder": _MODEL,
    "model_revision commit": (Ours("revision"),),
    "max_seq_length max_seq_len max_sequence_length max_len maxlen rerank_max_len model_max_length": (
        Ours("max_length"),
    ),
    "query_max_len query_max_length query_maxlen q_max_len query_length max_query_length": (
        Ours("max_length.query"),
        Ours("max_length", "Query and doc are read together, and it counts both."),
    ),
    "passage_max_len passage_max_length p_max_len doc_maxlen doc_max_len document_length doc_length max_doc_length "
    "doc_max_length": (
        Ours("max_length.doc"),
        Ours("max_length", "Query and doc are read together, and it counts both."),
    ),
    "prompts prompt instruction": (Ours("prefixes"),),
    "query_prefix query_prompt query_instruction query_instruction_for_retrieval query_instruction_for_rerank": (
        Ours("prefixes.query"),
    ),
    "passage_prefix doc_prefix document_prefix passage_instruction_for_retrieval corpus_prompt doc_prompt": (
        Ours("prefixes.doc"),
    ),
    "pooling_mode pooling_method pooling_strategy pooling_type pooler sentence_pooling_method": (Ours("pooling"),),
    "similarity_fn_name similarity_function similarity_fn score_function distance_metric distance": (Ours("similarity"),),
    "normalize normalize_embeddings normalized l2_normalize": (Ours("similarity", "Write `similarity: cosine`."),),
    "untie_encoder tie_encoder tied shared_encoder share_encoder query_encoder doc_encoder": (
        Ours("towers", "It is shared or separate."),
    ),
    "use_lora peft peft_config": (Ours("lora"),),
    "lora_r lora_rank r": (Ours("lora.rank"),),
    "lora_alpha": (Ours("lora.alpha"),),
    "lora_dropout": (Ours("lora.dropout"),),
    "lora_target_modules target_modules": (Ours("lora.targets"),),
    "fix_position_embedding freeze_position_embeddings": (Ours("freeze", "Write `freeze: [position_embeddings]`."),),
    "freeze_embeddings": (Ours("freeze", "Write `freeze: [embeddings]`."),),
    "n_frozen_layers frozen_layers num_frozen_layers": (Ours("freeze_layers"),),
    "num_labels": (Ours("", "A cross-encoder gives one score, and its head has one output."),),
    # -- validation, checkpoints, logs --
    "eval_steps evaluation_steps eval_every val_check_interval validation_steps": (Ours("validate.every"),),
    "evaluator validation dev dev_set eval_dataset validation_data val": (
        Ours("validate", "It has a `collection`, and the first stage it re-ranks in `from`."),
    ),
    "eval_strategy evaluation_strategy": (Ours("validate", "There is a validation where it stands, each `every` updates."),),
    "metric_for_best_model main_score_metric": (Ours("validate.measure"),),
    "early_stopping early_stopping_patience": (Ours("validate.patience"),),
    "load_best_model_at_end save_best_model": (Ours("keep", "It is best_validation where there is a validation, else last."),),
    "save_steps save_every checkpoint_save_steps save_freq": (Ours("checkpoint_every"),),
    "save_total_limit": (Ours("", "The latest two checkpoints are kept, and those of the best updates."),),
    "report_to logger loggers wandb wandb_project": (Ours("trackers"),),
    "logging_steps logging_strategy log_every": (Ours("", "log.jsonl has a line for each update."),),
    "resume_from_checkpoint resume": (Ours("", "The same command goes on where it stopped."),),
    "output_dir output_path save_dir results_dir out_dir overwrite_output_dir": (
        Ours("", "`--results` of the command names the folder of results."),
    ),
    "run_name experiment experiment_name project": (Ours("study"),),
    # -- collections, first stages, evaluation --
    "top_k topk n_docs num_docs hits ndocs retrieve_num num_candidates rerank_top_k rerank_depth search_top_k k": (
        Ours("depth"),
        Ours("rerank.depth"),
    ),
    "lang stemmer analyzer": (Ours("language"),),
    "rrf_k": (Ours("k"),),
    "folder dir data_dir data_folder data_path root": (Ours("path"),),
    "corpus corpus_path docs_path documents passages docs_file": (Ours("docs"), Ours("path")),
    "queries_path query_file queries topics topics_file": (Ours("queries_file"), Ours("path")),
    "qrels_file qrels_path qrel": (Ours("qrels"), Ours("path")),
    "dataset_id irds_id ir_datasets_id dataset_name dataset data": (
        Ours("id"),
        Ours("path"),
        Ours("samples.collection", _BY_NAME),
        Ours("over", _BY_NAME),
        Ours("collections"),
    ),
    "subset qrels_split dataset_split": (Ours("split"),),
    "max_queries n_queries num_queries": (Ours("queries"),),
    "datasets test_sets test_collections eval_datasets test": (Ours("over", "It names `collections`."), Ours("collections")),
    "retriever retrievers first_stage retrieval": (
        Ours("first_stages"),
        Ours("rerank.from"),
        Ours("from"),
    ),
    "metrics metric eval_metrics measures_ k_values": (Ours("measures"), Ours("measure")),
    "alpha p_threshold sig_level": (Ours("significance_level"),),
    "multiple_testing multiple_testing_correction adjust": (Ours("correction"),),
    "models rerankers systems": (Ours("rankers"),),
}  # fmt: skip
"""Names of other tools' fields, separated by spaces, to ours: the first that stands in the spec is meant."""

THEIRS: Mapping[str, tuple[Ours, ...]] = {
    name: ours for row, ours in ROWS.items() for name in row.split()
}


def unknown_field(name: str, spec: SpecType | None) -> str:
    """The sentence for a field that a spec does not have: what may be meant, or where it stands, or what there is."""
    if spec is None:
        return NONE
    plain = name.strip("-").replace("-", "_").lower()  # `--max-seq-length`
    theirs = THEIRS.get(plain, ())
    here = (
        *_theirs(theirs, spec),
        *_near(plain, spec, TYPO),
        *_inside(name, spec),
        *_elsewhere([Ours(name)]),
        *_near(plain, spec, ALIKE),
        *_elsewhere(theirs),
        f"There are: {listed(names(spec))}",
    )
    return f"{NONE}. {here[0]}"


def _theirs(theirs: Sequence[Ours], spec: SpecType) -> Iterator[str]:
    """Ours for another tool's field: what stands in this spec, what in one of its parts, what stands nowhere."""
    for ours in theirs:
        for field in filter(partial(leads_to, spec), _ends(ours.field)):
            yield _sentences(f"Did you mean `{field}`?", ours)
    for ours in theirs:
        fields = below(spec, ours.field) if ours.field else []
        if 0 < len(fields) <= MANY:
            yield _sentences(f"Did you mean {_quoted(fields)}?", ours)
        elif not ours.field:
            yield _sentences("", ours)


def _inside(name: str, spec: SpecType) -> Iterator[str]:
    """The parts of this spec in which a field of ours stands."""
    fields = below(spec, name)
    if 0 < len(fields) <= MANY:
        yield f"It stands in {_quoted([field.rpartition('.')[0] for field in fields])}"


def _near(name: str, spec: SpecType, likeness: float) -> Iterator[str]:
    """A field of this spec that is spelt alike."""
    near = difflib.get_close_matches(name[:50], names(spec), n=1, cutoff=likeness)
    yield from (f"Did you mean `{field}`?" for field in near)


def _elsewhere(meant: Sequence[Ours]) -> Iterator[str]:
    """The places of the file where fields stand."""
    for ours in meant:
        if ours.field and 0 < len(places := where(ours.field)) <= MANY:
            yield _sentences(f"`{ours.field}` stands {either([*map(str, places)])}", ours)


def _quoted(fields: Sequence[str]) -> str:
    return either([f"`{field}`" for field in fields])


def _ends(dotted: str) -> Iterator[str]:
    """A dotted name and its ends: in `samples`, `samples.group_size` is `group_size`."""
    while dotted:
        yield dotted
        dotted = dotted.partition(".")[2]


def _sentences(first: str, ours: Ours) -> str:
    """A first sentence and how ours differs; the last full stop is left to the message."""
    stop = "." if first and ours.differs and not first.endswith("?") else ""
    return f"{first}{stop} {ours.differs}".strip().removesuffix(".")
