"""A study as an ordered list of steps with inputs. Reads no collection and loads no torch.

The name of a step comes from everything that could change its result: its kind and the kind's
version, its own fields, the bytes of the files it reads (through `digest`), and the fingerprints
of the steps before it. So changing stage two renames stage two and the steps that depend on it, no others.
"""

import os
from dataclasses import dataclass

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief, hide, without_secrets
from rankscope.data.public import places
from rankscope.pipeline.identity import Digest
from rankscope.pipeline.paths import LoadedStudy
from rankscope.pipeline.planner import Plan, Planner
from rankscope.pipeline.spec.teachers import LLMTeacherSpec
from rankscope.pipeline.step import Kind, Step, docs_role, train_role
from rankscope.study.study import Study


@dataclass(frozen=True)
class ReportParams:
    """The params of the report: the page shows the study file as it was written, so all of it counts, comments too."""

    written: str
    """The file's text without secrets."""
    overrides: tuple[str, ...]


REPORT = Kind("report", 9, "rankscope.study.report:report", ReportParams)


def plan(loaded: LoadedStudy[Study], digest: Digest) -> Plan:
    """The steps of a study. `digest` gives the hash of a file; an error names a source that is absent."""
    planner = Planner(loaded, digest)
    parts = {"collections", "first_stages", "teachers", "explain"}
    places.require(places.names_in(loaded.study.model_dump(mode="json", include=parts)))
    try:
        _report(planner, loaded)
    except OSError as error:
        raise BadStudy(
            f"{brief(str(error.filename))}: cannot be read ({error.strerror}). Mend the path in the study file."
        ) from error
    return Plan(loaded, tuple(planner.steps.values()))


def _report(planner: Planner, loaded: LoadedStudy[Study]) -> Step:
    """The step of the report, which reads everything before it."""
    study = loaded.study
    evaluate = planner.evaluate()
    inputs = {"evaluate": evaluate}
    for collection in study.evaluate.over:
        inputs[docs_role(collection)] = planner.docs(collection)
    for analysis, question in study.questions():
        inputs |= analysis.plan(planner, question)
    for step in list(planner.steps.values()):
        if step.kind == "train":
            inputs[train_role(step.label)] = step
    return planner.step(REPORT, study.study, _params(loaded), inputs)


def _params(loaded: LoadedStudy[Study]) -> ReportParams:
    for teacher in loaded.study.teachers.values():
        if isinstance(teacher, LLMTeacherSpec):
            hide(os.environ.get(teacher.key_env))
    written = without_secrets(loaded.text.replace("\r\n", "\n"))
    return ReportParams(written, tuple(map(without_secrets, loaded.overrides)))
