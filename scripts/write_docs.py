"""Write what can be generated: the tree in ARCHITECTURE.md, docs/study-file.md, docs/commands.md.

With --check nothing is written; what differs is named, and the exit code is 1.
"""

import ast
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.study import spec, spec_data, spec_evaluate, spec_fields, spec_rankers

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- tree: start -->", "<!-- tree: end -->"


def tree() -> str:
    """The package's files, each with the first line of its docstring."""
    lines = ["```", "src/rankscope/"]
    folders = [ROOT / "src/rankscope", *sorted(_folders())]
    for folder in folders:
        inside = folder.relative_to(ROOT / "src/rankscope")
        depth = len(inside.parts)
        if depth:
            lines.append(_row(f"{'  ' * depth}{folder.name}/", folder / "__init__.py"))
        lines += [
            _row(f"{'  ' * (depth + 1)}{path.name}", path)
            for path in sorted(folder.glob("*.py"))
            if path.name != "__init__.py" or not depth
        ]
    return "\n".join([*lines, "```"])


def _folders() -> Iterator[Path]:
    return (path.parent for path in (ROOT / "src/rankscope").glob("*/__init__.py"))


def _row(name: str, path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return f"{name:<27}{doc.splitlines()[0] if doc else ''}"


def architecture() -> str:
    """ARCHITECTURE.md with the tree of today."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n{tree()}\n{END}{tail}"


def study_file() -> str:
    """docs/study-file.md: every field of every spec."""
    lines = [
        "# The study file",
        "",
        "Generated from `src/rankscope/study/spec*.py` by `make docs`. A study file is YAML; names it",
        "does not know are refused. Any field can be overridden on the command line by its dotted name:",
        "`rankscope run study.yaml seed=7 rankers.C.max_updates=100`. Relative paths start from the",
        "study file's folder, `${NAME}` and `${NAME:-default}` are filled in from the environment.",
        "",
        "In `rankers`, a list where one value is wanted makes a ranker for each value, and",
        "`seeds: [1, 2, 3]` one for each seed: [Sweeps and seeds](guide.md#sweeps-and-seeds).",
        "",
    ]
    for model in _specs():
        lines += [f"## {_title(model)}", "", f"{(model.__doc__ or '').strip()}", ""]
        lines += ["| field | type | default | |", "|---|---|---|---|"]
        lines += [_field_row(name, field) for name, field in model.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def _specs() -> list[type[spec_fields.Spec]]:
    """Every spec, the whole study first, then by their order in the modules."""
    abstract = {spec_fields.Spec, spec_data.TopicsSpec}
    parts = [
        value
        for module in (spec_data, spec_rankers, spec_evaluate)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, spec_fields.Spec)
    ]
    return [spec.Study, *(part for part in parts if part not in abstract)]


def _title(model: type[spec_fields.Spec]) -> str:
    kind = model.model_fields.get("kind")
    kinds = " | ".join(get_args(kind.annotation)) if kind else ""
    named = f" (`kind: {kinds}`)" if kind else ""
    return f"{model.__name__.removesuffix('Spec')}{named}"


def _field_row(name: str, field: Any) -> str:
    default = "needed"
    if not field.is_required():
        value = field.default if field.default is not PydanticUndefined else field.default_factory()
        value = list(value) if isinstance(value, tuple) else value
        default = f"`{value}`"
    shown = _words(field.annotation).replace("|", "\\|")
    return f"| `{field.alias or name}` | {shown} | {default} | {field.description or ''} |"


def _words(annotation: Any) -> str:
    """A type as a user would say it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if origin in {types.UnionType, __import__("typing").Union}:
        return " | ".join(dict.fromkeys(_words(a) for a in arguments if a is not type(None)))
    if origin in {dict, tuple}:
        return (
            f"table of {_words(arguments[1])}"
            if origin is dict
            else f"list of {_words(arguments[0])}"
        )
    if origin is not None:
        return " | ".join(f"`{argument}`" for argument in arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        title = annotation.__name__.removesuffix("Spec")
        return f"[{title}](#{_anchor(annotation)})"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, str(annotation))


def _anchor(model: Any) -> str:
    title = _title(model).lower()
    return "".join(c for c in title.replace(" ", "-") if c.isalnum() or c in "-_")


def commands() -> str:
    """docs/commands.md: every command's --help."""
    runner = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
    lines = ["# Commands", "", "Generated from `rankscope --help` by `make docs`.", ""]
    names = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for words in [[], *([name] for name in names)]:
        shown = runner.invoke(app, [*words, "--help"], prog_name="rankscope").output
        clean = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        lines += [f"## rankscope {' '.join(words)}".rstrip(), "", "```", clean, "```", ""]
    return "\n".join(lines)


PAGES = {
    "ARCHITECTURE.md": architecture,
    "docs/study-file.md": study_file,
    "docs/commands.md": commands,
}


def main() -> int:
    """Write the pages, or with --check compare them; the number of pages that differ."""
    stale = []
    for name, made in PAGES.items():
        path, text = ROOT / name, made()
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    if "--check" in sys.argv and stale:
        print(f"out of date: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    sys.exit(main())
