"""Runs for a notebook: a collection searched, and the top of a run re-ranked."""

from rankscope.core.errors import BadInput
from rankscope.core.fields import given_whole, given_word
from rankscope.core.records import Run
from rankscope.evaluate.runs import RunLike
from rankscope.notebook.collections import OpenedCollection, opened_collection
from rankscope.notebook.measures import given_run
from rankscope.notebook.rankers import LoadedRanker, RankerLike, loaded
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.retrieve.bm25_ranker import Bm25Ranker
from rankscope.terminal import progress
from rankscope.verbs.search import BM25, by_bm25


def search(
    model: RankerLike,
    collection: OpenedCollection,
    *,
    depth: int = 100,
    language: str | None = None,
) -> Run:
    """The best docs for each judged query of a collection: by BM25 ("bm25"), or by a bi-encoder.

    depth: docs for each query. language: of BM25's analyzer; English, if None. Raises BadInput for a ranker that reads query
    and doc together, and where BM25 finds nothing.

    >>> rs.search("bm25", c, depth=10)
    Run bm25: 200 queries, 2,000 docs
    """
    _check_depth(depth)
    over, language = opened_collection(collection), given_word(language, "language")
    if isinstance(model, str) and model.casefold() == BM25:
        return _by_bm25(over, depth, language or ENGLISH)
    ranker = loaded(model)
    if isinstance(ranker.ranker, Bm25Ranker):
        return _by_loaded_bm25(ranker, ranker.ranker, over, depth=depth, language=language)
    if language is not None:
        raise BadInput(
            f"language: for bm25, and {ranker.name} has its own tokenizer. Leave it out."
        )
    from rankscope.models.bi_encoder import BiEncoder  # loads torch
    from rankscope.verbs import dense

    if not isinstance(ranker.ranker, BiEncoder):
        raise BadInput(
            f"{ranker.name} reads query and doc together, so it re-ranks a run: use `rerank`. Search with bm25 or a bi-encoder."
        )
    return dense.by_bi_encoder(
        ranker.ranker, over.source, depth=depth, tag=ranker.name, progress=progress()
    )


def _by_bm25(collection: OpenedCollection, depth: int, language: str) -> Run:
    shown = progress()
    run, notes = by_bm25(collection.source, depth=depth, language=language, progress=shown)
    for note in notes:
        shown.note(note)
    return run


def _by_loaded_bm25(
    ranker: LoadedRanker,
    bm25: Bm25Ranker,
    collection: OpenedCollection,
    *,
    depth: int,
    language: str | None,
) -> Run:
    """BM25 searches by the statistics of the collection that is searched, so it must be the ranker's own."""
    own = ranker.collection or collection
    if _docs_of(own) != _docs_of(collection):
        raise BadInput(
            f"{ranker.name} has the statistics of {own.name}, and {collection.name} is searched by its own. Give "
            f'"{BM25}" or a ranker over {collection.name}; or re-rank a run with this one.'
        )
    if language not in (None, bm25.language):
        raise BadInput(
            f"{ranker.name} was loaded for the language {bm25.language}, and {language} is asked for. Load it for that."
        )
    run = _by_bm25(collection, depth, bm25.language)
    return Run(ranker.name, run.rankings)


def _docs_of(collection: OpenedCollection) -> tuple[object, ...]:
    """What names a collection's docs, which its splits share."""
    files = tuple(path.resolve() for path in collection.source.doc_files())
    return files or tuple(collection.source.doc_names().items())


def rerank(
    ranker: RankerLike,
    collection: OpenedCollection,
    run: RunLike,
    *,
    depth: int = 100,
    precision: str = "float32",
) -> Run:
    """The run with its top `depth` docs a query in the ranker's order; the docs below keep theirs.

    run: in any form that `measure` takes. precision: of the ranker's dense layers: float32, bfloat16 or int8. Raises BadInput for a precision that is slower here.

    >>> rs.rerank(ranker, c, run, depth=2)
    Run cross-encoder: 200 queries, 2,000 docs
    """
    from rankscope.models.opening import require_precision  # loads torch
    from rankscope.pipeline.plans.rankers import RerankParams
    from rankscope.verbs.rerank import reranked

    _check_depth(depth)
    over = opened_collection(collection)
    require_precision(precision)
    shown, opened = progress(), loaded(ranker)
    if isinstance(opened.ranker, Bm25Ranker) and precision != "float32":
        raise BadInput(
            f"{opened.name}: BM25 has no layers whose precision it could be. Leave it out."
        )
    given = given_run(run)
    params = RerankParams(depth, opened.name, precision)
    again, notes = reranked(opened.ranker, over.source, given, params, shown)
    for note in notes:
        shown.note(note)
    return again


def _check_depth(depth: int) -> None:
    if given_whole(depth, "depth") < 1:
        raise BadInput(f"The depth is {depth}, and a ranking has at least 1 doc. Give 1 or more.")
