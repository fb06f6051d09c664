"""Steps over rankers: made from nothing, loaded, and used to re-rank."""

from copy import deepcopy
from dataclasses import replace

from rankscope.core.formats import read_run
from rankscope.core.rng import seed_for
from rankscope.core.trec.writing import write_run
from rankscope.data.collections import read_topics
from rankscope.models import adapters, backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.inputs import notes_on
from rankscope.models.location import Location
from rankscope.models.opening import (
    open_bi_encoder,
    open_late_interaction,
    open_ranker,
    start_cross_encoder,
)
from rankscope.models.ranker import Ranker
from rankscope.pipeline.first_stages.first_stage import run_summary
from rankscope.pipeline.plans.rankers import RankerParams, RerankParams, Weights
from rankscope.pipeline.reranking import reranking
from rankscope.pipeline.spec.rankers import BiEncoderSpec, LateInteractionSpec
from rankscope.pipeline.work import Summary, Work


def ranker(work: Work) -> Summary:
    """A ranker's weights as they are before any stage; a fresh scoring head is drawn here."""
    params = work.params(RankerParams)
    chosen, location = params.spec, _location(params.weights)
    if isinstance(chosen, BiEncoderSpec):
        return _bi_encoder(work, params, chosen)
    if isinstance(chosen, LateInteractionSpec):
        assert location is not None
        opened = open_late_interaction(location)
        opened.save(work.out / "model")
        return _notes(opened) | {"kind": "late_interaction"}
    assert params.seed is not None
    if location is None:
        location = Location("scratch", work.folder("backbone") / "model")
    seed = seed_for(params.seed, "head")
    made, loaded = start_cross_encoder(location, seed=seed, max_length=chosen.max_length)
    made.save(work.out / "model")
    return _notes(made) | {
        "kind": "cross_encoder",
        "n_weights": sum(weight.numel() for weight in loaded.model.parameters()),
        "fresh_weights": list(loaded.fresh),
        "unused_weights": list(loaded.unused),
        "revision": getattr(loaded.model.config, "_commit_hash", None),
    }


def _location(weights: Weights | None) -> Location | None:
    return None if weights is None else weights.location


def _bi_encoder(work: Work, params: RankerParams, chosen: BiEncoderSpec) -> Summary:
    location = _location(params.weights)
    if chosen.backbone is None:
        assert location is not None
        loaded = open_bi_encoder(location)
        given = {"query": chosen.prefixes.query, "document": chosen.prefixes.doc}
        loaded.inner.prompts.update({side: text for side, text in given.items() if text})
        made = loaded.separated() if chosen.towers == "separate" else loaded
        made.save(work.out / "model")
        return _notes(made) | {
            "kind": "bi_encoder",
            "width": made.width,
            "fresh_weights": list(loaded.fresh),
            "unused_weights": list(loaded.unused),
        }
    if location is None:
        location = Location("scratch", work.folder("backbone") / "model")
    query = backbone.load_encoder(location)
    if params.adapter is not None:
        query = replace(query, model=adapters.merged_from(query.model, params.adapter.location))
    doc = None
    if chosen.towers == "separate":
        doc = (
            replace(query, model=deepcopy(query.model))
            if params.doc is None
            else backbone.load_encoder(params.doc.location)
        )
    made = BiEncoder.on(
        query,
        doc,
        pooling=chosen.pooling,
        similarity=chosen.similarity,
        prefixes={"query": chosen.prefixes.query, "document": chosen.prefixes.doc},
        max_length={"query": chosen.max_length.query, "document": chosen.max_length.doc},
    )
    made.save(work.out / "model")
    towers = [encoder for encoder in (query, doc) if encoder is not None]
    return {
        "kind": "bi_encoder",
        "width": made.width,
        "n_weights": sum(w.numel() for tower in towers for w in tower.model.parameters()),
        "missing_weights": [name for tower in towers for name in tower.fresh],
        "unused_weights": [name for tower in towers for name in tower.unused],
    }


def _notes(ranker: Ranker) -> Summary:
    """Notes on how a model's folder was read, if there are any."""
    notes = notes_on(ranker)
    return {"notes": notes} if notes else {}


def rerank(work: Work) -> Summary:
    """A ranker's re-ranking of a run."""
    topics = read_topics(work.folder("collection"))
    opened = open_ranker(work.folder("ranker") / "model")
    params = work.params(RerankParams)
    run, depth = read_run(work.folder("run") / "run.trec"), params.depth
    rankings = (run.rankings.get(query.query_id, []) for query in topics.queries)
    doc_ids = (doc.doc_id for ranking in rankings for doc in ranking[:depth])
    again, notes = reranking(
        params,
        opened,
        topics,
        run,
        texts=work.texts("docs", opened, doc_ids),
        processes=work.processes,
        progress=work.progress,
    )
    if work.processes.is_first:
        write_run(work.out / "run.trec", again)
    ranked = (query.query_id for query in topics.queries if query.query_id in run.rankings)
    lengths = (len(run.columns(query_id).doc_ids) for query_id in ranked)
    scored = {"n_scored_docs": sum(min(depth, length) for length in lengths)}
    return run_summary(again, topics) | scored | ({"notes": notes} if notes else {})
