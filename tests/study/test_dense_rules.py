"""What a study may not ask of bi-encoders, each in one sentence."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from rankscope.core.errors import BadStudy
from rankscope.data.noise import NOISES
from rankscope.models.towers import POOLINGS, TOWERS
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.spec.rankers import BiEncoderSpec
from rankscope.pipeline.spec.recipes import RECIPES
from rankscope.pipeline.spec.samples import NoisyQueriesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.retrieve.approximate import INDEXES
from rankscope.study.load import load
from rankscope.study.rules import rankers
from support import dense_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_study.write(tmp_path_factory.mktemp("dense"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["rankers.noisy.freeze=[]"], "rankers.noisy.freeze: .*Add `doc_tower`"),
        (["rankers.cls.freeze=[doc_tower]"], "rankers.cls.freeze: cls-plain, .*`towers: separate`"),
        (["rankers.mined.freeze=[doc_tower]"], r": rankers\.mined\.freeze: "),
        (["rankers.cls-plain.backbone={kind: scratch, collection: train}", "rankers.cls-plain.max_length.doc=200"],
         "128 positions"),
        (["rankers.last.lora.merge=false"], "rankers.last.lora.merge"),
        (["rankers.crops.in_batch=true"], "rankers.crops.in_batch: .*Write `in_batch: false`"),
        (["rankers.crops.start=judge"], "rankers.crops.samples: `kind: crops` trains bi-encoders"),
        (["rankers.crops.samples.shortest=0.9"], "rankers.crops.samples: `shortest`"),
        (["rankers.fresh.start=judge", "rankers.fresh.in_batch=false", "rankers.fresh.temperature=1.0"],
         "rankers.fresh.samples.negatives.refresh_every"),
        (["rankers.fresh.samples.negatives.rescored_by=judge"], "`refresh_every` draws"),
        (["rankers.sorted.samples.negatives.rescored_by=nobody"], "nobody"),
        (["rankers.sorted.samples.negatives.rescored_by=sorted"], "its teacher learns from it"),
        (["rankers.fresh.samples.negatives.absolute_margin=1.0"], "use `relative_margin`"),
        (["first_stages.both.of=[bm25, bm25]"], "names a first stage twice"),
        (["first_stages.both.method=scores", "first_stages.both.k=9"], "`k` goes with"),
        (["rankers.cls-plain.adapter_revision=abc"], "`adapter_revision` goes with `adapter`"),
        (["evaluate.baseline=bm25"], "of bm25 none is among what is compared"),
        (["rankers.cls.samples.negatives.from=dense"], "first_stages.dense: it needs its own run"),
    ],
)  # fmt: skip
def test_refused(study: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(BadStudy, match=said):
        load(study, overrides)


def test_a_sweep_over_a_collection_of_samples_makes_a_ranker_for_each(study: Path) -> None:
    loaded = load(study, ["rankers.mean.samples.collection=[train, test]"])
    swept = [name for name in loaded.study.rankers if name.startswith("mean.")]
    assert len(swept) == 2, swept


def choices(spec: type[BaseModel], field: str) -> set[str]:
    """The words that a field of a study takes."""
    return set(re.findall(r"'(\w+)'", repr(spec.model_fields[field].annotation)))


def test_a_study_offers_what_the_tables_have() -> None:
    assert choices(TrainedSpec, "recipe") == set(RECIPES)
    assert choices(DenseSpec, "index") == {"exact", *INDEXES}
    assert choices(NoisyQueriesSpec, "noise") == set(NOISES)
    assert choices(BiEncoderSpec, "pooling") == set(POOLINGS)
    assert set(TOWERS) == rankers.TOWERS
