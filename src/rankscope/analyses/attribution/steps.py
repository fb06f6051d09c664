"""How the steps of attribution are carried out: each ranker's attributions, and their comparison."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from rankscope.analyses.attribution import attributed as attribution
from rankscope.analyses.attribution import results as conclusions
from rankscope.analyses.attribution.attributed import AttributedExamples
from rankscope.analyses.attribution.plan import AttributeParams, NeuronsParams, attribute_role
from rankscope.core.formats import read_run
from rankscope.core.judged.plain import as_plain
from rankscope.core.records import Choice
from rankscope.data.collections import StoredDocs, read_topics
from rankscope.data.listed import read_listed
from rankscope.models.opening import open_trainable
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import read_json, write_json

CHOSEN, SIDES, NEURONS = "choices.json", "attributions.safetensors", "neurons.json"


def attribute(work: Work) -> Summary:
    """The attributions of a ranker's sides, over examples that are the same for every ranker."""
    params = work.params(AttributeParams)
    examples, notes = (
        _examples_of_run(work, params)
        if params.file is None
        else _examples_of_file(params, params.file)
    )
    ranker = open_trainable(work.folder("ranker") / "model")
    sides = attribution.attributed(ranker, examples, params, work.progress)
    save_file(attribution.as_tensors(sides), work.out / SIDES)
    write_json(work.out / CHOSEN, examples.choices)
    return {"n_examples": len(examples.choices), "notes": notes}


def _examples_of_run(work: Work, params: AttributeParams) -> tuple[AttributedExamples, list[str]]:
    """The examples of a collection, with negatives from a first stage's run."""
    return attribution.examples_of(
        read_topics(work.folder("collection")),
        read_run(work.folder("run") / "run.trec"),
        StoredDocs(work.folder("docs")),
        params,
    )


def _examples_of_file(params: AttributeParams, file: Path) -> tuple[AttributedExamples, list[str]]:
    """The examples of a file whose queries bring their own docs."""
    spec = params.spec
    assert spec.file is not None
    listed = read_listed(file, spec.file.kind)
    drawn_choices = listed.choices(n_docs=2, seed=params.seed)
    choices = attribution.drawn(drawn_choices.choices, spec.examples, seed=params.seed)
    return attribution.examples(choices, listed.queries, listed.docs), [*listed.notes]


def neurons(work: Work) -> Summary:
    """All rankers' neurons compared with the baselines'."""
    names = [role.removeprefix(attribute_role("")) for role in work.step.inputs]
    first = work.folder(attribute_role(names[0]))
    manifest = work.store.manifest(work.step.inputs[attribute_role(names[0])].name)
    comparison = conclusions.concluded(
        {
            name: attribution.from_tensors(load_file(work.folder(attribute_role(name)) / SIDES))
            for name in names
        },
        [Choice(query_id, tuple(doc_ids)) for query_id, doc_ids in read_json(first / CHOSEN)],
        work.params(NeuronsParams),
        notes=manifest["summary"]["notes"],
    )
    write_json(work.out / NEURONS, as_plain(comparison))
    return {"n_examples": comparison.n_examples, "notes": comparison.notes}
