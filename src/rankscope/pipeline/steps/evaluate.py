"""The step of evaluation: measures of every run, and the family of comparisons."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

from rankscope.core.formats import read_run
from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.evaluation import (
    EVALUATION,
    Claimed,
    EvaluationRecord,
    SeedResult,
    SystemResult,
)
from rankscope.core.judged.margins import as_margin
from rankscope.core.judged.plain import as_plain
from rankscope.core.progress import Advance
from rankscope.core.rng import seed_for
from rankscope.core.tables import safe_cell
from rankscope.core.words import of_number
from rankscope.data import leaks
from rankscope.data.collections import Topics, n_shared, read_topics
from rankscope.data.conventions import Convention
from rankscope.evaluate.as_published import STUDY_B_WARNING, paired_t
from rankscope.evaluate.comparing import OF_THESE_RUNS, one_run_each, two_seeds_each
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.evaluate.measures import span, with_relevance_level
from rankscope.evaluate.measuring import Measuring
from rankscope.evaluate.over_tests import pooled
from rankscope.evaluate.pairs import comparison, verdicts
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.seeds.variance import seed_sentence, variance_split
from rankscope.pipeline.lineages import kinship, seed_lineage
from rankscope.pipeline.plans.evaluate import EvaluateParams
from rankscope.pipeline.spec.evaluate import EvaluateSpec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import collection_role, learnt_role, run_role
from rankscope.pipeline.steps.compared import compared_pairs
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import write_json


@dataclass(frozen=True)
class Group:
    """The evaluation over one collection and first stage."""

    place: Place
    evaluation: Evaluation


class Declared(NamedTuple):
    """A comparison before it is made: its systems, its measure and its place."""

    place: Place
    measure: str
    system: str
    baseline: str
    pair: comparison.MeasuredPair

    def record(self, judged: verdicts.Judged) -> JudgedComparison:
        """The record that is stored of it, once it is judged."""
        return JudgedComparison(
            self.place, self.measure, self.system, self.baseline, verdicts.recorded(judged)
        )

    def cell(self) -> pooled.Cell:
        """The cell that is pooled from it: a test is a collection."""
        return pooled.Cell(
            test=self.place.collection,
            first_stage=self.place.first_stage,
            system=self.system,
            baseline=self.baseline,
            measure=self.measure,
            pair=self.pair,
        )


def evaluate(work: Work) -> Summary:
    """Per-query values of every run, and the family of comparisons."""
    spec, study = work.spec(EvaluateSpec), work.plan.study.study
    is_sound = spec.tests == "sound"
    notes = _learnt(work, spec.over)
    notes += [] if is_sound else [STUDY_B_WARNING]
    notes += spec.claims_without_margin()
    notes += _precision_notes(spec)
    groups: list[Group] = []
    for name in spec.over:
        convention = study.collections[name].convention()
        computed = {m: with_relevance_level(m, convention.relevance_level) for m in spec.measures}
        notes += _convention_notes(name, computed, convention)
        notes += _relevant_notes(work, name, computed)
        groups += _measured(work, name, computed)
    family = [declared for group in groups for declared in _declared(study, group)]
    notes += seed_notes(study) if family else []
    correction = spec.correction if is_sound else "none"
    compared = comparison.compared(
        [declared.pair for declared in family],
        significance_level=spec.significance_level,
        resampling=Resampling(seed=seed_for(work.params(EvaluateParams).seed, "resampling")),
        progress=work.progress,
    )
    if not is_sound:
        compared = [paired_t(item, significance_level=spec.significance_level) for item in compared]
    judged = verdicts.judged(
        compared, significance_level=spec.significance_level, correction=correction
    )
    over_tests = pooled.judged(
        pooled.pooled(
            [declared.cell() for declared in family], significance_level=spec.significance_level
        ),
        significance_level=spec.significance_level,
        correction=correction,
    )
    notes += _shared_queries(work, spec.over) if over_tests else []
    record = EvaluationRecord(
        notes=tuple(notes),
        remarks=tuple(remark for group in groups for remark in _seed_remarks(group)),
        tests=spec.tests,
        relevance_levels={
            name: study.collections[name].convention().relevance_level for name in spec.over
        },
        measures=spec.measures,
        significance_level=spec.significance_level,
        correction=correction,
        margin=dict(spec.margin) if is_sound else {},
        baselines=tuple(spec.baseline or _systems(work)[:1]),
        all_pairs=not spec.baseline,
        claims=_claims(spec),
        results=tuple(result for group in groups for result in _results(work, group)),
        comparisons=tuple(
            declared.record(verdict) for declared, verdict in zip(family, judged, strict=True)
        ),
        pooled=tuple(pooled.recorded(verdict) for verdict in over_tests),
    )
    write_json(work.out / EVALUATION, as_plain(record))
    rows = [row for group in groups for run in group.evaluation.runs for row in _per_query(run)]
    with (work.out / "per_query.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["run", "measure", "query_id", "value"])
        csv.writer(file).writerows(map(safe_cell, row) for row in rows)
    n_runs = sum(len(group.evaluation.runs) for group in groups)
    return {
        "n_runs": n_runs,
        "n_comparisons": len(judged),
        "n_pooled": len(over_tests),
        "notes": notes,
    }


def _measured(work: Work, name: str, computed: Mapping[str, str]) -> Iterator[Group]:
    """Every system's runs over a collection, from each first stage."""
    study = work.plan.study.study
    measuring = Measuring(
        read_topics(work.folder(collection_role(name))).qrels, tuple(computed.values())
    )

    def measured(system: str, ranker: str, first_stage: str, told: Advance) -> EvaluatedRun:
        role = run_role(name, first_stage, ranker)
        result = measuring.of(read_run(work.folder(role) / "run.trec"), told)
        path = _run_path(work, role)
        return EvaluatedRun(system, ranker, path, result.called(computed), ties=None, notes=())

    n_queries = len(measuring.query_ids)
    for where, systems in study.groups(name).items():
        members = [(system, ranker) for system, rankers in systems.items() for ranker in rankers]
        total = len(members) * n_queries
        with work.progress.task(f"measure {name}", total, "queries") as task:
            runs = [measured(system, ranker, where, task.advance) for system, ranker in members]
        yield Group(Place(name, where), Evaluation(tuple(computed), n_queries, tuple(runs), ()))


