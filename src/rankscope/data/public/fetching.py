"""Fetch a public collection into the cache: downloaded, checked, converted, and there whole or not at all."""

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.progress import Progress
from rankscope.data.collections import beir_folder
from rankscope.data.public import places
from rankscope.data.public.converters import CONVERTERS
from rankscope.data.public.download import downloaded
from rankscope.data.public.table import PublicCollection, PublicFile
from rankscope.store.cache import PLACE, cache_folder
from rankscope.store.durable import PARTIAL, all_synced, remove
from rankscope.store.refusals import explained

REMEDY = f"Give a folder that can be written, in ${PLACE}."
Sums = dict[str, dict[str, str]]
"""The sums of each file by algorithm."""


@dataclass(frozen=True)
class Fetched:
    """A collection that is in the cache now."""

    name: str
    folder: Path
    counts: Mapping[str, int]
    """How many docs, queries and judgements it has, these by split; nothing for files that are no collection."""
    recorded: tuple[str, ...] = ()
    """The files whose sums no public source states, and that were recorded for the first time."""
    was_there: bool = False


def fetch(name: str, *, again: bool, mirror: str | None, progress: Progress) -> Fetched:
    """Fetch a collection, unless it is in the cache; `again` fetches it again.

    Raises BadInput for files that are others than stated, or than those of the fetch before.
    """
    made, folder = places.known(name), places.in_cache(name)
    work = cache_folder() / "downloads" / name
    with _alone(work):
        before = _source_of(folder)
        if before is not None and not again:
            return Fetched(name, folder, before["counts"], was_there=True)
        work.mkdir(exist_ok=True)
        paths: dict[str, Path] = {}
        sums: Sums = {}
        for file in made.files:
            path, found = downloaded(file, work, mirror=mirror, progress=progress)
            _require_same(file, path, found, before)
            paths[file.name], sums[file.name] = path, found
        with _replaced(folder) as aside:
            CONVERTERS[made.converter](paths, aside, made.settings)
            counts = _counts(aside)
            source = json.dumps(_source(made, sums, counts), indent=1)
            (aside / places.SOURCE).write_text(source + "\n", "utf-8")
        shutil.rmtree(work, ignore_errors=True)
    unstated = () if before else tuple(file.name for file in made.files if not file.sums)
    return Fetched(name, folder, counts, unstated)


def _source_of(folder: Path) -> dict[str, Any] | None:
    """What a fetched collection tells of itself; None where none was fetched, or that file is damaged."""
    path = folder / places.SOURCE
    try:
        source: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return source if source.keys() >= {"counts", "sums"} else None


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Inside the block no other process downloads into the same folder."""
    with explained(work, REMEDY):
        work.parent.mkdir(parents=True, exist_ok=True)
        with work.with_name(f".{work.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` when all is on the disk."""
    with explained(folder, REMEDY):
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
        try:
            yield aside
            aside.chmod(0o755)
            all_synced(aside)
            remove(folder)
            aside.replace(folder)
        finally:
            remove(aside)


def _require_same(
    file: PublicFile, path: Path, found: Mapping[str, str], before: Mapping[str, Any] | None
) -> None:
    """Refuse a file without stated sums that is not the one of the fetch before."""
    recorded = {} if before is None else before["sums"].get(file.name, {})
    if not file.sums and recorded and recorded["sha256"] != found["sha256"]:
        path.unlink()
        raise BadInput(
            f"{file.url}: it is not the file that was fetched before (SHA-256 {found['sha256']}, then "
            f"{recorded['sha256']}). Keep the collection as it is, or remove its folder and fetch it again."
        )


def _counts(folder: Path) -> dict[str, int]:
    """Docs, queries and judgements, read as a study reads them; nothing where there are no judgements."""
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    sources = {split: beir_folder(folder, split) for split in splits}
    if not sources:
        return {}
    one = sources[splits[0]]
    counts = {"docs": sum(1 for _ in one.docs()), "queries": sum(1 for _ in one.queries())}
    return counts | {split: len(source.qrels()) for split, source in sources.items()}


def _source(made: PublicCollection, sums: Sums, counts: Mapping[str, int]) -> dict[str, Any]:
    """What a fetched collection tells of itself."""
    return {
        "what": made.what,
        "licence": made.licence,
        "home": made.home,
        "urls": {file.name: file.url for file in made.files},
        "sums": sums,
        "stated_by": {
            file.name: file.stated_by or "nobody: recorded by the first fetch"
            for file in made.files
        },
        "counts": dict(counts),
    }
