"""Bi-encoders over architectures, poolings and sides: embeddings are the text's own, and ST's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.models import adapters, backbone
from rankscope.models.bi_encoder import BiEncoder, Side
from rankscope.models.fast import lengths
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location, located
from rankscope.models.ranker import SIDES
from support import tiny

TEXTS = [
    "red cat",
    "the blue dog sits under the tree on a mat",
    "bird",
    "what runs where the green bird sings " * 8,  # cut
    "a house",
]
BACKBONES = [*(set(tiny.ARCHITECTURES) - {"deberta-v2"}), *tiny.DECODERS]
POOLED = [
    (architecture, pooling)
    for architecture in sorted(BACKBONES)
    for pooling in ("cls", "mean", "last")
    if pooling != "cls" or architecture in tiny.ARCHITECTURES
]


@pytest.fixture
def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 40)


def theirs(model: SentenceTransformer, side: Side) -> Tensor:
    encode = model.encode_query if side == "query" else model.encode_document
    found = encode(TEXTS, convert_to_tensor=True)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize(
    ("architecture", "pooling", "padding_side"),
    [
        *((*each, "right") for each in POOLED),
        *(
            pytest.param(
                *each, "left", marks=[] if each[0] in {"bert", "llama"} else pytest.mark.slow
            )
            for each in POOLED
        ),
    ],
)
def test_a_vector_is_the_same_alone_together_saved_and_in_sentence_transformers(
    tmp_path: Path, architecture: str, pooling: str, padding_side: str
) -> None:
    made = tiny.bi_encoder(
        tmp_path, architecture, pooling=pooling,
        prefixes={"query": "who ", "document": "the house "},
    )  # fmt: skip
    for side in SIDES:
        made.tower(side).tokenizer.padding_side = padding_side
    together = {side: made.embed(TEXTS, side) for side in SIDES}
    for side, vectors in together.items():
        assert vectors.shape == (len(TEXTS), 32)
        assert vectors.dtype == torch.float32
        alone = torch.cat([made.embed([text], side) for text in TEXTS])
        assert torch.allclose(vectors, alone, atol=1e-5)
    made.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    for side, vectors in together.items():
        assert torch.equal(again.embed(TEXTS, side), vectors)
    if padding_side == "left" and architecture in tiny.ARCHITECTURES:
        return  # sentence-transformers shifts the positions of what it pads on the left
    with backbone.quiet():
        loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    for side, vectors in together.items():
        assert torch.allclose(theirs(loaded, side), vectors, atol=1e-5)


def test_an_encoder_whose_checkpoint_fits_is_loaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.save_bi_encoder(tmp_path / "whole")
    monkeypatch.setattr(backbone, "check_encoder", lambda location: pytest.fail("loaded again"))
    assert BiEncoder.load(Location("whole", folder)).unused == ()


def test_batches_of_any_size_give_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.bi_encoder(tmp_path)
    expected = made.embed_docs(TEXTS)
    for tokens in (1, 40, 80):
        monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", tokens)
        assert torch.allclose(made.embed_docs(TEXTS), expected, atol=1e-5)
    assert made.embed_docs([]).shape == (0, 32)


@pytest.mark.parametrize("architecture", tiny.DECODERS)
def test_the_last_token_is_the_end_token_also_of_a_text_that_is_cut(
    tmp_path: Path, architecture: str
) -> None:
    made = tiny.bi_encoder(tmp_path, architecture, pooling="last")
    for side, length in (("query", 16), ("document", 32)):
        ids = [each.ids.tolist() for each in made.inputs(TEXTS, side)]  # type: ignore[arg-type]
        assert all(each[-1] == 3 for each in ids), "[SEP] stands for </s> here"
        assert all(each[0] == 2 for each in ids)
        assert len(ids[3]) == length
    made.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    assert [each.ids.tolist() for each in again.inputs(TEXTS, "query")] == [
        each.ids.tolist() for each in made.inputs(TEXTS, "query")
    ]


def test_last_of_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    where = Location("x", tiny.save_encoder(tmp_path / "x", "llama"))
    encoder = backbone.load_encoder(where)
    encoder.tokenizer.eos_token = None
    with pytest.raises(BadInput, match="has no end token"):
        BiEncoder.on(encoder, pooling="last", max_length={"query": 8, "document": 8})


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_scores_are_the_similarities_and_cosine_is_of_unit_vectors(
    tmp_path: Path, similarity: Any
) -> None:
    made = tiny.bi_encoder(tmp_path, similarity=similarity)
    queries, docs = made.embed_queries(TEXTS[:2]), made.embed_docs(TEXTS)
    if similarity == "cosine":
        assert torch.allclose(docs.norm(dim=1), torch.ones(5), atol=1e-5)
    expected = (queries @ docs.T).tolist()
    found = made.score_all([(TEXTS[0], TEXTS), (TEXTS[1], TEXTS[::-1]), (TEXTS[1], [])])
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert found[1] == pytest.approx(expected[1][::-1], abs=1e-5)
    assert found[2] == []


def test_two_towers_are_saved_and_read_apart(tmp_path: Path) -> None:
    towers = [
        backbone.load_encoder(Location(name, tiny.save_encoder(tmp_path / name, seed=seed)))
        for name, seed in (("q", 1), ("d", 2))
    ]
    made = BiEncoder.on(*towers, pooling="cls", max_length={"query": 16, "document": 32})
    assert not made.is_shared
    queries, docs = made.embed_queries(TEXTS), made.embed_docs(TEXTS)
    assert not torch.allclose(queries[:3], docs[:3], atol=1e-2)
    made.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    assert torch.equal(again.embed_queries(TEXTS), queries)
    assert torch.equal(again.embed_docs(TEXTS), docs)
    with backbone.quiet():
        loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert torch.allclose(theirs(loaded, "query"), queries, atol=1e-5)
    assert torch.allclose(theirs(loaded, "document"), docs, atol=1e-5)


# -- DPR -----------------------------------------------------------------------------------------


def save_dpr(folder: Path, kind: str) -> Any:
    config = transformers.DPRConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        vocab_size=64, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = getattr(transformers, kind)(config)
    model.eval().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["DPRContextEncoder", "DPRQuestionEncoder"])
def test_a_dpr_encoder_loads_by_its_own_class_with_all_weights(tmp_path: Path, kind: str) -> None:
    dpr = save_dpr(tmp_path / "dpr", kind)
    encoder = backbone.load_encoder(Location("dpr", tmp_path / "dpr"))
    inner = dict(dpr.named_modules())[f"{backbone.DPR[kind]}.bert_model"].state_dict()
    loaded = encoder.model.state_dict()
    assert loaded.keys() == inner.keys()
    assert all(torch.equal(loaded[name], inner[name]) for name in inner)
    assert (encoder.fresh, encoder.unused) == ((), ())
    made = BiEncoder.on(encoder, pooling="cls", max_length={"query": 32, "document": 32})
    made.save(tmp_path / "saved")
    again = BiEncoder.load(Location("saved", tmp_path / "saved"))
    ids = tiny.tokenizer()(TEXTS[1], return_tensors="pt", max_length=32, truncation=True)
    expected = dpr(**ids).pooler_output
    assert torch.allclose(again.embed_docs([TEXTS[1]]), expected, atol=1e-5)


def test_the_generic_route_leaves_a_context_encoder_at_random_and_is_refused(
    tmp_path: Path,
) -> None:
    dpr = save_dpr(tmp_path / "dpr", "DPRContextEncoder")
    with backbone.quiet():
        wrong = transformers.AutoModel.from_pretrained(tmp_path / "dpr")
    assert type(wrong).__name__ == "DPRQuestionEncoder"
    name = "embeddings.word_embeddings.weight"
    assert not torch.equal(
        wrong.state_dict()[f"question_encoder.bert_model.{name}"],
        dpr.state_dict()[f"ctx_encoder.bert_model.{name}"],
    )
    with pytest.raises(BadInput, match="would be left partly at random"):
        backbone.check_encoder(Location("dpr", tmp_path / "dpr"))


def test_a_hubs_model_is_checked_as_a_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`snapshot_download` stands for the hub: what comes from it meets the same refusals."""
    folders = {"o/bare": tiny.save_encoder(tmp_path / "bare"), "o/whole": tmp_path / "whole"}
    made = tiny.bi_encoder(tmp_path / "made")
    made.save(tmp_path / "whole")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: folders[name])
    found = BiEncoder.load(Location("o/whole", None, "abc"))
    assert torch.equal(found.embed_docs(TEXTS), made.embed_docs(TEXTS))
    for load in (BiEncoder.load, LateInteraction.load):
        with pytest.raises(BadInput):
            load(Location("o/bare", None, "abc"))