def _systems(work: Work) -> list[str]:
    """All evaluated systems: first stages, then LLMs, then rankers."""
    study = work.plan.study.study
    return [*study.evaluate.first_stages, *study.evaluate.teachers, *study.systems()]


def _precision_notes(spec: EvaluateSpec) -> Iterator[str]:
    if spec.rerank is not None and spec.rerank.precision != "float32":
        yield (
            f"Rankers re-rank in {spec.rerank.precision}, not float32. What that changed stands beside each re-ranking, "
            "among the steps."
        )


def _convention_notes(
    name: str, computed: Mapping[str, str], convention: Convention
) -> Iterator[str]:
    changed = [new for old, new in computed.items() if new != old]
    if changed:
        level = convention.relevance_level
        yield f"{name}: grades below {level} are not relevant, so measured were {', '.join(changed)}."
    if convention.drop_own_docs:
        yield f"{name}: docs that have their query's id were left out of the rankings."


def _relevant_notes(work: Work, name: str, computed: Mapping[str, str]) -> Iterator[str]:
    """Notes on queries that no run can do well on, because no doc is relevant for them at a measure's level."""
    topics = read_topics(work.folder(collection_role(name)))
    for note in Measuring(topics.qrels, tuple(computed.values())).notes():
        work.progress.note(f"{name}: {note}")
        yield f"{name}: {note}."


def _learnt(work: Work, evaluated: Sequence[str]) -> list[str]:
    """Notes on test queries that rankers were trained on."""
    study, notes = work.plan.study.study, []
    students: dict[str, list[str]] = {}
    for system, runs in study.systems().items():
        for source in study.learnt_from(runs[0]):
            students.setdefault(source, []).append(system)
    for name, (source, rankers) in product(evaluated, students.items()):
        topics = read_topics(work.folder(collection_role(name)))
        learnt = read_topics(work.folder(learnt_role(source)))
        counted = leaks.shared_queries(f"queries of {name}", topics, f" ({source})", learnt)
        if counted:
            notes.append(
                f"{counted}: the results of {', '.join(rankers)} there do not hold for new queries."
            )
    for note in notes:
        work.progress.note(note)
    return notes


def _run_path(work: Work, role: str) -> str:
    """The path of a run in the results folder, to which every number is traced."""
    return f"steps/{work.step.inputs[role].name}/run.trec"


def _claims(spec: EvaluateSpec) -> tuple[Claimed, ...]:
    return tuple(
        Claimed(
            claim.claim,
            claim.source,
            claim.systems,
            Verdict(claim.verdict),
            claim.baseline,
            claim.measure or spec.measures[0],
        )
        for claim in spec.claims
    )


def _results(work: Work, group: Group) -> Iterator[SystemResult]:
    """The result of each system; with several seeds, every seed's run and their spread."""
    means, sds = group.evaluation.means(), group.evaluation.seed_sds()
    for system, runs in group.evaluation.systems().items():
        seeds = tuple(_seed(work, group, run) for run in runs)
        yield SystemResult(
            place=group.place,
            system=system,
            run=seeds[0].run,
            n_queries=group.evaluation.n_queries,
            missing_queries=tuple(
                sorted({query for seed in seeds for query in seed.missing_queries})
            ),
            tied_share=max(seed.tied_share for seed in seeds),
            means=means[system],
            runs=seeds if system in sds else (),
            seed_sd=sds.get(system, {}),
        )


