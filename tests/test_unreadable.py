"""Files and folders that their owner lets nobody else read: told as such, and never taken for missing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rankscope.core.errors import BadInput, DamagedArtifact, NotWritable
from rankscope.data.collections import beir_folder
from rankscope.store.artifacts import MANIFEST, Status, Store
from rankscope.store.durable import put
from rankscope.store.refusals import require_folder

NAME = "train-C-0123456789ab"
NOBODY = 65534


@contextmanager
def another_user() -> Iterator[None]:
    """Inside the block the process is one who owns nothing; only root can become so."""
    if os.geteuid():
        yield
        return
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody may pass, which one of pytest's is not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        made = Path(name) / "x"
        made.mkdir()
        yield made
        for path in (made, *made.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize("name", [MANIFEST, "model/weights", "model"])
def test_a_stored_result_that_cannot_be_read_is_told(folder: Path, name: str) -> None:
    """`status` and `plan` of a colleague's results ended at the first file that was theirs alone."""
    store = Store(folder)
    with store.writing(NAME, {"name": NAME}) as (out, _):
        (out / "model").mkdir()
        (out / "model" / "weights").write_bytes(b"12345")
    (store.folder(NAME) / name).chmod(0)
    with another_user():
        fresh = Store(folder)
        assert fresh.status(NAME) is Status.DAMAGED
        with pytest.raises(DamagedArtifact, match="it cannot be read"):
            fresh.open(NAME)


@pytest.mark.parametrize("mode", [0, 0o444])
def test_a_folder_of_results_that_cannot_be_read_does_not_miss_them(
    folder: Path, mode: int
) -> None:
    """Before: every step "missing"."""
    (folder / "steps").mkdir()
    (folder / "steps").chmod(mode)
    with another_user(), pytest.raises(NotWritable, match="steps cannot be read"):
        require_folder(folder / "steps")


def test_a_published_page_that_cannot_be_read_is_replaced(folder: Path) -> None:
    folder.chmod(0o777)
    (folder / "made").write_text("new")
    (folder / "page").write_text("old")
    (folder / "page").chmod(0)
    with another_user():
        put({folder / "made": folder / "page"})
        assert (folder / "page").read_text() == "new"


def test_a_folder_of_qrels_that_cannot_be_read_is_told(folder: Path) -> None:
    """Before: "There are: none: is this a folder in BEIR layout?"."""
    (folder / "qrels").mkdir(mode=0)
    with another_user(), pytest.raises(BadInput, match=r"qrels: cannot be read \(Permission"):
        beir_folder(folder, "test")
