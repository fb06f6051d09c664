"""`rankscope probe`: probes of rankers' layers over a collection, without a study file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rankscope.analyses.examples import (
    check_enough,
    indexed,
    notes_on,
    searched,
    with_texts,
    without,
)
from rankscope.analyses.forms import forms_of
from rankscope.analyses.probes import words
from rankscope.analyses.probes.examples import ProbeExamples
from rankscope.analyses.probes.plan import (
    AT_RANDOM,
    ChoicesParams,
    ConcludeParams,
    ProbeParams,
)
from rankscope.analyses.probes.results import ProbeResults, concluded, recorded
from rankscope.analyses.probes.spec import ProbesSpec, RunExamplesSpec
from rankscope.analyses.probes.states import notes_of, outcomes, represented, similarity_of
from rankscope.analyses.probes.stored import StoredProbes
from rankscope.core.errors import BadInput, choose
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table
from rankscope.core.rng import seed_for
from rankscope.core.words import counted
from rankscope.data.by_words import ByWords
from rankscope.data.choices import choices_from_qrels
from rankscope.data.collections import (
    Source,
    judged_topics,
)
from rankscope.explain.probing import texts_of
from rankscope.models.ranker import TrainableRanker
from rankscope.pipeline.spec.fields import spec_of
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.store.files import temporary_folder

SEED = 42
"""The seed of the examples, the controls and the intervals."""


class OwnDocsLeftOut(NamedTuple):
    """Whether docs of their query's id are left out, of the training's rankings and of the test's."""

    train: bool = False
    test: bool = False


NO_OWN_DOCS_LEFT_OUT = OwnDocsLeftOut()


@dataclass(frozen=True)
class ProbeSettings:
    """The settings of `rankscope probe`: its examples, further rankers beside those named, and how they are probed."""

    train: Source
    test: Source
    choices: ChoicesParams
    probes: ProbeParams
    at_random: bool = False
    """Whether the first ranker's architecture with random weights is probed too."""
    baselines: Sequence[str] = ()
    """The rankers that all are compared with; the first one, if empty."""
    language: str | None = None
    """The language of BM25's analyzer; English, if None."""
    drop_own_docs: OwnDocsLeftOut = NO_OWN_DOCS_LEFT_OUT


def params_of(
    train: str,
    test: str,
    depth: int,
    *,
    candidates: str,
    also: Sequence[str],
    as_published: bool,
    **others: Any,
) -> tuple[ChoicesParams, ProbeParams]:
    """How examples are drawn and layers probed, over collections by name; raises BadInput for an invalid value."""
    spec = spec_of(
        ProbesSpec,
        examples={"over": test, "train": train, "from": "bm25", "depth": depth},
        candidates=numbers(candidates),
        also=tuple(also),
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
    choices_read = examples(
        settings.train,
        settings.test,
        settings.choices,
        progress,
        language=settings.language or ENGLISH,
        drop_own_docs=settings.drop_own_docs,
    )
    baselines = settings.baselines or [first]
    probed = probe(rankers, choices_read, settings.probes, baselines=baselines, progress=progress)
    stored, n = recorded(probed), max(settings.probes.spec.ns)
    sentences, table = words.sentences(stored), words.layer_table(stored, n)
    return Result(
        tables=(
            Table(
                f"{counted(len(choices_read.test), 'example')}, {n} docs each", *table, n_names=2
            ),
        ),
        lines=tuple(sentences),
        forms={
            **forms_of(as_plain(stored), sentences, lambda: words.full_rows(stored), table),
            "chart": lambda: _chart(stored, n),
        },
        notes=stored.notes,
        record=stored,
    )


def _chart(stored: StoredProbes, n: int) -> dict[str, Any]:
    """The accuracy of every ranker's layers among n docs."""
    from rankscope.analyses.probes import charts

    return charts.layers_of_rankers(
        words.compared_curves(stored, n),
        words.published_curves(stored, n),
        chance=1 / n,
        first_stage=words.first_stage(stored, n),
    )


def probe(
    rankers: Mapping[str, TrainableRanker],
    choices_read: ProbeExamples,
    params: ProbeParams,
    *,
    baselines: Sequence[str],
    progress: Progress,
) -> ProbeResults:
    """The probes of every ranker's layers over the same examples, compared with the baselines' layer by layer.

    Raises UnknownChoice for an unknown baseline.
    """
    for name in baselines:
        choose(rankers, name, what="baseline")
    by_ranker, notes = {}, []
    for name, ranker in rankers.items():
        with temporary_folder() as folder:
            represented(ranker, choices_read, folder, seed=params.seed, progress=progress)
            by_ranker[name] = [
                *outcomes(
                    folder,
                    choices_read,
                    params,
                    similarity=similarity_of(ranker),
                    progress=progress,
                )
            ]
        notes += notes_of(name, ranker)
    comparison = ConcludeParams(params.spec, tuple(baselines), None)
    return concluded(by_ranker, choices_read, comparison, notes=notes)


def numbers(written: str) -> tuple[int, ...]:
    """Numbers of candidates as a user writes them: "2 3 4 5"."""
    try:
        counts = tuple(sorted({int(word) for word in written.split()}))
    except ValueError:
        counts = ()
    if not counts or counts[0] < 2:
        raise BadInput(
            f'Candidates {written!r}: whole numbers from 2 on are needed, as in "2 3 4 5".'
        )
    return counts


def examples(
    train: Source,
    test: Source,
    params: ChoicesParams,
    progress: Progress,
    *,
    language: str = ENGLISH,
    drop_own_docs: OwnDocsLeftOut = NO_OWN_DOCS_LEFT_OUT,
) -> ProbeExamples:
    """Choices for training and test with negatives by BM25; a test query is never among the training ones.

    Both are over the docs of `test`; `language` is that of BM25's analyzer.
    """
    spec = params.spec
    assert isinstance(spec, RunExamplesSpec)
    test_topics = judged_topics(test)
    train_topics, n_shared = without(judged_topics(train), test_topics)
    with indexed(test, language, progress) as (stored_docs, index):
        train_topics, n_lost_of_train = with_texts(train_topics, stored_docs)
        test_topics, n_lost = with_texts(test_topics, stored_docs)
        drawn_choices = [
            choices_from_qrels(
                topics.qrels,
                searched(index, topics, spec.depth, progress, drop_own_docs=drops),
                n_docs=params.n_docs,
                depth=spec.depth,
                skip_top=spec.skip_top,
                min_relevance=spec.min_relevance,
                seed=params.seed,
                by_words=ByWords(topics, stored_docs.key),
            )
            for topics, drops in (
                (train_topics, drop_own_docs.train),
                (test_topics, drop_own_docs.test),
            )
        ]
        check_enough(drawn_choices[0].choices, drawn_choices[1].choices)
        queries = {q.query_id: q.text for q in (*train_topics.queries, *test_topics.queries)}
        scores = [
            index.score(queries[choice.query_id], choice.doc_ids)
            for choice in drawn_choices[1].choices
        ]
        doc_ids = texts_of([*drawn_choices[0].choices, *drawn_choices[1].choices]).doc_ids
        docs = dict(zip(doc_ids, stored_docs.texts(doc_ids), strict=True))
    return ProbeExamples(
        train=drawn_choices[0].choices,
        test=drawn_choices[1].choices,
        queries=queries,
        docs=docs,
        scores=scores,
        notes=tuple(notes_on(n_shared, *drawn_choices, n_lost=n_lost + n_lost_of_train)),
    )
