"""docs/llm.md is carried out as it stands, but for the servers: a scripted one answers."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from rankscope.llm.prompts import own_prompt
from rankscope.llm.ways import AN_ORDER
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from support.asked_world import asked_world
from support.command import Command
from support.llm_server import Body, carried_out, llm_server, shown_in

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDPOINT = re.compile(r"https?://[^ ]+/v1")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return [code for name, code in BLOCK.findall(text) if name == language]


def turned_around(body: Body) -> str:
    """The passages in the opposite order."""
    return " > ".join(f"[{n}]" for n in range(len(shown_in(body)), 0, -1))


def test_the_page_is_carried_out(
    rankscope: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up-0123456789")
    (folder,) = (code for code in blocks("tutorial.md", "sh") if "mkdir" in code)
    subprocess.run(["bash", "-e", "-c", folder], check=True, cwd=tmp_path)
    lines = [line for code in blocks("llm.md", "sh") for line in code.splitlines()]
    assert sum("teacher ask" in line for line in lines) == 3
    with llm_server(turned_around) as server:
        for line in lines:
            words = shlex.split(ENDPOINT.sub(server.address, line))
            if words[1:3] == ["teacher", "answers"]:
                carried_out(Path("requests.jsonl"), Path("results.jsonl"), answer=turned_around)
            told = rankscope(*words[1:])
            assert told.code == 0, told.err
            if "--dry-run" in words:
                (printed,) = (code for code in blocks("llm.md", "") if "lists" in code)
                assert [row.split() for row in told.out.splitlines()[:4]] == [row.split() for row in printed.splitlines()]  # fmt: skip
                assert server.asked == []
            if words[1:3] == ["teacher", "answers"]:
                assert "all lists are done" in told.out
    runs = [Path(f"{name}.run").read_text().splitlines() for name in ("gpt", "zephyr", "batch")]
    ranked = [[line.split()[:3] for line in run] for run in runs]
    assert ranked[0] == ranked[1] == ranked[2]
    lines_of_costs = [line for line in lines if "compare" in line]
    assert "requests a query" in rankscope(*shlex.split(lines_of_costs[-1])[1:]).out
    assert "agreement with gpt: rank biased overlap\t1.0000" in rankscope(*words_of(lines, "--beside")).out  # fmt: skip
    assert not any("sk-made-up" in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())  # fmt: skip


def test_the_study_of_the_page_is_planned(tmp_path: Path) -> None:
    """Its LLM is asked once for what is learnt from and once for the test; nothing is asked to plan it."""
    (study,) = blocks("llm.md", "yaml")
    asked_world(tmp_path / "my-folder")
    (tmp_path / "study.yaml").write_text(study)
    made = plan(load(tmp_path / "study.yaml"), Digests().of)
    assert [step.label for step in made.steps if step.kind == "ask"] == ["gpt.test", "gpt.train"]


def words_of(lines: list[str], option: str) -> list[str]:
    """The words of the command with that option."""
    return next(shlex.split(line)[1:] for line in lines if option in line)


def test_the_template_of_the_page_is_one(tmp_path: Path) -> None:
    (template,) = blocks("llm.md", "jinja")
    (tmp_path / "own.jinja2").write_text(template)
    assert own_prompt(tmp_path / "own.jinja2", AN_ORDER).template == template
