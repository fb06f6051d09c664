"""`rankscope attribute`: rankers' neurons over a collection, without a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.attribution import results as neurons
from rankscope.analyses.attribution import words
from rankscope.analyses.attribution.attributed import PATHS, Settings, attributed, examples_of
from rankscope.analyses.forms import forms_of
from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table
from rankscope.data.collections import Source, judged_topics
from rankscope.models.ranker import TrainableRanker
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH


def settings_of(
    *, as_published: bool, path: str | None, nodes: int | None, ablate: bool | None, **others: Any
) -> Settings:
    """What is asked of every ranker; the method's own path, nodes and ablation where they are None.

    Raises BadInput where one of them is stated for the published method, and UnknownChoice for a path there is
    none of.
    """
    given = {"path": path, "nodes": nodes, "ablate": ablate}
    stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if as_published and stated:
        raise BadInput(
            f"{', '.join(f'--{name}' for name in stated)}: --as-published takes 20 steps over the weights and switches "
            "nothing off. Leave the one or the other out."
        )
    if path is not None:
        choose(PATHS, path, what="path")
    return Settings(as_published=as_published, **stated, **others)


@dataclass(frozen=True)
class AttributeSettings:
    """What `rankscope attribute` is told: over whose queries and docs, and how neurons are attributed."""

    source: Source
    neurons: Settings
    baselines: Sequence[str] = ()
    """The first ranker, if none."""
    language: str | None = None
    """Of BM25's analyzer; English, if None."""


def answer(
    rankers: Mapping[str, TrainableRanker], settings: AttributeSettings, progress: Progress
) -> Result:
    """Through which neurons the rankers prefer relevant docs, in every form."""
    found = attribute(
        rankers,
        settings.source,
        settings.neurons,
        baselines=settings.baselines or [next(iter(rankers))],
        language=settings.language or ENGLISH,
        progress=progress,
    )
    sentences, table = words.in_words(found), words.layer_table(found)
    tables = [Table(f"{found['n_examples']} examples", *table)]
    if found["comparisons"]:
        tables += [
            Table("How concentrated", *words.comparison_table(found)),
            Table("The same neurons", *words.overlap_table(found)),
        ]
    return Result(
        tables=tuple(tables),
        lines=tuple(sentences),
        forms=forms_of(found, sentences, lambda: words.full_rows(found), table),
        notes=tuple(found["notes"]),
    )


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
