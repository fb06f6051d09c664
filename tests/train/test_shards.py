"""Configurations of shards that do not go with a recipe are refused before anything is trained."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend

from rankscope.core.errors import BadInput
from rankscope.train import shards


def configured(
    kind: DistributedType = DistributedType.FSDP,
    *,
    version: int = 2,
    checkpoints: bool = False,
    backend: DynamoBackend = DynamoBackend.NO,
) -> Accelerator:
    """What accelerate tells of its configuration."""
    state = SimpleNamespace(
        fsdp_plugin=SimpleNamespace(activation_checkpointing=checkpoints),
        dynamo_plugin=SimpleNamespace(backend=backend),
    )
    made = SimpleNamespace(distributed_type=kind, is_fsdp2=version == 2, state=state)
    return cast("Accelerator", made)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "FSDP 1": ({"version": 1}, {}),
    "grad_cache": ({}, {"memory": "grad_cache"}),
    "compile: true does not go": ({}, {"compiled": True}),
    "fsdp_activation_checkpointing": ({"checkpoints": True}, {}),
    "dynamo": ({"backend": DynamoBackend.INDUCTOR}, {}),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_shards_cannot_do_is_refused(said: str) -> None:
    configuration, recipe = REFUSED[said]
    with pytest.raises(BadInput, match=said):
        asked = {"memory": "plain", "compiled": False} | recipe
        shards.are_configured(configured(**configuration), **asked)


def test_shards_are_there_where_the_configuration_asks_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {"memory": "plain", "compiled": False}
    assert shards.are_configured(configured(), **asked)
    assert not shards.are_configured(configured(DistributedType.NO), **asked)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(BadInput, match="on several accelerators only"):
        shards.are_configured(configured(DistributedType.NO), **asked)
