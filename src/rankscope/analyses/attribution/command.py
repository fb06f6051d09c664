"""`rankscope attribute`: rankers' neurons over a collection, without a study."""

from collections.abc import Mapping, Sequence
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.attribution import results as neurons
from rankscope.analyses.attribution.attributed import Settings, attributed, examples_of
from rankscope.core.errors import choose
from rankscope.core.progress import Progress
from rankscope.data.collections import Source, judged_topics
from rankscope.models.ranker import TrainableRanker
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH


def attribute(
    rankers: Mapping[str, TrainableRanker],
    source: Source,
    settings: Settings,
    *,
    baselines: Sequence[str],
    language: str = ENGLISH,
    progress: Progress,
) -> dict[str, Any]:
    """Every ranker's neurons over the same examples of a collection, as plain data; negatives by BM25.

    `language` is that of BM25's analyzer. Raises UnknownChoice for a baseline there is none of.
    """
    for name in baselines:
        choose(rankers, name, what="baseline")
    topics = judged_topics(source)
    with examples.indexed(source, language, progress) as (docs, index):
        run = bm25.search(index, topics.queries, depth=settings.depth, progress=progress)
        given, notes = examples_of(topics, run, docs, settings)
    by_ranker = {
        name: attributed(ranker, given, settings, progress) for name, ranker in rankers.items()
    }
    return neurons.concluded(by_ranker, given.choices, settings, baselines=baselines, notes=notes)
