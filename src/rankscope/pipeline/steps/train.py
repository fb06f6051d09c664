"""The step of fine-tuning: samples, objective, validation, and the results of a stage."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import Run
from rankscope.core.rng import seed_for
from rankscope.core.words import of_number
from rankscope.data import samples
from rankscope.data.collections import Topics, read_topics
from rankscope.evaluate.measuring import Measuring
from rankscope.models import adapters
from rankscope.models.fast.first_token import first_token_only
from rankscope.models.opening import open_trainable
from rankscope.models.ranker import TrainableRanker
from rankscope.pipeline.spec.stages import TrainedSpec, ValidateSpec
from rankscope.pipeline.step import collection_role, docs_role, samples_role, validation_role
from rankscope.pipeline.training import guards
from rankscope.pipeline.training.guards import Stage
from rankscope.pipeline.training.objectives import all_pools, objective_of, stage_seed
from rankscope.pipeline.work import Summary, Work
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.train.dropout import set_dropout
from rankscope.train.guards import Watch
from rankscope.train.loop import Trained, fit
from rankscope.train.movement import frozen
from rankscope.train.needs import NEEDS
from rankscope.train.recipe import Recipe


def train(work: Work) -> Summary:
    """One stage of fine-tuning."""
    chosen, made = work.spec(TrainedSpec), stage(work)
    tuned, pools = made.tuned, [pools for _, pools in made.learnt]
    rankings = _rankings(work, chosen.validate_on, tuned)
    watch = Watch(chosen.guards, progress=work.progress, label=work.step.label)
    with frozen(made.still), first_token_only(tuned.model):
        for name, finding in guards.before(work, made):
            watch.tell(name, finding)
        begun = [ranked(guards.QUERIES_COMPARED) for ranked in rankings.values()]
        trained = fit(
            tuned.model,
            made.objective,
            _recipe(work, chosen, pools[0]),
            checkpoints=work.checkpoints,
            validate=_validation(work, chosen.validate_on, rankings),
            progress=work.progress,
            label=f"train {work.step.label}",
            watch=watch,
        )
    ended = [ranked(guards.QUERIES_COMPARED) for ranked in rankings.values()]
    change = guards.ranking_change(begun, ended)
    watch.tell("rankings_unchanged", guards.rankings_unchanged(change))
    if work.processes.is_first:
        _save(work, tuned, chosen)
        write_log(work.out, trained)
    return {
        "ranker": work.step.label,
        "start": chosen.start,
        "loss": chosen.loss,
        "mixed_with": chosen.mixed_with and chosen.mixed_with.loss,
        "n_samples": len(pools[0].pools),
        "dropped_queries": dict(pools[0].dropped),
        "n_added_positives": pools[0].n_added,
        "updates": trained.n_updates,
        "kept_update": trained.kept_update,
        "validation_measure": chosen.validate_on and chosen.validate_on.measure,
        "displacement": trained.displacement,
        "ranking_change": change,
        "updates_per_second": trained.updates_per_second,
        "n_processes": work.processes.count,
        "notes": [*_ranks_for_scores(work, chosen), *_as_published(work, chosen, pools)],
        "guards": _seen(watch),
    }


def _seen(watch: Watch) -> dict[str, str]:
    """The findings of the guards, except on test collections, which are no inputs of the step."""
    return {name: finding for name, finding in watch.findings.items() if name != "test_queries"}


def stage(work: Work) -> Stage:
    """The stage as it is before the first update: ranker, samples and objective."""
    chosen, start = work.spec(TrainedSpec), work.folder("start") / "model"
    tuned = open_trainable(start)
    pools = all_pools(work, chosen)
    still = tuned.frozen_weights(chosen.freeze, chosen.freeze_layers)
    if chosen.dropout is not None:
        set_dropout(tuned.model, chosen.dropout)
    if chosen.lora:
        _adapt(tuned, chosen, start, seed=seed_for(stage_seed(work), "lora"))
    roles = [samples_role(place, "collection") for place in range(len(pools))]
    topics = [
        read_topics(work.folder(role)) if role in work.step.inputs else Topics([], [])
        for role in roles
    ]
    return Stage(
        spec=chosen,
        tuned=tuned,
        still=still,
        learnt=list(zip(topics, pools, strict=True)),
        objective=objective_of(work, chosen, tuned, pools),
        planned=work.step,
    )


def _ranks_for_scores(work: Work, chosen: TrainedSpec) -> list[str]:
    """Notes on losses that learn how far labels are apart, where the labels are ranks."""
    notes = [
        f"{loss} learns how far labels are apart, and ranks are 1 apart; `teacher_labels: scores` gives it "
        f"the scores of {spec.labels}"
        for loss, spec in chosen.lessons
        if NEEDS[loss] == "scores" and spec.labels != "qrels" and spec.teacher_labels == "ranks"
    ]
    for note in notes:
        work.progress.note(f"{work.step.label}: {note}")
    return notes


def _as_published(work: Work, chosen: TrainedSpec, pools: Sequence[samples.Pools]) -> list[str]:
    """A warning beside each known defect of study B that the stage repeats."""
    notes = [
        f"{loss_pools.n_mistaken} of {len(loss_pools.pools)} training queries {of_number(loss_pools.n_mistaken, 'learns', 'learn')} "
        "from a random negative in the place of a positive, which was not retrieved (a defect of study B's released code)"
        for loss_pools in pools
        if loss_pools.n_mistaken
    ]
    notes += [
        "student_weighted_ranknet weighs pairs by the student's own ranks (a defect of study B's "
        "released code); weighted_ranknet weighs them by the teacher's"
        for loss, _ in chosen.lessons
        if loss == "student_weighted_ranknet"
    ]
    for note in notes:
        work.progress.note(f"{work.step.label}: {note}")
    return notes


def _recipe(work: Work, chosen: TrainedSpec, pools: samples.Pools) -> Recipe:
    if chosen.max_updates is not None:
        max_updates = chosen.max_updates
    else:
        assert chosen.epochs is not None
        max_updates = math.ceil(chosen.epochs * len(pools.pools) / chosen.queries_per_update)
    watched = chosen.validate_on
    return Recipe(
        max_updates=max_updates,
        learning_rate=chosen.learning_rate,
        seed=stage_seed(work),
        schedule=chosen.schedule,
        warmup=chosen.warmup,
        weight_decay=chosen.weight_decay,
        clip_norm=chosen.clip_norm,
        precision=chosen.precision,
        compile=chosen.compile,
        memory=chosen.memory,
        validate_every=watched.every if watched else None,
        patience=watched.patience if watched else None,
        keep=chosen.kept,
        checkpoint_every=chosen.checkpoint_every,
        trackers=chosen.trackers,
    )


# -- the model -----------------------------------------------------------------------------------


def _adapt(tuned: TrainableRanker, chosen: TrainedSpec, start: Path, *, seed: int) -> None:
    """Put fresh LoRA adapters into the model."""
    assert chosen.lora is not None
    if adapters.is_adapter(start) and not chosen.lora.merge:
        raise BadInput(
            f"{chosen.start} is kept as an adapter alone, and an adapter on it would have no model to "
            f"refer to. Set `lora.merge: true` in {chosen.start}, or in this ranker."
        )
    lora = adapters.LoRA(
        chosen.lora.rank, chosen.lora.alpha, chosen.lora.dropout, chosen.lora.targets
    )
    tuned.adapt(lora, base=start, seed=seed, but=chosen.freeze)


def _save(work: Work, tuned: TrainableRanker, chosen: TrainedSpec) -> None:
    out, start = work.out, work.folder("start") / "model"
    if chosen.lora is None:
        tuned.save(out / "model")
        return
    if not adapters.is_adapter(start):  # else it would refer to what is no whole model
        folder = out / ("adapter" if chosen.lora.merge else "model")
        stored = work.store.folder(work.step.name) / "model"
        tuned.save_adapter(folder, base=start, carried_to=None if chosen.lora.merge else stored)
    if chosen.lora.merge:
        tuned.merge()
        tuned.save(out / "model")


# -- validation ----------------------------------------------------------------------------------


Rankings = Callable[[int | None], Run]
"""The ranker's current run of the held-out queries, or of the first so many."""


