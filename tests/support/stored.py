"""What a study that was carried out left in its store."""

from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder as TheirCrossEncoder

from rankscope.core.formats import read_run
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.models import backbone
from rankscope.pipeline.planner import Plan
from rankscope.store.artifacts import Store


def folder(study: tuple[Plan, Store], kind: str, label: str) -> Path:
    """Where the results of a step are."""
    made, store = study
    return store.open(next(s.name for s in made.steps if (s.kind, s.label) == (kind, label)))


def scores_are_sentence_transformers(study: tuple[Plan, Store], ranker: str) -> None:
    """The scores in the run of a ranker's first ten docs are `CrossEncoder.predict`'s of its folder."""
    with backbone.quiet():
        theirs = TheirCrossEncoder(str(folder(study, "train", ranker) / "model"), device="cpu")
    docs = StoredDocs(folder(study, "docs", "test"))
    run = read_run(folder(study, "rerank", f"{ranker}.test.bm25") / "run.trec")
    for query in read_topics(folder(study, "collection", "test")).queries:
        ranking = run.rankings[query.query_id][:10]
        scores = theirs.predict([(query.text, docs.text(doc.doc_id)) for doc in ranking])
        assert [doc.score for doc in ranking] == pytest.approx(scores, abs=1e-5)
