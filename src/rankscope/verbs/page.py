"""The results of run files as a page, CSV or LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.costs import SystemCost
from rankscope.core.judged.evaluation import EvaluationRecord, SeedResult, SystemResult
from rankscope.core.records import Run
from rankscope.core.words import counted
from rankscope.data.collections import (
    LocalFiles,
    StoredDocs,
    write_docs,
)
from rankscope.evaluate.comparing import Compared
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.evaluate.runs import RunLike, Runs, named, read, without_own_docs
from rankscope.evaluate.seeds import variance
from rankscope.report.stored import Rankings, StoredDoc, StoredResults
from rankscope.store.artifacts import versions
from rankscope.store.files import temporary_folder
from rankscope.verbs.judgements import Judgements

SHOWN_DOCS = 1000
"""The depth to which rankings are kept for the page."""


def record(
    compared: Compared, judgements: Judgements, *, first_stage: str | None = None
) -> EvaluationRecord:
    """A comparison of run files, in the form of a study's stored evaluation: one place, and no claims."""
    evaluation = compared.evaluation
    systems, run_of = evaluation.systems(), _run_of(evaluation)
    place = Place(judgements.name, first_stage or "")
    means, sds = evaluation.means(), evaluation.seed_sds()
    is_all_pairs = set(compared.baselines) == set(systems)
    return EvaluationRecord(
        notes=tuple(f"{note.rstrip('.')}." for note in compared.notes),
        remarks=(*evaluation.notes, *seed_notes(compared), *_remarks(compared)),
        tests=compared.tests,
        relevance_levels={judgements.name: judgements.convention.relevance_level},
        measures=evaluation.measures,
        significance_level=compared.significance_level,
        correction=compared.correction,
        margin={
            row.measure: str(margin) if margin.is_relative else margin.value
            for row in compared.rows
            if (margin := row.judged.comparison.margin)
        },
        baselines=tuple([*systems][:1]) if is_all_pairs else compared.baselines,
        all_pairs=is_all_pairs,
        claims=(),
        results=tuple(
            SystemResult(
                place=place,
                system=name,
                run=run_of[name],
                n_queries=evaluation.n_queries,
                missing_queries=(),
                tied_share=0.0,
                means=means[name],
                runs=_seeds(runs),
                seed_sd=sds.get(name, {}),
            )
            for name, runs in systems.items()
        ),
        comparisons=tuple(row.record(place) for row in compared.rows),
        pooled=(),
        family_size=compared.family_size,
    )


def _run_of(evaluation: Evaluation) -> dict[str, str]:
    """System to the file of its (first) run, or to its name where two systems share a file."""
    paths = {name: runs[0].path for name, runs in evaluation.systems().items()}
    files = list(paths.values())
    return {name: path if path and files.count(path) == 1 else name for name, path in paths.items()}


def stored_results(
    compared: Compared,
    judgements: Judgements,
    runs: Runs,
    *,
    command: str,
    first_stage: str | None,
    folder: Path,
    costs: Mapping[tuple[Place, str], SystemCost],
) -> StoredResults:
    """The results that the report's page needs. `folder` keeps the docs' texts while the page is made.

    The page shows the rankings of a system's first run, if it has several.
    """
    evaluation = compared.evaluation
    systems, run_of, values = evaluation.systems(), _run_of(evaluation), evaluation.values()
    return StoredResults(
        study=f"{counted(len(systems), 'system')} on {judgements.name}",
        study_file=None,
        command=command,
        seed=None,
        steps=[],
        versions=versions(),
        evaluation=record(compared, judgements, first_stage=first_stage),
        per_query={
            run_of[name]: {
                measure: variance.mean_values(values[name, measure])
                for measure in evaluation.measures
            }
            for name in systems
        },
        training={},
        queries={judgements.name: judgements.queries()},
        rankings=_rankings(
            {run_of[name]: first for name, (first, *_) in named(runs).items()}, judgements, folder
        ),
        costs=costs,
    )


def seed_notes(compared: Compared) -> list[str]:
    """A line on the variance between training seeds, for each system that has several."""
    return [
        variance.seed_sentence(system, measure, split)
        for system, of_system in compared.seeds.items()
        for measure, split in of_system.items()
    ]


def _remarks(compared: Compared) -> Iterable[str]:
    """Notes on single runs; that on ties where nothing is compared, as verdicts have a note of their own."""
    for run in compared.evaluation.runs:
        for note in run.notes_beside_verdicts if compared.rows else run.notes:
            yield f"{run.tag}: {note}."


def _seeds(runs: Sequence[EvaluatedRun]) -> tuple[SeedResult, ...]:
    """The result of each seed; empty for a system of one run."""
    if len(runs) == 1:
        return ()
    return tuple(
        SeedResult(run.tag, run.path or run.tag, (), 0.0, run.measured.means()) for run in runs
    )


def _rankings(runs: Mapping[str, RunLike], judgements: Judgements, folder: Path) -> Rankings:
    relevance = {(qrel.query_id, qrel.doc_id): qrel.relevance for qrel in judgements.qrels}

    @cache
    def ranked(name: str) -> Run:
        run = read(runs[name], name).run
        return without_own_docs(run) if judgements.convention.drop_own_docs else run

    @cache
    def stored() -> StoredDocs | None:
        if not isinstance(judgements.source, LocalFiles):
            return None
        needed = {
            doc.doc_id
            for name in runs
            for ranking in ranked(name).rankings.values()
            for doc in ranking[:SHOWN_DOCS]
        }
        write_docs((doc for doc in judgements.source.docs() if doc.doc_id in needed), folder)
        return StoredDocs(folder)

    def text(doc_id: str) -> str:
        docs = stored()
        return docs.text(doc_id) if docs is not None and doc_id in docs else doc_id

    def rankings(name: str, query_id: str, depth: int) -> Sequence[StoredDoc]:
        return [
            StoredDoc(rank, doc.doc_id, text(doc.doc_id), relevance.get((query_id, doc.doc_id)))
            for rank, doc in enumerate(ranked(name).rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings


def page_of_means(
    evaluation: Evaluation, judgements: Judgements, runs: Runs, *, command: str
) -> str:
    """An evaluation without comparisons as one self-contained HTML page."""
    no_comparisons = Compared(evaluation, (), 0.05, "holm", 0, (), {}, ())
    return page(no_comparisons, judgements, runs, command=command, first_stage=None)


def comparisons_csv(compared: Compared, judgements: Judgements) -> str:
    """The comparisons as the report's CSV table."""
    from rankscope.report.tables import as_csv

    return as_csv.comparisons_csv(record(compared, judgements))


def latex(compared: Compared, judgements: Judgements) -> str:
    """The report's two LaTeX tables, means and comparisons."""
    from rankscope.report.tables import as_latex

    stored = record(compared, judgements)
    return as_latex.means_tex(stored) + "\n" + as_latex.comparisons_tex(stored)


def page(
    compared: Compared,
    judgements: Judgements,
    runs: Runs,
    *,
    command: str,
    first_stage: str | None,
    costs: Mapping[tuple[Place, str], SystemCost] | None = None,
) -> str:
    """The comparison as one self-contained HTML page; `costs` are those of systems."""
    from rankscope.report.page import html

    with temporary_folder() as folder:
        stored = stored_results(
            compared,
            judgements,
            runs,
            command=command,
            first_stage=first_stage,
            folder=folder,
            costs=costs or {},
        )
        return html(stored)
