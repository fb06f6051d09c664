import hashlib
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.input_files import sha256_of

SOURCE = Path(__file__).resolve().parents[2] / "src" / "rankscope"


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00bytes\xff" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"\x00bytes\xff" * 100_000).hexdigest()
    for unreadable in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match=unreadable.name):
            sha256_of(unreadable)


def test_the_sum_of_a_file_is_written_once() -> None:
    found = [path for path in SOURCE.rglob("*.py") if "file_digest" in path.read_text("utf-8")]
    assert found == [SOURCE / "core" / "input_files.py"]
