"""The samples that a stage draws, and the objective over them."""

import shutil
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import ListwiseSample, Run
from rankscope.core.rng import seed_for, stream
from rankscope.core.trec.writing import write_run
from rankscope.data import negatives, samples
from rankscope.data.by_words import ByWords
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.crops import Cropping
from rankscope.data.noise import noisy, short_crop
from rankscope.evaluate.runs import without_own_docs
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.pairs import Tokens
from rankscope.pipeline.embedding import embedded
from rankscope.pipeline.plans.train import TrainParams
from rankscope.pipeline.spec.samples import CropsSpec, NoisyQueriesSpec, SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import NOISY_DOCS, NOISY_EMBEDDINGS, samples_role
from rankscope.pipeline.steps.data import teacher_rankings
from rankscope.pipeline.training.guards import Objective
from rankscope.pipeline.work import Work
from rankscope.retrieve import dense, embeddings
from rankscope.store.durable import broken_seal, written_sealed
from rankscope.store.refusals import explained
from rankscope.train.checkpoint import found_folder
from rankscope.train.losses import LOSSES
from rankscope.train.objectives.anchored import AlignedObjective, MomentumObjective
from rankscope.train.objectives.batches import ListwiseObjective, MixedObjective, Order
from rankscope.train.objectives.in_batch import InBatchObjective


def stage_seed(work: Work) -> int:
    """The seed of a stage: a second stage does not repeat the draws of the first."""
    params = work.params(TrainParams)
    return seed_for(params.seed, "stage", params.stage)


def all_pools(work: Work, chosen: TrainedSpec) -> list[samples.Pools]:
    """The pools from which the samples of each loss are drawn."""
    if isinstance(chosen.samples, CropsSpec):
        docs = StoredDocs(work.folder(samples_role(0, "docs")))
        by_words = ByWords(Topics([], []), docs.key)
        return [samples.pools_of_texts(docs.doc_ids, docs.is_empty, by_words)]
    if isinstance(chosen.samples, NoisyQueriesSpec):
        queries = _queries(work, 0)
        return [samples.pools_of_texts([*queries], lambda name: not queries[name].strip())]
    return [_pools(work, place, spec) for place, (_, spec) in enumerate(chosen.lessons)]


def _queries(work: Work, place: int) -> dict[str, str]:
    """The training queries' texts, by id."""
    topics = read_topics(work.folder(samples_role(place, "collection")))
    return {query.query_id: query.text for query in topics.queries}


def _pools(work: Work, place: int, spec: SamplesSpec) -> samples.Pools:
    """The pools of the first or the second loss."""
    topics, by_words = _compared(work, place)
    if spec.negatives is None:
        teacher = teacher_rankings(work.folder(samples_role(place, "run")))
        depth = work.params(TrainParams).teacher_depths[place]
        assert depth is not None
        query_ids = [query.query_id for query in topics.queries]
        return samples.pools_from_teacher(
            query_ids, teacher, depth=depth, labels=spec.teacher_labels, by_words=by_words
        )
    run = read_run(work.folder(samples_role(place, "run")) / "run.trec")
    return _with_negatives_of(run, topics, spec, by_words)


def _compared(work: Work, place: int) -> tuple[Topics, ByWords]:
    """The training queries of the first or the second loss, and the duplicates among them and their docs."""
    topics = read_topics(work.folder(samples_role(place, "collection")))
    return topics, ByWords(topics, StoredDocs(work.folder(samples_role(place, "docs"))).key)


def _with_negatives_of(
    run: Run, topics: Topics, spec: SamplesSpec, by_words: ByWords
) -> samples.Pools:
    """Pools with positives from qrels and hard negatives from a run."""
    assert spec.negatives is not None
    mining = spec.negatives
    return samples.pools_from_qrels(
        topics.qrels,
        run,
        skip_top=mining.skip_top,
        depth=mining.depth,
        missing_positive=spec.missing_positive,
        min_relevance=spec.min_relevance,
        margin=negatives.ScoreMargin(mining.absolute_margin, mining.relative_margin),
        by_words=by_words,
    )


