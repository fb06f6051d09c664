"""What run files showed, as a page, CSV or LaTeX."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rankscope.core.formats import read_run_file
from rankscope.core.records import Run
from rankscope.data.collections import (
    LocalFiles,
    StoredDocs,
    write_docs,
)
from rankscope.evaluate import seeds
from rankscope.evaluate.evaluation import (
    Compared,
    EvaluatedRun,
    Evaluation,
    without_own_docs,
)
from rankscope.report.sections import StoredResults
from rankscope.store.artifacts import versions
from rankscope.verbs.judgements import Judgements

SHOWN_DOCS = 1000
"""So deep rankings are kept for the page."""


def stored_results(
    compared: Compared, of: Judgements, *, command: str, first_stage: str | None, folder: Path
) -> StoredResults:
    """What the report's page needs. `folder` keeps the docs' texts while the page is made.

    Of a system with several seeds the first run's rankings are shown.
    """
    found = compared.evaluation
    systems = found.systems()
    stage = first_stage or ""
    place = {"collection": of.name, "first_stage": stage}
    means, values = found.means(), found.values()
    files = [runs[0].path for runs in systems.values()]
    run_of = {
        name: runs[0].path if runs[0].path and files.count(runs[0].path) == 1 else name
        for name, runs in systems.items()
    }  # two systems may share a file: then each goes by its name
    names = list(systems)
    is_all_pairs = set(compared.baselines) == set(names)
    return StoredResults(
        study=f"{len(systems)} systems on {of.name}",
        study_file=command,
        seed=None,
        steps=[],
        versions=versions(),
        evaluation={
            "notes": [f"{note.rstrip('.')}." for note in compared.notes],
            "measures": list(found.measures),
            "significance_level": compared.significance_level,
            "correction": compared.correction,
            "tests": compared.tests,
            "family_size": compared.family_size,
            "margin": {
                row.measure: str(margin) if margin.is_relative else margin.value
                for row in compared.rows
                if (margin := row.judged.comparison.margin)
            },
            "baselines": names[:1] if is_all_pairs else list(compared.baselines),
            "all_pairs": is_all_pairs,
            "remarks": [*found.notes, *seed_notes(compared), *_remarks(found)],
            "relevance_levels": {of.name: of.convention.relevance_level},
            "results": [
                place
                | {
                    "system": name,
                    "run": run_of[name],
                    "n_queries": found.n_queries,
                    "missing_queries": [],
                    "tied_share": 0.0,
                    "means": means[name],
                    **_seeds(found, name),
                }
                for name in systems
            ],
            "comparisons": [place | row.plain() for row in compared.rows],
        },
        per_query={
            run_of[name]: {
                measure: seeds.mean_values(values[name, measure]) for measure in found.measures
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
        seeds.in_words(system, measure, split)
        for system, of_system in compared.seeds.items()
        for measure, split in of_system.items()
    ]


def _remarks(found: Evaluation) -> Iterable[str]:
    return (f"{run.tag}: {note}." for run in found.runs for note in run.notes)


def _seeds(found: Evaluation, system: str) -> dict[str, Any]:
    """What a result says of several seeds: each one's run, and their spread."""
    runs = found.systems()[system]
    if len(runs) == 1:
        return {}
    return {
        "seed_sd": found.seed_sds()[system],
        "runs": [
            {"name": run.tag, "run": run.path or run.tag, "means": run.measured.means()}
            | {"missing_queries": [], "tied_share": 0.0}
            for run in runs
        ],
    }


def _rankings(
    runs: Mapping[str, EvaluatedRun], of: Judgements, folder: Path
) -> Callable[[str, str, int], Sequence[Mapping[str, Any]]]:
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

    def rankings(name: str, query_id: str, depth: int) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "rank": rank,
                "doc_id": doc.doc_id,
                "score": doc.score,
                "text": text(doc.doc_id),
                "relevance": relevance.get((query_id, doc.doc_id)),
            }
            for rank, doc in enumerate(ranked(name).rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings


def page_of_means(found: Evaluation, of: Judgements, *, command: str) -> str:
    """An evaluation without comparisons as one self-contained HTML page."""
    nothing = Compared(found, (), 0.05, "holm", 0, (), {}, ())
    return page(nothing, of, command=command, first_stage=None)


def comparisons_csv(compared: Compared, of: Judgements) -> str:
    """The comparisons as the report's CSV table."""
    from rankscope.report import page as pages

    with TemporaryDirectory() as folder:
        stored = stored_results(compared, of, command="", first_stage=None, folder=Path(folder))
        return pages.comparisons_csv(stored)


def latex(compared: Compared, of: Judgements) -> str:
    """The report's two LaTeX tables, means and comparisons."""
    from rankscope.report import page as pages

    with TemporaryDirectory() as folder:
        stored = stored_results(compared, of, command="", first_stage=None, folder=Path(folder))
        return pages.means_tex(stored) + "\n" + pages.comparisons_tex(stored)


def page(compared: Compared, of: Judgements, *, command: str, first_stage: str | None) -> str:
    """The comparison as one self-contained HTML page."""
    from rankscope.report.page import html

    with TemporaryDirectory() as folder:
        stored = stored_results(
            compared, of, command=command, first_stage=first_stage, folder=Path(folder)
        )
        return html(stored)
