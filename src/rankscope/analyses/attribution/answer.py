"""`rankscope attribute`: attribution of rankers' neurons over a collection, without a study file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.analyses import examples
from rankscope.analyses.attribution import results as neurons
from rankscope.analyses.attribution import words
from rankscope.analyses.attribution.attributed import attributed, examples_of
from rankscope.analyses.attribution.plan import AttributeParams, NeuronsParams
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.attribution.stored import StoredAttribution
from rankscope.analyses.forms import forms_of
from rankscope.core.errors import BadInput, choose
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table
from rankscope.core.words import counted
from rankscope.data.collections import Source, judged_topics
from rankscope.models.ranker import TrainableRanker
from rankscope.pipeline.spec.fields import spec_of
from rankscope.retrieve.analyzer import ENGLISH


def params_of(
    collection: str, seed: int, *, as_published: bool, stated: Mapping[str, Any], **others: Any
) -> AttributeParams:
    """How every ranker's neurons are attributed; `stated` has path, nodes and ablate, None for the method's own.

    Raises BadInput where one of them is stated for the published method, and for an invalid value.
    """
    chosen = {name: value for name, value in stated.items() if value is not None}
    if as_published and chosen:
        raise BadInput(
            f"{', '.join(f'--{name}' for name in chosen)}: --as-published takes 20 steps over the weights and ablates "
            "nothing. Leave one or the other out."
        )
    method = "as_published" if as_published else "sound"
    fields = {"over": collection, "first_stage": "bm25", "method": method}
    return AttributeParams(spec_of(AttributionSpec, **fields, **chosen, **others), None, seed)


@dataclass(frozen=True)
class AttributeSettings:
    """The settings of `rankscope attribute`: a collection's queries and docs, and how neurons are attributed."""

    source: Source
    neurons: AttributeParams
    baselines: Sequence[str] = ()
    """The rankers that all are compared with; the first one, if empty."""
    language: str | None = None
    """The language of BM25's analyzer; English, if None."""
    drop_own_docs: bool = False
    """Whether docs of their query's id are left out."""


def answer(
    rankers: Mapping[str, TrainableRanker], settings: AttributeSettings, progress: Progress
) -> Result:
    """The neurons through which the rankers prefer relevant docs, in every form."""
    results = attribute(
        rankers,
        settings.source,
        settings.neurons,
        baselines=settings.baselines or [next(iter(rankers))],
        language=settings.language or ENGLISH,
        drop_own_docs=settings.drop_own_docs,
        progress=progress,
    )
    sentences, table = words.sentences(results), words.layer_table(results)
    first = counted(results.n_examples, "example")
    tables = [Table(first, *table, n_names=4, secondary=words.LEFT_OUT_FIRST)]
    if results.comparisons:
        tables += [
            Table(title, *rows, n_names=5, secondary=words.LEFT_OUT_FIRST)
            for title, rows in {
                "How concentrated": words.comparison_table(results),
                "The same neurons": words.overlap_table(results),
            }.items()
        ]
    return Result(
        tables=tuple(tables),
        lines=tuple(sentences),
        forms={
            **forms_of(as_plain(results), sentences, lambda: words.full_rows(results), table),
            "chart": lambda: _chart(results),
        },
        notes=results.notes,
        record=results,
    )


def _chart(results: StoredAttribution) -> dict[str, Any]:
    """How concentrated each ranker's neurons are, layer by layer, a chart for each side and kind of matrix."""
    from rankscope.analyses.attribution import charts
    from rankscope.report.charts import below_each_other

    return below_each_other([chart for _, chart in charts.concentrations(results)])


def attribute(
    rankers: Mapping[str, TrainableRanker],
    source: Source,
    params: AttributeParams,
    *,
    baselines: Sequence[str],
    language: str = ENGLISH,
    drop_own_docs: bool = False,
    progress: Progress,
) -> StoredAttribution:
    """The attribution of every ranker's neurons over the same examples; negatives come from BM25.

    `language` is that of BM25's analyzer; `drop_own_docs` leaves docs of their query's id out. Raises UnknownChoice for an unknown baseline.
    """
    for name in baselines:
        choose(rankers, name, what="baseline")
    topics = judged_topics(source)
    with examples.indexed(source, language, progress) as (docs, index):
        run = examples.searched(
            index, topics, params.spec.depth, progress, drop_own_docs=drop_own_docs
        )
        examples_read, notes = examples_of(topics, run, docs, params)
    by_ranker = {
        name: attributed(ranker, examples_read, params, progress)
        for name, ranker in rankers.items()
    }
    comparison = NeuronsParams(params.spec, tuple(baselines), params.seed)
    return neurons.concluded(by_ranker, examples_read.choices, comparison, notes=notes)
