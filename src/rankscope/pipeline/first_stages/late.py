"""Search with a ColBERT: the docs whose tokens best match each query's."""

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
from rankscope.pipeline.spec.fields import Count, Spec
from rankscope.pipeline.step import Step


class LateSpec(Spec):
    """A ColBERT's best docs among all of a collection's: exact and slow, for small collections."""

    kind: Literal["late_interaction"]
    ranker: str = Field(description="The ranker, one of `kind: late_interaction`.")
    depth: Count = Field(1000, description="Docs kept for each query.")

    @property
    def needs(self) -> tuple[Needed, ...]:
        """The ranker that searches."""
        return (Needed("ranker", "rankers", self.ranker),)

    def plan(self, planning: Planning, name: str, collection: str) -> Step:
        """A search among the docs' texts: no embeddings are kept."""
        topics, docs = planning.collection(collection), planning.docs(collection)
        inputs = {"collection": topics, "docs": docs, "ranker": planning.ranker(self.ranker)}
        return planning.search(self, f"{name}.{collection}", collection, inputs)

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:
        """The docs whose tokens match best."""
        from rankscope.models.opening import open_late_interaction
        from rankscope.retrieve import dense, late

        folder, docs = work.folder("ranker") / "model", StoredDocs(work.folder("docs"))
        nearest = late.nearest(
            open_late_interaction(Location(folder.name, folder)),
            [query.text for query in topics.queries],
            docs.text_at,
            n_docs=len(docs),
            depth=self.depth,
            progress=work.progress,
        )
        return dense.run_of(self.ranker, topics.queries, docs.doc_ids, *nearest), {}
