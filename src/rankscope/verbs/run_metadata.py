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

from rankscope.core.trec.writing import METADATA
from rankscope.store.artifacts import versions
from rankscope.store.files import written_whole

Told = Mapping[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """What a command knows of the run that it writes."""

    command: str
    collection: str
    """The collection's folder or id."""
    retrieval: Sequence[Told] = field(default=())
    """The methods in their order, the first stage first; a re-ranker says in `reranks` what it re-ranks."""
    indexing: Told = field(default_factory=dict)


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
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
