"""One piece of work of a study: what names it, what it needs, and what it calls its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import Any, NamedTuple, final

from rankscope.store.fingerprint import fingerprint


class Kind(NamedTuple):
    """A kind of step: a row beside the plan that makes such steps."""

    name: str
    version: int
    """Raised when the kind's meaning changes; nothing else makes stored results void."""
    run: str
    """module:function that carries it out: takes a `Work`, returns the manifest's summary."""
    params: Any
    """The type of what its steps are given: a spec, a frozen dataclass, or one of several (`A | B`)."""
    is_shared: bool = False
    """Whether several processes carry it out together."""
    is_resumed: bool = False
    """Whether it goes on from what lies in the work folder."""

    def function(self) -> Any:
        """What carries it out, imported now: planning loads none of them."""
        return resolve_name(self.run)


NOISY_DOCS, NOISY_EMBEDDINGS = "noisy queries' docs", "noisy queries' embeddings"
"""What a training on noisy queries calls the docs they are to score, and their embeddings, among its inputs."""


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
    """What it is carried out with: a spec, or a frozen dataclass that the plan made."""
    identity: Any
    """What of the params can change the result, as plain data (`pipeline.identity`)."""
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
    """What an evaluation or a training calls a collection among its inputs."""
    return f"collection {collection}"


def run_role(collection: str, first_stage: str, system: str) -> str:
    """What the evaluation calls a system's run among its inputs."""
    return f"run {collection} {first_stage} {system}"


def learnt_role(collection: str) -> str:
    """What the evaluation calls a collection that rankers were trained on among its inputs."""
    return f"learnt {collection}"


def docs_role(collection: str) -> str:
    """What a training or the report calls a collection's docs among its inputs."""
    return f"docs {collection}"


def samples_role(place: int, what: str) -> str:
    """What a training calls the docs, the collection or the run of its first or second samples."""
    return f"samples {place} {what}"


def validation_role(collection: str) -> str:
    """What a training calls the run over a validation collection among its inputs."""
    return f"validation run {collection}"


def train_role(ranker: str) -> str:
    """What the report calls a training among its inputs."""
    return f"train {ranker}"
