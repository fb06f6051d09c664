"""BM25 over a collection: an index of its docs, and the docs that it ranks first."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rankscope.core.records import Run
from rankscope.data.collections import StoredDocs, Topics
from rankscope.pipeline.first_stages.first_stage import (
    Needed,
    Planning,
    StepWork,
)
from rankscope.pipeline.spec.fields import Count, Positive, Share, Spec, known_language, read_by
from rankscope.pipeline.step import Kind, Step
from rankscope.retrieve.analyzer import ENGLISH


class BM25Spec(Spec):
    """Lexical first stage (Robertson & Zaragoza 2009), with the default values of Anserini."""

    kind: Literal["bm25"]
    k1: Positive = Field(
        0.9, description="Saturation of term frequency.", json_schema_extra=read_by("index")
    )
    b: Share = Field(
        0.4, description="Normalisation by doc length.", json_schema_extra=read_by("index")
    )
    language: Annotated[str, AfterValidator(known_language)] = Field(
        ENGLISH,
        description="Language of docs and queries. english: stop words, possessives and Porter's stemmer; one that "
        "PyStemmer has a stemmer for, such as hindi: that stemmer and no stop words (Mr. TyDi's BM25 has an "
        "analyzer for each language, too: Zhang et al. 2021); none: words in lower case.",
        json_schema_extra=read_by("index"),
    )
    depth: Count = Field(
        1000, description="Docs kept for each query.", json_schema_extra=read_by("search")
    )

    @property
    def needs(self) -> tuple[Needed, ...]:
        """It needs nothing else of the study."""
        return ()

    def plan(self, planning: Planning, name: str, collection: str) -> Step:
        """An index, which depths and collections over the same docs share, and a search in it."""
        topics, docs = planning.collection(collection), planning.docs(collection)
        inputs = {"collection": topics, "index": planning.step(INDEX, name, self, {"docs": docs})}
        return planning.search(self, f"{name}.{collection}", collection, inputs)

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:
        """The docs that the index ranks first."""
        from rankscope.retrieve import bm25

        stored = bm25.Index.load(work.folder("index"))
        return bm25.search(stored, topics.queries, depth=self.depth, progress=work.progress), {}


INDEX = Kind("index", 3, "rankscope.pipeline.first_stages.bm25:index", BM25Spec)


def index(work: StepWork) -> dict[str, Any]:
    """The step of a BM25 index."""
    from rankscope.retrieve import bm25

    chosen = work.step.spec
    assert isinstance(chosen, BM25Spec)
    docs = StoredDocs(work.folder("docs"))
    n_docs = bm25.build(docs, work.out, k1=chosen.k1, b=chosen.b, language=chosen.language)
    notes = bm25.Index.load(work.out).notes
    for note in notes:
        work.progress.note(f"{work.step.label}: {note}")
    return {"n_docs": n_docs} | ({"notes": notes} if notes else {})