def _validation(
    work: Work, watched: ValidateSpec | None, rankings: Mapping[str, Rankings]
) -> Callable[[], Mapping[str, float]] | None:
    """A function that gives the mean of a measure over held-out queries; None without a validation.

    With several collections each has its value, and their mean decides.
    """
    if watched is None:
        return None
    measure = watched.measure
    measuring = {
        name: Measuring(read_topics(work.folder(collection_role(name))).qrels, (measure,))
        for name in rankings
    }

    def validate() -> Mapping[str, float]:
        values = {
            n: measuring[n].of(ranked(None)).means()[measure] for n, ranked in rankings.items()
        }
        parts = {f"validation {n}": v for n, v in values.items()} if len(values) > 1 else {}
        return {"validation": fmean(values.values())} | parts

    return validate


def _rankings(
    work: Work, watched: ValidateSpec | None, tuned: TrainableRanker
) -> dict[str, Rankings]:
    """The rankings of each validation collection; none without a validation."""
    if watched is None:
        return {}
    return {name: _held_out(work, name, watched, tuned) for name in watched.collections}


def _held_out(work: Work, name: str, watched: ValidateSpec, tuned: TrainableRanker) -> Rankings:
    queries = read_topics(work.folder(collection_role(name))).queries
    run = read_run(work.folder(validation_role(name)) / "run.trec").top(watched.depth)
    ids = (doc.doc_id for ranking in run.rankings.values() for doc in ranking)
    texts = work.texts(docs_role(name), tuned, ids)
    ranked_queries = [query for query in queries if run.rankings.get(query.query_id)]

    def ranked(n: int | None) -> Run:
        return reranked(
            tuned,
            ranked_queries[:n] or queries,  # where none is ranked, `reranked` raises
            run,
            texts=texts,
            depth=watched.depth,
            tag="validation",
            processes=work.processes,
        )

    return ranked


def write_log(folder: Path, trained: Trained) -> None:
    """Write the log of a training, one JSON object a line."""
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in trained.log]
    (folder / "log.jsonl").write_text("".join(lines), "utf-8")
