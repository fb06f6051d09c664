import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.models import adapters, backbone
from rankscope.models.adapters import LoRA, adapted
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location, kind_of
from rankscope.train.loop import fit
from support import tiny
from support.training import objective, recipe

QUERY, DOCS = "who sits", ["red cat", "the blue dog sits under the tree on a mat", "bird", ""]
PAIRS = [(QUERY, doc) for doc in DOCS]
LORA = LoRA(rank=4, alpha=8.0, dropout=0.1, targets=())
# PEFT asks transformers by an old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
FAMILIES = ("bert", "roberta", "electra", "distilbert")


class Tuned(NamedTuple):
    """A ranker after a short training of an adapter, and where its parts are."""

    ranker: CrossEncoder
    base: Path
    adapter: Path
    scores: list[float]


def base(folder: Path, architecture: str = "bert") -> Path:
    """A cross-encoder with a head, as the step before a training leaves it."""
    tiny.cross_encoder(folder, architecture).save(folder / "base")
    return folder / "base"


@pytest.fixture(scope="module", params=FAMILIES)
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp(request.param)
    start = base(folder, request.param)
    ranker = CrossEncoder.load(start)
    ranker.model = adapted(ranker.model, LORA, base=start, seed=1)
    plan = recipe(max_updates=6, learning_rate=1e-2)
    fit(ranker.model, objective(ranker), plan, checkpoints=folder / "w")
    ranker.save_adapter(folder / "adapter")
    return Tuned(ranker, start, folder / "adapter", ranker.score(QUERY, DOCS))


