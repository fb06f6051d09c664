"""Paths that lead nowhere, wherever a study file or a command takes one."""

from pathlib import Path

import pytest
import yaml

from support.command import Command

PLACES = (
    ("collections", "test", "path"),
    ("rankers", "bi", "model"),
    ("rankers", "plain", "backbone"),
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[-1])
@pytest.mark.parametrize("written", ["~nobody-here/x", "loop", ""])
def test_a_path_that_leads_nowhere_is_one_sentence(
    rankscope: Command, tiny_study: Path, tmp_path: Path, place: tuple[str, str, str], written: str
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    values = yaml.safe_load(tiny_study.read_text())
    table, name, field = place
    values[table][name][field] = written
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    answer = rankscope("check", tmp_path / "study.yaml")
    assert answer.code == 1
    assert len(answer.err.strip().splitlines()) == 1
    assert ("leads nowhere" in answer.err) is bool(written), answer.err


def test_the_home_of_nobody_is_one_sentence_in_every_command(
    rankscope: Command, tmp_path: Path
) -> None:
    nobody = "~nobody-here/x"
    run = tmp_path / "a.run"
    run.write_text("q0 Q0 d0 1 1.0 a\n")
    for words in (
        ("evaluate", run, "--qrels", nobody),
        ("search", "bm25", "--collection", nobody, "--out", tmp_path / "b.run"),
    ):
        answer = rankscope(*words)
        assert (answer.code, answer.err.strip()) == (
            1,
            f"rankscope: '{nobody}': it leads nowhere (Could not determine home directory.). Mend the path.",
        )
