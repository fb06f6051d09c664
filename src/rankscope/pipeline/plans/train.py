"""The step of a stage of fine-tuning."""

from dataclasses import dataclass

from rankscope.pipeline.first_stages import dense
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.samples import CropsSpec, SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import (
    NOISY_DOCS,
    NOISY_EMBEDDINGS,
    Kind,
    Step,
    collection_role,
    docs_role,
    samples_role,
    validation_role,
)


@dataclass(frozen=True)
class TrainParams:
    """A stage of fine-tuning."""

    spec: TrainedSpec
    keep: str
    seed: int
    stage: int
    """Its place in the ranker's lineage."""
    teacher_depths: tuple[int | None, ...]
    """Docs taken from each ranking of the teacher, of each loss; None where there is no teacher."""
    refreshed_drop_own_docs: bool = False
    """Whether negatives that the ranker finds itself are without docs of their query's id."""


TRAIN = Kind(
    "train",
    6,
    "rankscope.pipeline.steps.train:train",
    TrainParams,
    is_shared=True,
    is_resumed=True,
)


def trained(planning: StudyPlanning, name: str, spec: TrainedSpec) -> Step:
    """A ranker as a stage leaves it."""
    watched = spec.validate_on
    inputs = {"start": planning.ranker(spec.start)}
    if not isinstance(spec.samples, SamplesSpec):
        if isinstance(spec.samples, CropsSpec):
            inputs[samples_role(0, "docs")] = planning.docs(spec.samples.collection)
        else:
            queries = planning.collection(spec.samples.collection)
            inputs[samples_role(0, "collection")] = queries
            if spec.samples.docs is not None:
                inputs[NOISY_DOCS] = planning.docs(spec.samples.docs)
                inputs[NOISY_EMBEDDINGS] = dense.embeddings(planning, spec.start, spec.samples.docs)
    for place, (_, samples) in enumerate(spec.lessons):
        inputs |= _sample_inputs(planning, place, samples)
    for collection in watched.collections if watched else ():
        assert watched is not None
        inputs[collection_role(collection)] = planning.collection(collection)
        inputs[docs_role(collection)] = planning.docs(collection)
        inputs[validation_role(collection)] = planning.first_stage_run(
            watched.first_stage, collection
        )
    teachers = [planning.study.teachers.get(samples.labels) for _, samples in spec.lessons]
    params = TrainParams(
        spec,
        keep=spec.kept,
        seed=planning.study.seed_of(name),
        stage=len(planning.study.lineage(name)) - 1,
        teacher_depths=tuple(None if teacher is None else teacher.depth for teacher in teachers),
        refreshed_drop_own_docs=any(
            planning.study.collections[samples.collection].convention().drop_own_docs
            for _, samples in spec.lessons
            if samples.negatives and samples.negatives.refresh_every
        ),
    )
    return planning.step(TRAIN, name, params, inputs)


def _sample_inputs(planning: StudyPlanning, place: int, samples: SamplesSpec) -> dict[str, Step]:
    inputs = {
        samples_role(place, "docs"): planning.docs(samples.collection),
        samples_role(place, "collection"): planning.collection(samples.collection),
    }
    if samples.negatives is None:
        run = planning.teacher_run(samples.labels, samples.collection)
    else:
        mining = samples.negatives
        run = planning.first_stage_run(mining.first_stage, samples.collection)
        if mining.rescored_by:
            made = (samples.collection, mining.first_stage, mining.depth)
            run = planning.rerank(mining.rescored_by, *made)
    return inputs | {samples_role(place, "run"): run}
