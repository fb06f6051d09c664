"""The step of fine-tuning: samples, objective, validation, and what is kept of a stage."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import ListwiseSample, Run
from rankscope.core.rng import seed_for
from rankscope.data import samples
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.evaluate.measures import measured
from rankscope.models import backbone
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.study import stage_guards
from rankscope.study.spec_rankers import TrainedSpec
from rankscope.study.stage_guards import Stage
from rankscope.study.steps_work import Summary, Work
from rankscope.train.batches import ListwiseObjective
from rankscope.train.guards import Watch
from rankscope.train.loop import Recipe, Trained, fit, frozen
from rankscope.train.losses import LOSSES


def train(work: Work) -> Summary:
    """One stage of fine-tuning."""
    chosen = work.spec(TrainedSpec)
    made = stage(work)
    tuned, pools = made.tuned, made.pools
    watch = Watch(chosen.guards, progress=work.progress, label=work.step.label)
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
    ranked = _held_out(work, chosen, tuned)
    with frozen(still_weights(made)):
        for name, finding in stage_guards.before(work, made):
            watch.tell(name, finding)
        start = ranked(stage_guards.QUERIES_COMPARED) if ranked else None
        trained = fit(
            tuned.model,
            made.objective,
            recipe,
            checkpoints=work.checkpoints,
            validate=_validation(work, chosen, ranked),
            progress=work.progress,
            label=f"train {work.step.label}",
            watch=watch,
        )
    change = None
    if ranked and start and chosen.validate_on:
        again = ranked(stage_guards.QUERIES_COMPARED)
        change = stage_guards.ranking_change(start, again, depth=chosen.validate_on.depth)
        watch.tell("rankings_unchanged", stage_guards.rankings_unchanged(change))
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
        "ranking_change": change,
        "updates_per_second": trained.updates_per_second,
        "guards": _seen(watch),
    }


def _seen(watch: Watch) -> dict[str, str]:
    """What the guards saw, but of test collections: those are no inputs of the step."""
    return {name: finding for name, finding in watch.findings.items() if name != "test_queries"}


def stage(work: Work) -> Stage:
    """What a stage is trained with, as it is before the first update."""
    chosen = work.spec(TrainedSpec)
    tuned, pools = CrossEncoder.load(work.folder("start") / "model"), _pools(work, chosen)
    tuned.model.to(backbone.device())
    return Stage(
        spec=chosen,
        tuned=tuned,
        topics=read_topics(work.folder("collection")),
        pools=pools,
        stored=StoredDocs(work.folder("docs")),
        objective=_objective(work, chosen, tuned, pools),
        planned=work.step,
    )


def still_weights(made: Stage) -> list[Tensor]:
    """The weights that the stage leaves as they are."""
    if not made.spec.freeze_position_embeddings:
        return []
    return backbone.position_embeddings(made.tuned.model)


def _stage_seed(work: Work) -> int:
    """A second stage does not draw again what the first drew."""
    return seed_for(work.seed, "stage", work.step.params["stage"])


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


def _held_out(
    work: Work, chosen: TrainedSpec, tuned: CrossEncoder
) -> Callable[[int | None], Run] | None:
    """The held-out queries, or the first so many, as the ranker ranks them by now; None without any."""
    watched = chosen.validate_on
    if watched is None:
        return None
    queries = read_topics(work.folder("validation")).queries
    stored = StoredDocs(work.folder("validation_docs"))
    run = read_run(work.folder("validation_run") / "run.trec").top(watched.depth)
    ours = [query for query in queries if run.rankings.get(query.query_id)]

    def ranked(n: int | None) -> Run:
        return reranked(
            tuned,
            ours[:n] or queries,
            run,
            texts=stored.texts,
            depth=watched.depth,
            tag="validation",
        )

    return ranked


def _validation(
    work: Work, chosen: TrainedSpec, ranked: Callable[[int | None], Run] | None
) -> Callable[[], float] | None:
    """The mean of a measure over held-out queries, or None where none is asked for."""
    watched = chosen.validate_on
    if watched is None or ranked is None:
        return None
    qrels = read_topics(work.folder("validation")).qrels
    return lambda: measured(ranked(None), qrels, [watched.measure]).means()[watched.measure]


def write_log(folder: Path, trained: Trained) -> None:
    """Write what was logged of a training, one JSON object a line."""
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in trained.log]
    (folder / "log.jsonl").write_text("".join(lines), "utf-8")
