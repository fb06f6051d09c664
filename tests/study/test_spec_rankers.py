"""What a study file may say of a training, and what it may not."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from rankscope.core.errors import BadStudy
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.study.load import validated
from support import tiny

FROM_QRELS = {"labels": "qrels", "negatives": {"from": "bm25", "depth": 10}, "group_size": 4}
FROM_BI = {"labels": "bi", "group_size": 4}


def stage(changes: Mapping[str, Any]) -> TrainedSpec:
    """The stage C of the tiny study, with changes."""
    values = yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))
    values["rankers"]["C"] |= changes
    found = validated(values, "study.yaml").rankers["C"]
    assert isinstance(found, TrainedSpec)
    return found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lora": {}, "freeze": ["embeddings"]},
            "rankers.C: `lora` freezes all but adapter and head",
        ),
        ({"lora": {}, "freeze_layers": 1}, "rankers.C: `lora` freezes all but adapter and head"),
        ({"lora": {"rank": 0}}, "rankers.C.lora.rank"),
        ({"lora": {"rnak": 4}}, "rankers.C.lora.rnak: there is no such field"),
        ({"lora": {"dropout": 1.5}}, "rankers.C.lora.dropout"),
        ({"freeze": ["pooler"]}, "rankers.C.freeze"),
        ({"freeze_layers": -1}, "rankers.C.freeze_layers"),
        ({"memory": "gradcache"}, "rankers.C.memory"),
        ({"precision": "float16"}, "rankers.C.precision"),
        (
            {"validate": {"collection": ["train", "tset"], "from": "bm25"}},
            "Unknown collection 'tset'",
        ),
        ({"validate": {"collection": [], "from": "bm25"}}, "rankers.C.validate.collection"),
        ({"validate": {"collection": "train", "from": "bm25", "patience": 0}}, "patience"),
        (
            {"mixed_with": {"samples": FROM_BI, "loss": "ranknett"}},
            "rankers.C.mixed_with.loss: Unknown loss 'ranknett'. Did you mean 'ranknet'",
        ),
        ({"mixed_with": {"samples": FROM_BI, "loss": "ranknet", "weight": 0}}, "mixed_with.weight"),
        ({"mixed_with": {"samples": FROM_BI, "loss": "ranknet", "weight": 1}}, "mixed_with.weight"),
        (
            {"mixed_with": {"samples": FROM_BI | {"labels": "gpt"}, "loss": "ranknet"}},
            "rankers.C.mixed_with.samples.labels: Unknown teacher 'gpt'",
        ),
        (
            {"mixed_with": {"samples": FROM_BI | {"group_size": 6}, "loss": "ranknet"}},
            "rankers.C.mixed_with.samples.group_size: 6 docs are asked for, but bi ranks 5",
        ),
        (
            {"mixed_with": {"samples": FROM_BI, "loss": "localized_contrastive"}},
            "rankers.C.mixed_with.loss: localized_contrastive learns from relevant docs, and bi gives",
        ),
        (
            {"samples": FROM_BI, "mixed_with": {"samples": FROM_QRELS, "loss": "ranknet"}},
            "rankers.C.loss: localized_contrastive learns from relevant docs, and bi gives",
        ),
        ({"samples": FROM_BI, "loss": "info_nce"}, "rankers.C.loss: info_nce learns from relevant"),
    ],
)
def test_what_a_stage_cannot_be_is_refused_where_it_stands(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadStudy) as caught:
        stage(changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ["train", ["train"]])
def test_one_validation_collection_may_stand_without_its_list(written: object) -> None:
    watched = stage({"validate": {"collection": written, "from": "bm25", "depth": 5}}).validate_on
    assert watched is not None
    assert watched.collections == ("train",)


def test_a_mixed_stage_has_two_lessons_and_learns_from_both_collections() -> None:
    elsewhere = FROM_QRELS | {"collection": "test"}
    mixed = {"mixed_with": {"samples": elsewhere, "loss": "ranknet", "weight": 0.25}}
    assert [loss for loss, _ in stage(mixed).lessons] == ["localized_contrastive", "ranknet"]
    assert [loss for loss, _ in stage({}).lessons] == ["localized_contrastive"]
    values = yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))
    values["rankers"]["C"] |= mixed
    assert validated(values, "study.yaml").learnt_from("C-D") == ["train", "test"]


def test_the_pairs_of_an_update_are_its_queries_times_the_docs_of_their_groups() -> None:
    """Two lessons of 6 queries with 4 and 5 docs are 54 pairs; a text without labels has one partner."""
    again = {"samples": FROM_QRELS | {"group_size": 5}, "loss": "ranknet"}
    first = {"samples": FROM_QRELS | {"group_size": 4}, "queries_per_update": 6}
    assert stage(first | {"queries_per_batch": 6}).pairs_per_update == 24
    assert stage(first | {"queries_per_batch": 6, "mixed_with": again}).pairs_per_update == 54
