"""Write the run of a command, in the form that its file's name says, and say so."""

from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.formats import write_json_run
from rankscope.core.records import Run
from rankscope.core.trec.writing import forget_metadata, write_run
from rankscope.core.words import counted
from rankscope.store.files import writable, written_whole

JSON = ".json"
OF_OTHER_FORMS = {".jsonl", ".ndjson", ".parquet", ".csv", ".tsv", ".xlsx"}
"""How files are called that hold no TREC, and are not written here."""


def ready(out: Path) -> None:
    """Refuse a file that cannot be written, or whose name promises another form, before any work is done."""
    if _suffix(out) in OF_OTHER_FORMS:
        raise BadInput(
            f"{out}: a run is written in TREC's columns, or as JSON where the name ends in .json. Call it so, or "
            f"{out.stem}.run."
        )
    writable(out)


def written(out: Path, run: Run) -> str:
    """Write a run whole or not at all, without what stood beside the one before; returns a sentence on it."""
    with written_whole(out) as aside:
        if is_json(out):
            write_json_run(aside, run)
        else:
            write_run(aside, run)
        forget_metadata(out)
    return f"{out}: {counted(len(run.rankings), 'query', 'queries')} by {run.tag}."


def is_json(out: Path) -> bool:
    """Whether a file's name says that it holds JSON."""
    return _suffix(out) == JSON


def _suffix(out: Path) -> str:
    """The end of a file's name that says what it holds, packed or not."""
    return (out.with_suffix("") if out.suffix == ".gz" else out).suffix.lower()
