"""The surroundings of a step: its inputs' folders, a folder to write into, checkpoints."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rankscope.core.progress import Progress
from rankscope.data.collections import StoredDocs
from rankscope.data.tokens import StoredTokens
from rankscope.models.processes import ALONE, Processes
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.spec.fields import Spec
from rankscope.pipeline.step import Step
from rankscope.store.artifacts import Store

if TYPE_CHECKING:
    from rankscope.models.pairs import Joiner
    from rankscope.models.ranker import Ranker

Summary = dict[str, Any]
TextsOf = Callable[[Sequence[str]], Sequence[Any]]
"""From doc ids to the docs, as a ranker takes them."""
S = TypeVar("S", bound=Spec)
P = TypeVar("P")


@dataclass(frozen=True)
class Work:
    """A step, and what it needs to be carried out: plan, store, folders, progress."""

    step: Step
    plan: Plan
    store: Store
    out: Path
    progress: Progress
    processes: Processes = ALONE
    """Who carries out the step together; only the first writes."""

    def folder(self, role: str) -> Path:
        """The verified folder of an input."""
        return self.store.open(self.step.inputs[role].name)

    def params(self, kind: type[P]) -> P:
        """The params of the step, of the type that its function takes."""
        assert isinstance(self.step.params, kind)
        return self.step.params

    def spec(self, kind: type[S]) -> S:
        """The part of the study file among the step's params, of the type that its function takes."""
        assert isinstance(self.step.spec, kind)
        return self.step.spec

    @property
    def checkpoints(self) -> Path:
        """The folder in which a training keeps its state."""
        return self.store.work(self.step.name)

    @property
    def answers(self) -> Path:
        """The file of an LLM's answers to the step's questions, as they come; it stays, so that none is paid for twice."""
        return self.store.root / "answers" / f"{self.step.fingerprint}.jsonl"

    def texts(self, docs_role: str, ranker: "Ranker", doc_ids: Iterable[str]) -> TextsOf:
        """A function from ids to docs as the ranker takes them: token ids if it joins them, or texts."""
        if ranker.joiner is None:
            return StoredDocs(self.folder(docs_role)).texts
        return self.tokens(docs_role, ranker.joiner, doc_ids).of

    def tokens(self, docs_role: str, joiner: "Joiner", doc_ids: Iterable[str]) -> StoredTokens:
        """The docs' token ids by a joiner's tokenizer; docs not met before are tokenised now."""
        docs = StoredDocs(self.folder(docs_role))
        fingerprint = self.step.inputs[docs_role].fingerprint
        folder = self.store.tokens(f"{fingerprint}-{joiner.tokenizer_key}")
        if self.processes.is_first:
            StoredTokens(folder, docs).add(doc_ids, joiner.tokens, progress=self.progress)
        self.processes.wait()
        return StoredTokens(folder, docs)