def test_a_folder_of_two_towers_is_found_again(tmp_path: Path) -> None:
    two = tiny.bi_encoder(tmp_path / "one").separated()
    two.save(tmp_path / "two")
    again = BiEncoder.load(located("two", beside=tmp_path))
    assert torch.equal(again.embed_queries(TEXTS), two.embed_queries(TEXTS))


def test_embeddings_are_cut_where_the_model_says_so(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    whole = ranker.embed_docs(TEXTS)
    ranker.inner.truncate_dim = 8
    assert ranker.width == 8
    assert torch.equal(ranker.embed_docs(TEXTS), whole[:, :8])


def test_a_tokenizer_with_an_end_token_of_its_own_keeps_it(tmp_path: Path) -> None:
    """As Qwen3-Embedding's, whose last token is not its `eos_token`; and one without gets its own."""
    for end, expected in (("[unused]", "[unused]"), (None, "[SEP]")):
        tokenizer = tiny.tokenizer()
        tokenizer.add_special_tokens(
            {"eos_token": "[SEP]", "additional_special_tokens": ["[unused]"]}
        )
        single = ["[CLS]", "$A", *([end] if end else [])]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=single,
            special_tokens=[(t, tokenizer.convert_tokens_to_ids(t)) for t in single if t != "$A"],
        )
        backbone.end_with_eos(tokenizer)
        found = tokenizer.convert_ids_to_tokens(tokenizer("red cat")["input_ids"])
        assert found == ["[CLS]", "red", "cat", expected]


