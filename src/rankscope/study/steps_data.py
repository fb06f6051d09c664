"""Steps over data: docs, collections, indexes and first stages' runs."""

from rankscope.core.records import Run
from rankscope.core.trec import write_run
from rankscope.data import collections
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.teachers import teacher_run
from rankscope.retrieve import bm25
from rankscope.study.spec_data import BM25Spec, RunFilesSpec, RunTeacherSpec, TopicsSpec
from rankscope.study.steps_work import Summary, Work


def docs(work: Work) -> Summary:
    """Copy the docs once, where single ones can be read."""
    assert work.step.source is not None
    return {"n_docs": collections.write_docs(work.step.source.docs(), work.out)}


def collection(work: Work) -> Summary:
    """The chosen queries and their judgements."""
    assert work.step.source is not None
    chosen = work.spec(TopicsSpec)
    topics = collections.judged_topics(
        work.step.source, part=chosen.part, limit=chosen.queries, seed=work.seed
    )
    stored = StoredDocs(work.folder("docs"))
    collections.write_topics(topics, work.out)
    relevant = {qrel.query_id for qrel in topics.qrels if qrel.relevance > 0}
    return {
        "n_queries": len(topics.queries),
        "n_qrels": len(topics.qrels),
        "n_queries_without_relevant_doc": len(topics.queries) - len(relevant),
        "n_judged_docs_without_text": sum(qrel.doc_id not in stored for qrel in topics.qrels),
    }


def index(work: Work) -> Summary:
    """A BM25 index."""
    chosen = work.spec(BM25Spec)
    n_docs = bm25.build(StoredDocs(work.folder("docs")), work.out, k1=chosen.k1, b=chosen.b)
    return {"n_docs": n_docs}


def search(work: Work) -> Summary:
    """A first stage's or teacher's run: searched, or read from a file of the user's."""
    topics, chosen = read_topics(work.folder("collection")), work.step.spec
    if isinstance(chosen, BM25Spec):
        found = bm25.Index.load(work.folder("index"))
        run = bm25.search(found, topics.queries, depth=chosen.depth, progress=work.progress)
    else:
        assert isinstance(chosen, RunFilesSpec | RunTeacherSpec)
        stored = StoredDocs(work.folder("docs"))
        asked = [query.query_id for query in topics.queries]
        whole = teacher_run(
            work.step.paths["run"], has_doc=lambda doc_id: doc_id in stored, query_ids=asked
        )
        run = whole.top(chosen.depth)
    write_run(work.out / "run.trec", run)
    return run_summary(run, topics)


def run_summary(run: Run, topics: Topics) -> Summary:
    """What is worth knowing of a run without opening it."""
    return {
        "n_queries": len(run.rankings),
        "n_queries_without_ranking": len(topics.queries) - len(run.rankings),
        "n_ranked_docs": sum(len(ranking) for ranking in run.rankings.values()),
        "tied_share": run.tied_share(),
    }
