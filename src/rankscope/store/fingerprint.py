"""The name of a result: a hash of everything that could change it, and nothing else."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.core.input_files import regular_text, sha256_of


def fingerprint(
    kind: str, version: int, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Twelve hexadecimal digits; `inputs` are the fingerprints of the steps this one reads."""
    identity = {"kind": kind, "version": version, "params": params, "inputs": inputs}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sum_of(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


SETTLED_NS = 2_000_000_000
"""A file changed more recently than this may change again within one tick of its file system's clock (2 s on FAT)."""


class Digests:
    """SHA-256 of the files a study reads, remembered by path, size, inode, and times of change.

    The memory is advisory, as git's index is: losing it costs a second reading, never correctness. The inode's time
    of change counts too, since `tar`, `cp -p` and `touch` can put back only that of the bytes. Where any mark is
    new or recent, the file is read.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        self.notes: list[str] = []
        """Notes for the user on the memory."""
        if memory is not None and memory.exists():
            remembered = _remembered(memory)
            if remembered is None:
                self.notes.append(
                    f"{memory}: not what was written, so all sources are read and it is made again"
                )
            self._known = remembered or {}

    def of(self, path: Path) -> str:
        """The file's hash; it is read unless size, inode and times of change are known and settled."""
        now = time.time_ns()
        try:
            seen = path.stat()
        except OSError:
            return sha256_of(path)  # says what is wrong
        key = os.fspath(path.absolute())
        mark = [seen.st_size, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns]
        if self._known.get(key, [None])[:-1] == mark:
            return str(self._known[key][-1])
        digest = sha256_of(path)
        self._known.pop(key, None)
        if seen.st_ctime_ns + SETTLED_NS < now:
            self._known[key] = [*mark, digest]
        return digest

    def remember(self) -> None:
        """Keep the digests for the next process, if there is a folder to keep them in."""
        if self._memory is None or not self._memory.parent.is_dir():
            return
        aside = self._memory.with_name(f".partial-{os.getpid()}-{self._memory.name}")
        text = json.dumps({"files": self._known, "sha256": sum_of(self._known)}, indent=1)
        try:
            aside.write_text(text, "utf-8")
            aside.replace(self._memory)
        except OSError:
            aside.unlink(missing_ok=True)  # the next process reads the sources again


def _remembered(memory: Path) -> dict[str, list[Any]] | None:
    """The remembered digests; none of an earlier version's, None where the file is damaged."""
    try:
        value = json.loads(regular_text(memory))
        if _is_of_an_earlier_version(value):
            return {}
        known = value["files"]
        return dict(known) if value["sha256"] == sum_of(known) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_of_an_earlier_version(value: Any) -> bool:
    """Whether it is an earlier version's memory: size, time of change and hash by path, without a checksum."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            isinstance(marks, list) and [*map(type, marks)] == [int, int, str]
            for marks in value.values()
        )
    )
