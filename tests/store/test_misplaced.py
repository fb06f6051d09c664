"""Results that are whole, or no results at all, in a place that is another's."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rankscope.core.errors import DamagedArtifact, NotWritable
from rankscope.core.records import Doc
from rankscope.data.collections import StoredDocs, write_docs
from rankscope.data.tokens import StoredTokens
from rankscope.store.artifacts import MANIFEST, Status, Store
from rankscope.store.durable import written_sealed

A, B = "search-a.test-0123456789ab", "search-b.test-ba9876543210"


def stored(root: Path) -> Store:
    store = Store(root)
    for name in (A, B):
        with store.writing(name, {"name": name}) as (out, _):
            (out / "run").write_text(name)
    return store


def test_a_result_in_anothers_place_is_damage(tmp_path: Path) -> None:
    """Whole by its own sums, it would give the other's numbers."""
    store = stored(tmp_path)
    shutil.rmtree(store.folder(A))
    shutil.copytree(store.folder(B), store.folder(A))
    fresh = Store(tmp_path)
    assert [fresh.status(name) for name in (A, B)] == [Status.DAMAGED, Status.DONE]
    with pytest.raises(DamagedArtifact, match=f"that of another result, '{B}'.*--retry"):
        fresh.open(A)


def _file(folder: Path, elsewhere: Path) -> None:
    shutil.move(folder, elsewhere)
    folder.write_text("x")


def _link_to_nowhere(folder: Path, elsewhere: Path) -> None:
    shutil.move(folder, elsewhere)
    folder.symlink_to("/nowhere/at/all")


def _link_to_itself(folder: Path, elsewhere: Path) -> None:
    shutil.move(folder, elsewhere)
    folder.symlink_to(folder)


def _link_to_damage(folder: Path, elsewhere: Path) -> None:
    shutil.move(folder, elsewhere)
    (elsewhere / MANIFEST).write_text("{}")
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("misplace", [_file, _link_to_nowhere, _link_to_itself, _link_to_damage])
def test_what_is_no_folder_is_damage_and_can_be_replaced(
    tmp_path: Path, misplace: Callable[[Path, Path], None]
) -> None:
    store, elsewhere = stored(tmp_path / "study"), tmp_path / "elsewhere"
    misplace(store.folder(A), elsewhere)
    fresh = Store(tmp_path / "study")
    assert fresh.status(A) is Status.DAMAGED
    with pytest.raises(DamagedArtifact, match="--retry"):
        fresh.open(A)
    fresh.forget(A)
    assert fresh.status(A) is Status.MISSING
    assert (elsewhere / "run").is_file(), "what a link leads to is the user's"
    with fresh.writing(A, {"name": A}) as (out, _):
        (out / "run").write_text(A)
    assert fresh.status(A) is Status.DONE


def test_a_link_that_leads_nowhere_does_not_stop_another_writer(tmp_path: Path) -> None:
    store = stored(tmp_path)
    _link_to_nowhere(store.folder(A), tmp_path / "elsewhere")
    with store.writing(A, {"name": A}, replaces=True) as (out, _):
        (out / "run").write_text(A)
    assert Store(tmp_path).status(A) is Status.DONE


def test_a_folder_where_a_file_is_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(NotWritable, match="Is a directory"), Store(tmp_path).locked():
        pass


def test_a_record_of_errors_that_cannot_be_removed_is_one_sentence(tmp_path: Path) -> None:
    store = stored(tmp_path)
    (tmp_path / "errors").write_text("a file")
    store.forget(A)
    with pytest.raises(NotWritable, match="errors"), store.writing(A, {"name": A}):
        pass
    assert store.status(A) is Status.DONE


def test_a_folder_in_place_of_an_error_is_replaced(tmp_path: Path) -> None:
    store = stored(tmp_path)
    store.error_file(A).mkdir(parents=True)
    store.forget(A)
    with store.writing(A, {"name": A}):
        pass
    assert not store.error_file(A).exists()


@pytest.mark.parametrize("at", ["sealed", ".partial-x"])
def test_a_file_in_place_of_a_sealed_folder_is_replaced(tmp_path: Path, at: str) -> None:
    (tmp_path / at).write_text("a file")
    with written_sealed(tmp_path / "sealed") as aside:
        (aside / "x").write_text("x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sealed"]


@pytest.fixture
def docs(tmp_path: Path) -> StoredDocs:
    (tmp_path / "docs").mkdir()
    write_docs([Doc("d0", "one"), Doc("d1", "one two")], tmp_path / "docs")
    return StoredDocs(tmp_path / "docs")


def tokenised(folder: Path, docs: StoredDocs, token: int) -> int:
    """The first token of d1, from the folder or made."""
    tokens = StoredTokens(folder, docs)
    tokens.add(["d0", "d1"], lambda texts: [np.full(len(t.split()), token) for t in texts])
    return int(tokens.of(["d1"])[0][0])


def _as_file(segment: Path) -> None:
    shutil.rmtree(segment)
    segment.write_text("x")


MISPLACED: dict[str, Callable[[Path], object]] = {
    "a file": _as_file,
    "another name": lambda segment: segment.rename(segment.with_name("segment-x")),
    "a folder for its sums": lambda segment: (
        (segment / "sha256.json").unlink(), (segment / "sha256.json").mkdir(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("misplace", MISPLACED.values(), ids=MISPLACED)
def test_misplaced_tokens_are_made_again(
    tmp_path: Path, docs: StoredDocs, misplace: Callable[[Path], object]
) -> None:
    assert tokenised(tmp_path / "t", docs, 7) == 7
    misplace(tmp_path / "t" / "segment-000000")
    assert tokenised(tmp_path / "t", docs, 8) == 8
    assert tokenised(tmp_path / "t", docs, 9) == 8


def test_tokens_of_another_tokenizer_are_made_again(tmp_path: Path, docs: StoredDocs) -> None:
    tokenised(tmp_path / "mine", docs, 7)
    tokenised(tmp_path / "theirs", docs, 8)
    shutil.rmtree(tmp_path / "mine")
    shutil.copytree(tmp_path / "theirs", tmp_path / "mine")
    assert tokenised(tmp_path / "mine", docs, 7) == 7
