"""Runs for a notebook: a collection searched, and the top of a run re-ranked."""

from os import PathLike
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.records import Run
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.opening import require_precision
from rankscope.notebook.collections import OpenedCollection
from rankscope.notebook.rankers import RankerLike, loaded
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.terminal import progress
from rankscope.verbs import dense
from rankscope.verbs.rerank import reranked
from rankscope.verbs.search import BM25, by_bm25


def search(
    model: RankerLike, collection: OpenedCollection, *, depth: int = 100, language: str = ENGLISH
) -> Run:
    """The best docs for each judged query of a collection: by BM25 ("bm25"), or by a bi-encoder.

    depth: docs for each query. language: of BM25's analyzer. Raises BadInput for a ranker that reads query and doc
    together, and where BM25 finds nothing.

    >>> rs.search("bm25", c, depth=10)
    Run bm25: 200 queries, 2,000 docs
    """
    _check_depth(depth)
    shown = progress()
    if isinstance(model, str) and model.casefold() == BM25:
        run, notes = by_bm25(collection.source, depth=depth, language=language, progress=shown)
        for note in notes:
            shown.note(note)
        return run
    ranker = loaded(model)
    if not isinstance(ranker.ranker, BiEncoder):
        raise BadInput(
            f"{ranker.name} reads query and doc together, so it re-ranks a run: use `rerank`. Search with bm25 or a bi-encoder."
        )
    return dense.by_bi_encoder(
        ranker.ranker, collection.source, depth=depth, tag=ranker.name, progress=shown
    )


def rerank(
    ranker: RankerLike,
    collection: OpenedCollection,
    run: Run | str | PathLike[str],
    *,
    depth: int = 100,
    precision: str = "float32",
) -> Run:
    """The run with its top `depth` docs a query in the ranker's order; the docs below keep theirs.

    precision: of the ranker's dense layers: float32, bfloat16 or int8. Raises BadInput for a precision that is slower here.

    >>> rs.rerank(ranker, c, run, depth=2)
    Run cross-encoder: 200 queries, 2,000 docs
    """
    _check_depth(depth)
    require_precision(precision)
    shown, opened = progress(), loaded(ranker)
    given = run if isinstance(run, Run) else read_run(Path(run))
    params = RerankParams(depth, opened.name, precision)
    again, notes = reranked(opened.ranker, collection.source, given, params, shown)
    for note in notes:
        shown.note(note)
    return again


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise BadInput(f"The depth is {depth}, and a ranking has at least 1 doc. Give 1 or more.")
