"""Results folders that no system can make, and standard streams that were closed or that nobody reads."""

import os
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


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("verb", ["status", "plan", "check", "evaluate", "--help"])
def test_a_pipe_that_nobody_reads_is_no_error(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    """As with `| true`. Before: exit code 1 of typer or rich, or 120 of Python where it empties its buffers."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(sys, f"__{name}__", stream)
    run, qrels = tmp_path / "a.run", tmp_path / "qrels"
    run.write_text("q1 Q0 d1 1 1 t1\nq1 Q0 d2 1 2 t2\n")
    qrels.write_text("q1 0 d1 1\n")
    words = {"evaluate": [run, "--qrels", qrels], "--help": []}
    usual = [tiny_study, "--results", tmp_path]
    monkeypatch.setattr(sys, "argv", ["rankscope", verb, *map(str, words.get(verb, usual))])
    with pytest.raises(SystemExit) as left:
        cli.main()
    getattr(sys, name).flush()
    assert not left.value.code
    sys.stderr.write("more")
    sys.stdout.write("more")
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    stream.close()


def test_the_exit_code_is_that_of_the_command_where_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "__stderr__", stream)
        monkeypatch.setattr(sys, "argv", ["rankscope", "check", "nowhere.yaml"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        sys.stderr.flush()
        monkeypatch.undo()
    assert left.value.code == 1
