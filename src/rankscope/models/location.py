"""The location of a model's files: a local folder, a folder inside an installed package, or a hub.

Loads no torch, so that a study can be checked and planned in a moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rankscope.core.errors import BadInput
from rankscope.core.input_files import resolved
from rankscope.models.files import folders

PACKAGE = "package:"
ADAPTER = (folders.ADAPTER_CONFIG,)
"""The file that a PEFT adapter's folder has, whether it replaces a model's folder or stands beside one."""
MODEL = ("config.json", folders.MODULES, *ADAPTER)
"""One of them is in every model's folder; sentence-transformers' with two towers have the second alone."""
NEEDED = ("*.json", "*.safetensors", "*.txt", "*.model")
"""The files of a hub's model that are read: no pickle, no other framework's weights."""
NOT_CONTENT = frozenset({"README.md", ".gitattributes"})

ModelKind = Literal["cross_encoder", "bi_encoder", "late_interaction"]
LATE_INTERACTION = frozenset({"MultiVectorEncoder", "ColBERT"})
"""Names of such models in the folders of sentence-transformers and PyLate."""
HEADS = frozenset({"classifier", "score"})
"""PEFT's names of the scoring heads of most architectures."""


@dataclass(frozen=True)
class Location:
    """A local `folder`, or None for the hub's `name` at `revision`."""

    name: str
    folder: Path | None
    revision: str | None = None

    @property
    def source(self) -> str:
        """The path or hub id that transformers is given."""
        return self.name if self.folder is None else str(self.folder)

    def files(self) -> tuple[Path, ...]:
        """The files whose bytes make the model; none for a hub's, which its revision names."""
        if self.folder is None:
            return ()
        return tuple(
            path
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in NOT_CONTENT
        )


def located(
    name: str,
    *,
    beside: Path = Path(),
    revision: str | None = None,
    holds: Sequence[str] = MODEL,
) -> Location:
    """The location of the model called `name`; its folder must have one of the files in `holds`.

    `package:NAME/FOLDER` is a folder inside an installed Python package; a path is looked up from
    the folder `beside`; anything else that looks like `name` or `owner/name` is a hub id. A local folder
    is read strictly at once, so a damaged one is an error before anything is computed.
    """
    if name.startswith(PACKAGE):
        inside = _inside_package(name, holds)
        folders.checked(inside)
        return Location(name, inside)
    folder = resolved(name, beside)
    if folder.is_dir():
        if not _holds(folder, holds):
            what = "an adapter" if holds == ADAPTER else "a model"
            raise BadInput(
                f"{folder}: no {' or '.join(holds)}, so this is not {what}. Give {what}'s folder."
            )
        folders.checked(folder)
        return Location(name, folder)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadInput(f"{folder}: there is no such model folder. Give one, or a hub id.")
    return Location(name, None, revision)


def _holds(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def _inside_package(name: str, holds: Sequence[str]) -> Path:
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(f"{name}: the package {package!r} is not installed. Install it with pip.")
    folder = Path(spec.submodule_search_locations[0], inside)
    if not _holds(folder, holds):
        raise BadInput(
            f"{name}: {folder} holds no model (no {' or '.join(holds)}). Correct the folder."
        )
    return folder


def downloaded(location: Location) -> Path:
    """The folder of a model, fetched from the hub if it is not local; its files are checked."""
    folder = location.folder or _fetched(location)
    folders.checked(folder)
    return folder


def _fetched(location: Location) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(
            snapshot_download(
                location.name, revision=location.revision, allow_patterns=list(NEEDED)
            )
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise BadInput(
            f"The model {location.name!r} is neither a folder nor to be had from the hub "
            f"({str(error).splitlines()[0]}). Give a model folder, or check the id and the network."
        ) from error


def base_of(folder: Path) -> Location:
    """The location of the model that an adapter's folder was made for: a folder, or a hub id.

    The path in the adapter's own record counts; if no model is there, PEFT's base_model_name_or_path.
    """
    record = folders.base_record(folder)
    if record is not None and (folder / record["path"] / "config.json").is_file():
        return Location(folder.name, (folder / record["path"]).resolve())
    path = folder / folders.ADAPTER_CONFIG
    config = folders.declared(path)
    written = config.get("base_model_name_or_path")
    if not written:
        raise BadInput(
            f"{path}: no base_model_name_or_path, so the model it was made for is unknown. Write it there."
        )
    base = Path(written)
    if (base / "config.json").is_file():
        return Location(written, base)
    if base.is_absolute() or written.count("/") > 1 or base.exists():
        raise BadInput(
            f"{folder}: an adapter for {base}, where there is no model any more. Put it back there, "
            "or correct base_model_name_or_path in adapter_config.json."
        )
    return Location(written, None, config.get("revision"))


def kind_of(folder: Path) -> ModelKind:
    """The kind of ranker that the files of a model's folder declare; its name does not count."""
    kind = declared_kind(folder)
    if kind is None:
        raise BadInput(
            f"{folder}: neither a cross-encoder (a ...ForSequenceClassification model) nor a "
            "sentence-transformers bi-encoder (modules.json) nor a ColBERT. A bare encoder cannot rank: tune "
            "it first."
        )
    return kind


def declared_kind(folder: Path) -> ModelKind | None:
    """As `kind_of`; None for a folder that declares no kind, such as a bare encoder's."""
    card = folders.declared(folder / folders.CARD)
    architectures = folders.declared(folder / "config.json").get("architectures") or []
    if card.get("model_type") in LATE_INTERACTION or "HF_ColBERT" in architectures:
        return "late_interaction"
    if is_cross_encoder(folder):
        return "cross_encoder"
    return "bi_encoder" if folders.modules(folder) else None


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model folder says that it reads query and doc together."""
    listed = folders.modules(folder)
    card = folders.declared(folder / folders.CARD)
    if listed and "model_type" in card:
        return bool(card["model_type"] == "CrossEncoder")
    architectures = folders.declared(folder / "config.json").get("architectures") or []
    if any("ForSequenceClassification" in architecture for architecture in architectures):
        return not listed
    return card.get("model_type") == "CrossEncoder" or (not listed and _scores(folder))


def _scores(folder: Path) -> bool:
    """Whether PEFT's own folder says that its adapter comes with a scoring head."""
    config = folders.declared(folder / folders.ADAPTER_CONFIG)
    saved = config.get("modules_to_save") or []
    return config.get("task_type") == "SEQ_CLS" or bool(HEADS & {*map(str, saved)})
