"""How the steps of probes are carried out: choices, every layer's states, probes, and their comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from safetensors.torch import load_file, save_file

from rankscope.analyses import examples
from rankscope.analyses.probes import examples as probe_examples
from rankscope.analyses.probes import results as probing
from rankscope.analyses.probes import states
from rankscope.analyses.probes.plan import (
    AT_RANDOM,
    ChoicesParams,
    ConcludeParams,
    ProbeParams,
    RepresentParams,
    probe_role,
)
from rankscope.analyses.probes.published import PublishedPoint, published_points
from rankscope.analyses.probes.spec import FileExamplesSpec, ProbesSpec, RunExamplesSpec
from rankscope.analyses.probes.stored import PublishedAccuracy
from rankscope.core.errors import choose
from rankscope.core.formats import read_run
from rankscope.core.judged.plain import as_plain
from rankscope.core.records import Choice, Doc, Run
from rankscope.core.rng import seed_for
from rankscope.core.words import words
from rankscope.data.by_words import ByWords
from rankscope.data.choices import choices_from_qrels
from rankscope.data.collections import StoredDocs, read_topics, write_docs
from rankscope.data.listed import read_listed
from rankscope.explain.probing import Outcome, texts_of
from rankscope.models.opening import open_trainable
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import linked, read_json, write_json

CHOICES, OUTCOMES, CREDITS, FOUND = (
    "choices.json", "outcomes.json", "credits.safetensors", "probes.json",
)  # fmt: skip


def choices(work: Work) -> Summary:
    """The examples of all probes: choices for training and test, and their queries' texts."""
    params = work.params(ChoicesParams)
    spec = params.spec
    if isinstance(spec, FileExamplesSpec):
        chosen = _examples_of_files(work, params, spec)
    else:
        chosen = _examples_of_runs(work, params, spec)
    examples.check_enough(chosen.train, chosen.test)
    write_json(
        work.out / CHOICES,
        {
            "train": chosen.train,
            "test": chosen.test,
            "queries": chosen.queries,
            "places": chosen.scores,
            "notes": chosen.notes,
        },
    )
    return {"n_train": len(chosen.train), "n_test": len(chosen.test), "notes": chosen.notes}


def _examples_of_runs(
    work: Work, params: ChoicesParams, spec: RunExamplesSpec
) -> probe_examples.ProbeExamples:
    topics = {part: read_topics(work.folder(f"{part} collection")) for part in ("train", "test")}
    topics["train"], n_shared = examples.without(topics["train"], topics["test"])
    docs, n_lost = StoredDocs(work.folder("docs")), 0
    for part, part_topics in topics.items():
        topics[part], n = examples.with_texts(part_topics, docs)
        n_lost += n
    runs = {part: read_run(work.folder(f"{part} run") / "run.trec") for part in topics}
    drawn_choices = {
        part: choices_from_qrels(
            topics[part].qrels,
            runs[part],
            n_docs=params.n_docs,
            depth=spec.depth,
            skip_top=spec.skip_top,
            min_relevance=spec.min_relevance,
            seed=params.seed,
            by_words=ByWords(topics[part], docs.key),
        )
        for part in topics
    }
    return probe_examples.ProbeExamples(
        train=drawn_choices["train"].choices,
        test=drawn_choices["test"].choices,
        queries={q.query_id: q.text for part in topics.values() for q in part.queries},
        docs={},
        scores=[_places(choice, runs["test"]) for choice in drawn_choices["test"].choices],
        notes=tuple(
            examples.notes_on(
                n_shared, drawn_choices["train"], drawn_choices["test"], n_lost=n_lost
            )
        ),
    )


def _examples_of_files(
    work: Work, params: ChoicesParams, spec: FileExamplesSpec
) -> probe_examples.ProbeExamples:
    """The examples, whose docs are written beside them."""
    listed = {part: read_listed(params.files[part], spec.kind) for part in ("train", "test")}
    drawn_choices = {
        part: rows.published_choices(n_docs=params.n_docs)
        if params.as_published
        else rows.choices(n_docs=params.n_docs, seed=params.seed)
        for part, rows in listed.items()
    }
    test_queries = listed["test"].queries
    test_words = {words(text) for text in test_queries.values()}
    shared = {
        query_id
        for query_id, text in listed["train"].queries.items()
        if query_id in test_queries or words(text) in test_words
    }
    train_choices = [
        choice for choice in drawn_choices["train"].choices if choice.query_id not in shared
    ]
    docs = {**listed["train"].docs, **listed["test"].docs}
    write_docs((Doc(doc_id, docs[doc_id]) for doc_id in sorted(docs)), work.out)
    queries = {**listed["train"].queries, **listed["test"].queries}
    return probe_examples.ProbeExamples(
        train=tuple(train_choices),
        test=drawn_choices["test"].choices,
        queries=queries,
        docs={},
        scores=probe_examples.bm25_scores(
            StoredDocs(work.out), queries, drawn_choices["test"].choices
        ),
        notes=(
            *examples.notes_on(len(shared), drawn_choices["train"], drawn_choices["test"]),
            *dict.fromkeys(note for rows in listed.values() for note in rows.notes),
        ),
    )


def _places(choice: Choice, run: Run) -> list[float]:
    """Minus the rank of every doc in the run; a doc that is not in it ranks behind all."""
    ranks = {doc.doc_id: place for place, doc in enumerate(run.rankings[choice.query_id])}
    return [-float(ranks.get(doc_id, len(ranks))) for doc_id in choice.doc_ids]


