"""`rankscope attribute`: rankers' neurons over a collection, without a study."""

from collections.abc import Mapping, Sequence
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.attribution import results as neurons
from rankscope.analyses.attribution.attributed import attributed, examples_of
from rankscope.analyses.attribution.plan import AttributeParams, NeuronsParams
from rankscope.core.errors import choose
from rankscope.core.progress import Progress
from rankscope.data.collections import Source, judged_topics
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH


def attribute(
    rankers: Mapping[str, BiEncoder | CrossEncoder],
    source: Source,
    params: AttributeParams,
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
        run = bm25.search(index, topics.queries, depth=params.spec.depth, progress=progress)
        given, notes = examples_of(topics, run, docs, params)
    by_ranker = {}
    for name, ranker in rankers.items():
        ranker.model.to(backbone.device())
        by_ranker[name] = attributed(ranker, given, params, progress)
    compared = NeuronsParams(params.spec, tuple(baselines), params.seed)
    return neurons.concluded(by_ranker, given.choices, compared, notes=notes)
