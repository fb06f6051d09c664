"""Steps from queries to runs: BM25, a bi-encoder's embeddings and what is nearest to them, a file of the user's."""

from rankscope.core.records import Run
from rankscope.core.trec import write_run
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.names import InCollection
from rankscope.data.teachers import from_run
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location
from rankscope.pipeline.first_stages.bm25 import BM25Spec
from rankscope.pipeline.first_stages.late import LateSpec
from rankscope.pipeline.kinds import NearestParams, RunFileParams
from rankscope.pipeline.steps.data import run_summary
from rankscope.pipeline.work import Summary, Work
from rankscope.retrieve import approximate, bm25, dense, embeddings, late
from rankscope.store.artifacts import linked

QUERIES_CHECKED = 50
"""Queries whose exact neighbours are found too, to say what an index misses."""


def encode(work: Work) -> Summary:
    """The embeddings of a collection's docs, a bi-encoder's."""
    ranker, docs = _bi_encoder(work), StoredDocs(work.folder("docs"))
    path = work.embedded(ranker, docs, work.checkpoints)
    if work.processes.is_first:
        linked(path, work.out / path.name)
    return {"n_docs": len(docs), "width": ranker.width}


def _bi_encoder(work: Work) -> BiEncoder:
    folder = work.folder("ranker") / "model"
    return BiEncoder.load(Location(folder.name, folder))


def search(work: Work) -> Summary:
    """A first stage's run: searched, or read from a file of the user's."""
    topics, chosen = read_topics(work.folder("collection")), work.step.params
    more: Summary = {}
    if isinstance(chosen, BM25Spec):
        index = bm25.Index.load(work.folder("index"))
        run = bm25.search(index, topics.queries, depth=chosen.depth, progress=work.progress)
    elif isinstance(chosen, RunFileParams):
        names = InCollection(topics.queries, StoredDocs(work.folder("docs")))
        run = from_run(chosen.run, names).run.top(chosen.depth)
    elif isinstance(chosen, LateSpec):
        run = _best_tokens(work, topics, chosen)
    else:
        run, more = _nearest(work, topics)
    write_run(work.out / "run.trec", run)
    return run_summary(run, topics) | more


def _best_tokens(work: Work, topics: Topics, chosen: LateSpec) -> Run:
    folder, docs = work.folder("ranker") / "model", StoredDocs(work.folder("docs"))
    found = late.nearest(
        LateInteraction.load(Location(folder.name, folder)),
        [query.text for query in topics.queries],
        docs.text_at,
        n_docs=len(docs),
        depth=chosen.depth,
        progress=work.progress,
    )
    return dense.run_of(chosen.ranker, topics.queries, docs.doc_ids, *found)


def _nearest(work: Work, topics: Topics) -> tuple[Run, Summary]:
    """A bi-encoder's run, and of an index that misses docs how many it finds."""
    ranker, doc_ids = _bi_encoder(work), StoredDocs(work.folder("docs")).doc_ids
    asked = ranker.searchable(ranker.embed_queries([query.text for query in topics.queries]))
    stored = embeddings.opened(work.folder("embeddings") / embeddings.EMBEDDINGS)
    params = work.params(NearestParams)
    depth, tag, index = params.depth, params.tag, params.index
    if index == "exact":
        found = dense.nearest(asked, stored, depth=depth, progress=work.progress)
        return dense.run_of(tag, topics.queries, doc_ids, *found), {}
    found = approximate.nearest(asked, stored, depth=depth, kind=index)
    some = asked[:QUERIES_CHECKED]
    _, exact = dense.nearest(some, stored, depth=depth, progress=work.progress)
    recall = approximate.recall(found[1][: len(some)], exact)
    run = dense.run_of(tag, topics.queries, doc_ids, *found)
    return run, {"index": index, "recall_of_exact": recall, "n_queries_checked": len(some)}
