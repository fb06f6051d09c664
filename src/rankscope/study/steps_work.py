"""What carrying out one step has at hand: its inputs' folders, a folder to write into, checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rankscope.core.progress import Progress
from rankscope.store.artifacts import Store
from rankscope.study.plan import Plan, Step
from rankscope.study.spec_fields import Spec

Summary = dict[str, Any]
S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Work:
    """What carrying out one step has at hand."""

    step: Step
    plan: Plan
    store: Store
    out: Path
    progress: Progress

    def folder(self, role: str) -> Path:
        """The verified folder of an input."""
        return self.store.open(self.step.inputs[role].name)

    def spec(self, kind: type[S]) -> S:
        """The step's spec, of the kind this function is for."""
        assert isinstance(self.step.spec, kind)
        return self.step.spec

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.plan.study.study.seed

    @property
    def checkpoints(self) -> Path:
        """Where a training may keep its state."""
        return self.store.work(self.step.name)
