"""What a bi-encoder finds for its own training is made again where it is damaged: by the weights of then."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rankscope.core.progress import SILENT
from rankscope.pipeline.planner import Plan
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study import runner
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.train import loop
from support import dense_study

ASKED = [
    "rankers.fresh.checkpoint_every=1",
    "evaluate={over: [test], rerank: {from: [bm25], depth: 5}, measures: [nDCG@10], baseline: [bm25], rankers: [fresh]}",
]


def trained(made: Plan, store: Store) -> tuple[bytes, list[str]]:
    """The weights of `fresh`, and what was told that is about damage."""
    told: list[str] = []
    step = next(step for step in made.steps if (step.kind, step.label) == ("train", "fresh"))
    noting: Any = SimpleNamespace(task=SILENT.task, note=told.append)
    with store.locked():
        runner.prepare([step], made, store, progress=noting)
    weights = store.open(step.name) / "model" / "model.safetensors"
    return weights.read_bytes(), [said for said in told if "cannot be trusted" in said]


def flipped(found: Path) -> None:
    data = bytearray((found / "run.trec").read_bytes())
    data[3] ^= 1
    (found / "run.trec").write_bytes(data)


@pytest.mark.parametrize(
    ("dies_at", "goes_on"),
    [pytest.param(4, "goes on from update 3", marks=pytest.mark.slow), (5, "starts again")],
)
def test_finds_that_are_damaged_or_lost_are_found_again_by_the_weights_of_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int, goes_on: str
) -> None:
    made = plan(load(dense_study.write(tmp_path), ASKED), Digests().of)
    final, told = trained(made, Store(tmp_path / "whole"))
    assert told == []
    updated = loop._Training._updated

    def dying(self: Any, update: int, batches: Any) -> Any:
        if update == dies_at:
            raise KeyboardInterrupt
        return updated(self, update, batches)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_updated", dying)
        with pytest.raises(KeyboardInterrupt):
            trained(made, Store(tmp_path / "stopped"))
    damages: list[Callable[[Path], None]] = [flipped, shutil.rmtree]
    for number, damage in enumerate(damages):
        shutil.copytree(tmp_path / "stopped", tmp_path / str(number))
        (found,) = (tmp_path / str(number)).glob("work/*/found-000000003")
        damage(found)
        again, told = trained(made, Store(tmp_path / str(number)))
        assert again == final
        assert goes_on in told[0]
        assert "it needs found-000000003" in told[0]
