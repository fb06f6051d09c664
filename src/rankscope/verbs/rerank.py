"""Re-rank runs, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rankscope.core.formats import read_run
from rankscope.core.judged.costs import SystemCost
from rankscope.core.progress import Progress, Tell
from rankscope.core.records import Run
from rankscope.core.result import Result
from rankscope.data.collections import Source, StoredDocs, judged_topics, write_docs
from rankscope.models.inference import AS_IT_IS, Inference
from rankscope.models.inputs import notes_on
from rankscope.models.location import downloaded, located
from rankscope.models.opening import AnyRanker, open_ranker, require_precision
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.pipeline.reranking import reranking
from rankscope.retrieve.bm25_ranker import Bm25Ranker
from rankscope.store.files import temporary_folder
from rankscope.verbs import run_metadata
from rankscope.verbs.models import tag_of, untold
from rankscope.verbs.run_metadata import RunFacts
from rankscope.verbs.written import ready, written


@dataclass(frozen=True)
class RerankSettings:
    """The model that re-ranks, the run, the depth, and the file of the new run."""

    model: str
    """A ranker's folder or hub id."""
    source: Source
    run: Path
    out: Path
    depth: int = 100
    revision: str | None = None
    how: Inference = AS_IT_IS
    """How the model scores."""
    collection: str = ""
    """The name of the collection, for the run's metadata."""
    command: str = ""


def rerank(settings: RerankSettings, progress: Progress, tell: Tell = untold) -> Result:
    """Re-rank the top of a run with a model, and write the new run."""
    require_precision(settings.how.precision, settings.how.device)
    model = located(settings.model, revision=settings.revision)
    ready(settings.out)
    run, began = read_run(settings.run), monotonic()
    ranker = open_ranker(downloaded(model), settings.how)
    for note in notes_on(ranker):
        tell(note)
    params = RerankParams(settings.depth, tag_of(model), settings.how.precision)
    again, effects = reranked(ranker, settings.source, run, params, progress)
    cost = run_metadata.cost_of_re_ranking(
        model.folder, len(again.rankings), round(monotonic() - began, 3)
    )
    for note in effects:
        tell(note)
    line = written(settings.out, again)
    run_metadata.write(settings.out, run_metadata.of_run(again.tag, _facts(settings, run, cost)))
    return Result(lines=(line,))


def _facts(settings: RerankSettings, run: Run, cost: SystemCost) -> RunFacts:
    """What is told of the run beside it."""
    commit = {"revision": settings.revision} if settings.revision else {}
    how = {
        name: value
        for name in ("precision", "max_length")  # what changes scores
        if (value := getattr(settings.how, name)) != getattr(AS_IT_IS, name)
    }
    first = {"name": run.tag, "method": f"the run {settings.run}"}
    second = {
        "name": "rerank",
        "method": settings.model,
        **commit,
        **how,
        "depth": settings.depth,
        "reranks": run.tag,
    }
    return RunFacts(settings.command, settings.collection, [first, second], cost=cost)


def reranked(
    ranker: AnyRanker | Bm25Ranker,
    source: Source,
    run: Run,
    params: RerankParams,
    progress: Progress,
) -> tuple[Run, Sequence[str]]:
    """The re-ranked run of a collection's judged queries, and notes on what the precision changed."""
    topics = judged_topics(source)
    ranked = {doc.doc_id for ranking in run.rankings.values() for doc in ranking[: params.depth]}
    with temporary_folder() as folder:
        write_docs((doc for doc in source.docs() if doc.doc_id in ranked), folder)
        texts = StoredDocs(folder).texts
        return reranking(params, ranker, topics, run, texts=texts, progress=progress)
