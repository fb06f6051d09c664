"""What moved between two rankers over a collection, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.data.collections import Source, StoredDocs, Topics, judged_topics, write_docs
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve import bm25
from rankscope.retrieve.rerank import rerank
from rankscope.study import probe_examples
from rankscope.study.changes import Changes, Settings, as_json, changed, ranking_change, sides


@dataclass(frozen=True)
class Pair:
    """Two rankers of one kind, by name."""

    before: str
    after: str
    rankers: tuple[BiEncoder | CrossEncoder, BiEncoder | CrossEncoder]


def opened(models: Sequence[str], *, revision: str | None, pooling: str | None) -> Pair:
    """The two rankers: NAME=MODEL, or a model by its own name. BadInput where they are of two kinds."""
    (before, first), (after, second) = probe_examples.opened(
        models, revision=revision, pooling=pooling
    ).items()
    for ranker in (first, second):
        ranker.model.to(backbone.device())
    return Pair(before, after, (first, second))


def diff(
    pair: Pair, source: Source, settings: Settings, *, queries: int, name: str, progress: Progress
) -> dict[str, Any]:
    """Everything that moved between the two, as plain data; what they rank is the top of BM25.

    `queries` are drawn from the judged ones; `name` is what the collection is called.
    """
    topics = judged_topics(source, limit=queries, seed=settings.seed)
    with TemporaryDirectory() as folder:
        docs, run = _ranked(source, topics, Path(folder), settings, progress)
        top = {doc.doc_id for ranking in run.rankings.values() for doc in ranking}
        texts = dict(zip(sorted(top), docs.texts(sorted(top)), strict=True))
        compared = sides(pair.rankers[0], topics.queries, run, texts, settings)
        modules, states = changed(pair.rankers, compared, settings, progress)
        runs = [
            rerank(
                ranker,
                topics.queries,
                run,
                texts=docs.texts,
                depth=settings.depth,
                tag=tag,
                progress=progress,
            )
            for tag, ranker in zip((pair.before, pair.after), pair.rankers, strict=True)
        ]
    return as_json(
        Changes(
            before=pair.before,
            after=pair.after,
            collection=name,
            modules=tuple(modules),
            states=tuple(states),
            rankings=ranking_change(runs[0], runs[1], settings),
        )
    )


def _ranked(
    source: Source, topics: Topics, folder: Path, settings: Settings, progress: Progress
) -> tuple[StoredDocs, Run]:
    """The docs, stored in the folder, and BM25's top for every query."""
    write_docs(source.docs(), folder)
    docs = StoredDocs(folder)
    bm25.build(docs, folder)
    index = bm25.Index.load(folder)
    return docs, bm25.search(index, topics.queries, depth=settings.depth, progress=progress)
