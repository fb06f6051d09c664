"""One short function per kind of step: open inputs, call a stage, save outputs.

The only place that knows two stages. A function gets a `Work` (its step, the verified folders of
its inputs, a folder to write into) and returns the summary that goes into the manifest.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.progress import Progress
from rankscope.core.records import ListwiseSample, Run
from rankscope.core.rng import seed_for
from rankscope.core.trec import write_run
from rankscope.data import collections, samples
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.data.conventions import Convention
from rankscope.data.teachers import teacher_run
from rankscope.evaluate import comparison, verdicts
from rankscope.evaluate.as_published import STUDY_B_WARNING
from rankscope.evaluate.evaluation import as_margin, plain, without_own_docs
from rankscope.evaluate.measures import Measured, Measuring, measured, with_relevance_level
from rankscope.evaluate.resampling import Resampling
from rankscope.models import backbone, scratch
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location, kind_of
from rankscope.models.ranker import Ranker
from rankscope.report import page
from rankscope.report.sections import StoredResults
from rankscope.retrieve import bm25
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.store.artifacts import Store, read_json, write_json
from rankscope.study import spec as specs
from rankscope.study.plan import Plan, Step, collection_role, docs_role, learnt_role, run_role
from rankscope.train.batches import ListwiseObjective
from rankscope.train.loop import Recipe, Trained, fit, frozen
from rankscope.train.losses import LOSSES
from rankscope.train.pretraining import MaskedLanguageObjective

Summary = dict[str, Any]
S = TypeVar("S", bound=specs.Spec)


@dataclass(frozen=True)
class Work:
    """What carrying out one step has at hand."""

    step: Step
    plan: Plan
    store: Store
    out: Path
    progress: Progress

    def folder(self, role: str) -> Path:
        """The verified folder of an input."""
        return self.store.open(self.step.inputs[role].name)

    def spec(self, kind: type[S]) -> S:
        """The step's spec, of the kind this function is for."""
        assert isinstance(self.step.spec, kind)
        return self.step.spec

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.plan.study.study.seed

    @property
    def checkpoints(self) -> Path:
        """Where a training may keep its state."""
        return self.store.work(self.step.name)


# -- data ----------------------------------------------------------------------------------------


def docs(work: Work) -> Summary:
    """Copy the docs once, where single ones can be read."""
    assert work.step.source is not None
    return {"n_docs": collections.write_docs(work.step.source.docs(), work.out)}


def collection(work: Work) -> Summary:
    """The chosen queries and their judgements."""
    assert work.step.source is not None
    chosen = work.spec(specs.TopicsSpec)
    topics = collections.judged_topics(
        work.step.source, part=chosen.part, limit=chosen.queries, seed=work.seed
    )
    stored = StoredDocs(work.folder("docs"))
    collections.write_topics(topics, work.out)
    relevant = {qrel.query_id for qrel in topics.qrels if qrel.relevance > 0}
    return {
        "n_queries": len(topics.queries),
        "n_qrels": len(topics.qrels),
        "n_queries_without_relevant_doc": len(topics.queries) - len(relevant),
        "n_judged_docs_without_text": sum(qrel.doc_id not in stored for qrel in topics.qrels),
    }


# -- first stages --------------------------------------------------------------------------------


def index(work: Work) -> Summary:
    """A BM25 index."""
    chosen = work.spec(specs.BM25Spec)
    n_docs = bm25.build(StoredDocs(work.folder("docs")), work.out, k1=chosen.k1, b=chosen.b)
    return {"n_docs": n_docs}


def search(work: Work) -> Summary:
    """A first stage's or teacher's run: searched, or read from a file of the user's."""
    topics, chosen = read_topics(work.folder("collection")), work.step.spec
    if isinstance(chosen, specs.BM25Spec):
        found = bm25.Index.load(work.folder("index"))
        run = bm25.search(found, topics.queries, depth=chosen.depth, progress=work.progress)
    else:
        assert isinstance(chosen, specs.RunFilesSpec | specs.RunTeacherSpec)
        stored = StoredDocs(work.folder("docs"))
        asked = [query.query_id for query in topics.queries]
        whole = teacher_run(
            work.step.paths["run"], has_doc=lambda doc_id: doc_id in stored, query_ids=asked
        )
        run = whole.top(chosen.depth)
    write_run(work.out / "run.trec", run)
    return _run_summary(run, topics)


