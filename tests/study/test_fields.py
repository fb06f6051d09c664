"""The fields of a study file by place, and the answers to other tools' names for them."""

import inspect
from copy import deepcopy
from dataclasses import fields
from typing import Any

import pytest
import sentence_transformers
import yaml

from rankscope.core.errors import BadStudy, UnknownChoice, choose
from rankscope.study.fields.elsewhere import ROWS, THEIRS, unknown_field
from rankscope.study.fields.places import below, leads_to, names, places, spec_at, where
from rankscope.study.load import validated
from rankscope.study.study import Study
from rankscope.train.needs import ELSEWHERE, NEEDS
from support import tiny


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))


def told(values: dict[str, Any], place: str, value: Any = 1) -> str:
    """What is said of a study with one more value."""
    values = deepcopy(values)
    *tables, last = place.split(".")
    inner = values
    for table in tables:
        inner = inner.setdefault(table, {})
    inner[last] = value
    with pytest.raises(BadStudy) as caught:
        validated(values, "s")
    return str(caught.value).removeprefix(f"s: {place}: there is no such field. ")


ANSWERS = {
    "rankers.C.lr": "Did you mean `learning_rate`?",
    "rankers.C.num_train_epochs": "Did you mean `epochs`?",
    "rankers.C.max_update": "Did you mean `max_updates`?",
    "rankers.C.batch_size": "Did you mean `queries_per_update`? `queries_per_update` counts the queries of an update",
    "rankers.C.per_device_train_batch_size": "Did you mean `queries_per_batch`?",
    "rankers.C.gradient_accumulation_steps": "Did you mean `queries_per_update`? An update accumulates",
    "rankers.C.teacher": "Did you mean `samples.labels`? It names one of `teachers`, or qrels",
    "rankers.C.warmup_ratio": "Did you mean `warmup`?",
    "rankers.C.warmup_steps": "Did you mean `warmup`? It is a share of the updates: 100 steps of 1,000 are 0.1",
    "rankers.C.scale": "Did you mean `temperature`? Similarities are divided by it: a scale of 20 is a temperature of 0.05",
    "rankers.C.num_negatives": "Did you mean `samples.group_size`? It counts the relevant doc too",
    "rankers.C.samples.train_group_size": "Did you mean `group_size`?",
    "rankers.C.eval_steps": "Did you mean `validate.every`?",
    "rankers.C.save_steps": "Did you mean `checkpoint_every`?",
    "rankers.C.fp16": "Did you mean `precision`? It is float32 or bfloat16; no float16",
    "rankers.C.optimizer": "The optimiser is AdamW",
    "rankers.C.output_dir": "`--results` of the command names the folder of results",
    "rankers.C.--max-grad-norm": "Did you mean `clip_norm`?",
    "rankers.C.model_name_or_path": "Did you mean `start`? It names the ranker that the stage tunes",
    "rankers.plain.model_name_or_path": "Did you mean `backbone`?",
    "rankers.bi.model_name_or_path": "Did you mean `model`?",
    "model_name_or_path": "Did you mean `rankers`?",
    "rankers.plain.max_seq_length": "Did you mean `max_length`?",
    "rankers.C.max_seq_length": "`max_length` stands in `rankers.NAME` of `kind: cross_encoder`, in",
    "rankers.bi.query_max_len": "Did you mean `max_length.query`?",
    "rankers.plain.query_max_len": "Did you mean `max_length`? Query and doc are read together",
    "evaluate.metrics": "Did you mean `measures`?",
    "evaluate.measure": "Did you mean `measures`?",
    "metrics": "Did you mean `evaluate.measures`?",
    "evaluate.top_k": "Did you mean `rerank.depth`?",
    "first_stages.bm25.top_k": "Did you mean `depth`?",
    "rankers.C.group_size": "It stands in `samples`",
    "rankers.C.depth": "It stands in `samples`, `validate` or `samples.negatives`",
    "rankers.C.k1": "`k1` stands in `first_stages.NAME` of `kind: bm25`",
    "collections.test.queries_file": "`queries_file` stands in `collections.NAME` of `kind: files`",
    "learning_rate": "`learning_rate` stands in `rankers.NAME` with `start` or in `rankers.NAME.backbone` of `kind: scratch`",
    "first_stages.bm25.xyz": "There are: kind, k1, b, language, depth",
}  # fmt: skip


