"""The step of fine-tuning: samples, objective, validation, and what is kept of a stage."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import ListwiseSample
from rankscope.core.rng import seed_for
from rankscope.data import collections, samples
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.evaluate.measures import measured
from rankscope.models import backbone
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.study.spec_rankers import TrainedSpec
from rankscope.study.steps_work import Summary, Work
from rankscope.train.batches import ListwiseObjective
from rankscope.train.loop import Recipe, Trained, fit, frozen
from rankscope.train.losses import LOSSES


def train(work: Work) -> Summary:
    """One stage of fine-tuning."""
    chosen = work.spec(TrainedSpec)
    tuned = CrossEncoder.load(work.folder("start") / "model")
    pools = _pools(work, chosen)
    if chosen.max_updates is not None:
        max_updates = chosen.max_updates
    else:
        assert chosen.epochs is not None
        max_updates = math.ceil(chosen.epochs * len(pools.pools) / chosen.queries_per_update)
    recipe = Recipe(
        max_updates=max_updates,
        learning_rate=chosen.learning_rate,
        seed=_stage_seed(work),
        schedule=chosen.schedule,
        warmup=chosen.warmup,
        weight_decay=chosen.weight_decay,
        clip_norm=chosen.clip_norm,
        validate_every=chosen.validate_on.every if chosen.validate_on else None,
        keep=chosen.kept,
        checkpoint_every=chosen.checkpoint_every,
    )
    still = backbone.position_embeddings(tuned.model) if chosen.freeze_position_embeddings else []
    with frozen(still):
        trained = fit(
            tuned.model,
            _objective(work, chosen, tuned, pools),
            recipe,
            checkpoints=work.checkpoints,
            validate=_validation(work, chosen, tuned),
            progress=work.progress,
            label=f"train {work.step.label}",
        )
    tuned.save(work.out / "model")
    write_log(work.out, trained)
    return {
        "ranker": work.step.label,
        "start": chosen.start,
        "loss": chosen.loss,
        "n_samples": len(pools.pools),
        "dropped_queries": dict(pools.dropped),
        "n_added_positives": pools.n_added,
        "updates": max_updates,
        "kept_update": trained.kept_update,
        "validation_measure": chosen.validate_on and chosen.validate_on.measure,
        "displacement": trained.displacement,
        "updates_per_second": trained.updates_per_second,
        "notes": _leaks(work),
    }


def _stage_seed(work: Work) -> int:
    """A second stage does not draw again what the first drew."""
    return seed_for(work.step.params["seed"], "stage", work.step.params["stage"])


def _leaks(work: Work) -> list[str]:
    """What to know before the validation is believed."""
    if "validation" not in work.step.inputs:
        return []
    held_out = read_topics(work.folder("validation"))
    n_shared = collections.n_shared(held_out, read_topics(work.folder("collection")))
    if not n_shared:
        return []
    note = f"{n_shared} of {len(held_out.queries)} validation queries are training queries"
    work.progress.note(f"{work.step.label}: {note}")
    return [note]


def _pools(work: Work, chosen: TrainedSpec) -> samples.Pools:
    """What the stage's samples are drawn from."""
    topics, asked = read_topics(work.folder("collection")), chosen.samples
    if asked.negatives is None:
        teacher = read_run(work.folder("teacher") / "run.trec")
        depth = work.step.params["teacher_depth"]
        query_ids = [query.query_id for query in topics.queries]
        return samples.pools_from_teacher(query_ids, teacher, depth=depth)
    return samples.pools_from_qrels(
        topics.qrels,
        read_run(work.folder("negatives") / "run.trec"),
        skip_top=asked.negatives.skip_top,
        depth=asked.negatives.depth,
        missing_positive=asked.missing_positive,
        min_relevance=asked.min_relevance,
    )


def _objective(
    work: Work, chosen: TrainedSpec, tuned: CrossEncoder, pools: samples.Pools
) -> ListwiseObjective:
    stored = StoredDocs(work.folder("docs"))
    queries = {
        query.query_id: query.text for query in read_topics(work.folder("collection")).queries
    }
    for pool in pools.pools:
        for doc_id in pool.doc_ids:
            if doc_id not in stored:
                raise BadInput(
                    f"Query {pool.query_id} would be trained with doc {doc_id}, which has no text. "
                    "Give the docs that belong to these qrels and runs."
                )

    def texts(sample: ListwiseSample) -> tuple[str, list[str]]:
        return queries[sample.query_id], stored.texts(sample.doc_ids)

    return ListwiseObjective(
        ranker=tuned,
        loss_function=LOSSES[chosen.loss],
        epoch_samples=lambda epoch: pools.epoch(
            epoch, group_size=chosen.samples.group_size, seed=_stage_seed(work)
        ),
        texts=texts,
        length=lambda sample: max(stored.n_bytes(doc_id) for doc_id in sample.doc_ids),
        queries_per_update=chosen.queries_per_update,
        queries_per_batch=chosen.queries_per_batch,
        seed=_stage_seed(work),
    )


def _validation(work: Work, chosen: TrainedSpec, tuned: CrossEncoder) -> Callable[[], float] | None:
    """The mean of a measure over held-out queries, or None where none is asked for."""
    watched = chosen.validate_on
    if watched is None:
        return None
    topics = read_topics(work.folder("validation"))
    stored = StoredDocs(work.folder("validation_docs"))
    run = read_run(work.folder("validation_run") / "run.trec").top(watched.depth)

    def validate() -> float:
        again = reranked(
            tuned, topics.queries, run, texts=stored.texts, depth=watched.depth, tag="validation"
        )
        return measured(again, topics.qrels, [watched.measure]).means()[watched.measure]

    return validate


def write_log(folder: Path, trained: Trained) -> None:
    """Write what was logged of a training, one JSON object a line."""
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in trained.log]
    (folder / "log.jsonl").write_text("".join(lines), "utf-8")
