"""Re-rank runs, without a study file."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.core.formats import read_run
from rankscope.core.progress import Progress, Tell
from rankscope.core.result import Result
from rankscope.data.collections import Source, StoredDocs, judged_topics, write_docs
from rankscope.models.inputs import notes_on
from rankscope.models.location import downloaded, located
from rankscope.models.opening import open_ranker, require_precision
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.pipeline.reranking import reranking
from rankscope.store.files import temporary_folder, writable
from rankscope.verbs.models import tag_of, untold
from rankscope.verbs.written import written


@dataclass(frozen=True)
class RerankSettings:
    """The model that re-ranks, the run, the depth, and the file of the new run."""

    model: str
    """A ranker's folder or hub id."""
    source: Source
    run: Path
    out: Path
    depth: int = 100
    precision: str = "float32"
    revision: str | None = None


def rerank(settings: RerankSettings, progress: Progress, tell: Tell = untold) -> Result:
    """Re-rank the top of a run with a model, and write the new run."""
    require_precision(settings.precision)
    model = located(settings.model, revision=settings.revision)
    writable(settings.out)
    topics, run = judged_topics(settings.source), read_run(settings.run)
    ranker = open_ranker(downloaded(model))
    for note in notes_on(ranker):
        tell(note)
    ranked = {doc.doc_id for ranking in run.rankings.values() for doc in ranking[: settings.depth]}
    with temporary_folder() as folder:
        write_docs((doc for doc in settings.source.docs() if doc.doc_id in ranked), folder)
        again, effects = reranking(
            RerankParams(settings.depth, tag_of(model), settings.precision),
            ranker,
            topics,
            run,
            texts=StoredDocs(folder).texts,
            progress=progress,
        )
    for note in effects:
        tell(note)
    return Result(lines=(written(settings.out, again),))
