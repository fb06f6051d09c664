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
from rankscope.core.rng import seed_for
from rankscope.core.tables import safe_cell
from rankscope.data import leaks
from rankscope.data.collections import Topics, n_shared, read_topics
from rankscope.data.conventions import Convention
from rankscope.evaluate.as_published import STUDY_B_WARNING, paired_t
from rankscope.evaluate.comparing import OF_THESE_RUNS, one_run_each, two_seeds_each
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation
from rankscope.evaluate.measures import Measuring, span, with_relevance_level
from rankscope.evaluate.over_tests import pooled
from rankscope.evaluate.pairs import comparison, verdicts
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.seeds.variance import seed_sentence, variance_split
from rankscope.pipeline.kinds import EvaluateParams
from rankscope.pipeline.lineages import kinship, seed_lineage
from rankscope.pipeline.spec.evaluate import EvaluateSpec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import collection_role, learnt_role, run_role
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import write_json


@dataclass(frozen=True)
class Group:
    """What was measured over one collection and first stage."""

    place: Place
    evaluation: Evaluation


class Declared(NamedTuple):
    """A comparison before it is made: what with what, on what, and where."""

    place: Place
    measure: str
    system: str
    baseline: str
    pair: comparison.Pair

    def record(self, judged: verdicts.Judged) -> JudgedComparison:
        """What is stored of it, once it is judged."""
        return JudgedComparison(
            self.place, self.measure, self.system, self.baseline, verdicts.recorded(judged)
        )

    def cell(self) -> pooled.Cell:
        """What is pooled of it: a test is a collection."""
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
    asked, study = work.spec(EvaluateSpec), work.plan.study.study
    is_sound = asked.tests == "sound"
    notes = _learnt(work, asked.over)
    notes += [] if is_sound else [STUDY_B_WARNING]
    notes += asked.claims_without_margin()
    groups: list[Group] = []
    for name in asked.over:
        convention = study.collections[name].convention()
        computed = {m: with_relevance_level(m, convention.relevance_level) for m in asked.measures}
        notes += _convention_notes(name, computed, convention)
        notes += _relevant_notes(work, name, computed)
        groups += _measured(work, name, computed)
    family = [declared for group in groups for declared in _declared(study, group)]
    notes += seed_notes(study) if family else []
    correction = asked.correction if is_sound else "none"
    compared = comparison.compared(
        [declared.pair for declared in family],
        significance_level=asked.significance_level,
        resampling=Resampling(seed=seed_for(work.params(EvaluateParams).seed, "resampling")),
    )
    if not is_sound:
        compared = [
            paired_t(each, significance_level=asked.significance_level) for each in compared
        ]
    judged = verdicts.judged(
        compared, significance_level=asked.significance_level, correction=correction
    )
    over_tests = pooled.judged(
        pooled.pooled(
            [declared.cell() for declared in family], significance_level=asked.significance_level
        ),
        significance_level=asked.significance_level,
        correction=correction,
    )
    notes += _shared_queries(work, asked.over) if over_tests else []
    record = EvaluationRecord(
        notes=tuple(notes),
        remarks=tuple(remark for group in groups for remark in _seed_remarks(group)),
        tests=asked.tests,
        relevance_levels={
            name: study.collections[name].convention().relevance_level for name in asked.over
        },
        measures=asked.measures,
        significance_level=asked.significance_level,
        correction=correction,
        margin=dict(asked.margin) if is_sound else {},
        baselines=tuple(asked.baseline or _systems(work)[:1]),
        all_pairs=not asked.baseline,
        claims=_claims(asked),
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

    def measured(system: str, ranker: str, first_stage: str) -> EvaluatedRun:
        role = run_role(name, first_stage, ranker)
        found = measuring.of(read_run(work.folder(role) / "run.trec"))
        path = _run_path(work, role)
        return EvaluatedRun(system, ranker, path, found.called(computed), ties=None, notes=())

    for where, systems in study.groups().items():
        runs = [
            measured(system, ranker, where)
            for system, rankers in systems.items()
            for ranker in rankers
        ]
        n_queries = len(measuring.query_ids)
        yield Group(Place(name, where), Evaluation(tuple(computed), n_queries, tuple(runs), ()))


def _systems(work: Work) -> list[str]:
    """All that is evaluated: first stages, then rankers."""
    study = work.plan.study.study
    return [*study.evaluate.first_stages, *study.systems()]


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
    """Queries that no run can do well on, because nothing is relevant for them at a measure's level."""
    topics = read_topics(work.folder(collection_role(name)))
    for note in Measuring(topics.qrels, tuple(computed.values())).notes():
        work.progress.note(f"{name}: {note}")
        yield f"{name}: {note}."


def _learnt(work: Work, evaluated: Sequence[str]) -> list[str]:
    """What to know before the means are believed: test queries that rankers were trained on."""
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
                f"{counted}: what is said there of {', '.join(rankers)} does not hold for new queries."
            )
    for note in notes:
        work.progress.note(note)
    return notes