def _seed(work: Work, group: Group, run: EvaluatedRun) -> SeedResult:
    role = run_role(group.place.collection, group.place.first_stage, run.tag)
    return SeedResult(
        name=run.tag,
        run=_run_path(work, role),
        missing_queries=tuple(run.measured.missing_queries),
        tied_share=work.store.manifest(work.step.inputs[role].name)["summary"]["tied_share"],
        means=run.measured.means(),
    )


def _seed_remarks(group: Group) -> Iterator[str]:
    """Sentences on the variance over seeds on the headline measure."""
    measure = group.evaluation.measures[0]
    for system in group.evaluation.seed_sds():
        split = variance_split(group.evaluation.values()[system, measure])
        where = f"{system} on {group.place.collection} from {group.place.first_stage}"
        yield f"{seed_sentence(where, measure, split)}."


def seed_notes(study: Pipeline) -> list[str]:
    """Notes on verdicts of rankers with one run each, of one training seed, or with two.

    A fresh head is drawn, too; but if all rankers were trained elsewhere, no note on seeds is needed.
    """
    systems = study.systems()
    first = {system: study.rankers[runs[0]] for system, runs in systems.items()}
    alone = [
        system
        for system, runs in systems.items()
        if len(runs) == 1 and "seed" in type(first[system]).model_fields
    ]
    is_trained_here = any(isinstance(first[system], TrainedSpec) for system in alone)
    two = [system for system, runs in systems.items() if len(runs) == 2]
    has_several = any(len(runs) > 1 for runs in systems.values())
    notes = [f"{two_seeds_each(two)}."] if two else []
    if alone and (is_trained_here or has_several):
        note = f"{one_run_each(alone)}, so {OF_THESE_RUNS}. `seeds: [1, 2, 3]` counts the seeds in."
        notes.insert(0, note)
    return notes + list(_one_start_notes(study))


def _one_start_notes(study: Pipeline) -> Iterator[str]:
    """Notes on systems whose seeds all start from one trained run: the standard errors leave its own draw out."""
    for system, runs in study.systems().items():
        lines = [study.lineage(name) for name in runs]
        shared = set(lines[0]).intersection(*lines[1:]) if len(lines) > 1 else set()
        trained = [
            name
            for name in lines[0]
            if name in shared and isinstance(study.rankers[name], TrainedSpec)
        ]
        if trained:
            yield (
                f"{system}: all its runs start from {trained[0]}, which was trained once, so verdicts are of rankers that "
                f"start from that run, and another training of it may turn them. Give {trained[0]} `seeds`."
            )


def _per_query(run: EvaluatedRun) -> Iterator[list[Any]]:
    for measure, by_query in run.measured.values.items():
        for query_id, value in by_query.items():
            yield [run.path, measure, query_id, value]


def _declared(study: Pipeline, group: Group) -> list[Declared]:
    """Every comparison of a group."""
    spec = study.evaluate
    margins = {measure: as_margin(written) for measure, written in spec.margin.items()}
    values, systems = group.evaluation.values(), list(group.evaluation.systems())
    return [
        Declared(
            group.place,
            measure,
            system,
            baseline,
            comparison.MeasuredPair(
                values[system, measure],
                values[baseline, measure],
                margins.get(measure) if spec.tests == "sound" else None,
                pool=f"{measure} of {group.place.collection} from {group.place.first_stage}",
                kinship=kinship(study, system, baseline),
                lineages=(seed_lineage(study, system), seed_lineage(study, baseline)),
                span=span(measure),
            ),
        )
        for measure in spec.measures
        for system, baseline in compared_pairs(study, systems)
    ]


def _shared_queries(work: Work, evaluated: Sequence[str]) -> list[str]:
    """Notes on tests that have queries in common, although they are pooled as independent."""
    topics = {name: read_topics(work.folder(collection_role(name))) for name in evaluated}
    notes = []
    for one, other in combinations(evaluated, 2):
        n = max(n_shared(topics[one], topics[other]), _n_judged_alike(topics[one], topics[other]))
        if n:
            notes.append(
                f"{n} of {len(topics[one].queries)} queries of {one} {of_number(n, 'is a query', 'are queries')} of {other}, too: verdicts over all "
                "tests take the two as independent, which is too bold."
            )
    return notes


def _n_judged_alike(topics: Topics, others: Topics) -> int:
    """The number of queries with the id and the judgements of another, whatever their words, such as misspelt ones."""
    one, other = (
        {query: frozenset(grades) for query, grades in _judgements(some).items()}
        for some in (topics, others)
    )
    return sum(other.get(query) == grades for query, grades in one.items())


def _judgements(topics: Topics) -> dict[str, list[tuple[str, int]]]:
    by_query: dict[str, list[tuple[str, int]]] = {}
    for qrel in topics.qrels:
        by_query.setdefault(qrel.query_id, []).append((qrel.doc_id, qrel.relevance))
    return by_query
