"""The code of docs/python.md, carried out from top to bottom."""

import re
from pathlib import Path
from typing import Any

import pytest

from rankscope.study.demo import write_demo

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes minutes: it carries out the demo's study. tests/api/test_block.py has the same calls over less."""
    write_demo(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "results" / "demo" / "report.html").is_file()