def _run_path(work: Work, role: str) -> str:
    """Where a run is, from the results folder: what every number is traced to."""
    return f"steps/{work.step.inputs[role].name}/run.trec"


def _claims(asked: EvaluateSpec) -> tuple[Claimed, ...]:
    return tuple(
        Claimed(
            claim.claim,
            claim.source,
            claim.systems,
            Verdict(claim.verdict),
            claim.baseline,
            claim.measure or asked.measures[0],
        )
        for claim in asked.claims
    )


def _results(work: Work, group: Group) -> Iterator[SystemResult]:
    """What each system measured; of several seeds it holds every one's run, and their spread."""
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
    """What the seeds are worth on the headline measure."""
    measure = group.evaluation.measures[0]
    for system in group.evaluation.seed_sds():
        split = variance_split(group.evaluation.values()[system, measure])
        where = f"{system} on {group.place.collection} from {group.place.first_stage}"
        yield f"{seed_sentence(where, measure, split)}."


def seed_notes(study: Pipeline) -> list[str]:
    """What verdicts are worth where rankers have one run each, of one training seed, or two.

    A fresh head is drawn, too; but where all was trained elsewhere, nothing is said of seeds.
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
        told = f"{one_run_each(alone)}, so {OF_THESE_RUNS}. `seeds: [1, 2, 3]` counts the seeds in."
        notes.insert(0, told)
    return notes + list(_one_start_notes(study))


def _one_start_notes(study: Pipeline) -> Iterator[str]:
    """Of systems whose seeds all start from one and the same trained run: its own draw is in no error."""
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
    asked = study.evaluate
    margins = {measure: as_margin(written) for measure, written in asked.margin.items()}
    values, systems = group.evaluation.values(), list(group.evaluation.systems())
    return [
        Declared(
            group.place,
            measure,
            system,
            baseline,
            comparison.Pair(
                values[system, measure],
                values[baseline, measure],
                margins.get(measure) if asked.tests == "sound" else None,
                pool=f"{measure} of {group.place.collection} from {group.place.first_stage}",
                kinship=kinship(study, system, baseline),
                lineages=(seed_lineage(study, system), seed_lineage(study, baseline)),
                span=span(measure),
            ),
        )
        for measure in asked.measures
        for system, baseline in _pairs(asked, systems)
    ]


def _shared_queries(work: Work, evaluated: Sequence[str]) -> list[str]:
    """Tests are pooled as independent: where two have queries in common, that is too bold."""
    topics = {name: read_topics(work.folder(collection_role(name))) for name in evaluated}
    notes = []
    for one, other in combinations(evaluated, 2):
        n = max(n_shared(topics[one], topics[other]), _n_judged_alike(topics[one], topics[other]))
        if n:
            notes.append(
                f"{n} of {len(topics[one].queries)} queries of {one} are queries of {other}, too: verdicts over all "
                "tests take the two as independent, which is too bold."
            )
    return notes


def _n_judged_alike(topics: Topics, others: Topics) -> int:
    """How many queries have the id and the judgements of another, whatever their words: such as misspelt ones."""
    one, other = (
        {query: frozenset(of) for query, of in _judgements(each).items()}
        for each in (topics, others)
    )
    return sum(other.get(query) == of for query, of in one.items())


def _judgements(topics: Topics) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for qrel in topics.qrels:
        found.setdefault(qrel.query_id, []).append((qrel.doc_id, qrel.relevance))
    return found


def _pairs(asked: EvaluateSpec, systems: Sequence[str]) -> list[tuple[str, str]]:
    """Every system against the baselines, and what the claims speak of beside that."""
    here = [name for name in asked.baseline if name in systems]
    found = verdicts.pairs(systems, here if asked.baseline else systems)
    known = {frozenset(pair) for pair in found}
    for claim in asked.claims:
        for pair in product(claim.systems, [claim.baseline]):
            if frozenset(pair) not in known and set(pair) <= set(systems):
                known.add(frozenset(pair))
                found.append(pair)
    return found
