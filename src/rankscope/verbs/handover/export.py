"""Write a copy of a ranker for others to load, without a study file."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.errors import BadInput, NotWritable
from rankscope.core.progress import Tell
from rankscope.core.result import Result
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.exporting import FILE, write_onnx
from rankscope.models.inputs import notes_on
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import downloaded, located
from rankscope.models.opening import AnyRanker, open_ranker
from rankscope.store.files import writable
from rankscope.store.refusals import explained
from rankscope.verbs.handover.card import CardSettings, card
from rankscope.verbs.models import untold

CARD = "README.md"
"""The file of a model card, by the hub's name."""


@dataclass(frozen=True)
class ExportSettings:
    """The model, the folder to write, and whether its forward pass as ONNX is in it."""

    model: str
    """A ranker's folder or hub id."""
    out: Path
    onnx: bool = False
    revision: str | None = None
    licence: str | None = None
    """The hub's identifier of the licence, for the model card."""
    base_model: str | None = None
    """The hub id of the base model, for the model card; the study's, if it is a hub id."""
    command: str = ""
    loaded_as: str | None = None
    """The hub id under which others load it, for the model card; the folder's name, if None."""


def export(settings: ExportSettings, tell: Tell = untold) -> Result:
    """Save the ranker in a new folder, as transformers and sentence-transformers read it."""
    out = settings.out
    if out.exists() or out.is_symlink():
        raise NotWritable(f"{out}: it exists already. Give the path of a new folder.")
    writable(out)
    folder = downloaded(located(settings.model, revision=settings.revision))
    ranker = open_ranker(folder)
    for note in notes_on(ranker):
        tell(note)
    with (
        explained(out),
        TemporaryDirectory(prefix=".partial-", dir=out.parent) as beside,
    ):
        aside = Path(beside) / out.name
        aside.mkdir()
        ranker.save(aside)
        if settings.onnx:
            write_onnx(_exportable(ranker, settings.model), aside)
        (aside / CARD).write_text(card(folder, _card_settings(settings)), "utf-8")
        aside.rename(out)
    return Result(lines=(f"wrote {out / FILE if settings.onnx else out}",))


def _card_settings(settings: ExportSettings) -> CardSettings:
    return CardSettings(
        settings.out.name,
        licence=settings.licence,
        base_model=settings.base_model,
        command=settings.command,
        loaded_as=settings.loaded_as,
    )


def _exportable(ranker: AnyRanker, model: str) -> CrossEncoder | BiEncoder:
    if isinstance(ranker, LateInteraction):
        raise BadInput(
            f"{model}: a late-interaction ranker, which sentence-transformers does not read as ONNX. Give a "
            "cross-encoder or a bi-encoder."
        )
    return ranker
