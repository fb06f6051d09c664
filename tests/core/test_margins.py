"""The margin that is taken where nobody states one."""

import ast
from pathlib import Path

import rankscope
from rankscope.core.judged.margins import DEFAULT_MARGIN

PACKAGE = Path(rankscope.__file__).parent


def test_the_default_margin_is_written_down_in_one_place() -> None:
    """Settings, fields and options take it from there: a second number would drift from it one day."""
    places = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value == DEFAULT_MARGIN
    ]
    assert places == ["core/judged/margins.py"]
