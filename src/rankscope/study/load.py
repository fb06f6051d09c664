"""A YAML file (and a.b=c overrides) to a Study; every mistake named with its place."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput, BadStudy, RankscopeError
from rankscope.core.visible import brief, shortened
from rankscope.study.mistakes import sentences
from rankscope.study.spec import Study
from rankscope.study.sweeps import expand

MOST_OF_A_MESSAGE = 3000
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class LoadedStudy:
    """A study, the folder its relative paths start from, and the file it was read from."""

    study: Study
    folder: Path
    file: Path

    def path(self, written: str) -> Path:
        """A path of the study file: variables filled in, relative to the study file's folder."""
        try:
            return (self.folder / Path(expanded(written)).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a home of nobody, links in a circle
            raise BadStudy(
                f"{brief(written)}: it leads nowhere ({error}). Mend the path."
            ) from error


def load(path: Path, overrides: Sequence[str] = ()) -> LoadedStudy:
    """The study in a file, with overrides such as `rankers.C.max_updates=100` applied."""
    try:
        values = plain_yaml.read_file(path)
    except FileNotFoundError as error:
        raise BadStudy(f"{path}: there is no such study file. Give the path of one.") from error
    except BadInput as error:
        raise BadStudy(str(error)) from error
    if not isinstance(values, dict):
        raise BadStudy(f"{path}: a study file is a table of names and values (`study: NAME`, ...).")
    for override in overrides:
        _override(values, override)
    return LoadedStudy(validated(values, str(path)), path.parent, path)


def validated(values: Mapping[str, Any], source: str) -> Study:
    """A Study from plain values, sweeps written out, or one sentence for every mistake in them."""
    try:
        expanded_values = expand(values)
        return Study.model_validate(expanded_values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = sentences(found, expanded_values, values.get("rankers") or {})
        raise BadStudy(f"{source}: {told}") from error
    except RankscopeError as error:
        raise BadStudy(f"{source}: {shortened(str(error), MOST_OF_A_MESSAGE)}") from error


def _override(values: dict[str, Any], override: str) -> None:
    """Set one value by its dotted name; the value is read as YAML."""
    name, equals, text = override.partition("=")
    called = f"The override {brief(override)}"
    if not equals or not all(name.split(".")):
        raise BadStudy(f"{called} is not of the form a.b=value.")
    *tables, last = name.split(".")
    place = values
    for table in tables:
        inner = place.setdefault(table, {})
        if not isinstance(inner, dict):
            what = (
                "a list, give it whole" if isinstance(inner, list) else "a value, it has no fields"
            )
            raise BadStudy(f"{called}: `{table}` is {what}.")
        place = inner
    try:
        place[last] = plain_yaml.read(text, called, has_lines=False)
    except BadInput as error:
        raise BadStudy(str(error)) from error


def expanded(written: str) -> str:
    """${NAME} and ${NAME:-default}, filled in from the environment."""

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name, default)
        if found is None:
            raise BadStudy(
                f"{written}: the variable {name} is not set. Set it, or write the value in its place."
            )
        return found

    return VARIABLE.sub(value, written)