@pytest.mark.parametrize("place", ANSWERS)
def test_a_field_that_is_none_is_answered_with_ours(values: dict[str, Any], place: str) -> None:
    assert told(values, place).startswith(ANSWERS[place])


def test_a_list_of_values_under_another_tools_name_is_answered_too(values: dict[str, Any]) -> None:
    assert told(values, "rankers.C.lr", [1e-5, 2e-5]) == "Did you mean `learning_rate`?"


@pytest.mark.parametrize("row", ROWS)
def test_every_answer_names_a_field_that_there_is(row: str) -> None:
    for ours in ROWS[row]:
        assert where(ours.field) if ours.field else ours.differs, ours
        assert not ours.differs or ours.differs.endswith((".", "”.")), ours


def test_no_name_stands_in_two_rows_and_none_is_read_where_it_is_asked_of() -> None:
    assert len(THEIRS) == sum(len(row.split()) for row in ROWS)
    for place in places():
        for name in THEIRS.keys() - {*names(place.spec)}:
            assert unknown_field(name, place.spec).startswith("there is no such field. ")


def test_the_names_are_those_of_other_tools() -> None:
    """Of those that are installed, by their signatures: nobody invented them, and what they are asked for most is there."""
    theirs = {each.name for each in fields(sentence_transformers.SentenceTransformerTrainingArguments)}  # fmt: skip
    bi_encoder, mine = sentence_transformers.SentenceTransformer, sentence_transformers.util.mine_hard_negatives  # fmt: skip
    for function in (bi_encoder, bi_encoder.encode, bi_encoder.fit, mine):
        theirs |= {*inspect.signature(function).parameters}
    assert len(theirs & THEIRS.keys()) >= 60
    asked = "learning_rate num_train_epochs max_steps weight_decay seed warmup_ratio"
    ours = {field for place in places() for field in names(place.spec)}
    assert {*asked.split()} <= theirs & (THEIRS.keys() | ours)


# -- places ----------------------------------------------------------------------------------------


def test_places_are_found_by_the_kinds_that_pydantic_names(values: dict[str, Any]) -> None:
    spec = spec_at(("rankers", "C", "trained", "samples", "labelled", "negatives"))
    assert spec is not None
    assert names(spec)[:3] == ["from", "skip_top", "depth"]
    assert spec_at(()) is Study
    assert spec_at(("rankers", "C", "trained", "guards")) is None, "a table whose names are free"
    assert spec_at(("rankers", "beir", "cross_encoder", "backbone", "scratch")) is not None


def test_every_spec_has_a_place_that_leads_to_it() -> None:
    assert len({place.spec for place in places()}) == len(places()) > 35
    assert {str(place) for place in where("k1")} == {"in `first_stages.NAME` of `kind: bm25`"}
    assert below(Study, "measures") == ["evaluate.measures"]
    assert leads_to(Study, "evaluate.rerank.depth")
    assert not leads_to(Study, "evaluate.rerank.dept")


# -- losses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_loss_of_another_tool_is_answered_with_ours(name: str) -> None:
    with pytest.raises(UnknownChoice, match=f"Did you mean '{ELSEWHERE[name]}'"):
        choose(NEEDS, name, what="loss", elsewhere=ELSEWHERE)


def test_such_a_loss_is_answered_however_it_is_spelt(values: dict[str, Any]) -> None:
    said = told(values, "rankers.C.loss", "MultipleNegativesRankingLoss")
    assert "Unknown loss 'MultipleNegativesRankingLoss'. Did you mean 'info_nce'?" in said
