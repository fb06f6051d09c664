"""Steps inside rankers: the attributions of each ranker's neurons, and what follows from all of them."""

from safetensors.torch import load_file, save_file

from rankscope.core.formats import read_run
from rankscope.core.records import Choice
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.models import backbone
from rankscope.store.artifacts import read_json, write_json
from rankscope.study import attribution, probe_examples
from rankscope.study.attribution import Settings
from rankscope.study.plan import attribute_role
from rankscope.study.spec_explain import AttributionSpec
from rankscope.study.steps_train import open_tunable
from rankscope.study.steps_work import Summary, Work

CHOSEN, SIDES, NEURONS = "choices.json", "attributions.safetensors", "neurons.json"


def attribute(work: Work) -> Summary:
    """Both sides of a ranker's reading, or its pairs, over examples that are the same for every ranker."""
    asked = work.spec(AttributionSpec)
    settings = settings_of(asked, seed=work.seed)
    docs = StoredDocs(work.folder("docs"))
    topics, n_lost = probe_examples.with_texts(read_topics(work.folder("collection")), docs)
    choices = attribution.chosen(
        topics.qrels,
        read_run(work.folder("run") / "run.trec"),
        settings,
        min_relevance=asked.min_relevance,
    )
    wanted = sorted({doc_id for choice in choices for doc_id in choice.doc_ids})
    texts = dict(zip(wanted, docs.texts(wanted), strict=True))
    given = attribution.examples(
        choices, {each.query_id: each.text for each in topics.queries}, texts
    )
    ranker = open_tunable(work.folder("ranker") / "model")
    ranker.model.to(backbone.device())
    found = attribution.attributed(ranker, given, settings, work.progress)
    save_file(attribution.as_tensors(found), work.out / SIDES)
    write_json(work.out / CHOSEN, choices)
    return {
        "n_examples": len(choices),
        "notes": [f"{n_lost} relevant docs have no text and were left out."] if n_lost else [],
    }


def neurons(work: Work) -> Summary:
    """All rankers' neurons beside the baselines'."""
    asked = work.spec(AttributionSpec)
    names = work.plan.study.study.probed_rankers(asked)
    first = work.folder(attribute_role(names[0]))
    manifest = work.store.manifest(work.step.inputs[attribute_role(names[0])].name)
    found = attribution.concluded(
        {
            name: attribution.from_tensors(load_file(work.folder(attribute_role(name)) / SIDES))
            for name in names
        },
        [Choice(query_id, tuple(doc_ids)) for query_id, doc_ids in read_json(first / CHOSEN)],
        settings_of(asked, seed=work.seed),
        baselines=work.step.params["baseline"],
        notes=manifest["summary"]["notes"],
    )
    write_json(work.out / NEURONS, found)
    return {"n_examples": found["n_examples"], "notes": found["notes"]}


def settings_of(asked: AttributionSpec, *, seed: int) -> Settings:
    """What a study asks of every ranker."""
    return Settings(
        as_published=asked.method == "as_published",
        path=asked.path,
        nodes=asked.nodes,
        examples=asked.examples,
        depth=asked.depth,
        skip_top=asked.skip_top,
        threshold=asked.threshold,
        ablate=asked.ablate,
        memory=int(asked.memory * 1e9),
        seed=seed,
    )
