"""What a study may ask of a training, from its file to what is stored."""

import json
import shutil
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.data.collections import StoredDocs
from rankscope.models import adapters
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.files import folders
from rankscope.models.location import kind_of
from rankscope.models.pairs import Joiner
from rankscope.pipeline.planner import Plan
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
from support.stored import folder, scores_are_sentence_transformers

# PEFT asks transformers by an old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

FROM_QRELS = {
    "samples": {"labels": "qrels", "negatives": {"from": "bm25", "depth": 10}, "group_size": 4},
    "loss": "localized_contrastive",
}
FROM_BI = {"samples": {"labels": "bi", "group_size": 4}, "loss": "ranknet"}
HOW = {
    "max_updates": 8, "learning_rate": 1e-2, "queries_per_update": 4, "queries_per_batch": 2,
}  # fmt: skip
LORA = {"rank": 4, "dropout": 0.1}
WATCHED = {"collection": ["train", "test"], "from": "bm25", "depth": 5, "every": 2}
RANKERS = {
    "adapter": {"start": "plain", "lora": LORA | {"merge": False}, "validate": WATCHED}
    | FROM_QRELS,
    "merged": {"start": "plain", "lora": LORA, "validate": WATCHED} | FROM_QRELS,
    "on-adapter": {"start": "adapter", **FROM_BI, "learning_rate": 1e-4},
    "adapter-on-adapter": {"start": "adapter", **FROM_BI, "lora": LORA},
    "mixed": {"start": "plain", **FROM_QRELS, "mixed_with": FROM_BI | {"weight": 0.25}},
    "tracked": {"start": "plain", **FROM_QRELS, "trackers": ["tensorboard"]},
}


def overrides(rankers: dict[str, dict[str, Any]]) -> list[str]:
    stages = [f"rankers.{name}={json.dumps(HOW | stage)}" for name, stage in rankers.items()]
    return [*stages, f"evaluate.rankers=[{', '.join(rankers)}]", "evaluate.baseline=[bm25]"]


@pytest.fixture(scope="module")
def study(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    made = plan(load(tiny_study, overrides(RANKERS)), Digests().of)
    store = Store(tmp_path_factory.mktemp("results") / "tiny")
    carry_out(made, store)
    return made, store


def rows(study: tuple[Plan, Store], ranker: str) -> list[dict[str, float]]:
    lines = (folder(study, "train", ranker) / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def weights(study: tuple[Plan, Store], kind: str, ranker: str) -> dict[str, Tensor]:
    return dict(CrossEncoder.load(folder(study, kind, ranker) / "model").model.state_dict())


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return sum(float((one[name] - other[name]).square().sum()) for name in one) ** 0.5


def test_an_adapter_alone_is_stored_and_re_ranks(study: tuple[Plan, Store]) -> None:
    model = folder(study, "train", "adapter") / "model"
    assert adapters.is_adapter(model)
    assert kind_of(model) == "cross_encoder"
    assert not (model / "model.safetensors").exists()
    scores_are_sentence_transformers(study, "adapter")


def test_merged_or_not_it_is_the_same_ranker(study: tuple[Plan, Store]) -> None:
    whole = folder(study, "train", "merged")
    assert not adapters.is_adapter(whole / "model")
    assert adapters.is_adapter(whole / "adapter")
    one, other = (weights(study, "train", name) for name in ("adapter", "merged"))
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], atol=1e-6, rtol=0)
    beside = CrossEncoder.load(whole / "adapter").score("who sits", ["red cat", "blue dog"])
    assert beside == pytest.approx(
        CrossEncoder.load(whole / "model").score("who sits", ["red cat", "blue dog"]), abs=1e-5
    )
    assert distance(one, weights(study, "ranker", "plain")) > 0.1


