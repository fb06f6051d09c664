"""Steps of teachers: their rankings of a collection's queries."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.teachers import FileTeacherSpec, RankerTeacherSpec
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class TeacherParams:
    """A teacher from a file."""

    spec: FileTeacherSpec
    rankings: Path
    candidates: Path | None


TEACHER = Kind("teacher", 2, "rankscope.pipeline.steps.data:teacher", TeacherParams)


def teacher_run(planning: StudyPlanning, name: str, collection: str) -> Step:
    """A teacher's rankings: read from its file, or made by a ranker."""
    teacher = planning.study.teachers[name]
    if isinstance(teacher, RankerTeacherSpec):
        return planning.rerank(teacher.ranker, collection, teacher.candidates, teacher.depth)
    shown = planning.path(teacher.candidates) if teacher.candidates else None
    params = TeacherParams(teacher, planning.path(teacher.path), shown)
    inputs = {"collection": planning.collection(collection), "docs": planning.docs(collection)}
    return planning.step(TEACHER, f"{name}.{collection}", params, inputs)
