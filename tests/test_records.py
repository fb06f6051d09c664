"""Records hold what is read: a field that is only computed costs every reader a question."""

import ast
from collections.abc import Iterator
from pathlib import Path

import rankscope

SOURCE = Path(rankscope.__file__).parent
READ_IN_OTHER_WAYS = {
    "PositionBias": "stored whole by asdict, as a teacher's report has it",
    "Guard": "in docs/guards.md, by scripts/write_docs.py",
    "Layout": "unpacked where rows are opened",
    "Weights.hub": "names a step, as the commit of a hub's model",
    "EvaluateParams.conventions": "names a step: how measures are taken",
    "Attributed.site": "by tests against captum's module",
    "Star.is_significant": "the published test's own answer, which its tests compare with the paper's",
    "RankingChange.persistence": "in `rankscope diff --json`: that of its rank-biased overlap",
    "Ties.n_orders": "how many orders the expected values are means of",
}


def trees() -> Iterator[ast.AST]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield from ast.walk(ast.parse(path.read_text("utf-8")))


def is_record(node: ast.AST) -> bool:
    if not isinstance(node, ast.ClassDef):
        return False
    marks = [*map(ast.unparse, node.bases), *map(ast.unparse, node.decorator_list)]
    return any(mark.startswith(("NamedTuple", "dataclass")) for mark in marks)


def test_every_field_of_a_record_is_read_somewhere() -> None:
    """As an attribute, by its name in a text (a key, getattr), or in a template."""
    read, fields = set[str](), dict[str, str]()
    for node in trees():
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            read.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            read.add(node.value)
        elif isinstance(node, ast.ClassDef) and is_record(node):
            lines = (line for line in node.body if isinstance(line, ast.AnnAssign))
            fields |= {f"{node.name}.{ast.unparse(line.target)}": node.name for line in lines}
    templates = " ".join(path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.j2")))
    unread = {
        field
        for field, record in fields.items()
        if not {field, record} & READ_IN_OTHER_WAYS.keys()
        and (name := field.partition(".")[2]) not in read
        and f".{name}" not in templates
    }
    assert unread == set()
