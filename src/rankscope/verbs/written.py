"""Write the run of a command, and say so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.core.records import Run
from rankscope.core.trec.writing import write_run
from rankscope.store.files import written_whole


def written(out: Path, run: Run, *, metadata: Mapping[str, Any] | None = None) -> str:
    """Write a run whole or not at all; returns a sentence on it."""
    with written_whole(out) as aside:
        write_run(aside, run, metadata=metadata)
    return f"{out}: {len(run.rankings)} queries by {run.tag}."
