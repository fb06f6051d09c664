"""The step of evaluation: measures of every run, and the family of comparisons."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from rankscope.core.formats import read_run
from rankscope.core.rng import seed_for
from rankscope.data import leaks
from rankscope.data.collections import read_topics
from rankscope.data.conventions import Convention
from rankscope.evaluate import comparison, verdicts
from rankscope.evaluate.as_published import STUDY_B_WARNING
from rankscope.evaluate.evaluation import as_margin, plain, without_own_docs
from rankscope.evaluate.measures import Measured, Measuring, with_relevance_level
from rankscope.evaluate.resampling import Resampling
from rankscope.store.artifacts import write_json
from rankscope.study.plan import collection_role, learnt_role, run_role
from rankscope.study.spec_evaluate import EvaluateSpec
from rankscope.study.steps_work import Summary, Work


def evaluate(work: Work) -> Summary:
    """Per-query values of every run, and the family of comparisons."""
    asked, study = work.spec(EvaluateSpec), work.plan.study.study
    is_sound = asked.tests == "sound"
    notes = _learnt(work, asked.over) + ([] if is_sound else [STUDY_B_WARNING])
    results: list[Summary] = []
    rows: list[list[Any]] = []
    family: list[tuple[Summary, comparison.Pair]] = []
    for name in asked.over:
        topics = read_topics(work.folder(collection_role(name)))
        convention = study.collections[name].convention()
        computed = {m: with_relevance_level(m, convention.relevance_level) for m in asked.measures}
        notes += _convention_notes(name, computed, convention)
        measuring = Measuring(topics.qrels, tuple(computed.values()))
        for first_stage in asked.rerank.first_stages:
            place = {"collection": name, "first_stage": first_stage}
            found_by: dict[str, Measured] = {}
            for system in (first_stage, *study.evaluated_rankers()):
                role = run_role(name, first_stage, system)
                run = read_run(work.folder(role) / "run.trec")
                found = measuring.of(without_own_docs(run) if convention.drop_own_docs else run)
                found = found.called({new: old for old, new in computed.items()})
                found_by[system] = found
                results.append(place | {"system": system} | _result(work, role, found))
                rows += _per_query_rows(_run_path(work, role), found)
            family += _compared(asked, place, found_by)
    correction = asked.correction if is_sound else "none"
    compared = comparison.compared(
        [pair for _, pair in family],
        significance_level=asked.significance_level,
        resampling=Resampling(seed=seed_for(work.seed, "resampling")),
    )
    judged = verdicts.judged(
        compared, significance_level=asked.significance_level, correction=correction
    )
    write_json(
        work.out / "evaluation.json",
        {
            "notes": notes,
            "remarks": [],
            "tests": asked.tests,
            "relevance_levels": {
                name: study.collections[name].convention().relevance_level for name in asked.over
            },
            "measures": list(asked.measures),
            "significance_level": asked.significance_level,
            "correction": correction,
            "margin": dict(asked.margin) if is_sound else {},
            "baselines": list(asked.baseline or _systems(work)[:1]),
            "all_pairs": not asked.baseline,
            "results": results,
            "comparisons": [
                place | plain(verdict) for (place, _), verdict in zip(family, judged, strict=True)
            ],
        },
    )
    with (work.out / "per_query.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["run", "measure", "query_id", "value"], *rows])
    return {"n_runs": len(results), "n_comparisons": len(judged), "notes": notes}


def _systems(work: Work) -> list[str]:
    """All that is evaluated: first stages, then rankers."""
    study = work.plan.study.study
    return [*study.evaluate.rerank.first_stages, *study.evaluated_rankers()]


def _convention_notes(
    name: str, computed: Mapping[str, str], convention: Convention
) -> Iterator[str]:
    changed = [new for old, new in computed.items() if new != old]
    if changed:
        level = convention.relevance_level
        yield f"{name}: grades below {level} are not relevant, so measured were {', '.join(changed)}."
    if convention.drop_own_docs:
        yield f"{name}: docs that have their query's id were left out of the rankings."


def _learnt(work: Work, evaluated: Sequence[str]) -> list[str]:
    """What to know before the means are believed: test queries that rankers were trained on."""
    study, notes = work.plan.study.study, []
    students: dict[str, list[str]] = {}
    for ranker in study.evaluated_rankers():
        for source in study.learnt_from(ranker):
            students.setdefault(source, []).append(ranker)
    for name, (source, rankers) in product(evaluated, students.items()):
        topics = read_topics(work.folder(collection_role(name)))
        learnt = read_topics(work.folder(learnt_role(source)))
        counted = leaks.shared_queries(f"queries of {name}", topics, f" ({source})", learnt)
        if counted:
            notes.append(
                f"{counted}: what is said there of {', '.join(rankers)} does not hold for new queries."
            )
    for note in notes:
        work.progress.note(note)
    return notes


def _run_path(work: Work, role: str) -> str:
    """Where a run is, from the results folder: what every number is traced to."""
    return f"steps/{work.step.inputs[role].name}/run.trec"


def _result(work: Work, role: str, found: Measured) -> Summary:
    manifest = work.store.manifest(work.step.inputs[role].name)
    return {
        "run": _run_path(work, role),
        "n_queries": found.n_queries,
        "missing_queries": list(found.missing_queries),
        "tied_share": manifest["summary"]["tied_share"],
        "means": found.means(),
    }


def _per_query_rows(run: str, found: Measured) -> list[list[Any]]:
    return [
        [run, measure, query_id, value]
        for measure, by_query in found.values.items()
        for query_id, value in by_query.items()
    ]


def _compared(
    asked: EvaluateSpec, place: Summary, measured: Mapping[str, Measured]
) -> list[tuple[Summary, comparison.Pair]]:
    margins = {measure: as_margin(written) for measure, written in asked.margin.items()}
    values = {
        (system, measure): [found.values[measure]]
        for system, found in measured.items()
        for measure in asked.measures
    }
    return [
        (
            place | {"system": system, "baseline": baseline, "measure": measure},
            comparison.Pair(
                values[system, measure],
                values[baseline, measure],
                margins.get(measure) if asked.tests == "sound" else None,
            ),
        )
        for measure in asked.measures
        for system, baseline in verdicts.pairs(list(measured), asked.baseline or list(measured))
    ]