def objective_of(
    work: Work,
    chosen: TrainedSpec,
    tuned: CrossEncoder | BiEncoder,
    pools: Sequence[samples.Pools],
) -> Objective:
    """The objective of the stage."""
    if isinstance(tuned, BiEncoder):
        if isinstance(chosen.samples, CropsSpec):
            return _momentum(work, chosen, chosen.samples, tuned, pools[0])
        if isinstance(chosen.samples, NoisyQueriesSpec):
            return _aligned(work, chosen, chosen.samples, tuned, pools[0])
        return _in_batch(work, chosen, tuned, pools[0])
    made = [
        _listwise(work, chosen, tuned, place, pools[place]) for place in range(len(chosen.lessons))
    ]
    if chosen.mixed_with is None:
        return made[0]
    return MixedObjective(made[0], made[1], chosen.mixed_with.weight)


def _listwise(
    work: Work, chosen: TrainedSpec, tuned: CrossEncoder, place: int, pools: samples.Pools
) -> ListwiseObjective:
    """The objective of a cross-encoder's first or second loss: over tokens made once."""
    _docs_of(work, place, pools)
    role = samples_role(place, "docs")
    docs = work.tokens(
        role, tuned.joiner, (doc_id for pool in pools.pools for doc_id in pool.doc_ids)
    )
    topics = read_topics(work.folder(samples_role(place, "collection")))
    query_tokens = tuned.query_tokens([query.text for query in topics.queries])
    queries = {
        query.query_id: tokens for query, tokens in zip(topics.queries, query_tokens, strict=True)
    }

    def texts(sample: ListwiseSample) -> tuple[Tokens, list[Tokens]]:
        return queries[sample.query_id], docs.of(sample.doc_ids)

    def length(sample: ListwiseSample) -> int:
        longest = max(docs.n_tokens(doc_id) for doc_id in sample.doc_ids)
        return min(len(queries[sample.query_id]) + longest, tuned.max_length)

    loss, samples_spec = chosen.lessons[place]
    order = _order(work, chosen, samples_spec.group_size, pools, length)
    return ListwiseObjective(tuned, LOSSES[loss], order, texts)


def _in_batch(
    work: Work, chosen: TrainedSpec, tuned: BiEncoder, pools: samples.Pools
) -> InBatchObjective:
    """The objective of a bi-encoder."""
    stored = _docs_of(work, 0, pools)
    topics, by_words = _compared(work, 0)
    queries = {query.query_id: query.text for query in topics.queries}

    def texts(sample: ListwiseSample) -> tuple[str, list[str]]:
        return queries[sample.query_id], stored.texts(sample.doc_ids)

    def length(sample: ListwiseSample) -> int:
        return max(stored.n_bytes(doc_id) for doc_id in sample.doc_ids)

    loss, spec = chosen.lessons[0]
    mining = spec.negatives
    every = mining.refresh_every if mining else None

    def refreshed(update: int) -> Order:
        run = _current_run(work, tuned, stored, topics, spec, update)
        pools = _with_negatives_of(run, topics, spec, by_words)
        return _order(work, chosen, spec.group_size, pools, length, first_update=update)

    return InBatchObjective(
        ranker=tuned,
        loss_function=LOSSES[loss],
        order=_order(work, chosen, spec.group_size, pools, length),
        refreshed=refreshed,
        refresh_every=every,
        texts=texts,
        is_known=by_words.is_relevant,
        all_docs=chosen.in_batch,
        temperature=chosen.temperature,
        processes=work.processes,
    )


def _current_run(
    work: Work,
    tuned: BiEncoder,
    stored: StoredDocs,
    topics: Topics,
    spec: SamplesSpec,
    update: int,
) -> Run:
    """The run of the bi-encoder over the training queries, as it is at an update; searched once, and kept."""
    place = found_folder(work.checkpoints, update)
    is_there = work.processes.from_first(broken_seal(place) is None)
    if not is_there:
        assert spec.negatives is not None
        folder = work.checkpoints / f"embeddings-{update:09d}"
        path = embedded(tuned, stored, folder, processes=work.processes, progress=work.progress)
        if work.processes.is_first:
            queries = tuned.searchable(tuned.embed_queries([q.text for q in topics.queries]))
            nearest = dense.nearest(
                queries, embeddings.opened(path), depth=spec.negatives.depth,
                progress=work.progress,
            )  # fmt: skip
            with explained(place), written_sealed(place) as aside:
                run = dense.run_of("found", topics.queries, stored.doc_ids, *nearest)
                if work.params(TrainParams).refreshed_drop_own_docs:
                    run = without_own_docs(run)
                write_run(aside / "run.trec", run)
            shutil.rmtree(folder)
        work.processes.wait()
    return read_run(place / "run.trec")


