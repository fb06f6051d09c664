"""A folder per step: written whole or not at all, manifest inside, checked on reading.

steps/<name>/           present = complete; manifest.json names every file with its SHA-256, and there is no other
work/<fingerprint>/     checkpoints of a step under way; losing them costs time only
  begun.json            its name, the sums of its inputs' files, and the versions it was begun under
tokens/<docs>-<hash>/   docs as token ids, made once for a tokenizer; losing them costs time only
errors/<name>.txt       the last traceback of a step that failed

A manifest has a sum of its own (`sha256`: of all its other fields) and the sums of its inputs' files as
they were when it was made (`rests_on`). One of an earlier version has neither: it is read, and a note says so.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from types import MappingProxyType
from typing import Any, final

from rankscope.core.errors import BadInput, DamagedArtifact, MissingArtifact, NotWritable
from rankscope.core.input_files import regular_text, sha256_of
from rankscope.core.judged.plain import Record, from_plain
from rankscope.core.visible import brief
from rankscope.store.durable import PARTIAL, all_synced, is_as_summed, remove, synced, with_sum
from rankscope.store.fingerprint import sum_of
from rankscope.store.refusals import explained, explained_full

MANIFEST, BEGUN = "manifest.json", "begun.json"
PACKAGES = (
    "rankscope", "torch", "transformers", "tokenizers", "peft", "sentence-transformers", "numpy",
    "pystemmer", "regex", "ir-measures",
)  # fmt: skip


class Status(StrEnum):
    """The state of a step's result."""

    DONE = "done"
    STALE = "stale"
    """Whole, but the bytes of an input have changed since."""
    DAMAGED = "damaged"
    FAILED = "failed"
    PARTIAL = "partial"
    MISSING = "missing"


def versions() -> dict[str, str]:
    """Python's version and those of the packages that could change a result, without importing them."""
    return {"python": python_version()} | {package: _version(package) for package in PACKAGES}


