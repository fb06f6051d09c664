"""Files written whole or not at all, with checksums, safe through a crash of the machine."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.input_files import regular_text, sha256_of
from rankscope.store.fingerprint import sum_of

SUMS = "sums.json"
PARTIAL = ".partial-"
"""Prefix of the names of files and folders that are not whole yet."""


NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
"""Errors of file systems that cannot flush a folder's list of files, such as some network file systems."""


def synced(path: Path) -> None:
    """Flush a file, or a folder's list of files, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(handle)


def all_synced(folder: Path) -> None:
    """Flush a folder and everything in it to the disk."""
    for path in (*folder.rglob("*"), folder):
        synced(path)


def remove(path: Path) -> None:
    """Remove a folder, a file, or a link without what it leads to; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write the checksums of a folder's files beside them, and flush all to the disk."""
    files = [path for path in sorted(folder.iterdir()) if path.name != SUMS]
    sums = {path.name: sha256_of(path) for path in files}
    (folder / SUMS).write_text(json.dumps(sums, indent=1), "utf-8")
    all_synced(folder)


@contextmanager
def written_sealed(folder: Path) -> Iterator[Path]:
    """A folder to write files into; it replaces `folder` when all of it is on the disk."""
    aside = folder.with_name(f"{PARTIAL}{folder.name}")
    for left in folder.parent.glob(f"{PARTIAL}*"):
        remove(left)
    aside.mkdir(parents=True)
    yield aside
    seal(aside)
    remove(folder)
    aside.replace(folder)
    synced(folder.parent)


def broken_seal(folder: Path) -> str | None:
    """The damage to a sealed folder, as a clause of a message; None if every byte is as it was."""
    try:
        sums = json.loads(regular_text(folder / SUMS))
        names = {path.name for path in folder.iterdir()} - {SUMS}
    except (OSError, ValueError, RecursionError):
        return f"{SUMS} is missing or not what was written"
    if not isinstance(sums, dict):
        return f"{SUMS} is not what was written"
    for name in sorted(names ^ sums.keys()):
        return f"{name} is missing" if name in sums else f"{name} does not belong to it"
    for name, expected in sums.items():
        if not _is(folder / name, expected):
            return f"the bytes of {name} are not those that were written"
    return None


def _is(path: Path, expected: object) -> bool:
    try:
        return path.is_file() and sha256_of(path) == expected
    except BadInput:
        return False  # a file that cannot be read is damaged too


def with_sum(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as plain JSON values, with the sum of all others in `sha256`."""
    plain = json.loads(json.dumps({key: facts[key] for key in facts if key != "sha256"}))
    return {**plain, "sha256": sum_of(plain)}


def is_as_summed(facts: Mapping[str, Any]) -> bool:
    """Whether facts read from JSON are those that `with_sum` gave."""
    return facts.get("sha256") == sum_of({key: facts[key] for key in facts if key != "sha256"})


def put(copies: Mapping[Path, Path]) -> None:
    """Copy files (source: target) so that each target is the old file or the new one, whole.

    All copies are on the disk beside their targets before the first replaces one, so a full disk changes nothing.
    A target that has the same bytes already is left alone.
    """
    asides: dict[Path, Path] = {}
    try:
        for made, wanted in copies.items():
            if _is(wanted, sha256_of(made)):
                continue
            wanted.parent.mkdir(parents=True, exist_ok=True)
            aside = wanted.with_name(f"{PARTIAL}{wanted.name}")
            asides[aside] = wanted
            remove(aside)  # a link there would be followed
            shutil.copyfile(made, aside)
            synced(aside)
        for aside, wanted in asides.items():
            aside.replace(wanted)
        for folder in {wanted.parent for wanted in asides.values()}:
            synced(folder)
    finally:
        for aside in asides:
            aside.unlink(missing_ok=True)
