"""What the bytes of a file are known by."""

import hashlib
from pathlib import Path

from rankscope.core.packed import explained_reading


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces; BadInput where it cannot be read."""
    with explained_reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