def _run_summary(run: Run, topics: Topics) -> Summary:
    return {
        "n_queries": len(run.rankings),
        "n_queries_without_ranking": len(topics.queries) - len(run.rankings),
        "n_ranked_docs": sum(len(ranking) for ranking in run.rankings.values()),
        "tied_share": run.tied_share(),
    }


# -- rankers -------------------------------------------------------------------------------------


def scratch_backbone(work: Work) -> Summary:
    """A small BERT, pre-trained on the docs."""
    chosen = work.spec(specs.ScratchSpec)
    stored = StoredDocs(work.folder("docs"))
    pieces = scratch.vocabulary((doc.text for doc in stored), chosen.vocabulary)
    tokenizer = scratch.tokenizer(pieces, chosen.max_length)
    model = scratch.masked_language_model(
        len(pieces),
        layers=chosen.layers,
        width=chosen.width,
        heads=chosen.heads,
        max_length=chosen.max_length,
        seed=seed_for(work.seed, "scratch"),
    )
    summary: Summary = {"n_pieces": len(pieces)}
    if chosen.updates:
        doc_ids = [doc.doc_id for doc in stored]
        objective = MaskedLanguageObjective(
            tokenizer=tokenizer,
            n_docs=len(doc_ids),
            text=lambda place: stored.text(doc_ids[place]),
            docs_per_update=chosen.docs_per_update,
            max_length=chosen.max_length,
            seed=work.seed,
        )
        recipe = Recipe(
            max_updates=chosen.updates,
            learning_rate=chosen.learning_rate,
            seed=seed_for(work.seed, "scratch"),
            checkpoint_every=chosen.checkpoint_every,
        )
        trained = fit(
            model,
            objective,
            recipe,
            checkpoints=work.checkpoints,
            progress=work.progress,
            label=f"pre-train {work.step.label}",
        )
        _write_log(work.out, trained)
        summary |= {"updates": chosen.updates, "last_loss": trained.log[-1]["loss"]}
    with backbone.quiet():
        model.save_pretrained(work.out / "model")
        tokenizer.save_pretrained(work.out / "model")
    return summary


def ranker(work: Work) -> Summary:
    """A ranker's weights as they are before any stage; a fresh scoring head is drawn here."""
    chosen, location = work.step.spec, work.step.location
    if isinstance(chosen, specs.BiEncoderSpec):
        assert location is not None
        BiEncoder.load(location).save(work.out / "model")
        return {"kind": "bi_encoder"}
    assert isinstance(chosen, specs.CrossEncoderSpec)
    if location is None:
        location = Location("scratch", work.folder("backbone") / "model")
    loaded = backbone.load_scorer(location, seed=seed_for(work.seed, "head"))
    CrossEncoder.from_backbone(loaded, max_length=chosen.max_length).save(work.out / "model")
    return {
        "kind": "cross_encoder",
        "n_weights": sum(weight.numel() for weight in loaded.model.parameters()),
        "fresh_weights": list(loaded.fresh),
        "unused_weights": list(loaded.unused),
        "revision": getattr(loaded.model.config, "_commit_hash", None),
    }


def open_ranker(folder: Path) -> Ranker:
    """A ranker from its folder, by what the folder says it is."""
    if kind_of(folder) == "bi_encoder":
        return BiEncoder.load(Location(folder.name, folder))
    cross_encoder = CrossEncoder.load(folder)
    cross_encoder.model.to(backbone.device())
    return cross_encoder


def train(work: Work) -> Summary:
    """One stage of fine-tuning."""
    chosen = work.spec(specs.TrainedSpec)
    tuned = CrossEncoder.load(work.folder("start") / "model")
    pools = _pools(work, chosen)
    if chosen.max_updates is not None:
        max_updates = chosen.max_updates
    else:
        assert chosen.epochs is not None
        max_updates = math.ceil(chosen.epochs * len(pools.pools) / chosen.queries_per_update)
    recipe = Recipe(
        max_updates=max_updates,
        learning_rate=chosen.learning_rate,
        seed=_stage_seed(work),
        schedule=chosen.schedule,
        warmup=chosen.warmup,
        weight_decay=chosen.weight_decay,
        clip_norm=chosen.clip_norm,
        validate_every=chosen.validate_on.every if chosen.validate_on else None,
        keep=chosen.kept,
        checkpoint_every=chosen.checkpoint_every,
    )
    still = backbone.position_embeddings(tuned.model) if chosen.freeze_position_embeddings else []
    with frozen(still):
        trained = fit(
            tuned.model,
            _objective(work, chosen, tuned, pools),
            recipe,
            checkpoints=work.checkpoints,
            validate=_validation(work, chosen, tuned),
            progress=work.progress,
            label=f"train {work.step.label}",
        )
    tuned.save(work.out / "model")
    _write_log(work.out, trained)
    return {
        "ranker": work.step.label,
        "start": chosen.start,
        "loss": chosen.loss,
        "n_samples": len(pools.pools),
        "dropped_queries": dict(pools.dropped),
        "n_added_positives": pools.n_added,
        "updates": max_updates,
        "kept_update": trained.kept_update,
        "validation_measure": chosen.validate_on and chosen.validate_on.measure,
        "displacement": trained.displacement,
        "updates_per_second": trained.updates_per_second,
        "notes": _leaks(work),
    }


