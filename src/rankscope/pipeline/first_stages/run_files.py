"""Runs of the user's own, a file for each collection."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from rankscope.core.errors import BadStudy, listed
from rankscope.core.records import Run, ScoredDoc
from rankscope.data.collections import StoredDocs, Topics
from rankscope.pipeline.first_stages.first_stage import (
    Needed,
    Planning,
    StepWork,
)
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Spec
from rankscope.pipeline.step import Step


class RunFilesSpec(Spec):
    """A first stage of one's own: one run file for each collection."""

    kind: Literal["run_files"]
    paths: dict[str, str] = Field(
        description="Collection name -> run file in TREC format, or RankGPT's JSON lines of queries and their docs.",
        json_schema_extra=BY_PLAN,
    )
    otherwise: str | None = Field(
        None,
        description="The first stage of collections without a file, such as a published run's own method elsewhere.",
        json_schema_extra=BY_PLAN,
    )
    depth: Count = Field(1000, description="Docs kept for each query.")

    @property
    def needs(self) -> tuple[Needed, ...]:
        """The collections that its runs are over, and the first stage of all others."""
        other = [Needed("otherwise", "first_stages", self.otherwise)] if self.otherwise else []
        return (*(Needed("paths", "collections", name) for name in self.paths), *other)

    def plan(self, planning: Planning, name: str, collection: str) -> Step:
        """The file's run, cut at `depth`. Raises BadStudy for a collection without a file, or another first stage."""
        if collection not in self.paths and self.otherwise is not None:
            return planning.first_stage_run(self.otherwise, collection)
        inputs = {"collection": planning.collection(collection), "docs": planning.docs(collection)}
        path = self._file(planning, name, collection)
        return planning.search(self, f"{name}.{collection}", collection, inputs, run=path)

    def _file(self, planning: Planning, name: str, collection: str) -> Path:
        if collection not in self.paths:
            raise BadStudy(
                f"first_stages.{name}.paths: a run over {collection} is needed, and there are runs over "
                f"{listed(self.paths)}. Add one, or name another first stage with `otherwise`."
            )
        return planning.path(self.paths[collection])

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:
        """The file's run, restricted to the collection's queries and docs."""
        from rankscope.data.candidates import is_rankgpt, read_candidates
        from rankscope.data.names import InCollection
        from rankscope.data.teachers import from_run

        path = work.step.params.run
        names = InCollection(topics.queries, StoredDocs(work.folder("docs")))
        if is_rankgpt(path):
            return _in_order(path, read_candidates(path, names).rankings).top(self.depth), {}
        return from_run(path, names).run.top(self.depth), {}


def _in_order(path: Path, rankings: Mapping[str, Sequence[str]]) -> Run:
    """The run of docs that have an order and no scores."""
    return Run.of(
        path.stem,
        (
            ScoredDoc(query_id, doc_id, -float(rank))
            for query_id, doc_ids in rankings.items()
            for rank, doc_id in enumerate(doc_ids, start=1)
        ),
    )
