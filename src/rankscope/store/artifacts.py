"""A folder per step: written whole or not at all, manifest inside, checked on reading.

steps/<name>/           present = complete; manifest.json names every file with its SHA-256
work/<fingerprint>/     checkpoints of a step under way; losing them costs time only
tokens/<docs>-<hash>/   docs as token ids, made once for a tokenizer; losing them costs time only
errors/<name>.txt       the last traceback of a step that failed
"""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, final

from safetensors import SafetensorError

from rankscope.core.errors import BadInput, DamagedArtifact, MissingArtifact, NotWritable
from rankscope.store.fingerprint import sha256_of

MANIFEST = "manifest.json"
PACKAGES = ("rankscope", "torch", "transformers", "sentence-transformers", "bm25s", "ir-measures")


class Status(StrEnum):
    """How far a step is."""

    DONE = "done"
    DAMAGED = "damaged"
    FAILED = "failed"
    PARTIAL = "partial"
    MISSING = "missing"


def versions() -> dict[str, str]:
    """Python's version and those of the packages that could change a result, without importing them."""
    found = {"python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST}
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Inside the block, a folder that refuses or a full disk becomes one sentence with a remedy."""
    try:
        with explained_full(path):
            yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        raise NotWritable(
            f"{path}: cannot be written ({error.strerror}). "
            "Give a folder that can be written, with --results or --out."
        ) from error


@contextmanager
def explained_full(path: Path) -> Iterator[None]:
    """Inside the block, a full disk becomes one sentence with a remedy; nothing else does."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise
        if isinstance(error, SafetensorError) and "I/O error" not in str(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotWritable(
            f"{path}: cannot be written ({reason}). "
            "Free some space and run again: what was stored before is whole."
        ) from error


def check_place(results: Path) -> None:
    """Refuse, before any work, a folder where nothing can be written; makes nothing."""
    there = next(path for path in (results, *results.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "is a file" if there.is_file() else "cannot be written"
        raise NotWritable(
            f"{results}: {there} {reason}. Give a folder that can be written, with --results."
        )


@final
class Store:
    """The results of one study on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    def folder(self, name: str) -> Path:
        """Where the artifact of that name is or will be."""
        return self.root / "steps" / name

    def work(self, name: str) -> Path:
        """Where a step under way may keep checkpoints; named by the fingerprint alone."""
        return self.root / "work" / name.rsplit("-", 1)[-1]

    def tokens(self, name: str) -> Path:
        """Where texts are kept as token ids: a cache, shared by all that has the same tokenizer."""
        return self.root / "tokens" / name

    def error_file(self, name: str) -> Path:
        """Where the last traceback of a failed step is."""
        return self.root / "errors" / f"{name}.txt"

    def status(self, name: str) -> Status:
        """Done means that every file is there and is what was written: all are read."""
        if self.folder(name).exists():
            try:
                self.open(name)
            except DamagedArtifact:
                return Status.DAMAGED
            return Status.DONE
        if self.error_file(name).exists():
            return Status.FAILED
        return Status.PARTIAL if self.work(name).exists() else Status.MISSING

    def open(self, name: str) -> Path:
        """The artifact's folder, after every file in it was compared with the manifest (once)."""
        folder = self.folder(name)
        if name in self._verified:
            return folder
        if not folder.is_dir():
            raise MissingArtifact(f"{folder}: this result is not there yet. Use `rankscope run`.")
        for relative, facts in self.manifest(name)["files"].items():
            path = folder / relative
            if not path.is_file():
                raise _damaged(path, "it is missing")
            if path.stat().st_size != facts["n_bytes"] or sha256_of(path) != facts["sha256"]:
                raise _damaged(path, "its bytes are not those that were written")
        self._verified.add(name)
        return folder

    def manifest(self, name: str) -> dict[str, Any]:
        """What is known of an artifact: params, inputs, versions, seconds, files and summary."""
        path = self.folder(name) / MANIFEST
        try:
            manifest = dict(json.loads(path.read_text("utf-8")))
            manifest["files"].items()
        except FileNotFoundError as error:
            raise _damaged(path, "it is missing") from error
        except (ValueError, KeyError, AttributeError) as error:
            raise _damaged(path, "it is not a manifest") from error
        return manifest

    @contextmanager
    def writing(self, name: str, facts: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """A folder to write into and a dict for what is learnt; both are kept if the block succeeds.

        One rename puts the artifact in its place, so a reader finds all of it or none of it. If
        another process was first, its artifact stays and ours is dropped.
        """
        with explained(self.root):
            (self.root / "steps").mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(dir=self.root / "steps", prefix=".partial-"))
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
                manifest = {**facts, **learnt, "versions": versions(), "files": files}
                (aside / MANIFEST).write_text(
                    json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8"
                )
                aside.chmod(0o755)
                if not self.folder(name).exists():
                    aside.replace(self.folder(name))
            self.error_file(name).unlink(missing_ok=True)
            shutil.rmtree(self.work(name), ignore_errors=True)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block, no other process carries out this study; what a lost one left is swept."""
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NotWritable(
                    f"{self.root}: another process is carrying out this study. "
                    "Wait for it, or give another folder with --results."
                ) from error
            for left in self.root.glob("steps/.partial-*"):
                shutil.rmtree(left, ignore_errors=True)
            for left in self.root.glob("work/*"):  # lost between the rename and its end
                if any(self.root.glob(f"steps/*-{left.name}")):
                    shutil.rmtree(left, ignore_errors=True)
            yield

    def forget(self, name: str) -> None:
        """Drop an artifact, so that its step is carried out again."""
        self._verified.discard(name)
        with explained(self.folder(name)):
            if self.folder(name).exists():
                shutil.rmtree(self.folder(name))

    def record_error(self, name: str, traceback: str) -> None:
        """Keep the traceback of a step that failed; a disk that refuses even that is not an error."""
        try:
            self.error_file(name).parent.mkdir(parents=True, exist_ok=True)
            self.error_file(name).write_text(traceback, "utf-8")
        except OSError:
            return  # the traceback is on its way to the user; the record of it is a convenience


def _damaged(path: Path, what: str) -> DamagedArtifact:
    return DamagedArtifact(
        f"{path}: {what}, so nothing that rests on it was used. "
        "Run again with --retry to compute its step anew."
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
    """Read a JSON file, or say which one is not there or not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error}). Mend the file, or write it anew.") from error
