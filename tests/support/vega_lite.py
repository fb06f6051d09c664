"""Vega-Lite's schema, as altair brings it."""

import json
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

import jsonschema_rs

DEFINITIONS = "#/definitions/"


@cache
def _schema() -> Any:
    file = resources.files("altair.vegalite.v6.schema") / "vega-lite-schema.json"
    schema = json.loads(file.read_text("utf-8"), object_hook=_with_quoted_reference)
    return jsonschema_rs.validator_for(schema)


def _with_quoted_reference(part: dict[str, Any]) -> dict[str, Any]:
    """A reference as a URI: the names of the schema's definitions have angle brackets and bars in them."""
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return part
    return part | {"$ref": DEFINITIONS + quote(reference.removeprefix(DEFINITIONS), safe="")}


def check(spec: dict[str, Any]) -> None:
    """ValidationError for a chart that Vega-Lite does not know."""
    _schema().validate(spec)
