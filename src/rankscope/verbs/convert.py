"""Convert a run file to canonical TREC, or to JSON."""

from pathlib import Path
from typing import Any

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run_file
from rankscope.core.lines import read_lines
from rankscope.core.records import Run
from rankscope.core.result import Result
from rankscope.verbs import run_metadata
from rankscope.verbs.written import is_json, ready, written


def convert(
    run: Path, out: Path, *, tag: str | None, metadata: Path | None
) -> tuple[str, list[str]]:
    """Write a run of any form as canonical TREC, or as JSON; returns a sentence on it and its notes."""
    if tag is not None and is_json(out):
        raise BadInput(
            "--tag: a run in JSON has no place for a tag, and is called as its file is. Leave it out, or write TREC's "
            "columns."
        )
    ready(out)
    run_file = read_run_file(run)
    renamed = run_file.run if tag is None else Run(tag, run_file.run.rankings)
    told = None if metadata is None else _metadata(metadata)
    line = written(out, renamed)
    if told is not None:
        run_metadata.write(out, told)
    return line, [f"read as {run_file.form}", *run_file.notes]


def answer(run: Path, out: Path, *, tag: str | None, metadata: Path | None) -> Result:
    """Convert a run, with a sentence on the written file."""
    line, notes = convert(run, out, tag=tag, metadata=metadata)
    return Result(lines=(line,), notes=tuple(notes))


def _metadata(path: Path) -> dict[str, Any]:
    lines = dict(read_lines(path))
    text = "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))
    tables = plain_yaml.read(text, str(path))
    if not isinstance(tables, dict):
        raise BadInput(
            f"{path}: this is no table. Give ir_metadata's tables (platform, method, ...)."
        )
    return tables