def same_weights(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_training_moved_the_scores(tuned: Tuned) -> None:
    """Else the laws below would hold of an adapter that does nothing."""
    before = CrossEncoder.load(tuned.base).score(QUERY, DOCS)
    assert max(abs(a - b) for a, b in zip(before, tuned.scores, strict=True)) > 1e-3


def test_an_adapter_loads_and_merges_with_the_same_scores(tuned: Tuned, tmp_path: Path) -> None:
    loaded = CrossEncoder.load(tuned.adapter)
    assert loaded.score(QUERY, DOCS) == pytest.approx(tuned.scores, abs=1e-5)
    assert not isinstance(loaded.model, peft.PeftModel)
    assert all(weight.requires_grad for weight in loaded.model.parameters()), "a stage may follow"
    loaded.save(tmp_path / "merged")
    assert CrossEncoder.load(tmp_path / "merged").score(QUERY, DOCS) == pytest.approx(
        tuned.scores, abs=1e-5
    )
    stored = load_file(tmp_path / "merged" / "model.safetensors")
    assert stored.keys() == load_file(tuned.base / "model.safetensors").keys()


def test_an_adapter_loads_in_sentence_transformers_with_the_same_scores(tuned: Tuned) -> None:
    with backbone.quiet():
        theirs = TheirCrossEncoder(str(tuned.adapter), device="cpu")
    assert theirs.predict(PAIRS) == pytest.approx(tuned.scores, abs=1e-5)


def test_an_adapter_loads_in_peft_and_transformers_with_the_same_scores(tuned: Tuned) -> None:
    whole = transformers.AutoModelForSequenceClassification
    tokenizer = transformers.AutoTokenizer.from_pretrained(tuned.adapter)
    inputs = tokenizer(
        [QUERY] * len(DOCS), DOCS, padding=True, truncation=True, return_tensors="pt"
    )
    with backbone.quiet():
        theirs = peft.PeftModel.from_pretrained(whole.from_pretrained(tuned.base), tuned.adapter)
        by_transformers = whole.from_pretrained(tuned.adapter)
    for model in (theirs, by_transformers):
        with torch.inference_mode():
            logits = model.eval()(**inputs).logits.squeeze(-1)
        assert logits.tolist() == pytest.approx(tuned.scores, abs=1e-5)


def test_only_adapter_and_head_are_trained_and_both_are_saved(tuned: Tuned) -> None:
    trained = {n for n, w in tuned.ranker.model.named_parameters() if w.requires_grad}
    heads = {name for name in trained if "lora_" not in name}
    assert {name.split("modules_to_save")[0].split(".")[-2] for name in heads} == set(
        adapters.scoring_head(CrossEncoder.load(tuned.base).model)
    )
    assert len(trained) > len(heads) > 0
    stored = load_file(tuned.adapter / "adapter_model.safetensors")
    assert len(stored) == len(trained)
    before = load_file(tuned.base / "model.safetensors")
    moved = {
        name: not torch.equal(weight, before[name.removeprefix("base_model.model.")])
        for name, weight in stored.items()
        if "lora_" not in name
    }
    assert {name: True for name in moved if name.endswith("weight")}.items() <= moved.items()


def test_the_base_stays_as_it_was(tuned: Tuned) -> None:
    """In memory under the adapter, and on disk."""
    before = load_file(tuned.base / "model.safetensors")
    under = {
        name.replace("base_layer.", "").replace("original_module.", ""): weight
        for name, weight in tuned.ranker.model.get_base_model().state_dict().items()
        if "lora_" not in name and "modules_to_save" not in name
    }
    assert same_weights({name: under[name] for name in before}, before)


def test_the_adapters_folder_says_that_it_is_a_cross_encoder(tuned: Tuned) -> None:
    assert adapters.is_adapter(tuned.adapter)
    assert not adapters.is_adapter(tuned.base)
    assert kind_of(tuned.adapter) == "cross_encoder"
    assert adapters.base_of(tuned.adapter) == tuned.base.resolve()
    assert not (tuned.adapter / "README.md").exists()


def test_the_configuration_has_the_same_bytes_in_every_process(tuned: Tuned) -> None:
    """PEFT writes sets in the order of Python's hashes, which differ by process."""
    targets = json.loads((tuned.adapter / "adapter_config.json").read_text())["target_modules"]
    assert len(targets) > 10
    assert targets == sorted(targets)


def test_an_adapter_whose_base_is_gone_is_refused(tmp_path: Path) -> None:
    start = base(tmp_path)
    ranker = CrossEncoder.load(start)
    ranker.model = adapted(ranker.model, LORA, base=start, seed=1)
    ranker.save_adapter(tmp_path / "adapter")
    shutil.rmtree(start)
    with pytest.raises(BadInput, match="there is no model any more. Put it back there"):
        CrossEncoder.load(tmp_path / "adapter")


def adapted_modules(model: Any) -> set[str]:
    return {
        n.split(".lora_A")[0].split(".")[-1] for n, _ in model.named_parameters() if "lora_A" in n
    }


def test_targets_are_ends_of_names_and_by_default_every_linear_module(tmp_path: Path) -> None:
    def model() -> Any:
        return tiny.cross_encoder(tmp_path).model

    everything = adapted(model(), LORA, base=tmp_path, seed=1)
    assert adapted_modules(everything) == {"query", "key", "value", "dense"}
    names = [name for name, _ in everything.named_modules()]
    assert not [name for name in names if "pooler" in name and "lora" in name]
    some = LoRA(rank=2, alpha=2.0, dropout=0.0, targets=("query", "output.dense"))
    assert adapted_modules(adapted(model(), some, base=tmp_path, seed=1)) == {"query", "dense"}
    wrong = LoRA(rank=2, alpha=2.0, dropout=0.0, targets=("quary", "pooler.dense"))
    with pytest.raises(
        BadInput,
        match=r"BertFor\w+ ends in quary, pooler.dense. There are dense, key, query, value",
    ):
        adapted(model(), wrong, base=tmp_path, seed=1)


def test_a_target_that_no_module_has_is_refused_though_another_has(tmp_path: Path) -> None:
    wrong = LoRA(rank=2, alpha=2.0, dropout=0.0, targets=("query", "valu"))
    with pytest.raises(BadInput, match="ends in valu"):
        adapted(tiny.cross_encoder(tmp_path).model, wrong, base=tmp_path, seed=1)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_fresh_adapter_changes_no_score(tmp_path: Path, architecture: str) -> None:
    """Its second matrix begins at zero; so it is for every architecture there is."""
    start = base(tmp_path, architecture)
    ranker = CrossEncoder.load(start)
    before = ranker.score(QUERY, DOCS)
    ranker.model = adapted(ranker.model, LORA, base=start, seed=1)
    assert ranker.score(QUERY, DOCS) == pytest.approx(before, abs=1e-6)
    ranker.save_adapter(tmp_path / "adapter")
    assert CrossEncoder.load(tmp_path / "adapter").score(QUERY, DOCS) == pytest.approx(
        before, abs=1e-5
    )


def test_a_fresh_adapter_is_drawn_from_the_seed_alone(tmp_path: Path) -> None:
    """Whatever was drawn before: a training begun anew begins at the same weights."""
    where = Location("m", tiny.save_encoder(tmp_path / "m"))
    made = []
    for seed in (1, 1, 2):
        torch.rand(3)
        model = backbone.load_scorer(where, seed=1).model
        made.append(adapted(model, LORA, base=tmp_path, seed=seed).state_dict())
    assert same_weights(made[0], made[1])
    assert not same_weights(made[0], made[2])


def test_an_adapter_refers_to_its_base_wherever_it_is_loaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results may lie in a folder given relative to where the command was started."""
    base(tmp_path)
    monkeypatch.chdir(tmp_path)
    ranker = CrossEncoder.load(Path("base"))
    ranker.model = adapted(ranker.model, LORA, base=Path("base"), seed=1)
    ranker.save_adapter(Path("adapter"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert adapters.base_of(tmp_path / "adapter") == (tmp_path / "base").resolve()
    CrossEncoder.load(tmp_path / "adapter")


# -- an adapter that carries its base, and moves ----------------------------------------------------


@pytest.fixture(scope="module")
def carried(tuned: Tuned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter as a training stores it: written aside, with its base in it; the base's own folder is gone."""
    folder = tmp_path_factory.mktemp("stored")
    start = shutil.copytree(tuned.base, folder / "start")
    shutil.copytree(tuned.adapter, folder / ".partial" / "model")
    config = folder / ".partial" / "model" / "adapter_config.json"
    written = json.loads(config.read_text()) | {"base_model_name_or_path": str(start)}
    config.write_text(json.dumps(written))
    adapters.refer(folder / ".partial" / "model", start, carried_to=folder / "train-C" / "model")
    (folder / ".partial").rename(folder / "train-C")
    shutil.rmtree(start)
    return folder / "train-C" / "model"


def by_peft(folder: Path) -> Any:
    made = peft.AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=1)
    return made.merge_and_unload()


