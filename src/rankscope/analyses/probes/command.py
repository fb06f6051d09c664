"""`rankscope probe`: the layers of rankers over a collection, without a study file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.analyses.examples import check_enough, indexed, notes_on, with_texts, without
from rankscope.analyses.probes.examples import Examples
from rankscope.analyses.probes.plan import ChoicesParams, ConcludeParams, ProbeParams
from rankscope.analyses.probes.results import Found, concluded
from rankscope.analyses.probes.spec import RunExamplesSpec
from rankscope.analyses.probes.states import notes_of, outcomes, represented, similarity_of
from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.data.by_words import ByWords
from rankscope.data.choices import choices_from_qrels
from rankscope.data.collections import (
    Source,
    judged_topics,
)
from rankscope.explain.probing import texts_of
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH


def probe(
    rankers: Mapping[str, BiEncoder | CrossEncoder],
    given: Examples,
    params: ProbeParams,
    *,
    baselines: Sequence[str],
    progress: Progress,
) -> Found:
    """Every ranker's layers probed over the same examples, and compared with the baselines' layer by layer.

    Raises UnknownChoice for a baseline there is none of.
    """
    for name in baselines:
        choose(rankers, name, what="baseline")
    by_ranker, notes = {}, []
    for name, ranker in rankers.items():
        with TemporaryDirectory() as folder:
            represented(ranker, given, Path(folder), seed=params.seed, progress=progress)
            by_ranker[name] = [
                *outcomes(
                    Path(folder),
                    given,
                    params,
                    similarity=similarity_of(ranker),
                    progress=progress,
                )
            ]
        notes += notes_of(name, ranker)
    compared = ConcludeParams(params.spec, tuple(baselines), None)
    return concluded(by_ranker, given, compared, notes=notes)


def numbers(written: str) -> tuple[int, ...]:
    """Numbers of candidates as a user writes them: "2 3 4 5"."""
    try:
        found = tuple(sorted({int(word) for word in written.split()}))
    except ValueError:
        found = ()
    if not found or found[0] < 2:
        raise BadInput(
            f'Candidates {written!r}: whole numbers from 2 on are needed, as in "2 3 4 5".'
        )
    return found


def examples(
    train: Source,
    test: Source,
    params: ChoicesParams,
    progress: Progress,
    *,
    language: str = ENGLISH,
) -> Examples:
    """Choices for training and test with negatives by BM25; a test query is never among the training ones.

    Both are over the docs of `test`; `language` is that of BM25's analyzer.
    """
    drawn = params.spec
    assert isinstance(drawn, RunExamplesSpec)
    unseen = judged_topics(test)
    learnt, n_shared = without(judged_topics(train), unseen)
    with indexed(test, language, progress) as (stored, index):
        learnt, n_lost_of_train = with_texts(learnt, stored)
        unseen, n_lost = with_texts(unseen, stored)
        made = [
            choices_from_qrels(
                topics.qrels,
                bm25.search(index, topics.queries, depth=drawn.depth, progress=progress),
                n_docs=params.n_docs,
                depth=drawn.depth,
                skip_top=drawn.skip_top,
                min_relevance=drawn.min_relevance,
                seed=params.seed,
                by_words=ByWords(topics, stored.key),
            )
            for topics in (learnt, unseen)
        ]
        check_enough(made[0].choices, made[1].choices)
        queries = {q.query_id: q.text for q in (*learnt.queries, *unseen.queries)}
        scores = [index.score(queries[each.query_id], each.doc_ids) for each in made[1].choices]
        doc_ids = texts_of([*made[0].choices, *made[1].choices]).doc_ids
        docs = dict(zip(doc_ids, stored.texts(doc_ids), strict=True))
    return Examples(
        train=made[0].choices,
        test=made[1].choices,
        queries=queries,
        docs=docs,
        scores=scores,
        notes=tuple(notes_on(n_shared, *made, n_lost=n_lost + n_lost_of_train)),
    )
