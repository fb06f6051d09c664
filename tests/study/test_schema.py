"""The JSON schema of the study file takes what the reader takes, and says what it does not."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from rankscope.core.errors import BadStudy
from rankscope.study.demo import write_demo
from rankscope.study.fields import schema
from rankscope.study.load import validated
from support import tiny
from support.command import Command

ROOT = Path(__file__).resolve().parents[2]
STUDIES = [*sorted((ROOT / "studies").rglob("*.yaml"))]
IS_VALID: Callable[[Any], bool] = jsonschema_rs.validator_for(schema.schema()).is_valid


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    values = deepcopy(values)
    *tables, last = place.split(".")
    inner = values
    for table in tables:
        inner = inner.setdefault(table, {})
    inner[last] = value
    return values


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_ready_made_study_fits(path: Path) -> None:
    found = yaml.safe_load(path.read_text("utf-8"))
    errors = jsonschema_rs.validator_for(schema.schema()).iter_errors(found)
    assert [f"{list(error.instance_path)}: {error.message}" for error in errors] == []


PROBES = {"examples": {"over": "test", "train": "train", "from": "bm25"}}
FITTING: dict[str, Any] = {
    "rankers.C.learning_rate": [1e-5, 2e-5],
    "rankers.C.loss": ["ranknet", "localized_contrastive"],
    "rankers.C.lora": {"rank": [4, 8]},
    "rankers.C.seeds": [1, 2, 3],
    "rankers.C.guards": {"unmoved": False},
    "rankers.plain.revision": "0123456",
    "rankers.bi.max_length": {"query": 32},
    "evaluate.baseline": "bm25",
    "evaluate.measures": "nDCG@10, map",
    "evaluate.margin": {"nDCG@10": "5%"},
    "rankers.C.validate.collection": ["train", "test"],
    "explain": {"rankers": ["bi"], "probes": {"p": PROBES | {"baseline": "bi"}}},
    "rankers.X": {"start": "bi", "recipe": "dpr", "samples": {"negatives": {"from": "bm25"}}},
    "rankers.Y": {"start": "bi", "recipe": "contriever"},
    "rankers.Z": {"start": "bi", "recipe": "aligned_queries", "samples": {"docs": "test"}},
}


@pytest.mark.parametrize("place", FITTING)
def test_what_the_reader_takes_fits(values: dict[str, Any], place: str) -> None:
    assert IS_VALID(changed(values, place, FITTING[place]))


WRONG: dict[str, Any] = {
    "rankers.C.lr": 1e-5,
    "seeed": 1,
    "rankers.C.learning_rate": 0,
    "rankers.C.schedule": "step",
    "rankers.C.start": ["plain", "bi"],
    "first_stages.bm25.k1": [0.9, 1.2],
    "first_stages.bm25": {"kind": "bm52"},
    "rankers.X": {"start": "plain", "max_updates": 5},
    "rankers.bi.max_length": 128,
    "study": "a/b",
    "evaluate.over": "test",
}


@pytest.mark.parametrize("place", WRONG)
def test_what_the_reader_refuses_does_not_fit(values: dict[str, Any], place: str) -> None:
    wrong = changed(values, place, WRONG[place])
    with pytest.raises(BadStudy):
        validated(wrong, "s")
    assert not IS_VALID(wrong)


@pytest.mark.parametrize(
    ("spec", "field"), [(s, f) for s, fields in schema.TEXT_OR_LIST.items() for f in fields]
)
def test_the_fields_that_take_one_name_alone_are_those_of_the_reader(spec: str, field: str) -> None:
    assert field in schema.schema()["$defs"][spec]["properties"]


def test_it_explains_itself() -> None:
    made = schema.schema()
    stage = made["$defs"]["TrainedSpec"]
    assert stage["description"] == "A ranker made from another by one stage of fine-tuning."
    assert stage["properties"]["learning_rate"]["description"] == "Peak learning rate."
    text = schema.text()
    for mark in ("changes_results", "read_by", "](", "Input"):
        assert mark not in text
    assert "Published hyper-parameters (below (docs/study-file.md#recipes))" in text
    assert made["additionalProperties"] is False


# -- files -----------------------------------------------------------------------------------------


def test_the_command_prints_it_or_writes_it(rankscope: Command, tmp_path: Path) -> None:
    assert json.loads(rankscope("schema").out) == schema.schema()
    path = tmp_path / "mine.json"
    assert rankscope("schema", "--out", path).out == f"{path}: written.\n"
    assert json.loads(path.read_text("utf-8")) == schema.schema()


def test_a_study_file_that_is_written_names_the_schema_beside_it(tmp_path: Path) -> None:
    study = write_demo(tmp_path)
    first = study.read_text("utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=study.schema.json"
    beside = tmp_path / first.partition("$schema=")[2]
    assert json.loads(beside.read_text("utf-8")) == schema.schema()
    assert IS_VALID(yaml.safe_load(study.read_text("utf-8")))
