"""Search with a bi-encoder: the embeddings of all docs, and the docs nearest to each query."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from rankscope.core.records import Run
from rankscope.data.collections import StoredDocs, Topics
from rankscope.models.location import Location
from rankscope.pipeline.first_stages.first_stage import (
    Needed,
    Planning,
    StepWork,
)
from rankscope.pipeline.spec.fields import STORED, Count, Spec, Stored
from rankscope.pipeline.step import Kind, Step
from rankscope.store.artifacts import linked


@dataclass(frozen=True)
class EncodeParams:
    """The type of the stored embeddings."""

    stored: Stored = "float32"


ENCODE = Kind(
    "encode",
    2,
    "rankscope.pipeline.first_stages.dense:encode",
    EncodeParams,
    is_shared=True,
    is_resumed=True,
)

QUERIES_CHECKED = 50
"""Queries whose exact neighbours are computed too, to measure how many docs an index misses."""


class DenseSpec(Spec):
    """A bi-encoder's nearest docs among all of a collection's."""

    kind: Literal["dense"]
    ranker: str = Field(description="The bi-encoder; one of `rankers`, tuned or not.")
    index: Literal["exact", "flat", "ivf", "hnsw"] = Field(
        "exact",
        description="exact compares with every doc; the others are faiss's (`rankscope[ann]`; Johnson et al. 2021): "
        "ivf and hnsw (Malkov & Yashunin 2020) are faster on millions of docs and miss some, and the step says how "
        "many.",
    )
    depth: Count = Field(1000, description="Docs kept for each query.")
    stored: Stored = Field("float32", description=STORED)

    @property
    def needs(self) -> tuple[Needed, ...]:
        """The ranker that searches."""
        return (Needed("ranker", "rankers", self.ranker),)

    def plan(self, planning: Planning, name: str, collection: str) -> Step:  # noqa: ARG002
        """A search among the docs' embeddings, named after its ranker: evaluation searches with rankers too."""
        inputs = {
            "collection": planning.collection(collection),
            "docs": planning.docs(collection),
            "ranker": planning.ranker(self.ranker),
            "embeddings": embeddings(planning, self.ranker, collection, self.stored),
        }
        unusual = [name for name in (self.index, self.stored) if name not in ("exact", "float32")]
        label = ".".join([self.ranker, collection, *unusual])
        return planning.search(self, label, collection, inputs)

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:
        """The nearest docs, and the recall of an index that misses some."""
        from rankscope.retrieve import approximate, dense, embeddings

        ranker, doc_ids = _bi_encoder(work), StoredDocs(work.folder("docs")).doc_ids
        queries = ranker.searchable(ranker.embed_queries([query.text for query in topics.queries]))
        stored = embeddings.opened(work.folder("embeddings") / embeddings.EMBEDDINGS)
        if self.index == "exact":
            nearest = dense.nearest(queries, stored, depth=self.depth, progress=work.progress)
            return dense.run_of(self.ranker, topics.queries, doc_ids, *nearest), {}
        nearest = approximate.nearest(queries, stored, depth=self.depth, kind=self.index)
        some = queries[:QUERIES_CHECKED]
        _, exact = dense.nearest(some, stored, depth=self.depth, progress=work.progress)
        recall = approximate.recall(nearest[1][: len(some)], exact)
        run = dense.run_of(self.ranker, topics.queries, doc_ids, *nearest)
        more = {"index": self.index, "recall_of_exact": recall, "n_queries_checked": len(some)}
        return run, more


def embeddings(
    planning: Planning, ranker: str, collection: str, stored: Stored = "float32"
) -> Step:
    """The step that embeds a collection's docs with a ranker; rankers with the same doc tower share it."""
    docs, embedder = planning.docs(collection), planning.embedder(ranker)
    inputs = {"ranker": planning.ranker(embedder), "docs": docs}
    label = f"{embedder}.{docs.label}" + ("" if stored == "float32" else f".{stored}")
    return planning.step(ENCODE, label, EncodeParams(stored), inputs)


def encode(work: StepWork) -> dict[str, Any]:
    """Embed a collection's docs, as the step that keeps them."""
    from rankscope.pipeline.embedding import embedded

    ranker, docs = _bi_encoder(work), StoredDocs(work.folder("docs"))
    params: EncodeParams = work.step.params
    path = embedded(
        ranker,
        docs,
        work.checkpoints,
        dtype=params.stored,
        processes=work.processes,
        progress=work.progress,
    )
    if work.processes.is_first:
        linked(path, work.out / path.name)
    return {"n_docs": len(docs), "width": ranker.width}


def _bi_encoder(work: StepWork) -> Any:
    from rankscope.models.opening import open_bi_encoder

    folder = work.folder("ranker") / "model"
    return open_bi_encoder(Location(folder.name, folder))
