"""The JSON schema of the study file, by which editors complete fields, explain them and underline mistakes.

It is pydantic's, made to say what the reader takes: a name where a list of one is meant, a list in a field of a ranker,
which makes a sweep, and `seeds`. What holds between fields (`study.rules`) no schema says: `rankscope check` does.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.core.result import Result
from rankscope.pipeline.spec.fields import Spec, is_free
from rankscope.pipeline.spec.recipes import RECIPES
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.store.files import write_text
from rankscope.study.fields.places import kinds, places, written
from rankscope.study.study import Study
from rankscope.study.sweeps.lists import NO_LISTS

NAME = "study.schema.json"
"""What the schema is called beside a study file."""
COMMENT = f"# yaml-language-server: $schema={NAME}"
"""The first line of a study file that rankscope writes: it tells editors where the schema is."""
PAGE = "docs/study-file.md"
TEXT_OR_LIST = {
    "EvaluateSpec": ("baseline", "measures"),
    "ValidateSpec": ("collection",),
    "ProbesSpec": ("baseline",),
    "AttributionSpec": ("baseline",),
    "ChangesSpec": ("pairs",),
}
"""Fields of lists that take one name without a list, too; a test holds this against the reader."""
SAMPLES = ("rankers", "NAME", "samples")
SINGLE = ("string", "number", "integer", "boolean")

Table = dict[str, Any]


def text() -> str:
    """The schema as a file has it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def answer() -> Result:
    """The schema, for a terminal or a file."""
    return Result(forms={"json": text})


def write_beside(study_file: Path) -> Path:
    """Write the schema beside a study file whose first line is `COMMENT`; its path."""
    path = study_file.parent / NAME
    write_text(path, text())
    return path


def schema() -> Table:
    """The schema of the study file, as plain values."""
    made = Study.model_json_schema(by_alias=True)
    definitions: dict[str, Table] = {"Study": made, **made["$defs"]}
    for name, spec in _specs().items():
        definition = definitions[name]
        _explain(definition, spec)
        _take_single_names(definition, TEXT_OR_LIST.get(name, ()))
    for name, spec in _specs().items():
        if name in _of_rankers():
            _take_lists(definitions[name], spec)
    _fill_recipes(definitions)
    guards = definitions[TrainedSpec.__name__]["properties"]["guards"]
    _widen(guards["additionalProperties"], {"const": False})  # YAML reads a bare `off` so
    plain: Table = _without_marks(made)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain}


def _specs() -> Mapping[str, type[Spec]]:
    """Every spec of a study file by its name."""
    return {place.spec.__name__: place.spec for place in places()}


def _of_rankers() -> set[str]:
    """The names of the specs that stand in `rankers`, where lists make sweeps."""
    return {place.spec.__name__ for place in places() if place.names[:1] == ("rankers",)}


def _explain(definition: Table, spec: type[Spec]) -> None:
    """Say what a table is by the first sentence of its spec, and drop titles that only repeat names."""
    definition["title"] = spec.__name__.removesuffix("Spec")
    definition["description"] = (spec.__doc__ or "").strip().partition("\n")[0]
    for field in definition["properties"].values():
        field.pop("title", None)


def _take_single_names(definition: Table, fields: tuple[str, ...]) -> None:
    for name in fields:
        _widen(definition["properties"][name], {"type": "string"})


def _take_lists(definition: Table, spec: type[Spec]) -> None:
    """Let fields of a ranker that take one value take a list, which makes a ranker for each; and `seeds`."""
    for name, info in spec.model_fields.items():
        field = definition["properties"][written(spec, name)]
        single = [each for each in _alternatives(field) if _is_single(each)]
        if single and name not in {*NO_LISTS, "kind"} and not is_free(info):
            values = single[0] if len(single) == 1 else {"anyOf": single}
            _widen(field, {"type": "array", "items": values, "minItems": 1})
    if "seed" in spec.model_fields:
        definition["properties"]["seeds"] = {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "minItems": 1,
            "description": "Seeds: a ranker for each, which count as runs of one system.",
        }


def _alternatives(field: Table) -> list[Table]:
    """The schemas of which one must fit; the field's own, where it has no choice."""
    own = {name: value for name, value in field.items() if name not in _ABOUT}
    return list(field.get("anyOf") or [own])


_ABOUT = {"description", "default", "title"}
"""What a field says about itself, beside which values it takes."""


def _is_single(schema: Table) -> bool:
    return schema.get("type") in SINGLE


def _widen(field: Table, more: Table) -> None:
    """Let a field take what another schema takes, too."""
    choices = [*_alternatives(field), more]
    for name in [name for name in field if name not in _ABOUT]:
        del field[name]
    field["anyOf"] = choices


def _fill_recipes(definitions: dict[str, Table]) -> None:
    """A stage with a recipe leaves out what the recipe fills in, of its samples, too."""
    stage = definitions[TrainedSpec.__name__]
    filled = set.intersection(*({*recipe.values} for recipe in RECIPES.values()))
    needed = [name for name in stage["required"] if name in filled]
    stage["required"] = [name for name in stage["required"] if name not in needed]
    stage["anyOf"] = [{"required": ["recipe"]}, {"required": needed}]
    for place in places():
        if place.names == SAMPLES:
            definition = definitions[place.spec.__name__]
            in_recipes = {name for each in _samples_of(place.spec) for name in each}
            definition["required"] = [n for n in definition["required"] if n not in in_recipes]


def _samples_of(spec: type[Spec]) -> list[Mapping[str, Any]]:
    """The samples of recipes that are of a spec's kind."""
    every = (recipe.values["samples"] for recipe in RECIPES.values())
    return [samples for samples in every if samples.get("kind", "labelled") in kinds(spec)]


_LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")


_KEYWORDS = {
    "oneOf": "anyOf",
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
}
"""What pydantic writes where a check of ours stands before a bound, to the schema's own keyword."""


def _is_keyword(name: str, value: Any) -> bool:
    """Whether a name is a keyword of the schema here, and no field of a study file that is called so."""
    return name == "oneOf" or not isinstance(value, dict)


def _without_marks(value: Any) -> Any:
    """The schema without marks of ours, and its links as words; `oneOf` is `anyOf`, as several kinds may still fit."""
    if isinstance(value, dict):
        return {
            _KEYWORDS.get(name, name) if _is_keyword(name, inner) else name: _without_marks(inner)
            for name, inner in value.items()
            if name not in {"changes_results", "read_by", "discriminator"}
        }
    if isinstance(value, list):
        return [_without_marks(inner) for inner in value]
    return _LINK.sub(_as_words, value) if isinstance(value, str) else value


def _as_words(link: re.Match[str]) -> str:
    target = link[2] if not link[2].startswith("#") else f"{PAGE}{link[2]}"
    return f"{link[1]} ({target if target.startswith('docs/') else f'docs/{target}'})"
