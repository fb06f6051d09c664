"""The record of whose results a folder holds, where it was damaged."""

from pathlib import Path

import pytest

from support.command import Command


@pytest.mark.parametrize("text", ["", "null", '{"file": 3}', '{"file": "', None])
def test_a_damaged_record_of_origin_is_told(
    rankscope: Command, tiny_study: Path, tmp_path: Path, text: str | None
) -> None:
    """It was taken for none, and the page of another study of the same name was overwritten without a word."""
    record = tmp_path / "tiny" / "origin.json"
    record.parent.mkdir()
    if text is None:
        record.mkdir()
    else:
        record.write_text(text)
    answer = rankscope("status", tiny_study, "--results", tmp_path)
    assert answer.code == 0
    assert (
        f"{record}: not what was written, so whether its results are another file's" in answer.err
    )
    assert "\n" not in answer.err.strip()


def test_no_record_of_origin_needs_no_word(
    rankscope: Command, tiny_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    assert rankscope("status", tiny_study, "--results", tmp_path).err == ""
