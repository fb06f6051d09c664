"""One piece of work of a study: its kind, its identity, its inputs and their roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import Any, NamedTuple, final

from rankscope.store.fingerprint import fingerprint


class Kind(NamedTuple):
    """A kind of step: a row beside the plan that makes it: in `pipeline/plans/`, a first stage's file or an analysis' plan."""

    name: str
    version: int
    """Raised when the kind's meaning changes; nothing else makes stored results void."""
    run: str
    """The module:function that carries it out: it takes a `Work` and returns the manifest's summary."""
    params: Any
    """The type of its steps' params: a spec, a frozen dataclass, or one of several (`A | B`)."""
    is_shared: bool = False
    """Whether several processes carry it out together."""
    is_resumed: bool = False
    """Whether it resumes from the work folder."""

    def function(self) -> Any:
        """The function that carries it out, imported now: planning loads none of them."""
        return resolve_name(self.run)


NOISY_DOCS, NOISY_EMBEDDINGS = "noisy queries' docs", "noisy queries' embeddings"
"""Roles, among the inputs of a training on noisy queries, of the docs to score and of their embeddings."""


@final
@dataclass(frozen=True)
class Step:
    """One cached piece of work: (params, inputs) -> a folder of files.

    The folder is called by kind, label and fingerprint; the label is for people, and a step that
    gets another one is carried out again, from the checkpoints that the fingerprint names.
    """

    of: Kind
    label: str
    params: Any
    """The params it is carried out with: a spec, or a frozen dataclass that the plan made."""
    identity: Any
    """The params that can change the result, as plain data (`pipeline.identity`)."""
    inputs: Mapping[str, "Step"]

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.of.name

    @property
    def spec(self) -> Any:
        """The part of the study file among its params, where there is one."""
        return getattr(self.params, "spec", self.params)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that could change the result."""
        inputs = {role: step.fingerprint for role, step in self.inputs.items()}
        return fingerprint(self.kind, self.of.version, self.identity, inputs)

    @property
    def name(self) -> str:
        """The name of the step's folder."""
        return f"{self.kind}-{self.label}-{self.fingerprint}"

    @property
    def needs(self) -> dict[str, str]:
        """The names of its inputs' folders, by role."""
        return {role: step.name for role, step in self.inputs.items()}


def collection_role(collection: str) -> str:
    """The role of a collection among the inputs of an evaluation or a training."""
    return f"collection {collection}"


def run_role(collection: str, first_stage: str, system: str) -> str:
    """The role of a system's run among the inputs of the evaluation."""
    return f"run {collection} {first_stage} {system}"


def learnt_role(collection: str) -> str:
    """The role of a collection that rankers were trained on among the inputs of the evaluation."""
    return f"learnt {collection}"


def docs_role(collection: str) -> str:
    """The role of a collection's docs among the inputs of a training or the report."""
    return f"docs {collection}"


def samples_role(place: int, what: str) -> str:
    """The role of the docs, the collection or the run of a training's first or second samples."""
    return f"samples {place} {what}"


def validation_role(collection: str) -> str:
    """The role of the run over a validation collection among the inputs of a training."""
    return f"validation run {collection}"


def train_role(ranker: str) -> str:
    """The role of a training among the inputs of the report."""
    return f"train {ranker}"
