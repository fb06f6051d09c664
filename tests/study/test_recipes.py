"""Recipes: published values for what a stage does not say itself, and what goes with what."""

from typing import Any

import pytest
from pydantic import ValidationError

from rankscope.pipeline.identity import identity
from rankscope.pipeline.spec.recipes import RECIPES
from rankscope.pipeline.spec.samples import CropsSpec, NoisyQueriesSpec, SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec

NEGATIVES = {"negatives": {"from": "bm25"}}


def stage(**written: Any) -> TrainedSpec:
    return TrainedSpec.model_validate({"start": "plain", **written})


def test_dpr_is_as_published() -> None:
    spec = stage(recipe="dpr", samples=NEGATIVES)
    assert isinstance(spec.samples, SamplesSpec)
    assert (spec.queries_per_update, spec.learning_rate, spec.epochs) == (128, 2e-5, 40)
    assert (spec.clip_norm, spec.weight_decay, spec.samples.group_size) == (2.0, 0.0, 2)
    assert spec.in_batch
    assert spec.samples.labels == "qrels"


def test_contriever_is_as_published() -> None:
    spec = stage(recipe="contriever", samples={"collection": "docs"})
    assert isinstance(spec.samples, CropsSpec)
    assert spec.samples.collection == "docs"
    assert (spec.samples.deletion, spec.temperature, spec.max_updates) == (0.1, 0.05, 500_000)
    assert spec.momentum_queue is not None
    assert (spec.momentum_queue.size, spec.momentum_queue.momentum) == (131_072, 0.9995)


def test_repllama_and_aligned_queries_stand_too() -> None:
    repllama = stage(recipe="repllama", samples=NEGATIVES)
    assert repllama.lora is not None
    assert repllama.queries_per_update == 128
    aligned = stage(recipe="aligned_queries", samples={"docs": "docs"})
    assert isinstance(aligned.samples, NoisyQueriesSpec)
    assert aligned.freeze == ("doc_tower",)


def test_what_is_written_goes_before_the_recipe() -> None:
    spec = stage(
        recipe="dpr", samples={**NEGATIVES, "group_size": 4}, max_updates=9, queries_per_update=8
    )
    assert isinstance(spec.samples, SamplesSpec)
    assert (spec.samples.group_size, spec.max_updates, spec.epochs) == (4, 9, None)
    assert spec.queries_per_batch == 8


def test_where_only_the_update_is_written_batches_are_no_larger_than_published() -> None:
    assert (
        stage(recipe="repllama", samples=NEGATIVES, queries_per_update=256).queries_per_batch == 32
    )
    assert stage(recipe="repllama", samples=NEGATIVES, queries_per_update=8).queries_per_batch == 8
    assert stage(recipe="contriever", queries_per_update=64).queries_per_batch == 64


def test_labels_take_a_recipe_out_of_its_own_samples() -> None:
    spec = stage(recipe="contriever", samples={"labels": "qrels", **NEGATIVES}, momentum_queue=None)
    assert isinstance(spec.samples, SamplesSpec)


def test_a_recipe_is_as_good_as_its_values_written_out() -> None:
    short = stage(recipe="dpr", samples=NEGATIVES)
    values = RECIPES["dpr"].values
    written = {**values, "samples": {**values["samples"], **NEGATIVES}}
    assert identity(short, "train", str) == identity(stage(**written), "train", str)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"recipe": "dprr", "samples": {"kind": "crops"}}, "Input should be 'dpr', 'contriever'"),
        (
            {"recipe": "repllama", "samples": NEGATIVES, "queries_per_update": "1e2"},
            "valid integer",
        ),
        ({"recipe": {"dpr": 1}, "samples": NEGATIVES}, "Input should be 'dpr'"),
        ({"recipe": "contriever", "queries_per_batch": 64}, "needs `queries_per_batch` equal to"),
        ({"recipe": "contriever", "momentum_queue": None}, "`kind: crops` needs `momentum_queue`"),
        ({"recipe": "aligned_queries"}, "with `samples.docs` with `loss: kl`"),
        (
            {"recipe": "aligned_queries", "samples": {"docs": "d"}, "loss": "info_nce"},
            "with `samples.docs` with `loss: kl`",
        ),
        (
            {"recipe": "aligned_queries", "samples": {"docs": "d"}, "queries_per_update": 1},
            "of 2 or more",
        ),
        (
            {
                "recipe": "aligned_queries",
                "samples": {"docs": "d"},
                "freeze": ["encoder"],
                "lora": {},
            },
            "write `freeze: \\[\\]`",
        ),
        ({"recipe": "contriever", "samples": {"shortest": 0.6}}, "`shortest` must not be above"),
        (
            {"recipe": "dpr", "samples": NEGATIVES, "momentum_queue": {}},
            "`momentum_queue` goes with",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        stage(**written)