def _stage_seed(work: Work) -> int:
    """A second stage does not draw again what the first drew."""
    return seed_for(work.seed, "stage", work.step.params["stage"])


def _leaks(work: Work) -> list[str]:
    """What to know before the validation is believed."""
    if "validation" not in work.step.inputs:
        return []
    held_out = read_topics(work.folder("validation"))
    n_shared = collections.n_shared(held_out, read_topics(work.folder("collection")))
    if not n_shared:
        return []
    note = f"{n_shared} of {len(held_out.queries)} validation queries are training queries"
    work.progress.note(f"{work.step.label}: {note}")
    return [note]


def _pools(work: Work, chosen: specs.TrainedSpec) -> samples.Pools:
    """What the stage's samples are drawn from."""
    topics, asked = read_topics(work.folder("collection")), chosen.samples
    if asked.negatives is None:
        teacher = read_run(work.folder("teacher") / "run.trec")
        depth = work.step.params["teacher_depth"]
        query_ids = [query.query_id for query in topics.queries]
        return samples.pools_from_teacher(query_ids, teacher, depth=depth)
    return samples.pools_from_qrels(
        topics.qrels,
        read_run(work.folder("negatives") / "run.trec"),
        skip_top=asked.negatives.skip_top,
        depth=asked.negatives.depth,
        missing_positive=asked.missing_positive,
        min_relevance=asked.min_relevance,
    )


def _objective(
    work: Work, chosen: specs.TrainedSpec, tuned: CrossEncoder, pools: samples.Pools
) -> ListwiseObjective:
    stored = StoredDocs(work.folder("docs"))
    queries = {
        query.query_id: query.text for query in read_topics(work.folder("collection")).queries
    }
    for pool in pools.pools:
        for doc_id in pool.doc_ids:
            if doc_id not in stored:
                raise BadInput(
                    f"Query {pool.query_id} would be trained with doc {doc_id}, which has no text. "
                    "Give the docs that belong to these qrels and runs."
                )

    def texts(sample: ListwiseSample) -> tuple[str, list[str]]:
        return queries[sample.query_id], stored.texts(sample.doc_ids)

    return ListwiseObjective(
        ranker=tuned,
        loss_function=LOSSES[chosen.loss],
        epoch_samples=lambda epoch: pools.epoch(
            epoch, group_size=chosen.samples.group_size, seed=_stage_seed(work)
        ),
        texts=texts,
        length=lambda sample: max(stored.n_bytes(doc_id) for doc_id in sample.doc_ids),
        queries_per_update=chosen.queries_per_update,
        queries_per_batch=chosen.queries_per_batch,
        seed=_stage_seed(work),
    )


def _validation(
    work: Work, chosen: specs.TrainedSpec, tuned: CrossEncoder
) -> Callable[[], float] | None:
    """The mean of a measure over held-out queries, or None where none is asked for."""
    watched = chosen.validate_on
    if watched is None:
        return None
    topics = read_topics(work.folder("validation"))
    stored = StoredDocs(work.folder("validation_docs"))
    run = read_run(work.folder("validation_run") / "run.trec").top(watched.depth)

    def validate() -> float:
        again = reranked(
            tuned, topics.queries, run, texts=stored.texts, depth=watched.depth, tag="validation"
        )
        return measured(again, topics.qrels, [watched.measure]).means()[watched.measure]

    return validate


def _write_log(folder: Path, trained: Trained) -> None:
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in trained.log]
    (folder / "log.jsonl").write_text("".join(lines), "utf-8")


