"""The name of a result: a hash of everything that could change it, and nothing else."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput


def fingerprint(
    kind: str, version: int, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Twelve hexadecimal digits; `inputs` are the fingerprints of the steps this one reads."""
    identity = {"kind": kind, "version": version, "params": params, "inputs": inputs}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def sum_of(value: Any) -> str:
    """SHA-256 of a value as it is read from JSON, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise BadInput(
            f"{path}: there is no such file. Give the path of one that exists."
        ) from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}).") from error


class Digests:
    """SHA-256 of the files a study reads, remembered by path, size and time of change.

    The memory is advisory, as git's index is: losing it costs a second reading, never correctness.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        if memory is not None and memory.is_file():
            try:
                self._known = dict(json.loads(memory.read_text("utf-8")))
            except ValueError:
                self._known = {}  # half a file from a lost machine: read the sources again

    def of(self, path: Path) -> str:
        """The file's hash; it is read only if its size or time of change is new."""
        try:
            seen = path.stat()
        except OSError:
            return sha256_of(path)  # says what is wrong
        mark = [seen.st_size, seen.st_mtime_ns]
        key = os.fspath(path.absolute())
        if self._known.get(key, [None])[:-1] != mark:
            self._known[key] = [*mark, sha256_of(path)]
        return str(self._known[key][-1])

    def remember(self) -> None:
        """Keep what was read for the next process, where there is a place to keep it."""
        if self._memory is None or not self._memory.parent.is_dir():
            return
        aside = self._memory.with_suffix(f".{os.getpid()}")
        try:
            aside.write_text(json.dumps(self._known, indent=1, sort_keys=True), "utf-8")
            aside.replace(self._memory)
        except OSError:
            return  # a folder that cannot be written: the next process reads the sources again
