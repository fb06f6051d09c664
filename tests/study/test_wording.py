"""No message speaks of the validator: every type of error that a spec can raise has words of ours."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from pydantic_core import core_schema

from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.core.errors import BadInput
from rankscope.pipeline.spec.fields import spec_of
from rankscope.pipeline.spec.wording import (
    BOUNDS,
    LISTS,
    NUMBERS,
    OURS,
    RECORDS,
    WORDS,
    described,
)
from rankscope.study.fields.places import names, places
from rankscope.study.study import Study

ALL = {*get_args(core_schema.ErrorType)}
WORDED = {*BOUNDS, *LISTS, *NUMBERS, *OURS, *RECORDS, *WORDS}
SIZES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}
LENGTHS = {"too_short", "too_long"}
RAISED: dict[str, set[str]] = {
    "model": {"model_type", "model_attributes_type", "missing", "extra_forbidden", "invalid_key", "recursion_loop"},
    "str": {"string_type", "string_unicode", "string_too_short", "string_too_long", "string_pattern_mismatch"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number", *SIZES},
    "float": {"float_type", "float_parsing", "finite_number", *SIZES},
    "bool": {"bool_type", "bool_parsing"},
    "literal": {"literal_error"},
    "tuple": {"tuple_type", "missing", "iteration_error", *LENGTHS},
    "dict": {"dict_type", "mapping_type", *LENGTHS},
    "tagged-union": {"union_tag_invalid", "union_tag_not_found"},
    "function-after": {"value_error", "assertion_error"},
    "function-before": {"value_error", "assertion_error"},
    "nullable": set(),
    "default": set(),
}  # fmt: skip
"""The kinds of pydantic's schemas that the specs are made of, and the types of errors that each raises."""
NEVER = (
    "json_", "needs_python", "recursion_depth", "frozen", "get_attribute", "no_such_attribute", "dataclass_", "named_tuple",
    "default_factory", "none_required", "string_not_ascii", "ordered_dict", "counter_", "deque_", "set_", "bytes_",
    "missing_sentinel", "ellipsis", "date_", "time_", "datetime_", "timezone_", "is_subclass", "callable", "arguments_",
    "missing_", "unexpected_", "multiple_argument", "url_", "uuid_", "decimal_", "fraction_", "complex_",
)  # fmt: skip
"""How the types of errors begin that belong to kinds which no spec has."""


def kinds(schema: Any, seen: set[int]) -> Iterator[str]:
    """The kinds of schemas inside a schema of pydantic's."""
    if isinstance(schema, dict) and id(schema) not in seen:
        seen.add(id(schema))
        if schema.get("type") not in {None, "model-field", "no-info", "with-info"}:
            yield schema["type"]
        for name, inner in schema.items():
            if name not in {"metadata", "serialization", "ref", "config"}:
                yield from kinds(inner, seen)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from kinds(inner, seen)


def test_every_type_of_error_that_a_spec_can_raise_has_words_of_ours() -> None:
    structure = {"model-fields", "definitions", "definition-ref", "chain", "any"}
    met = {*kinds(Study.__pydantic_core_schema__, set())} - structure
    assert met == RAISED.keys()
    raised = set().union(*RAISED.values())
    assert raised <= ALL
    assert raised <= WORDED
    others = {error for error in ALL - WORDED if not error.startswith(NEVER)}
    assert others == set(), "a type of error of a later pydantic: can a spec raise it?"


BAD: tuple[Any, ...] = (
    None, True, -1, 0.5, 10**30, 1e308, float("nan"), "", "x", "x" * 300, "\ud800", "5%", [], {}, [None], [[1]], [1, 2, 3],
    {1: 2}, {"x": 1}, {"kind": "x"}, {"kind": []}, ["x"] * 200, (1, 2), object(),
)  # fmt: skip


def test_whatever_stands_in_whichever_field_is_answered_in_words_of_ours() -> None:
    told: dict[str, str] = {}
    for place in places():
        for name in names(place.spec):
            for bad in BAD:
                try:
                    place.spec.model_validate({name: bad})
                except ValidationError as error:
                    for details in error.errors(include_url=False):
                        said = described(details)
                        told[details["type"]] = said
                        if details["type"] not in OURS:
                            assert said != details["msg"], details
                        for theirs in ("Input should", "valid ", "unable to", "String should", "pydantic"):  # fmt: skip
                            assert theirs not in said, details
    assert len(told) >= 25, "many types of errors were met"
    assert told.keys() <= WORDED


def test_what_no_sentence_is_known_of_is_still_no_words_of_the_validator() -> None:
    details = {
        "type": "uuid_parsing",
        "input": "x",
        "msg": "Input should be a valid UUID",
        "loc": (),
    }
    assert described(details) == "'x' cannot stand here"


def test_a_table_names_its_fields_where_they_are_few() -> None:
    details = {"type": "model_type", "input": 128, "msg": "", "loc": ()}
    assert described(details, fields=["query", "doc"]) == "a table of `query` and `doc` is needed, and this is 128"  # fmt: skip
    assert described(details) == "a table of names and values is needed, and this is 128"


def test_options_of_commands_are_answered_in_the_same_words() -> None:
    """Before: "nodes: Input should be less than or equal to 1000, and 5000 was given."."""
    with pytest.raises(BadInput, match=re.escape("nodes: 5000 is above 1,000, the most that can stand here.")):  # fmt: skip
        spec_of(AttributionSpec, over="test", first_stage="bm25", nodes=5000)
    with pytest.raises(BadInput, match=re.escape("examples: 'x' is not a whole number.")):
        spec_of(AttributionSpec, over="test", first_stage="bm25", examples="x")
