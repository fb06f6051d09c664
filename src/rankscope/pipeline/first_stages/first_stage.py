"""The protocols of a first stage: its spec, the steps it needs and its search; and of what it is given for them.

A first stage is a file of this folder and a row of `table`. Whatever it imports to search, it imports inside
`search`: its spec and its plan are read where nothing may load torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast

from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.core.trec.writing import write_run
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.pipeline.step import Kind, Step
from rankscope.store.rows import ProcessGroup

RUN = "rankscope.pipeline.first_stages.first_stage:search"
"""The function that carries out the step of any first stage's run."""
RUN_FILE = "run.trec"


class Needed(NamedTuple):
    """A name in a first stage's spec, and the table of the study that has it."""

    field: str
    table: Literal["rankers", "first_stages", "collections"]
    name: str


class Planning(Protocol):
    """The steps that a first stage's plan can rest on, each made once; `Planner` has them."""

    def step(self, kind: Kind, label: str, params: Any, inputs: Mapping[str, Step]) -> Step:
        """A step, or the same one that is there already."""
        ...

    def search(
        self,
        spec: Any,
        label: str,
        collection: str,
        inputs: Mapping[str, Step],
        run: Path | None = None,
    ) -> Step:
        """The step of a first stage's own search, or reading of a run file, over a collection."""
        ...

    def path(self, written: str) -> Path:
        """A path of the study file."""
        ...

    def docs(self, name: str) -> Step:
        """The docs of a collection."""
        ...

    def collection(self, name: str) -> Step:
        """Queries and qrels of a collection."""
        ...

    def ranker(self, name: str) -> Step:
        """A ranker's weights."""
        ...

    def embedder(self, ranker: str) -> str:
        """The ranker whose embeddings a ranker's docs have."""
        ...

    def first_stage_run(self, first_stage: str, collection: str) -> Step:
        """A first stage's run over a collection."""
        ...


class StepWork(Protocol):
    """The folders and settings for carrying out a first stage's step; `Work` has them, and loads torch."""

    @property
    def step(self) -> Step:
        """The step."""
        ...

    @property
    def out(self) -> Path:
        """The folder to write into."""
        ...

    @property
    def checkpoints(self) -> Path:
        """The folder in which a step that can resume keeps its state."""
        ...

    @property
    def progress(self) -> Progress:
        """Shows how far the step is."""
        ...

    @property
    def processes(self) -> ProcessGroup:
        """Who carries out the step together; only the first writes."""
        ...

    def folder(self, role: str) -> Path:
        """The verified folder of an input."""
        ...

    def embedded(self, ranker: Any, docs: StoredDocs, folder: Path) -> Path:
        """The file in the folder with the embeddings of all docs."""
        ...


class FirstStage(Protocol):
    """The spec of a first stage."""

    @property
    def depth(self) -> int:
        """Docs kept for each query."""
        ...

    @property
    def needs(self) -> tuple[Needed, ...]:
        """Its references to the study: rankers and first stages it needs, collections it knows."""
        ...

    def plan(self, planning: Planning, name: str, collection: str) -> Step:
        """The step of its run over a collection; `name` is its name in the study."""
        ...

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:
        """The run of the planned step, and further facts for the step's summary."""
        ...


def search(work: StepWork) -> dict[str, Any]:
    """The step of any first stage's run.

    Docs that have their query's id are dropped here, if the collection's convention says so (ArguAna, Quora), and
    nowhere after: all re-ranking, fusion, training and evaluation rests on a search.
    """
    from rankscope.evaluate.runs import without_own_docs

    topics = read_topics(work.folder("collection"))
    run, more = cast("FirstStage", work.step.spec).search(work, topics)
    if getattr(work.step.params, "drop_own_docs", False):  # a fusion's runs have dropped theirs
        run = without_own_docs(run)
    write_run(work.out / RUN_FILE, run)
    return run_summary(run, topics) | more


def run_summary(run: Run, topics: Topics) -> dict[str, Any]:
    """The facts of a run that its step's manifest keeps."""
    return {
        "n_queries": len(run.rankings),
        "n_queries_without_ranking": len(topics.queries) - len(run.rankings),
        "n_ranked_docs": sum(len(run.columns(query_id).doc_ids) for query_id in run.rankings),
        "tied_share": run.tied_share(),
    }
