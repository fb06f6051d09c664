"""docs/tutorial.md is carried out as it stands: its commands end well, and print what the page says they print."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from support import tiny
from support.command import Command

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORT = "rankers.cross.max_length=64"
"""The model of tests reads no longer texts."""


def blocks() -> list[tuple[str, str]]:
    """The commands of the page, each with what it prints; nothing where the page does not say."""
    found = [(language, text) for language, text in BLOCK.findall(PAGE.read_text("utf-8"))]
    return [
        (text, found[place + 1][1] if found[place + 1 : place + 2] and not found[place + 1][0] else "")
        for place, (language, text) in enumerate(found)
        if language == "sh"
    ]  # fmt: skip


WITHOUT_NETWORK = re.compile("`(rankscope init offline .*?)`")
"""The command for those without a network."""


def test_the_page_is_one_page_with_commands_and_their_output() -> None:
    assert len(PAGE.read_text("utf-8").splitlines()) <= 90
    said = [bool(printed) for _, printed in blocks()]
    assert said == [False, True, True, False]


def test_the_tutorial_is_carried_out(
    rankscope: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny.save_encoder(tmp_path / "encoder")
    printed = ""
    for commands, expected in blocks():
        if not commands.startswith("rankscope"):
            subprocess.run(["bash", "-e", "-c", commands], check=True, cwd=tmp_path)
            continue
        printed = ""
        for line in commands.splitlines():
            words = shlex.split(line)
            if (
                words[1] == "run"
            ):  # the page tells those without a network to begin over a model's folder
                offline = shlex.split(WITHOUT_NETWORK.findall(PAGE.read_text("utf-8"))[0])[1:]
                begun = rankscope(*(str(model) if word == "FOLDER" else word for word in offline))
                assert begun.code == 0, begun.err
                words = [*words[:2], "offline/study.yaml", SHORT]
            answer = rankscope(*words[1:])
            assert answer.code == 0, answer.err
            printed += answer.out
        assert (
            expected.split() == [] or expected.split() == printed.split()[-len(expected.split()) :]
        )
    rows = [line.split("\t")[0] for line in printed.splitlines()]
    assert {"bm25", "cross"} <= set(rows), "the first study's table"
    page = re.search(r"^Report: (.*)$", printed, re.MULTILINE)
    assert page is not None
    assert Path(page.group(1)).is_file()
