"""What a study may not ask of bi-encoders, each in one sentence."""

from pathlib import Path

import pytest

from rankscope.core.errors import BadStudy
from rankscope.study.load import load
from support import dense_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_study.write(tmp_path_factory.mktemp("dense"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["rankers.noisy.freeze=[]"], "rankers.noisy.freeze: .*Add `doc_tower`"),
        (["rankers.last.lora.merge=false"], "rankers.last.lora.merge"),
        (["rankers.crops.in_batch=true"], "rankers.crops.in_batch: .*Write `in_batch: false`"),
        (["rankers.crops.start=judge"], "rankers.crops.samples: `kind: crops` trains bi-encoders"),
        (["rankers.crops.samples.shortest=0.9"], "rankers.crops.samples: `shortest`"),
        (["rankers.fresh.start=judge", "rankers.fresh.in_batch=false", "rankers.fresh.temperature=1.0"],
         "rankers.fresh.samples.negatives.refresh_every"),
        (["rankers.fresh.samples.negatives.rescored_by=judge"], "`refresh_every` draws"),
        (["rankers.sorted.samples.negatives.rescored_by=nobody"], "nobody"),
        (["rankers.sorted.samples.negatives.rescored_by=sorted"], "its teacher learns from it"),
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