def test_two_threads_may_ask_for_tokens_of_two_lengths(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    texts = ["the red cat sits in the blue house " * 20] * 50
    expected = {side: len(ranker.inputs(texts[:1], side)[0].ids) for side in SIDES}
    assert len(set(expected.values())) == 2
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: (n, ranker.inputs(texts, SIDES[n % 2])), range(40)))
    for n, given in found:
        assert {len(each.ids) for each in given} == {expected[SIDES[n % 2]]}


def test_one_tower_made_two_ranks_as_before_and_saves(tmp_path: Path) -> None:
    one = tiny.bi_encoder(tmp_path / "one", prefixes={"query": "who ", "document": "the house "})
    two = one.separated()
    assert not two.is_shared
    assert two.separated() is two
    two.save(tmp_path / "two")
    for ranker in (two, BiEncoder.load(Location("two", tmp_path / "two"))):
        for side in SIDES:
            assert torch.equal(ranker.embed(TEXTS, side), one.embed(TEXTS, side))
    with torch.no_grad():
        next(two.tower("query").parameters()).add_(1.0)
    assert torch.equal(two.embed_docs(TEXTS), one.embed_docs(TEXTS))


PEFT_S_OLD_NAMES = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.")


def adapter_for(folder: Path, architecture: str) -> Path:
    """A PEFT adapter whose second half is not nothing, as a trained one's."""
    import peft

    model = transformers.AutoModel.from_pretrained(tiny.save_encoder(folder / "base", architecture))
    made = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear"))
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
    made.save_pretrained(folder / "adapter")
    return folder / "adapter"


@PEFT_S_OLD_NAMES
def test_somebodys_adapter_is_added_into_the_backbone(tmp_path: Path) -> None:
    """As RepLLaMA is published: a base and an adapter; PEFT's own merging gives the same weights."""
    import peft

    place = Location("a", adapter_for(tmp_path, "llama"))
    base = transformers.AutoModel.from_pretrained(tmp_path / "base")
    expected = peft.PeftModel.from_pretrained(base, str(place.folder)).merge_and_unload()
    loaded = backbone.load_encoder(Location("b", tmp_path / "base"))
    before = {name: weight.clone() for name, weight in loaded.model.state_dict().items()}
    found = adapters.merged_from(loaded.model, place).state_dict()
    assert found.keys() == before.keys()
    assert any(not torch.equal(weight, before[name]) for name, weight in found.items())
    for name, weight in expected.state_dict().items():
        assert torch.allclose(found[name], weight, atol=1e-6), name


@PEFT_S_OLD_NAMES
def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    place = Location("a", adapter_for(tmp_path, "llama"))
    with pytest.raises(BadInput, match="adapter"):
        adapters.merged_from(
            backbone.load_encoder(Location("b", tiny.save_encoder(tmp_path / "bert"))).model, place
        )


@PEFT_S_OLD_NAMES
def test_an_adapter_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = adapter_for(tmp_path, "llama")
    weights = load_file(folder / "adapter_model.safetensors")
    name = sorted(weights)[0]
    save_file({n: w for n, w in weights.items() if n != name}, folder / "adapter_model.safetensors")
    loaded = backbone.load_encoder(Location("b", tmp_path / "base"))
    with pytest.raises(BadInput, match="1 weight is missing"):
        adapters.merged_from(loaded.model, Location("a", folder))
