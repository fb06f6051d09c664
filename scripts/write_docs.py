"""Write what can be generated: ARCHITECTURE.md's tree, docs/study-file.md, commands.md, guards.md.

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
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from rankscope.cli import app
from rankscope.core import plain_yaml
from rankscope.pipeline.spec import fields
from rankscope.pipeline.spec.recipes import RECIPES
from rankscope.study import study
from rankscope.study.rules.chains import LONGEST
from rankscope.study.sweeps.lists import MOST
from rankscope.train.guards import GUARDS

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
    return (path.parent for path in (ROOT / "src/rankscope").glob("*/**/__init__.py"))


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
        "`make docs` generates this page from the specs in `src/rankscope`. A study file is YAML, and unknown names are refused.",
        "Any field can be overridden on the command line by its dotted name:",
        "`rankscope run study.yaml seed=7 rankers.C.max_updates=100`. Relative paths start from the study file's folder.",
        "`${NAME}` and `${NAME:-default}` are filled in from the environment.",
        "",
        "In `rankers`, a list where a field takes one value makes a ranker for each value, and `seeds: [1, 2, 3]` makes one for",
        "each seed: [Sweeps and seeds](guide.md#sweeps-and-seeds).",
        "",
        f"A file has at most {plain_yaml.N_BYTES:,} bytes and {plain_yaml.N_VALUES:,} values. Anchors, aliases and `<<` are read;",
        "the values that an alias stands for count each time. Dates and times are text, tags are not read, and no name may stand",
        f"twice. A study has at most {MOST:,} rankers. A ranker rests on at most {LONGEST - 1} rankers and first stages, one after another.",
        "",
    ]
    for model in _specs():
        lines += [f"## {_title(model)}", "", f"{(model.__doc__ or '').strip()}", ""]
        lines += ["| field | type | default | |", "|---|---|---|---|"]
        lines += [_field_row(name, field) for name, field in model.model_fields.items()]
        lines.append("")
    return "\n".join([*lines, *_recipes()])


def _recipes() -> Iterator[str]:
    yield from [
        "## Recipes",
        "",
        "`recipe: NAME` fills in these values. A value that the study writes takes precedence.",
        "",
    ]
    for name, published in RECIPES.items():
        written = yaml.safe_dump(dict(published.values), default_flow_style=None, sort_keys=False)
        yield from [f"### {name}", "", published.source, "", "```yaml", written.rstrip(), "```", ""]


def _specs() -> list[type[fields.Spec]]:
    """Every spec a study file can hold, in the order in which they are met from the whole study on."""
    met: dict[type[fields.Spec], None] = {}

    def meet(annotation: Any) -> None:
        is_spec = isinstance(annotation, type) and issubclass(annotation, fields.Spec)
        if is_spec and annotation not in met:
            met[annotation] = None
            for field in annotation.model_fields.values():
                meet(field.annotation)
        for inner in get_args(annotation):
            meet(inner)

    meet(study.Study)
    return [*met]


def _title(model: type[fields.Spec]) -> str:
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
    lines = ["# Commands", "", "`make docs` generates this page from `rankscope --help`.", ""]
    for words in [[], *sorted(_commands(typer.main.get_command(app)))]:
        shown = runner.invoke(app, [*words, "--help"], prog_name="rankscope").output
        clean = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        lines += [f"## rankscope {' '.join(words)}".rstrip(), "", "```", clean, "```", ""]
    return "\n".join(lines)


def _commands(group: Any) -> Iterator[list[str]]:
    """The words of every command, of those in groups too."""
    for name, command in group.commands.items():
        yield [name]
        if hasattr(command, "commands"):
            yield from ([name, *words] for words in _commands(command))


GUARDS_HEAD = """# Guards

`make docs` generates this page from `src/rankscope/train/guards.py`. A guard looks for one way in which a training goes
silently wrong. It says in one sentence what it sees and what to do. Its level decides what follows:

| level | what follows |
|---|---|
| `stop` | the stage ends with the sentence and stores nothing |
| `warn` | the sentence is shown, stored in the stage's manifest, and stands in the report |
| `off` | the sentence is only stored |

A study sets levels for each ranker. They are no part of a result's name, because they change no weight:

```yaml
rankers:
  C: {start: plain, guards: {truncated_docs: stop, loss_above_chance: warn}, ...}
```

Levels count while a stage is trained: `stop` does not remove a stage that is already stored.

`rankscope doctor study.yaml` runs the guards that act [before the first update](#before-the-first-update) on every
stage of a study, without training. Its exit code is 1 if one of them would stop a stage. If the ranker that a stage
starts from is not trained yet, `doctor` takes the one that the lineage begins with, and says so.
"""

GUARDS_TAIL = """
## What they do not see

- Labels that are wrong but learnable: a reversed order, or labels that do not belong to their docs but are so few that
  they are learnt by heart before the patience is over. A validation shows them.
- A bad but honest recipe. A guard checks whether a training is what it seems to be, not whether it is good.

`loss_above_chance` does not look at the loss alone. A stage that begins with scores too far apart for its loss starts
above chance although most pairs are in order (in `rankscope demo`, C-D begins at 0.99 where equal scores give 0.69,
with 64 % of the pairs in order). So both must fail: the loss, and the share of pairs in the right order, which does not
depend on how far apart the scores are.
"""

WHEN = {
    "before": "Before the first update",
    "during": "At every update, look or validation",
    "after": "At the end",
}


def guards() -> str:
    """docs/guards.md: every guard, when it looks, its level, what it looks for."""
    lines = [GUARDS_HEAD]
    for when, title in WHEN.items():
        lines += [f"## {title}", "", "| guard | level | it fires when |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {guard.level} | {guard.statement} |"
            for name, guard in GUARDS.items()
            if guard.when == when
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n" + GUARDS_TAIL


PAGES = {
    "ARCHITECTURE.md": architecture,
    "docs/study-file.md": study_file,
    "docs/commands.md": commands,
    "docs/guards.md": guards,
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
