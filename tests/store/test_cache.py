"""The cache: what it keeps, and that it is never believed where it is damaged."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import vl_convert

from rankscope.report import page
from rankscope.store import cache
from rankscope.store.cache import cached_text, keep_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_text_is_kept_under_its_name_alone() -> None:
    assert cached_text("a") is None
    keep_text("a", "one\n\u00e9")
    assert cached_text("a") == "one\n\u00e9"
    assert cached_text("b") is None


@pytest.mark.parametrize("damage", [b"", b"other", b"\xff"])
def test_a_damaged_text_is_not_used(folder: Path, damage: bytes) -> None:
    keep_text("a", "one")
    (kept,) = folder.iterdir()
    kept.write_bytes(damage)
    assert cached_text("a") is None
    keep_text("a", "one")
    assert cached_text("a") == "one"


def _by_another_user(kept: Path) -> None:
    os.chown(kept, 12345, 12345)


def _a_pipe(kept: Path) -> None:
    kept.unlink()
    os.mkfifo(kept)


def _a_link(kept: Path) -> None:
    kept.rename(kept.parent / "elsewhere")
    kept.symlink_to("elsewhere")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [_by_another_user, _a_pipe, _a_link])
def test_what_this_user_did_not_write_is_not_used(
    folder: Path, plant: Callable[[Path], None]
) -> None:
    """Its sum is right, and it would be a script on the page."""
    if plant is _by_another_user and os.geteuid():
        pytest.skip("only root can give a file away")
    keep_text("a", "one")
    plant(next(folder.iterdir()))
    assert cached_text("a") is None


def test_a_folder_that_cannot_be_written_is_no_mistake(folder: Path) -> None:
    folder.write_text("a file")
    keep_text("a", "one")
    assert cached_text("a") is None


def test_the_home_is_filled_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(cache.PLACE, "~/cache")
    assert cache.cache_folder() == folder


def test_a_link_in_the_place_of_what_is_not_whole_yet_is_not_followed(
    folder: Path, tmp_path: Path
) -> None:
    keep_text("a", "one")
    (kept,) = folder.iterdir()
    kept.with_name(f".partial-{kept.name}").symlink_to(tmp_path / "elsewhere")
    keep_text("a", "one")
    assert not (tmp_path / "elsewhere").exists()
    assert cached_text("a") == "one"


def test_the_pages_script_is_made_once_for_a_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda words: made.append(words) or "vega")
    for _ in range(2):
        page._bundle.cache_clear()
        assert page._bundle() == "vega"
    monkeypatch.setattr(page, "version", lambda package: "99")
    page._bundle.cache_clear()
    assert page._bundle() == "vega"
    page._bundle.cache_clear()
    assert len(made) == 2
    assert len(list(folder.iterdir())) == 2
