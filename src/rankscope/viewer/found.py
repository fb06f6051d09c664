"""What a folder of results holds: studies, rankers with lineage, runs, and steps that cannot be read.

Only manifests are read here. A step's files are compared with its manifest when they are opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput, DamagedArtifact, RankscopeError
from rankscope.core.judged.evaluation import EVALUATION, EvaluationRecord, SeedResult
from rankscope.store.artifacts import Store, read_record
from rankscope.store.durable import PARTIAL

RUN = "run.trec"
RANKERS = {"ranker", "train"}
"""Kinds of steps that hold a ranker."""


@dataclass(frozen=True)
class FoundStep:
    """A whole step of a study, by its manifest."""

    study: str
    name: str
    manifest: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The kind of the step: train, rerank, collection."""
        return str(self.manifest.get("kind", self.name.split("-", 1)[0]))

    @property
    def label(self) -> str:
        """Its name without kind and fingerprint, as in the study file: C, C.test.bm25."""
        return self.name.removeprefix(f"{self.kind}-").rpartition("-")[0]

    @property
    def inputs(self) -> Mapping[str, str]:
        """Role to the name of the step that was read in it."""
        inputs: Mapping[str, str] = self.manifest.get("inputs", {})
        return inputs

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the step says of its result."""
        summary: Mapping[str, Any] = self.manifest.get("summary", {})
        return summary

    def has(self, file: str) -> bool:
        """Whether the file belongs to the result."""
        return file in self.manifest["files"]


class MeasuredRun(NamedTuple):
    """A run's result in an evaluation, and the step that has its values."""

    evaluate: str
    record: EvaluationRecord
    n_queries: int
    result: SeedResult
    """Of this run alone: a system with several training seeds has one for each."""

    @property
    def means(self) -> dict[str, float]:
        """Measure to the run's mean, in the study's order."""
        return {measure: self.result.means[measure] for measure in self.record.measures}


@dataclass(frozen=True)
class FoundStudy:
    """What the results of one study hold."""

    name: str
    store: Store
    steps: Mapping[str, FoundStep]
    measured: Mapping[str, MeasuredRun]
    """The step of a run to its result in the study's evaluations; of several, that of the last one."""
    damaged: Sequence[str]
    """What is wrong with each step that cannot be used, a sentence each."""

    def step(self, name: str) -> FoundStep:
        """The step of that name. Raises BadInput where there is none."""
        if name not in self.steps:
            raise BadInput(f"The study {self.name} has no step {name!r} that can be read.")
        return self.steps[name]

    def ranker(self, name: str) -> FoundStep:
        """The step of that name, which holds a ranker. Raises BadInput where it holds none."""
        step = self.step(name)
        if step.kind not in RANKERS:
            raise BadInput(
                f"{name} is no ranker of the study {self.name}. Choose one from the list of its rankers."
            )
        return step

    def run(self, name: str) -> FoundStep:
        """The step of that name, which holds a run over a collection that is here. Raises BadInput otherwise."""
        step = self.step(name)
        if not (step.has(RUN) and self.topics(step)):
            raise BadInput(
                f"{name} has no run over a collection of the study {self.name}. Choose one from the lists of its runs."
            )
        return step

    @property
    def rankers(self) -> list[FoundStep]:
        """The steps that hold a ranker, each after those that it started from."""
        rankers = [step for step in self.steps.values() if step.kind in RANKERS]
        return sorted(rankers, key=lambda step: ([s.label for s in self.lineage(step)], step.name))

    @property
    def runs(self) -> dict[str, list[FoundStep]]:
        """The step of a collection to the steps that hold a run over it, first those that were measured."""
        found: dict[str, list[FoundStep]] = {}
        for step in sorted(
            self.steps.values(), key=lambda s: (s.name not in self.measured, s.label, s.name)
        ):
            topics = self.topics(step)
            if step.has(RUN) and topics:
                found.setdefault(topics, []).append(step)
        return dict(sorted(found.items()))

    def lineage(self, step: FoundStep) -> list[FoundStep]:
        """The rankers from the first ancestor that is here to the one of this step."""
        chain = [step]
        while (start := self.steps.get(chain[-1].inputs.get("start", ""))) is not None:
            chain.append(start)
        return chain[::-1]

    def topics(self, run: FoundStep) -> str | None:
        """The step with the queries and judgements of a run; None where it is not here."""
        name = run.inputs.get("collection")
        return name if name in self.steps else None

    def docs(self, run: FoundStep) -> str | None:
        """The step with the docs of a run, which may be an input of its inputs; None where it is not here."""
        waiting = [*run.inputs.values()]
        while waiting:
            name = waiting.pop(0)
            if name in self.steps:
                if self.steps[name].kind == "docs":
                    return name
                waiting += self.steps[name].inputs.values()
        return None

    def moved(self, step: FoundStep) -> list[str]:
        """The inputs whose bytes have changed since the step was made."""
        return self.store.moved(step.name, step.inputs)


def found(folder: Path) -> dict[str, FoundStudy]:
    """The studies in a folder of results, by name; the folder of one study is read as that study.

    Raises BadInput where there is none.
    """
    roots = [folder] if (folder / "steps").is_dir() else sorted(_studies(folder))
    studies = {root.resolve().name: _study(root) for root in roots}
    if not studies:
        raise BadInput(
            f"{folder}: no results of a study are here. Give the folder that `rankscope run` or `rankscope demo` wrote "
            "with --results."
        )
    return studies


def _studies(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (each for each in folder.iterdir() if (each / "steps").is_dir())


def _study(root: Path) -> FoundStudy:
    store, steps, damaged = Store(root), dict[str, FoundStep](), list[str]()
    study = root.resolve().name
    for place in sorted((root / "steps").iterdir()):
        if place.name.startswith((PARTIAL, ".")):
            continue
        try:
            steps[place.name] = FoundStep(study, place.name, store.manifest(place.name))
        except DamagedArtifact as error:
            damaged.append(str(error))
    return FoundStudy(study, store, steps, _measured(store, steps, damaged), damaged)


def _measured(
    store: Store, steps: Mapping[str, FoundStep], damaged: list[str]
) -> dict[str, MeasuredRun]:
    """The results of all evaluations by the step of their run, the last evaluation's last."""
    found: dict[str, MeasuredRun] = {}
    evaluations = [step for step in steps.values() if step.kind == "evaluate"]
    evaluations.sort(key=lambda step: store.folder(step.name).stat().st_mtime)
    for step in evaluations:
        try:
            record = read_record(EvaluationRecord, store.open(step.name) / EVALUATION)
        except RankscopeError as error:
            damaged.append(str(error))
            continue
        for result in record.results:
            for seed in result.seeds:
                found[Path(seed.run).parent.name] = MeasuredRun(
                    step.name, record, result.n_queries, seed
                )
    return found
