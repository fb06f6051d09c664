"""The command `init`: a study file to start from, over a collection of one's own, which passes `rankscope check` as it stands."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput, NotWritable
from rankscope.core.input_files import home_filled_in, resolved
from rankscope.core.result import Result
from rankscope.data.collections import source
from rankscope.data.public import places
from rankscope.data.public.table import PUBLIC
from rankscope.models.location import located
from rankscope.store.files import writable, written_whole
from rankscope.study import command
from rankscope.study.fields import schema

FILE = "study.yaml"
TRAIN, FEWEST = "train", 10
"""The split that a ranker is tuned on, and the fewest queries in it: one of ten is held out."""


class HubModel(NamedTuple):
    """A model on the hub at a commit."""

    name: str
    revision: str


# the commit, and the sums of the files at it, stand in Dicklesworthstone/frankensearch's model_manifest.rs
BACKBONE = HubModel(
    "sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
)
# the commit stands in the card of a model that was tuned from it: DMontgomery40/agro-rag-engine, models/cross-encoder-agro
SCORER = HubModel(
    "cross-encoder/ms-marco-MiniLM-L12-v2", "7b0235231ca2674cb8ca8f022859a6eba2b1c968"
)


@dataclass(frozen=True)
class BeginSettings:
    """Where the study file is written, and what it is over."""

    folder: Path
    collection: str
    """A folder in BEIR layout, a public collection that was fetched, or an ir_datasets id."""
    runs: Sequence[str] = ()
    """Run files of the user's own, whose docs are re-ranked in place of BM25's."""
    split: str = "test"
    model: str | None = None
    """A model's folder or hub id; a small one of the hub, if left out."""
    revision: str | None = None


def begin(settings: BeginSettings) -> Result:
    """Write the study file; what to do next."""
    out = settings.folder / FILE
    if os.path.lexists(out):
        raise NotWritable(f"{out}: it is there already. Give another folder, or edit that file.")
    collection = _StudiedCollection(settings.collection, settings.folder)
    source(collection.written, settings.split)  # refused here, where the split is none
    n_train = 0 if settings.split == TRAIN else collection.n_queries(TRAIN)
    is_tuned = not settings.runs and n_train >= FEWEST
    model = _model(settings, BACKBONE if is_tuned else SCORER)
    first_stages = _first_stages(settings)
    text = _filled_in(
        files("rankscope.study.starting")
        .joinpath(f"templates/{'tuned' if is_tuned else 'reranked'}.yaml")
        .read_text("utf-8"),
        study=_plain(_as_name(settings.folder.resolve().name)),
        test=collection.spec(settings.split),
        train=collection.spec(TRAIN) if is_tuned else "",
        model=model,
        first_stages="\n".join(f"  {name}: {spec}" for name, spec in first_stages.items()),
        names=", ".join(first_stages),
    )
    writable(out)
    with written_whole(out) as aside:
        aside.write_text(f"{schema.COMMENT}\n{text}", "utf-8")
        checked = command.check(command.StudySettings(aside))
    schema.write_beside(out)
    return Result(lines=_told(out, settings, is_tuned=is_tuned), notes=checked.notes)


def _told(out: Path, settings: BeginSettings, *, is_tuned: bool) -> tuple[str, ...]:
    ranked = "your runs' docs" if settings.runs else "BM25's first 100 docs"
    what = "a cross-encoder, tuned on `train` and untuned," if is_tuned else "a cross-encoder"
    lines = [
        f"{out}: {what} re-ranks {ranked} of {settings.split}, and all are compared.",
        f"Next: rankscope check {out}",
        f"Then: rankscope run {out}{_of_the_hub(settings)}",
    ]
    if settings.runs:
        where = f"--qrels {settings.collection} --split {settings.split}"
        lines.append(f"Without a study: rankscope compare {' '.join(settings.runs)} {where}")
    return tuple(lines)


class _StudiedCollection:
    """A collection as the user names it, and as the study file does."""

    def __init__(self, collection: str, folder: Path) -> None:
        name = collection.removeprefix(places.PREFIX)
        self.is_folder = home_filled_in(collection).is_dir()
        self.is_public = not self.is_folder and (name != collection or name in PUBLIC)
        self.written = f"{places.PREFIX}{name}" if self.is_public else collection
        if self.is_public:
            self._where = f"kind: public, id: {name}"
        elif self.is_folder:
            self._where = f"kind: beir, path: {_beside(collection, folder)}"
        else:
            self._where = f"kind: ir_datasets, id: {json.dumps(collection.removeprefix('irds:'))}"

    def spec(self, split: str) -> str:
        """The fields of a collection in the study file."""
        is_one = not (self.is_folder or self.is_public)  # an ir_datasets id has one split
        return self._where if is_one else f"{self._where}, split: {json.dumps(split)}"

    def n_queries(self, split: str) -> int:
        """How many queries a split has judgements of; 0 where there is none, and for an ir_datasets id, which is one split."""
        if not (self.is_folder or self.is_public):
            return 0
        try:
            judged = source(self.written, split)
        except BadInput:
            return 0
        return len({qrel.query_id for qrel in judged.qrels()})


def _first_stages(settings: BeginSettings) -> dict[str, str]:
    """A first stage for each run file, called as the file is; BM25 where there is none."""
    if not settings.runs:
        return {"bm25": "{kind: bm25, depth: 100}"}
    names = [_as_name(Path(run).name.partition(".")[0]) for run in settings.runs]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise BadInput(
            f"{twice[0]}: several run files would be called so. Rename one of them: a file's name is its system's."
        )
    return {
        _plain(
            name
        ): f"{{kind: run_files, paths: {{test: {_beside(run, settings.folder)}}}, depth: 100}}"
        for name, run in zip(names, settings.runs, strict=True)
    }


def _model(settings: BeginSettings, usual: HubModel) -> str:
    """The fields of the study file that name the model."""
    written = settings.model
    if written is None:
        return f"backbone: {usual.name}, revision: {usual.revision}"
    location = located(written, revision=settings.revision)
    if location.folder is not None and not written.startswith("package:"):
        return f"backbone: {_beside(written, settings.folder)}"
    revision = f", revision: {json.dumps(settings.revision)}" if settings.revision else ""
    return f"backbone: {json.dumps(written)}{revision}"


def _of_the_hub(settings: BeginSettings) -> str:
    """Where the ranker's weights come from, if they are not on this machine."""
    written = settings.model
    is_here = written is not None and located(written, revision=settings.revision).folder
    return "" if is_here else " (the hub gives the ranker's weights)"


def _beside(written: str, folder: Path) -> str:
    """A path as the study file in that folder names it, in quotes."""
    return json.dumps(
        os.path.relpath(resolved(written, Path()), folder.resolve()), ensure_ascii=False
    )


def _as_name(words: str) -> str:
    """A name that a study file may have, made of any words."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-_")[:100] or "study"


def _plain(name: str) -> str:
    """A name as YAML reads it back as text: `no` and `2024` stand in quotes."""
    try:
        is_text = plain_yaml.read(name, name, has_lines=False) == name
    except BadInput:
        is_text = False
    return name if is_text else json.dumps(name)


def _filled_in(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace(f"<<{name}>>", value)
    return template