def _momentum(
    work: Work, chosen: TrainedSpec, spec: CropsSpec, tuned: BiEncoder, pools: samples.Pools
) -> MomentumObjective:
    """The objective of a bi-encoder that learns from two crops of each doc."""
    if not tuned.is_shared:
        raise BadInput(
            f"{chosen.start} has a tower for each side, and crops teach one. Start from a ranker with "
            "`towers: shared`."
        )
    stored = StoredDocs(work.folder(samples_role(0, "docs")))
    cropping, queue = Cropping(spec.shortest, spec.longest, spec.deletion), chosen.momentum_queue
    assert queue is not None

    def texts(sample: ListwiseSample) -> tuple[str, str]:
        return cropping.pair(stored.text(sample.query_id), stream(sample.seed, "crops"))

    def length(sample: ListwiseSample) -> int:
        return stored.n_bytes(sample.query_id)

    return MomentumObjective(
        ranker=tuned,
        order=_order(work, chosen, 1, pools, length),
        texts=texts,
        temperature=chosen.temperature,
        momentum=queue.momentum,
        size=queue.size,
        seed=seed_for(stage_seed(work), "queue"),
        processes=work.processes,
    )


def _aligned(
    work: Work, chosen: TrainedSpec, spec: NoisyQueriesSpec, tuned: BiEncoder, pools: samples.Pools
) -> AlignedObjective:
    """The objective of a bi-encoder that learns to read noisy queries as their clean forms."""
    if tuned.is_shared:
        raise BadInput(
            f"{chosen.start} reads docs with the tower that is to learn noisy queries, so they would move. "
            "Give it `towers: separate`."
        )
    queries = _queries(work, 0)
    docs = StoredDocs(work.folder(NOISY_DOCS)) if spec.docs is not None else None

    def texts(sample: ListwiseSample) -> tuple[str, str]:
        rng, clean = stream(sample.seed, "noise"), queries[sample.query_id]
        if docs is not None and rng.random() < spec.crops:
            clean = short_crop(docs.text_at(rng.randrange(len(docs))), rng) or clean
        if rng.random() < spec.clean:
            return clean, clean
        return noisy(clean, spec.noise, rng), clean

    def length(sample: ListwiseSample) -> int:
        return len(queries[sample.query_id])

    return AlignedObjective(
        ranker=tuned,
        order=_order(work, chosen, 1, pools, length),
        texts=texts,
        temperature=chosen.temperature,
        alignment=spec.alignment,
        docs=_near(work, spec.depth) if docs is not None else None,
        processes=work.processes,
    )


def _near(work: Work, depth: int) -> Callable[[Tensor], Tensor]:
    """The embeddings of the docs nearest to any of some queries, as the ranker had them at the start."""
    stored = embeddings.opened(work.folder(NOISY_EMBEDDINGS) / embeddings.EMBEDDINGS)

    def near(queries: Tensor) -> Tensor:
        places, _ = dense.nearest(queries.detach().cpu(), stored, depth=depth)
        rows = np.asarray(stored[np.unique(places)], dtype=np.float32)
        return torch.from_numpy(rows).to(queries.device)

    return near


def _docs_of(work: Work, place: int, pools: samples.Pools) -> StoredDocs:
    """The docs that samples are drawn from, each of which must have its text."""
    stored = StoredDocs(work.folder(samples_role(place, "docs")))
    for pool in pools.pools:
        for doc_id in pool.doc_ids:
            if doc_id not in stored:
                raise BadInput(
                    f"Query {pool.query_id} would be trained with doc {doc_id}, which has no text. "
                    "Give the docs that belong to these qrels and runs; or, if the qrels know docs that are "
                    "not there, set `samples.missing_positive: drop`."
                )
    return stored


def _order(
    work: Work,
    chosen: TrainedSpec,
    group_size: int,
    pools: samples.Pools,
    length: Callable[[ListwiseSample], int],
    *,
    first_update: int = 0,
) -> Order:
    seed = stage_seed(work)
    if first_update:
        seed = seed_for(seed, "refreshed", first_update)
    return Order(
        epoch_samples=lambda epoch: pools.epoch(epoch, group_size=group_size, seed=seed),
        length=length,
        queries_per_update=chosen.queries_per_update,
        queries_per_batch=chosen.queries_per_batch,
        seed=seed,
        first_update=first_update,
    )
