"""Steps over data: docs, collections and teachers' rankings."""

import json
from pathlib import Path

from rankscope.core.formats import read_run
from rankscope.core.records import Query, Run
from rankscope.core.rng import stream
from rankscope.data import collections
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.names import InCollection
from rankscope.data.noise import noisy
from rankscope.data.public import places
from rankscope.pipeline import teachers
from rankscope.pipeline.plans.data import CollectionParams, DocsParams
from rankscope.pipeline.plans.teachers import TeacherParams
from rankscope.pipeline.spec.collections import TopicsSpec
from rankscope.pipeline.spec.teachers import PermutationsTeacherSpec
from rankscope.pipeline.work import Summary, Work


def docs(work: Work) -> Summary:
    """Copy the docs once, in a form from which single docs can be read."""
    return {"n_docs": collections.write_docs(work.params(DocsParams).source.docs(), work.out)}


def collection(work: Work) -> Summary:
    """The chosen queries and their judgements."""
    params = work.params(CollectionParams)
    chosen, seed = params.spec, params.seed or 0
    topics = collections.judged_topics(
        params.source, part=chosen.part, limit=chosen.queries, seed=seed
    )
    if chosen.noise:
        topics = Topics(
            [_with_noise(query, chosen, seed) for query in topics.queries], topics.qrels
        )
    stored = StoredDocs(work.folder("docs"))
    collections.write_topics(topics, work.out)
    relevant = {qrel.query_id for qrel in topics.qrels if qrel.relevance > 0}
    return {
        "n_queries": len(topics.queries),
        "n_qrels": len(topics.qrels),
        "n_queries_without_relevant_doc": len(topics.queries) - len(relevant),
        "n_judged_docs_without_text": sum(qrel.doc_id not in stored for qrel in topics.qrels),
        "public": list(dict.fromkeys(places.names_in(chosen.model_dump(mode="json")))),
    }


def _with_noise(query: Query, chosen: TopicsSpec, seed: int) -> Query:
    rng = stream(seed, "noise in", query.query_id)
    return Query(query.query_id, noisy(query.text, chosen.noise, rng))


def teacher(work: Work) -> Summary:
    """A teacher's rankings from a user's file, and a report on their quality before a stage learns from them."""
    topics, params = read_topics(work.folder("collection")), work.params(TeacherParams)
    names = InCollection(topics.queries, StoredDocs(work.folder("docs")))
    chosen = params.spec
    opened: teachers.Opened
    if isinstance(chosen, PermutationsTeacherSpec):
        assert params.candidates is not None
        opened = teachers.open_permutations(
            params.rankings,
            params.candidates,
            names,
            malformed=chosen.malformed,
            window=chosen.window,
            step=chosen.step,
        )
    else:
        opened = teachers.open_other(params.rankings, chosen.kind, params.candidates, names)
    parsed, shown = opened
    run = parsed.run.top(chosen.depth)
    write_scores(work.out / "run.json", run)
    summary = teachers.quality(parsed, shown, topics.qrels)
    for note in summary.get("notes", ()):
        work.progress.note(f"{work.step.label}: {note}")
    return summary | {"n_queries_without_ranking": len(topics.queries) - len(run.rankings)}


def write_scores(path: Path, run: Run) -> None:
    """Write a run as JSON, one query a line: our TREC runs would break ties of scores."""
    lines = [
        f"{json.dumps(query_id)}: {json.dumps({doc.doc_id: doc.score for doc in ranking})}"
        for query_id, ranking in run.rankings.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def teacher_rankings(folder: Path) -> Run:
    """The rankings of a teacher that a step stored: a file's scores as they are, or a ranker's run."""
    scores = folder / "run.json"
    return read_run(scores if scores.is_file() else folder / "run.trec")
