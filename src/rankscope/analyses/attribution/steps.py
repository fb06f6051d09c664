"""Steps inside rankers: the attributions of each ranker's neurons, and what follows from all of them."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from rankscope.analyses.attribution import attributed as attribution
from rankscope.analyses.attribution import results as conclusions
from rankscope.analyses.attribution.attributed import Examples
from rankscope.analyses.attribution.plan import AttributeParams, NeuronsParams, attribute_role
from rankscope.core.formats import read_run
from rankscope.core.records import Choice
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.data.listed import read_listed
from rankscope.models.opening import open_trainable
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import read_json, write_json

CHOSEN, SIDES, NEURONS = "choices.json", "attributions.safetensors", "neurons.json"


def attribute(work: Work) -> Summary:
    """Both sides of a ranker's reading, or its pairs, over examples that are the same for every ranker."""
    params = work.params(AttributeParams)
    given, notes = _of_run(work, params) if params.file is None else _of_file(params, params.file)
    ranker = open_trainable(work.folder("ranker") / "model")
    found = attribution.attributed(ranker, given, params, work.progress)
    save_file(attribution.as_tensors(found), work.out / SIDES)
    write_json(work.out / CHOSEN, given.choices)
    return {"n_examples": len(given.choices), "notes": notes}


def _of_run(work: Work, params: AttributeParams) -> tuple[Examples, list[str]]:
    """Of a collection, with negatives out of a first stage's run."""
    return attribution.examples_of(
        read_topics(work.folder("collection")),
        read_run(work.folder("run") / "run.trec"),
        StoredDocs(work.folder("docs")),
        params,
    )


def _of_file(params: AttributeParams, file: Path) -> tuple[Examples, list[str]]:
    """Of a file whose queries bring their own docs."""
    asked = params.spec
    assert asked.file is not None
    listed = read_listed(file, asked.file.kind)
    made = listed.choices(n_docs=2, seed=params.seed)
    choices = attribution.drawn(made.choices, asked.examples, seed=params.seed)
    return attribution.examples(choices, listed.queries, listed.docs), [*listed.notes]


def neurons(work: Work) -> Summary:
    """All rankers' neurons beside the baselines'."""
    names = [role.removeprefix(attribute_role("")) for role in work.step.inputs]
    first = work.folder(attribute_role(names[0]))
    manifest = work.store.manifest(work.step.inputs[attribute_role(names[0])].name)
    found = conclusions.concluded(
        {
            name: attribution.from_tensors(load_file(work.folder(attribute_role(name)) / SIDES))
            for name in names
        },
        [Choice(query_id, tuple(doc_ids)) for query_id, doc_ids in read_json(first / CHOSEN)],
        work.params(NeuronsParams),
        notes=manifest["summary"]["notes"],
    )
    write_json(work.out / NEURONS, found)
    return {"n_examples": found["n_examples"], "notes": found["notes"]}
