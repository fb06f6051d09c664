"""Runs and judgements in any of their forms: a path, a table, a data frame, or our own records."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, check_id, given_path, shown
from rankscope.core.formats import (
    from_frame,
    from_mapping,
    qrels_from_frame,
    qrels_from_mapping,
    read_qrels,
    read_run_file,
    tag_of,
)
from rankscope.core.lines import stem
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.runs import RunFile
from rankscope.core.trec.writing import checked_qrels

RunLike = Run | Path | str | Mapping[str, Any] | Any
"""A run, a file's path, a table of tables, or a data frame."""


Runs = Mapping[str, RunLike | Sequence[RunLike]] | Sequence[RunLike]
"""Systems by name, with a list of runs for several training seeds; or a list of runs named by their tags."""


def read(run: RunLike, tag: str | None = None) -> RunFile:
    """The run, with notes on how it was read."""
    if isinstance(run, Run):
        source = f"the run {run.tag!r}"
        docs = (
            ScoredDoc(
                check_id(query_id, "query", source), check_id(doc.doc_id, "doc", source), doc.score
            )
            for query_id, ranking in run.rankings.items()
            for doc in ranking
        )
        return RunFile(Run.of(run.tag, docs, source=source), "run")
    if isinstance(run, str | Path):
        return read_run_file(Path(given_path(run, "run")))
    name = tag or "run"
    if isinstance(run, Mapping):
        return RunFile(from_mapping(run, name, f"the run {name!r}"), "table")
    if not hasattr(run, "columns"):
        raise BadInput(
            f"The run {name!r} is of type {type(run).__name__}. Give a Run, a file's path, a table of tables or a "
            "data frame."
        )
    return RunFile(from_frame(run, name, f"the run {name!r}"), "data frame")


def judgements(qrels: Any) -> list[Qrel]:
    """Judgements from a list of Qrel, a file's path, a table of tables or a data frame."""
    if isinstance(qrels, str | Path):
        return read_qrels(qrels)
    if isinstance(qrels, Mapping):
        return qrels_from_mapping(qrels, "the qrels")
    if hasattr(qrels, "columns"):
        return qrels_from_frame(qrels, "the qrels")
    if not isinstance(qrels, Iterable):
        raise BadInput(
            f"The qrels are of type {type(qrels).__name__}. Give a file's path, a table of tables, a data frame "
            "or a list of Qrel."
        )
    return [
        Qrel(
            check_id(qrel.query_id, "query", "the qrels"),
            check_id(qrel.doc_id, "doc", "the qrels"),
            as_grade(qrel.relevance, f"the qrels: query {qrel.query_id}, doc {qrel.doc_id}"),
        )
        for qrel in checked_qrels(qrels, "the qrels")
    ]


def without_own_docs(run: Run) -> Run:
    """The run without docs whose id is that of the query, for collections whose queries are docs themselves."""
    return Run(
        run.tag,
        {
            query_id: [doc for doc in ranking if doc.doc_id != query_id]
            for query_id, ranking in run.rankings.items()
        },
    )


def named(runs: Runs) -> dict[str, list[RunLike]]:
    """System to its runs, one for each training seed.

    Runs without a name are named by their tags, or by their files where two tags are the same. A list
    under a name is one system, trained with several seeds.
    """
    if isinstance(runs, str | Path | Run) or hasattr(runs, "columns"):
        raise BadInput("This is a single run. Give a list of runs, or a table of names and runs.")
    if not isinstance(runs, Iterable):
        raise BadInput(
            f"The runs are of type {type(runs).__name__}. Give a list of runs, or a table of names and runs."
        )
    given = runs if isinstance(runs, Mapping) else list(runs)
    if not given:
        raise BadInput("No run is given. Give a list of runs, or a table of names and runs.")
    if isinstance(given, Mapping):
        return _by_name(given)
    tags = [
        tag_of(Path(run)) if isinstance(run, str | Path) else read(run).run.tag for run in given
    ]
    names = [
        stem(Path(run)) if isinstance(run, str | Path) and tags.count(tag) > 1 else tag
        for run, tag in zip(given, tags, strict=True)
    ]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise BadInput(
            f"Two runs are called {again[0]!r}. Name them: as a table of names and runs, or NAME=FILE on "
            "the command line."
        )
    return {name: [run] for name, run in zip(names, given, strict=True)}


def _by_name(runs: Mapping[str, Any]) -> dict[str, list[RunLike]]:
    """System to its runs; BadInput for a name that is no text, and a system without runs."""
    for name, system_runs in runs.items():
        if not isinstance(name, str):
            raise BadInput(f"The system {shown(name)} has a name that is no text. Give it as text.")
        if isinstance(system_runs, list | tuple) and not system_runs:
            raise BadInput(f"The system {name!r} has no run. Give it one, or leave it out.")
    return {
        name: list(of_system) if isinstance(of_system, list | tuple) else [of_system]
        for name, of_system in runs.items()
    }