def _examples(work: Work, *, with_docs: bool) -> probe_examples.ProbeExamples:
    stored = read_json(work.folder("choices") / CHOICES)
    train, test = (
        tuple(Choice(query_id, tuple(doc_ids)) for query_id, doc_ids in stored[part])
        for part in ("train", "test")
    )
    docs: Mapping[str, str] = {}
    if with_docs:
        doc_ids = texts_of([*train, *test]).doc_ids
        texts = StoredDocs(work.folder("docs")).texts(doc_ids)
        docs = dict(zip(doc_ids, texts, strict=True))
    return probe_examples.ProbeExamples(
        train, test, stored["queries"], docs, stored["places"], tuple(stored["notes"])
    )


def represent(work: Work) -> Summary:
    """The states of every layer of a ranker, for the texts or pairs of the choices."""
    ranker = open_trainable(work.folder("ranker") / "model")
    params = work.params(RepresentParams)
    if params.at_random is not None:
        ranker = ranker.at_random(seed=seed_for(params.at_random, "random weights"))
    chosen = _examples(work, with_docs=True)
    states.represented(
        ranker,
        chosen,
        work.checkpoints,
        seed=params.seed or 0,
        settings=states.StateSettings(params.pooling, params.dtype),
        processes=work.processes,
        progress=work.progress,
    )
    if work.processes.is_first:
        for file in sorted(work.checkpoints.glob("*/*.npy")):
            (work.out / file.parent.name).mkdir(exist_ok=True)
            linked(file, work.out / file.parent.name / file.name)
    return {
        "similarity": states.similarity_of(ranker),
        "notes": states.notes_of(work.step.label, ranker),
    }


def probe(work: Work) -> Summary:
    """Every probe and control on every stored layer of one ranker."""
    represented = work.step.inputs["states"]
    outcomes = list(
        states.outcomes(
            work.folder("states"),
            _examples(work, with_docs=False),
            work.params(ProbeParams),
            similarity=work.store.manifest(represented.name)["summary"]["similarity"],
            progress=work.progress,
        )
    )
    save_file(
        {f"{layer}.{outcome.probe}": outcome.credits.contiguous() for layer, outcome in outcomes},
        work.out / CREDITS,
    )
    rows = [
        {
            "layer": layer,
            "probe": outcome.probe,
            "penalties": outcome.penalties,
            "n_unconverged": outcome.n_unconverged,
        }
        for layer, outcome in outcomes
    ]
    write_json(work.out / OUTCOMES, rows)
    return {"n_unconverged": sum(outcome.n_unconverged for _, outcome in outcomes)}


def conclude(work: Work) -> Summary:
    """All rankers' probes compared with the baselines', layer by layer."""
    params = work.params(ConcludeParams)
    rankers = [role.removeprefix(probe_role("")) for role in work.step.inputs if role != "choices"]
    by_ranker, notes = {}, []
    for name in rankers:
        step = work.step.inputs[probe_role(name)]
        by_ranker[name] = _outcomes(work, probe_role(name))
        if name != AT_RANDOM:
            notes += _seen_before(work, name, params.spec)
            notes += work.store.manifest(step.inputs["states"].name)["summary"]["notes"]
    results = probing.concluded(
        by_ranker,
        _examples(work, with_docs=False),
        params,
        notes=notes,
    )
    stored = probing.recorded(results, published=_published(params))
    write_json(work.out / FOUND, as_plain(stored))
    return {"n_comparisons": len(results.against), "notes": list(results.notes)}


def _seen_before(work: Work, ranker: str, spec: ProbesSpec) -> list[str]:
    """A note where a ranker was tuned on the queries that its layers are probed with."""
    examples_spec, study = spec.examples, work.plan.study.study
    if not isinstance(examples_spec, RunExamplesSpec):
        return []
    return [
        f"{ranker} was tuned on queries of {name}, with which it is probed: its layers have seen them, those of "
        "the others have not. Split the collection."
        for name in study.learnt_from(ranker)
        if name in (examples_spec.train, examples_spec.over)
    ]


def _published(params: ConcludeParams) -> list[PublishedAccuracy]:
    """The reported points of the rankers that have a curve, for the spec's numbers of candidates."""
    spec, path = params.spec, params.published
    if spec.published is None or path is None:
        return []
    points = published_points(path, spec.published.dataset)
    by_curve: dict[str, list[PublishedPoint]] = {}
    for point in points:
        by_curve.setdefault(point.curve, []).append(point)
    return [
        PublishedAccuracy(ranker, point.n, point.layer, point.accuracy)
        for ranker, curve in spec.published.curves.items()
        for point in choose(by_curve, curve, what="published curve")
        if point.n in spec.candidates
    ]


def _outcomes(work: Work, role: str) -> Sequence[tuple[int, Outcome]]:
    folder = work.folder(role)
    stored = load_file(folder / CREDITS)
    rows: list[dict[str, Any]] = read_json(folder / OUTCOMES)
    return [
        (
            row["layer"],
            Outcome(
                row["probe"],
                stored[f"{row['layer']}.{row['probe']}"],
                tuple(row["penalties"]),
                row["n_unconverged"],
            ),
        )
        for row in rows
    ]
