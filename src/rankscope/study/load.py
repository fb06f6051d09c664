"""Read a YAML file, with a.b=c overrides, as a Study; every mistake is named with its place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rankscope.core import plain_yaml
from rankscope.core.errors import BadInput, BadStudy, RankscopeError
from rankscope.core.visible import brief
from rankscope.pipeline.paths import LoadedStudy
from rankscope.study.mistakes import sentences, study_error
from rankscope.study.rules import between
from rankscope.study.study import Study
from rankscope.study.sweeps.members import expand


def load(path: Path, overrides: Sequence[str] = ()) -> LoadedStudy[Study]:
    """The study in a file, with overrides such as `rankers.C.max_updates=100` applied."""
    try:
        text = plain_yaml.text_of(path)
        values = plain_yaml.read(text, str(path))
    except FileNotFoundError as error:
        raise BadStudy(f"{path}: there is no such study file. Give the path of one.") from error
    except BadInput as error:
        raise BadStudy(str(error)) from error
    if not isinstance(values, dict):
        raise BadStudy(f"{path}: a study file is a table of names and values (`study: NAME`, ...).")
    for override in overrides:
        _override(values, override)
    return LoadedStudy(validated(values, str(path)), path.parent, path, text, tuple(overrides))


def validated(values: Mapping[str, Any], source: str) -> Study:
    """A Study from plain values, sweeps written out, or BadStudy with a line for every mistake in them."""
    try:
        expanded_values = expand(values)
        study = Study.model_validate(expanded_values)
        between.check(study)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        mistakes = sentences(errors, expanded_values, values.get("rankers") or {})
        raise study_error(source, mistakes) from error
    except BadStudy as error:
        raise study_error(source, error.args) from error
    except RankscopeError as error:
        raise study_error(source, [str(error)]) from error
    return study


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
