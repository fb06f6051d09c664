"""`rankscope probe`: the layers of rankers over a collection, without a study file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rankscope.analyses.examples import check_enough, indexed, notes_on, with_texts, without
from rankscope.analyses.forms import forms_of
from rankscope.analyses.probes import words
from rankscope.analyses.probes.examples import Examples
from rankscope.analyses.probes.plan import (
    AT_RANDOM,
    ChoicesParams,
    ConcludeParams,
    ProbeParams,
)
from rankscope.analyses.probes.results import Found, as_json, concluded
from rankscope.analyses.probes.spec import ProbesSpec, RunExamplesSpec
from rankscope.analyses.probes.states import notes_of, outcomes, represented, similarity_of
from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table
from rankscope.core.rng import seed_for
from rankscope.data.by_words import ByWords
from rankscope.data.choices import choices_from_qrels
from rankscope.data.collections import (
    Source,
    judged_topics,
)
from rankscope.explain.probing import texts_of
from rankscope.models.ranker import TrainableRanker
from rankscope.pipeline.spec.fields import spec_of
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH

SEED = 42
"""Of the examples, and of what probes are compared with."""


@dataclass(frozen=True)
class ProbeSettings:
    """What `rankscope probe` is told: over which examples, which rankers beside those named, and how they are probed."""

    train: Source
    test: Source
    choices: ChoicesParams
    probes: ProbeParams
    at_random: bool = False
    """Whether the first ranker's architecture with random weights is probed too."""
    baselines: Sequence[str] = ()
    """The first ranker, if none."""
    language: str | None = None
    """Of BM25's analyzer; English, if None."""


def params_of(
    train: str,
    test: str,
    depth: int,
    *,
    candidates: str,
    mlp: bool,
    as_published: bool,
    **others: Any,
) -> tuple[ChoicesParams, ProbeParams]:
    """How examples are drawn and layers probed, over collections by name; BadInput for a value that does not hold."""
    spec = spec_of(
        ProbesSpec,
        examples={"over": test, "train": train, "from": "bm25", "depth": depth},
        candidates=numbers(candidates),
        mlp=mlp and not as_published,
        method="as_published" if as_published else "sound",
        **others,
    )
    assert isinstance(spec.examples, RunExamplesSpec)
    return ChoicesParams(spec.examples, max(spec.ns), SEED), ProbeParams(spec, SEED)


def answer(
    rankers: Mapping[str, TrainableRanker], settings: ProbeSettings, progress: Progress
) -> Result:
    """What each layer of the rankers knows, in every form."""
    first = next(iter(rankers))
    if settings.at_random:
        untrained = rankers[first].at_random(seed=seed_for(1, "random weights"))
        rankers = {**rankers, AT_RANDOM: untrained}
    given = examples(
        settings.train,
        settings.test,
        settings.choices,
        progress,
        language=settings.language or ENGLISH,
    )
    baselines = settings.baselines or [first]
    probed = probe(rankers, given, settings.probes, baselines=baselines, progress=progress)
    found, n = as_json(probed), max(settings.probes.spec.ns)
    sentences, table = words.in_words(found), words.layer_table(found, n)
    return Result(
        tables=(Table(f"{len(given.test)} examples, {n} docs each", *table),),
        lines=tuple(sentences),
        forms=forms_of(found, sentences, lambda: words.full_rows(found), table),
        notes=tuple(found["notes"]),
    )


def probe(
    rankers: Mapping[str, TrainableRanker],
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