def by_sentence_transformers(folder: Path) -> Any:
    return TheirCrossEncoder(str(folder), device="cpu")[0].auto_model


def by_transformers(folder: Path) -> Any:
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder)


BY_THE_FOLDER_ALONE = (by_peft, by_sentence_transformers, by_transformers)


def theirs(opening: Callable[[Path], Any], folder: Path) -> list[float]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    read = tokenizer([QUERY] * len(DOCS), DOCS, padding=True, truncation=True, return_tensors="pt")
    with backbone.quiet():
        model = opening(folder).eval()
    with torch.inference_mode():
        return model(**read).logits.squeeze(-1).tolist()


@pytest.mark.parametrize("opening", BY_THE_FOLDER_ALONE)
def test_an_adapter_with_its_base_is_opened_by_its_folder_alone_from_anywhere(
    carried: Path,
    tuned: Tuned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opening: Callable[[Path], Any],
) -> None:
    """It refers to the base in itself, not to where that came from."""
    monkeypatch.chdir(tmp_path)
    assert theirs(opening, carried) == pytest.approx(tuned.scores, abs=1e-5)


@pytest.mark.parametrize("opening", BY_THE_FOLDER_ALONE)
def test_one_that_was_moved_is_refused_by_others_never_another_model(
    carried: Path, tuned: Tuned, tmp_path: Path, opening: Callable[[Path], Any]
) -> None:
    """A path in adapter_config.json is all they have; ours has base.json, and makes a whole model of it."""
    moved = tmp_path / "moved" / "model"
    shutil.copytree(carried, moved)
    aside = carried.parent.rename(carried.parent.with_name("away"))
    try:
        with pytest.raises(OSError, match=re.escape(str(carried / "base"))):
            theirs(opening, moved)
        CrossEncoder.load(moved).save(tmp_path / "whole")
    finally:
        aside.rename(carried.parent)
    whole = tmp_path / "whole"
    assert CrossEncoder.load(moved).score(QUERY, DOCS) == pytest.approx(tuned.scores, abs=1e-5)
    if opening is by_peft:
        given = peft.PeftModel.from_pretrained(by_transformers(moved / "base"), moved)
        assert theirs(lambda _: given, moved) == pytest.approx(tuned.scores, abs=1e-5)
    else:
        assert theirs(opening, whole) == pytest.approx(tuned.scores, abs=1e-5)
