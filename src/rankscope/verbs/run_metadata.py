"""What is told of a written run beside it, in the form of ir_metadata: NAME.run has NAME.run.ir_metadata.yml.

The run stays six columns, which every tool reads. Keys are those of ir_metadata's parts (platform, implementation,
method, data, resources); what is not known is left out.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput, DamagedArtifact, MissingArtifact
from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.costs import SystemCost, together
from rankscope.core.judged.plain import as_plain, from_plain
from rankscope.core.trec.writing import METADATA
from rankscope.evaluate.runs import RunLike, Runs, named
from rankscope.llm.costs import Prices, answer_cost
from rankscope.store.artifacts import Store, versions
from rankscope.store.files import written_whole

COST = "rankscope"
"""What `resources` calls the cost of a run, whose keys are ours."""
Told = Mapping[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """What a command knows of the run that it writes."""

    command: str
    collection: str
    """The collection's folder or id."""
    retrieval: Sequence[Told] = ()
    """The methods in their order, the first stage first; a re-ranker says in `reranks` what it re-ranks."""
    indexing: Told = field(default_factory=dict)
    cost: SystemCost | None = None
    """What its making took."""


def beside(run: Path) -> Path:
    """The file of a run's metadata."""
    return run.with_name(f"{run.name}{METADATA}")


def write(run: Path, told: Told) -> Path:
    """Write metadata beside a run; the file's path."""
    text = yaml.safe_dump(dict(told), sort_keys=False, allow_unicode=True)
    with written_whole(beside(run)) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
    return beside(run)


def of_run(tag: str, facts: RunFacts) -> dict[str, Any]:
    """The metadata of a run, with this machine as its platform."""
    libraries = {
        name: version for name, version in versions().items() if version != "not installed"
    }
    python = libraries.pop("python")
    method: dict[str, Any] = {"automatic": "true", "score ties": "doc_id, descending"}
    if facts.indexing:
        method["indexing"] = dict(facts.indexing)
    resources = {} if facts.cost is None else {"resources": {COST: cost_told(facts.cost)}}
    return {
        "tag": tag,
        "platform": {
            "hardware": {
                "cpu": {
                    "architecture": platform.machine(),
                    "operation mode": platform.architecture()[0].replace("bit", "-bit"),
                    "number of cores": os.cpu_count(),
                }
            },
            "operating system": {"kernel": platform.release(), "distribution": _distribution()},
            "software": {
                "libraries": {"python": [f"{name}=={at}" for name, at in libraries.items()]}
            },
        },
        "implementation": {
            "executable": {"cmd": facts.command},
            "source": {"lang": [f"python {python}"]},
        },
        "method": {**method, "retrieval": [dict(each) for each in facts.retrieval]},
        "data": {"test collection": {"name": facts.collection}},
        **resources,
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


# -- what the making of a run cost -----------------------------------------------------------------


def cost_of_re_ranking(folder: Path | None, n_queries: int, seconds: float) -> SystemCost:
    """What a ranker took for a run; its training too, if its folder is that of a study's step."""
    from rankscope.verbs.handover.card import UNKNOWN, lineage_of

    try:
        stages = (UNKNOWN if folder is None else lineage_of(folder)).stages
    except (DamagedArtifact, MissingArtifact):
        stages = ()  # another folder than was written: nobody knows what its training took
    if not stages or folder is None:
        return SystemCost(n_queries, seconds)
    store = Store(folder.parent.parent.parent)
    asked = [
        store.manifest(name)["summary"]["asked"]
        for stage in stages
        for name in stage["inputs"].values()
        if name.startswith("ask-") and store.folder(name).is_dir()
    ]
    return SystemCost(
        n_queries,
        seconds,
        training=sum(stage["seconds"] for stage in stages),
        lists=together([answer_cost(each, Prices()) for each in asked]),
        lists_seconds=sum(each["seconds"] for each in asked),
    )


def cost_told(cost: SystemCost) -> dict[str, Any]:
    """A cost as it stands beside a run."""
    plain: dict[str, Any] = as_plain(cost)
    return plain


def costs_of(runs: Runs, place: Place) -> dict[tuple[Place, str], SystemCost]:
    """What systems cost, by what is told beside their first runs' files; those of which nothing is told are left out."""
    found = {name: _cost_of(first) for name, (first, *_) in named(runs).items()}
    return {(place, name): cost for name, cost in found.items() if cost is not None}


def _cost_of(run: RunLike) -> SystemCost | None:
    path = beside(Path(run)) if isinstance(run, str | Path) else None
    if path is None or not path.is_file():
        return None
    metadata = plain_yaml.read_file(path)
    resources = metadata.get("resources") if isinstance(metadata, dict) else None
    cost = resources.get(COST) if isinstance(resources, dict) else None
    if cost is None:
        return None
    try:
        return from_plain(SystemCost, cost, where=str(path))
    except DamagedArtifact as error:
        raise BadInput(
            f"{path}: `resources` does not tell a run's cost as rankscope writes it ({error}). Restore the file, or move it away."
        ) from error