def rerank(work: Work) -> Summary:
    """A ranker's re-ranking of a run."""
    topics, stored = read_topics(work.folder("collection")), StoredDocs(work.folder("docs"))
    run = reranked(
        open_ranker(work.folder("ranker") / "model"),
        topics.queries,
        read_run(work.folder("run") / "run.trec"),
        texts=stored.texts,
        depth=work.step.params["depth"],
        tag=work.step.params["tag"],
        progress=work.progress,
    )
    write_run(work.out / "run.trec", run)
    return _run_summary(run, topics)


# -- evaluation and report -----------------------------------------------------------------------


def evaluate(work: Work) -> Summary:
    """Per-query values of every run, and the family of comparisons."""
    asked, study = work.spec(specs.EvaluateSpec), work.plan.study.study
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
        shared = collections.n_shared(topics, read_topics(work.folder(learnt_role(source))))
        if shared:
            notes.append(
                f"{shared} of {len(topics.queries)} queries of {name} are training queries "
                f"({source}): what is said there of {', '.join(rankers)} does not hold for new queries."
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
    asked: specs.EvaluateSpec, place: Summary, measured: Mapping[str, Measured]
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


def report(work: Work) -> Summary:
    """The page, its tables and summary.json."""
    page.write(work.out, stored_results(work))
    return {"n_bytes": (work.out / "report.html").stat().st_size}


def stored_results(work: Work) -> StoredResults:
    """Everything the report reads, as plain data."""
    study = work.plan.study.study
    evaluation = read_json(work.folder("evaluate") / "evaluation.json")
    per_query: dict[str, dict[str, dict[str, float]]] = {}
    with (work.folder("evaluate") / "per_query.csv").open(newline="", encoding="utf-8") as file:
        for run, measure, query_id, value in list(csv.reader(file))[1:]:
            per_query.setdefault(run, {}).setdefault(measure, {})[query_id] = float(value)
    evaluated = work.step.inputs["evaluate"]
    topics = {
        name: read_topics(work.store.open(evaluated.inputs[collection_role(name)].name))
        for name in study.evaluate.over
    }
    training = {}
    for step in work.step.inputs.values():
        if step.kind == "train":
            lines = (work.store.open(step.name) / "log.jsonl").read_text("utf-8").splitlines()
            training[step.label] = [json.loads(line) for line in lines]
    steps = []
    made_with: dict[str, set[str]] = {}
    for step in work.plan.steps:
        if step is not work.step:
            manifest = work.store.manifest(step.name)
            facts = {key: manifest[key] for key in ("kind", "seconds", "summary")}
            steps.append({"name": step.name, **facts})
            for package, version in manifest["versions"].items():
                made_with.setdefault(package, set()).add(version)
    return StoredResults(
        study=study.study,
        study_file=yaml.safe_dump(study.model_dump(mode="json", by_alias=True), sort_keys=False),
        seed=study.seed,
        steps=steps,
        versions={package: ", ".join(sorted(found)) for package, found in made_with.items()},
        evaluation=evaluation,
        per_query=per_query,
        training=training,
        queries={
            name: {query.query_id: query.text for query in topic.queries}
            for name, topic in topics.items()
        },
        rankings=_rankings(work, evaluation["results"], topics),
    )


def _rankings(
    work: Work, results: Sequence[Mapping[str, Any]], topics: Mapping[str, Topics]
) -> Callable[[str, str, int], Sequence[Mapping[str, Any]]]:
    """The top of one query's ranking, with texts and judgements, by the path of its run."""
    collection_of = {row["run"]: row["collection"] for row in results}
    relevance = {
        (name, qrel.query_id, qrel.doc_id): qrel.relevance
        for name, topic in topics.items()
        for qrel in topic.qrels
    }
    stored = {name: StoredDocs(work.folder(docs_role(name))) for name in topics}
    runs: dict[str, Run] = {}

    def rankings(run: str, query_id: str, depth: int) -> Sequence[Mapping[str, Any]]:
        if run not in runs:
            runs[run] = read_run(work.store.root / run)
        name = collection_of[run]
        return [
            {
                "rank": rank,
                "doc_id": doc.doc_id,
                "score": doc.score,
                "text": stored[name].text(doc.doc_id),
                "relevance": relevance.get((name, query_id, doc.doc_id)),
            }
            for rank, doc in enumerate(runs[run].rankings.get(query_id, [])[:depth], start=1)
        ]

    return rankings


STEPS: dict[str, Callable[[Work], Summary]] = {
    "docs": docs,
    "collection": collection,
    "index": index,
    "search": search,
    "scratch": scratch_backbone,
    "ranker": ranker,
    "train": train,
    "rerank": rerank,
    "evaluate": evaluate,
    "report": report,
}
