"""What run files showed, as a page, CSV or LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.formats import read_run_file
from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.evaluation import EvaluationRecord, SeedResult, SystemResult
from rankscope.core.records import Run
from rankscope.data.collections import (
    LocalFiles,
    StoredDocs,
    write_docs,
)
from rankscope.evaluate.comparing import Compared
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.evaluate.runs import without_own_docs
from rankscope.evaluate.seeds import variance
from rankscope.report.stored import Rankings, StoredDoc, StoredResults
from rankscope.store.artifacts import versions
from rankscope.verbs.judgements import Judgements

SHOWN_DOCS = 1000
"""So deep rankings are kept for the page."""


def record(
    compared: Compared, of: Judgements, *, first_stage: str | None = None
) -> EvaluationRecord:
    """A comparison of run files as the evaluation of a study is stored: one place, and no claims."""
    found = compared.evaluation
    systems, run_of = found.systems(), _run_of(found)
    place = Place(of.name, first_stage or "")
    means, sds = found.means(), found.seed_sds()
    is_all_pairs = set(compared.baselines) == set(systems)
    return EvaluationRecord(
        notes=tuple(f"{note.rstrip('.')}." for note in compared.notes),
        remarks=(*found.notes, *seed_notes(compared), *_remarks(found)),
        tests=compared.tests,
        relevance_levels={of.name: of.convention.relevance_level},
        measures=found.measures,
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
                n_queries=found.n_queries,
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


def _run_of(found: Evaluation) -> dict[str, str]:
    """System to its (first) run's file; where two systems share a file, each goes by its name."""
    paths = {name: runs[0].path for name, runs in found.systems().items()}
    files = list(paths.values())
    return {name: path if path and files.count(path) == 1 else name for name, path in paths.items()}


def stored_results(
    compared: Compared, of: Judgements, *, command: str, first_stage: str | None, folder: Path
) -> StoredResults:
    """What the report's page needs. `folder` keeps the docs' texts while the page is made.

    Of a system with several seeds the first run's rankings are shown.
    """
    found = compared.evaluation
    systems, run_of, values = found.systems(), _run_of(found), found.values()
    return StoredResults(
        study=f"{len(systems)} systems on {of.name}",
        study_file=command,
        seed=None,
        steps=[],
        versions=versions(),
        evaluation=record(compared, of, first_stage=first_stage),
        per_query={
            run_of[name]: {
                measure: variance.mean_values(values[name, measure]) for measure in found.measures
            }
            for name in systems
        },
        training={},
        queries={of.name: of.queries()},
        rankings=_rankings({run_of[n]: runs[0] for n, runs in systems.items()}, of, folder),
    )


def seed_notes(compared: Compared) -> list[str]:
    """What the training seeds are worth, a line for each system that has several."""
    return [
        variance.seed_sentence(system, measure, split)
        for system, of_system in compared.seeds.items()
        for measure, split in of_system.items()
    ]


def _remarks(found: Evaluation) -> Iterable[str]:
    return (f"{run.tag}: {note}." for run in found.runs for note in run.notes)


def _seeds(runs: Sequence[EvaluatedRun]) -> tuple[SeedResult, ...]:
    """Each seed's result, where there are several."""
    if len(runs) == 1:
        return ()
    return tuple(
        SeedResult(run.tag, run.path or run.tag, (), 0.0, run.measured.means()) for run in runs
    )


def _rankings(runs: Mapping[str, EvaluatedRun], of: Judgements, folder: Path) -> Rankings:
    relevance = {(qrel.query_id, qrel.doc_id): qrel.relevance for qrel in of.qrels}

    @cache
    def ranked(name: str) -> Run:
        path = runs[name].path
        run = Run("", {}) if path is None else read_run_file(Path(path)).run
        return without_own_docs(run) if of.convention.drop_own_docs else run

    @cache
    def stored() -> StoredDocs | None:
        if not isinstance(of.source, LocalFiles):
            return None
        needed = {
            doc.doc_id
            for name in runs
            for ranking in ranked(name).rankings.values()
            for doc in ranking[:SHOWN_DOCS]
        }
        write_docs((doc for doc in of.source.docs() if doc.doc_id in needed), folder)
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


def page_of_means(found: Evaluation, of: Judgements, *, command: str) -> str:
    """An evaluation without comparisons as one self-contained HTML page."""
    nothing = Compared(found, (), 0.05, "holm", 0, (), {}, ())
    return page(nothing, of, command=command, first_stage=None)


def comparisons_csv(compared: Compared, of: Judgements) -> str:
    """The comparisons as the report's CSV table."""
    from rankscope.report.tables import as_csv

    return as_csv.comparisons_csv(record(compared, of))


def latex(compared: Compared, of: Judgements) -> str:
    """The report's two LaTeX tables, means and comparisons."""
    from rankscope.report.tables import as_latex

    found = record(compared, of)
    return as_latex.means_tex(found) + "\n" + as_latex.comparisons_tex(found)


def page(compared: Compared, of: Judgements, *, command: str, first_stage: str | None) -> str:
    """The comparison as one self-contained HTML page."""
    from rankscope.report.page import html

    with TemporaryDirectory() as folder:
        stored = stored_results(
            compared, of, command=command, first_stage=first_stage, folder=Path(folder)
        )
        return html(stored)
