"""The protocol of what a plan of this folder is given: the study, and the steps that it can rest on."""

from typing import Protocol

from rankscope.models.location import Location
from rankscope.pipeline.first_stages.first_stage import Planning
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.step import Step


class StudyPlanning(Planning, Protocol):
    """The steps of a study, each made once; `Planner` has them."""

    @property
    def study(self) -> Pipeline:
        """The study."""
        ...

    def located(self, written: str, revision: str | None, holds: tuple[str, ...]) -> Location:
        """Where a model of the study file is, by its path or hub id; `holds` are the files that its folder has."""
        ...

    def teacher_run(self, teacher: str, collection: str) -> Step:
        """A teacher's rankings of a collection's queries."""
        ...

    def rerank(
        self,
        ranker: str,
        collection: str,
        first_stage: str,
        depth: int,
        precision: str = "float32",
    ) -> Step:
        """A ranker's re-ranking of a first stage's run."""
        ...