@pytest.mark.parametrize(("ranker", "place"), [("adapter", "model"), ("merged", "adapter")])
def test_a_copied_results_folder_opens_without_the_original_from_any_folder(
    study: tuple[Plan, Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranker: str,
    place: str,
) -> None:
    """By ours and by PEFT's loader; a base that was changed since is refused."""
    made, store = study
    asked = "who sits", ["red cat", "blue dog"]
    scores = CrossEncoder.load(folder(study, "train", ranker) / place).score(*asked)
    shutil.copytree(store.root, tmp_path / "copy")
    monkeypatch.setattr(Store, "folder", lambda _, name: tmp_path / "copy" / "steps" / name)
    copied = folder((made, Store(tmp_path / "copy")), "train", ranker) / place
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.root.rename(store.root.with_name("away"))
    try:
        assert CrossEncoder.load(copied).score(*asked) == scores
        relative = CrossEncoder.load(Path("..", copied.relative_to(tmp_path)))
        assert relative.score(*asked) == scores
        base = adapters.base_of(copied)
        whole = transformers.AutoModelForSequenceClassification.from_pretrained(base)
        theirs = CrossEncoder(
            peft.PeftModel.from_pretrained(whole, copied), relative.tokenizer, relative.max_length
        )
        assert theirs.score(*asked) == pytest.approx(scores, abs=1e-5)
    finally:
        store.root.with_name("away").rename(store.root)
    assert base.is_relative_to(copied if place == "model" else tmp_path / "copy")
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(BadInput, match=r"whose model\.safetensors is not what it was"):
        CrossEncoder.load(copied)
    for text in ("null", "{", '{"path": 3}'):
        (copied / folders.BASE_RECORD).write_text(text)
        with pytest.raises(BadInput, match=r"base\.json: it does not say"):
            CrossEncoder.load(copied)


@pytest.mark.parametrize("second", ["on-adapter", "adapter-on-adapter"])
def test_a_second_stage_starts_from_an_adapter(study: tuple[Plan, Store], second: str) -> None:
    """From the base with the adapter in it; an adapter of its own would refer to no whole model."""
    after = weights(study, "train", second)
    start, base = weights(study, "train", "adapter"), weights(study, "ranker", "plain")
    assert distance(after, start) > 0
    if second == "on-adapter":  # at a low rate
        assert distance(after, start) < distance(after, base) / 4
    stored = {path.name for path in folder(study, "train", second).iterdir()}
    assert stored == {"model", "log.jsonl", "manifest.json"}
    whole = load_file(folder(study, "train", second) / "model" / "model.safetensors")
    assert whole.keys() == base.keys()


def test_an_adapter_on_an_adapter_is_refused(tiny_study: Path, study: tuple[Plan, Store]) -> None:
    stages = {
        "adapter": RANKERS["adapter"],
        "second": {"start": "adapter", **FROM_BI, "lora": LORA | {"merge": False}},
    }
    made = plan(load(tiny_study, overrides(stages)), Digests().of)
    with pytest.raises(BadInput, match="adapter is kept as an adapter alone"):
        carry_out(made, Store(study[1].root))


def test_of_several_validation_collections_the_mean_decides_and_each_is_logged(
    study: tuple[Plan, Store],
) -> None:
    watched = [row for row in rows(study, "adapter") if "validation" in row]
    assert [row["update"] for row in watched] == [0, 2, 4, 6, 8]
    for row in watched:
        parts = [row["validation train"], row["validation test"]]
        assert row["validation"] == pytest.approx(fmean(parts), abs=1e-12)
    assert any(row["validation train"] != row["validation test"] for row in watched)
    made, store = study
    name = next(s.name for s in made.steps if (s.kind, s.label) == ("train", "adapter"))
    candidates = watched[1:]
    best = max(candidates, key=lambda row: (row["validation"], -row["update"]))
    assert store.manifest(name)["summary"]["kept_update"] == best["update"]


def test_two_losses_are_learnt_in_the_same_updates(study: tuple[Plan, Store]) -> None:
    made, store = study
    step = next(s for s in made.steps if (s.kind, s.label) == ("train", "mixed"))
    summary = store.manifest(step.name)["summary"]
    assert (summary["loss"], summary["mixed_with"]) == ("localized_contrastive", "ranknet")
    assert {role for role in step.inputs if role.startswith("samples 1")} == {
        "samples 1 docs", "samples 1 collection", "samples 1 run",
    }  # fmt: skip
    assert len([row for row in rows(study, "mixed") if "loss" in row]) == 8
    assert rows(study, "mixed")[0]["loss"] != rows(study, "tracked")[0]["loss"]


def test_a_tracker_writes_beside_the_checkpoints(study: tuple[Plan, Store]) -> None:
    assert list((study[1].root / "work" / "train-tracked").rglob("*tfevents*"))


def test_rankers_with_one_tokenizer_share_what_is_tokenised(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stages, two validations, a teacher and the re-rankings: no doc is tokenised twice."""
    asked: Counter[str] = Counter()
    whole = Joiner.tokens

    def counting(self: Joiner, texts: Any) -> Any:
        asked.update(texts)
        return whole(self, texts)

    monkeypatch.setattr(Joiner, "tokens", counting)
    made, store = plan(load(tiny_study), Digests().of), Store(tmp_path / "tiny")
    carry_out(made, store)
    docs = {doc.text for doc in StoredDocs(folder((made, store), "docs", "test"))}
    assert {asked[text] for text in docs if text in asked} == {1}
    assert len(docs & asked.keys()) > 12
    assert len(list((tmp_path / "tiny" / "tokens").iterdir())) == 1
