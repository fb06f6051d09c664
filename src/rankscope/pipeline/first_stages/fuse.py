"""Fusion of several first stages' runs into one."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from rankscope.core.formats import read_run
from rankscope.core.records import Run
from rankscope.data.collections import Topics
from rankscope.pipeline.first_stages.first_stage import (
    RUN,
    RUN_FILE,
    Needed,
    Planning,
    StepWork,
)
from rankscope.pipeline.spec.fields import Count, Spec
from rankscope.pipeline.step import Kind, Step
from rankscope.retrieve import fusion


class FuseSpec(Spec):
    """Several first stages' runs as one."""

    kind: Literal["fuse"]
    of: tuple[str, ...] = Field(min_length=2, description="The first stages.")
    method: Literal["reciprocal_rank", "scores"] = Field(
        "reciprocal_rank",
        description="reciprocal_rank: the sum of 1 / (k + rank); scores: the mean of each run's scores, "
        "brought to 0..1 for each query (CombSUM: Fox & Shaw 1994).",
    )
    k: Count = Field(60, description="The constant of reciprocal_rank (Cormack et al. 2009).")
    depth: Count = Field(1000, description="Docs kept for each query.")

    @model_validator(mode="after")
    def _check_first_stages_and_k(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("`of` names a first stage twice")
        if self.method == "scores" and self.k != 60:
            raise ValueError("`k` goes with `method: reciprocal_rank`")
        return self

    @property
    def needs(self) -> tuple[Needed, ...]:
        """The first stages whose runs are fused."""
        return tuple(Needed("of", "first_stages", name) for name in self.of)

    def plan(self, planning: Planning, name: str, collection: str) -> Step:
        """A fusion of the runs, each a step of its own."""
        runs = {_run_role(part): planning.first_stage_run(part, collection) for part in self.of}
        inputs = {"collection": planning.collection(collection), **runs}
        return planning.step(FUSE, f"{name}.{collection}", self, inputs)

    def search(self, work: StepWork, topics: Topics) -> tuple[Run, dict[str, Any]]:  # noqa: ARG002
        """The docs that the fused runs rank first."""
        runs = [read_run(work.folder(_run_role(part)) / RUN_FILE) for part in self.of]
        if self.method == "reciprocal_rank":
            fused = fusion.by_rank(runs, k=self.k, tag=work.step.label)
        else:
            fused = fusion.by_score(runs, tag=work.step.label)
        return fused.top(self.depth), {}


FUSE = Kind("fuse", 1, RUN, FuseSpec)


def _run_role(first_stage: str) -> str:
    """The role of a first stage's run among the inputs of a fusion."""
    return f"run {first_stage}"
