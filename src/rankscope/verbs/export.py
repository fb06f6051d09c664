"""Write a ranker's folder with its forward pass as ONNX in it, without a study file."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import BadInput, NotWritable
from rankscope.core.progress import Tell
from rankscope.core.result import Result
from rankscope.models.exporting import FILE, write_onnx
from rankscope.models.inputs import notes_on
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import downloaded, located
from rankscope.models.opening import open_ranker
from rankscope.store.durable import remove
from rankscope.store.files import writable
from rankscope.store.refusals import explained
from rankscope.verbs.models import untold


@dataclass(frozen=True)
class ExportSettings:
    """The model, and the folder to write."""

    model: str
    """A ranker's folder or hub id."""
    out: Path
    revision: str | None = None


def export(settings: ExportSettings, tell: Tell = untold) -> Result:
    """Save the ranker in a new folder, as sentence-transformers reads it with `backend="onnx"`."""
    out = settings.out
    if out.exists() or out.is_symlink():
        raise NotWritable(f"{out}: it exists already. Give the path of a new folder.")
    writable(out)
    ranker = open_ranker(downloaded(located(settings.model, revision=settings.revision)))
    if isinstance(ranker, LateInteraction):
        raise BadInput(
            f"{settings.model}: a late-interaction ranker, which sentence-transformers does not read as ONNX. Give a "
            "cross-encoder or a bi-encoder."
        )
    for note in notes_on(ranker):
        tell(note)
    aside = out.with_name(f".partial-{out.name}")
    try:
        with explained(out):
            aside.mkdir()
            ranker.save(aside)
            for note in write_onnx(ranker, aside):
                tell(note)
            aside.rename(out)
    finally:
        remove(aside)
    return Result(lines=(f"wrote {out} with {FILE}",))
