"""The studies that come with rankscope, in `studies/` of the repository and in the wheel: listed, and found by name."""

from importlib.resources import files
from pathlib import Path

from rankscope.core import plain_yaml
from rankscope.core.errors import choose
from rankscope.core.result import Result, Table, json_of
from rankscope.data.public import places
from rankscope.pipeline.paths import VARIABLE

PREFIX = "studies:"
"""How the name of one of these begins where a study file is given."""


def folder() -> Path:
    """The folder of the studies: in the package where it was installed, beside it in a repository."""
    inside = Path(str(files("rankscope"))) / "studies"
    return inside if inside.is_dir() else inside.parents[2] / "studies"


def ready_made() -> dict[str, Path]:
    """The study files by name."""
    here = folder()
    return {
        path.relative_to(here).with_suffix("").as_posix(): path
        for path in sorted(here.rglob("*.yaml"))
    }


def located(written: Path) -> Path:
    """The study file that `studies:NAME` names; any other path as it is."""
    text = str(written)
    if not text.startswith(PREFIX):
        return written
    return choose(ready_made(), text.removeprefix(PREFIX), what="study that comes with rankscope")


def as_typed(file: Path) -> str:
    """A study file as a command names it: `studies:NAME` for one of these, else its name without its folder."""
    if file.is_relative_to(folder()):
        return f"{PREFIX}{file.relative_to(folder()).with_suffix('').as_posix()}"
    return file.name


def listed() -> Result:
    """The studies, a line each, with what they need that has to be fetched or set."""
    rows, facts = [], []
    for name, path in ready_made().items():
        what, needed = _described(path)
        missing = [data for data in needed if not places.is_there(data)]
        variables = _unset(path)
        rows.append([name, ", ".join([*needed, *(f"${each}" for each in variables)]), what])
        facts.append(
            {"name": f"{PREFIX}{name}", "what": what, "data": needed}
            | {"not_fetched": missing, "variables": variables}
        )
    return Result(
        tables=(
            Table("Studies that come with rankscope", ["study", "needs", "what it asks"], rows, is_text=True),
        ),
        lines=(
            "`rankscope data fetch NAME...` fetches what a study needs, `rankscope run studies:NAME` carries it out.",
        ),
        forms={"json": lambda: json_of(facts)},
    )  # fmt: skip


def _described(path: Path) -> tuple[str, list[str]]:
    """The first line of a study file, which says what it asks, and the public collections that it names."""
    first, _, _ = path.read_text("utf-8").partition("\n")
    named = places.names_in(plain_yaml.read_file(path))
    return first.lstrip("# "), list(dict.fromkeys(named))


def _unset(path: Path) -> list[str]:
    """The variables that a study file has no default for."""
    found = VARIABLE.finditer(path.read_text("utf-8"))
    return list(dict.fromkeys(match.group(1) for match in found if match.group(2) is None))