@cache  # a package's metadata is read in milliseconds, and a plan asks for it at every step
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@final
class Store:
    """The results of one study on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    def folder(self, name: str) -> Path:
        """The folder of the artifact of that name, stored or not."""
        return self.root / "steps" / name

    def work(self, name: str) -> Path:
        """The folder for checkpoints of a step under way; named by the fingerprint alone."""
        return self.root / "work" / name.rsplit("-", 1)[-1]

    def tokens(self, name: str) -> Path:
        """The folder of texts as token ids: a cache, shared by all steps with the same tokenizer."""
        return self.root / "tokens" / name

    def error_file(self, name: str) -> Path:
        """The file with the last traceback of a failed step."""
        return self.root / "errors" / f"{name}.txt"

    def status(self, name: str, needs: Mapping[str, str] = MappingProxyType({})) -> Status:
        """The state of an artifact; DONE means that every file was read and has the bytes that were written.

        `needs` are the names of its inputs by role: with them, it is STALE if an input's bytes have changed.
        """
        if os.path.lexists(self.folder(name)):
            try:
                self.open(name)
                return Status.STALE if self.moved(name, needs) else Status.DONE
            except DamagedArtifact:
                return Status.DAMAGED
        if self.error_file(name).exists():
            return Status.FAILED
        return Status.PARTIAL if self.work(name).exists() else Status.MISSING

    def moved(self, name: str, needs: Mapping[str, str]) -> list[str]:
        """The inputs of an artifact whose bytes have changed since it was made."""
        rests_on = self.manifest(name).get("rests_on", {})
        return [
            needed
            for role, needed in needs.items()
            if role in rests_on and self.content(needed) not in {None, rests_on[role]}
        ]

    def content(self, name: str) -> str | None:
        """The sum of all of an artifact's files, by its manifest; None without a readable manifest."""
        try:
            return sum_of(self.manifest(name)["files"])
        except DamagedArtifact:
            return None

    def open(self, name: str) -> Path:
        """The artifact's folder, after every file in it was compared with the manifest (once).

        A file that the manifest does not name is damage too, as a library may read it out of a model's folder.
        Hidden files, which file managers and network file systems leave, do not count.
        """
        folder = self.folder(name)
        if name in self._verified:
            return folder
        if not os.path.lexists(folder):
            raise MissingArtifact(f"{folder}: this result is not there yet. Use `rankscope run`.")
        if not folder.is_dir():
            raise _damaged(folder, "it is no folder")
        files = self.manifest(name)["files"]
        for path in _visible_files(folder):
            if path.relative_to(folder).as_posix() not in {*files, MANIFEST}:
                raise DamagedArtifact(
                    f"{path}: this file does not belong to the result, and a reader of the folder may take it for a part. "
                    "Move it elsewhere, or run with --retry to compute the step again."
                )
        for relative, facts in files.items():
            _compare(folder / relative, facts)
        self._verified.add(name)
        return folder

    def manifest(self, name: str) -> dict[str, Any]:
        """The record of an artifact: params, inputs, versions, seconds, files and summary."""
        path = self.folder(name) / MANIFEST
        try:
            manifest = json.loads(regular_text(path))
        except FileNotFoundError as error:
            raise _damaged(path, "it is missing") from error
        except OSError as error:
            raise _damaged(path, f"it cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise _damaged(path, "it is not a manifest") from error
        if not _is_manifest(manifest):
            raise _damaged(path, "it is not a manifest")
        if manifest.get("name", name) != name:
            raise _damaged(path, f"it is that of another result, {brief(manifest['name'])}")
        if ("sha256" in manifest or "rests_on" in manifest) and not is_as_summed(manifest):
            raise _damaged(path, "its bytes are not those that were written")
        return dict(manifest)

    def begin(self, name: str, inputs: Mapping[str, str | None]) -> list[str]:
        """Record in the work folder the step whose checkpoints it holds; notes on checkpoints that were there already.

        Checkpoints are found by fingerprint: a step that was renamed goes on from them. Those begun with other
        bytes of the inputs (by role) are dropped, and so are those without a readable record.
        """
        work, begun = self.work(name), _begun(self.work(name) / BEGUN)
        notes: list[str] = []
        here = versions()
        before = begun["versions"] if begun else []
        if begun is None and any(not left.name.startswith(PARTIAL) for left in work.glob("*")):
            notes = [
                f"{work / BEGUN}: missing or not what was written, so what lies beside it is not used: "
                f"{name} starts again"
            ]
        elif begun is not None and begun["inputs"] != inputs:
            notes = [
                f"{work}: begun with other bytes of its inputs than are there now: {name} starts again"
            ]
        if notes:
            shutil.rmtree(work, ignore_errors=True)
            before = []
        elif before and (changed := differing(before[-1], here)):
            notes = [f"{name}: begun under {changed}; it goes on, and the last digits may differ"]
        history = [earlier for earlier in before if earlier != here] + [here]
        facts = with_sum({"name": name, "inputs": dict(inputs), "versions": history})
        if facts != begun:
            with explained(work):
                work.mkdir(parents=True, exist_ok=True)
                aside = work / f"{PARTIAL}{BEGUN}"
                remove(aside)
                aside.write_text(json.dumps(facts, indent=1, sort_keys=True), "utf-8")
                synced(aside)
                aside.replace(work / BEGUN)
        return notes

    @contextmanager
    def writing(
        self, name: str, facts: Mapping[str, Any], *, replaces: bool = False
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """A folder to write into and a dict for facts of the manifest; both are kept if the block succeeds.

        One rename puts the artifact in its place when the disk has all of it, so a reader finds all of
        it or none of it, after a power cut too; its checkpoints go when the disk has the rename. If
        another process was first, its artifact stays and ours is dropped; one that is to be replaced
        stays until the new one is whole.
        """
        with explained(self.root):
            (self.root / "steps").mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(dir=self.root / "steps", prefix=PARTIAL))
        try:
            learnt: dict[str, Any] = {}
            with explained_full(self.folder(name)):
                yield aside, learnt
                files = {
                    path.relative_to(aside).as_posix(): {
                        "sha256": sha256_of(path),
                        "n_bytes": path.stat().st_size,
                    }
                    for path in sorted(aside.rglob("*"))
                    if path.is_file()
                }
                made = {"versions": versions(), **self._begun_under(name), "files": files}
                manifest = with_sum({"rests_on": {}, **facts, **learnt, **made})
                (aside / MANIFEST).write_text(
                    json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8"
                )
                aside.chmod(0o755)
                all_synced(aside)
                if replaces:
                    self._set_aside(name)
                if not os.path.lexists(self.folder(name)):
                    aside.replace(self.folder(name))
                    self._verified.discard(name)
                synced(self.root / "steps")
            with explained(self.error_file(name)):
                remove(self.error_file(name))
            shutil.rmtree(self.work(name), ignore_errors=True)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            for old in self.root.glob(f"steps/{PARTIAL}old-*"):
                with suppress(OSError):
                    remove(old)

    def _set_aside(self, name: str) -> None:
        if os.path.lexists(self.folder(name)):
            self.folder(name).replace(self.root / "steps" / f"{PARTIAL}old-{name}")

    def _begun_under(self, name: str) -> dict[str, Any]:
        """The versions under which a step was begun, where they are not those under which it ends."""
        begun = _begun(self.work(name) / BEGUN)
        earlier = [used for used in begun["versions"] if used != versions()] if begun else []
        return {"begun_under": earlier} if earlier else {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block, no other process carries out this study; half-written files of a killed one are removed."""
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with explained(self.root / ".lock"):
            # no waiting for the other end of a pipe, and nothing is emptied that a link leads to
            handle = os.open(self.root / ".lock", os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
            lock = os.fdopen(handle, "w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NotWritable(
                    f"{self.root}: another process is carrying out this study. "
                    "Wait for it, or give another folder with --results."
                ) from error
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove half-written files of a process that was killed."""
        for where in ("steps/", "tables/", ""):
            for left in self.root.glob(f"{where}{PARTIAL}*"):
                with suppress(OSError):
                    remove(left)
        for left in self.root.glob("work/*"):  # lost between the rename and its end
            begun = _begun(left / BEGUN)
            # a step that was renamed since it was stored is under way again by its new name
            stored = f"steps/{begun['name']}" if begun else f"steps/*-{left.name}"
            if any(self.root.glob(stored)):
                shutil.rmtree(left, ignore_errors=True)

    def forget(self, name: str) -> None:
        """Drop an artifact, so that its step is carried out again."""
        self._verified.discard(name)
        with explained(self.folder(name)):
            remove(self.folder(name))

    def record_error(self, name: str, traceback: str) -> None:
        """Keep the traceback of a step that failed; a disk that refuses even that is not an error."""
        try:
            self.error_file(name).parent.mkdir(parents=True, exist_ok=True)
            remove(self.error_file(name))  # a pipe in its place would be waited for
            self.error_file(name).write_text(traceback, "utf-8")
        except OSError:
            return  # the traceback is on its way to the user; the record of it is a convenience


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The packages whose versions differ, such as "torch 2.12.0 (here 2.13.0)"; "" where none does."""
    changed = [
        f"{package} {before[package]} (here {now[package]})"
        for package in PACKAGES
        if package in before and package in now and before[package] != now[package]
    ]
    return ", ".join(changed)


def _visible_files(folder: Path) -> list[Path]:
    """All files in a folder and its folders, except hidden ones (a part of the path begins with a dot)."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _compare(path: Path, facts: Mapping[str, Any]) -> None:
    """Refuse a file that is not what the manifest says of it."""
    try:
        if not path.is_file():
            raise _damaged(path, "it is missing")
        is_same = path.stat().st_size == facts["n_bytes"] and sha256_of(path) == facts["sha256"]
    except (BadInput, OSError) as error:  # as where its owner lets nobody else read it
        raise _damaged(path, "it cannot be read") from error
    if not is_same:
        raise _damaged(path, "its bytes are not those that were written")


def _is_manifest(value: object) -> bool:
    """Whether a value read from JSON has the fields of a manifest, with their types."""
    if not isinstance(value, dict) or not isinstance(value.get("files"), dict):
        return False
    tables = ("summary", "versions", "inputs", "rests_on")
    return all(isinstance(value.get(key, {}), dict) for key in tables) and all(
        isinstance(facts, dict) and {"sha256", "n_bytes"} <= facts.keys()
        for facts in value["files"].values()
    )


def _begun(record: Path) -> dict[str, Any] | None:
    """The record written when a step's work began; None where it is missing or damaged."""
    try:
        facts = json.loads(regular_text(record))
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) and is_as_summed(facts) else None


def _damaged(path: Path, what: str) -> DamagedArtifact:
    return DamagedArtifact(
        f"{path}: {what}, so nothing that rests on it was used. "
        "Run with --retry to compute its step again."
    )


def linked(made: Path, wanted: Path) -> None:
    """Put a file in a second place without a second copy, where the disk can."""
    try:
        os.link(made, wanted)
    except OSError:
        shutil.copyfile(made, wanted)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file a person can read: sorted, one space of indent, floats in full."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; BadInput names one that is missing or not JSON."""
    try:
        return json.loads(regular_text(path))
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}). Mend the file, or write it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON ({error}). Mend the file, or write it again.") from error


def read_record(kind: type[Record], path: Path) -> Record:
    """The record in a stored JSON file. Raises DamagedArtifact, with the place, for one of another shape."""
    return from_plain(kind, read_json(path), where=str(path))
