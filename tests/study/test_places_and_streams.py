"""Results folders that no system can make, and standard streams that were closed."""

import sys
from pathlib import Path

import pytest

from rankscope import cli
from support.command import Command


@pytest.mark.parametrize("verb", ["check", "plan", "status"])
def test_a_results_folder_whose_name_is_too_long_is_one_sentence(
    rankscope: Command, tiny_study: Path, tmp_path: Path, verb: str
) -> None:
    answer = rankscope(verb, tiny_study, "--results", tmp_path / ("x" * 300) / "z")
    assert answer.code == 1
    assert "cannot be written (File name too long). Give a folder" in answer.err
    assert "traceback" not in answer.err


@pytest.mark.parametrize("closed", [["stdout"], ["stderr"], ["stdout", "stderr"]])
def test_closed_streams_are_no_bug(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    """As with `>&-`, where Python has None."""
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr(
        sys, "argv", ["rankscope", "status", str(tiny_study), "--results", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as left:
        cli.main()
    for name in closed:
        getattr(sys, name).close()
    assert not left.value.code
