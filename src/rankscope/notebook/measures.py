"""Runs measured and compared, for a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Unpack

from rankscope.core.errors import BadInput
from rankscope.core.fields import given_whole, given_words, shown
from rankscope.core.judged.margins import Margin
from rankscope.core.records import Run
from rankscope.data.conventions import Convention
from rankscope.evaluate.comparing import HEADLINE, ComparisonTerms
from rankscope.evaluate.evaluation import MEASURES
from rankscope.evaluate.runs import RunLike, Runs, read
from rankscope.evaluate.runs import judgements as read_judgements
from rankscope.notebook.answer import ShownResult
from rankscope.notebook.collections import OpenedCollection
from rankscope.verbs import compare as comparison
from rankscope.verbs import evaluate as evaluation
from rankscope.verbs.judgements import Judgements, judged


def measure(
    runs: Runs,
    qrels: Any,
    measures: Sequence[str] = MEASURES,
    *,
    relevance_level: int | None = None,
    drop_own_docs: bool | None = None,
    processes: int = 1,
) -> ShownResult:
    """The measures of every run; `record` is an Evaluation.

    runs: `{name: run}`, a list of runs named by their tags, or `{name: [run, ...]}` where a system was trained with several
    seeds; a run is a Run, a file's path, `{query_id: {doc_id: score}}` or a data frame. qrels: a collection, a file's path,
    `{query_id: {doc_id: grade}}`, a data frame or Qrels. relevance_level: the lowest grade that counts as relevant in
    binary measures whose names do not give one; the collection's convention, if None, else 1. drop_own_docs: leave out
    docs whose id is that of the query, as ArguAna and Quora require. processes: how many runs are measured in
    parallel. Raises BadInput with the place for what cannot be read, UnknownChoice for an unknown measure.

    >>> rs.measure({"bm25": "bm25.run"}, c, ["nDCG@10"])
    world/test, 200 queries
    run   nDCG@10
    bm25  0.1528
    """
    named_judgements = _judgements(qrels, relevance_level, drop_own_docs)
    settings = evaluation.EvaluateSettings(
        runs,
        given_words(measures, "measures"),
        processes=given_whole(processes, "number of processes"),
    )
    return ShownResult(evaluation.answer(named_judgements, settings))


def compare(
    runs: Runs,
    qrels: Any,
    measures: Sequence[str] = HEADLINE,
    *,
    baseline: str | Sequence[str] | None = None,
    margin: Mapping[str, str | float | Margin] | None = None,
    relevance_level: int | None = None,
    drop_own_docs: bool | None = None,
    processes: int = 1,
    **terms: Unpack[ComparisonTerms],
) -> ShownResult:
    """Every run against the baseline (or several; without one, all pairs), with verdicts; `record` is a Compared.

    runs, qrels, relevance_level, drop_own_docs, processes: as for `measure`. margin: measure to the difference below which
    two systems are equivalent, absolute (0.02) or a share of the baseline's mean ("5%"). The family is every pair and
    measure.

    >>> found = rs.compare({"bm25": run, "half": run.top(3)}, c, baseline="bm25")
    >>> found.frame()[["system", "baseline", "verdict"]].values.tolist()
    [['half', 'bm25', 'worse']]
    """
    named_judgements = _judgements(qrels, relevance_level, drop_own_docs)
    if margin is not None and not isinstance(margin, Mapping):
        raise BadInput(
            f'The margin is {shown(margin)}. Give a table of measures and margins, as in {{"nDCG@10": 0.02}}.'
        )
    settings = comparison.CompareSettings(
        runs,
        given_words(measures, "measures"),
        baselines=() if baseline is None else given_words(baseline, "baselines"),
        margins=margin or {},
        terms=terms,
        processes=given_whole(processes, "number of processes"),
        command="rankscope.compare",
    )
    return ShownResult(comparison.answer(named_judgements, settings))


def given_run(run: RunLike) -> Run:
    """A run in any of its forms, as a Run; BadInput for what is none."""
    return read(Path(run) if isinstance(run, PathLike) else run).run


def _judgements(qrels: Any, relevance_level: int | None, drop_own_docs: bool | None) -> Judgements:
    """The judgements, read by the user's statements, which take the place of the collection's convention."""
    if relevance_level is not None:
        relevance_level = given_whole(relevance_level, "relevance level")
    if isinstance(qrels, OpenedCollection):
        read = qrels.judgements()
    elif isinstance(qrels, str | PathLike):
        read = judged(fspath(qrels), "test")
    else:
        read = Judgements("the qrels", read_judgements(qrels), Convention())
    stated = read.read_as(relevance_level=relevance_level, drop_own_docs=drop_own_docs)
    return stated if relevance_level is None else replace(stated, relevance_level=relevance_level)
