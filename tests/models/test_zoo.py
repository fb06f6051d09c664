"""Folders of every kind that people have, against sentence-transformers and PEFT.

Each folder's scores or embeddings are theirs to 1e-5, or it is refused in one sentence; the table is
docs/models.md. `RANKSCOPE_WRITE_DOCS=1 pytest tests/models/test_zoo.py` writes it; without the variable
the test compares.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.sentence_transformer.modules import (
    LayerNorm,
    Pooling,
    StaticEmbedding,
    WeightedLayerPooling,
)
from tokenizers import processors

from rankscope.core.errors import BadInput
from rankscope.models import backbone, processes
from rankscope.models.adapters import LoRA
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import kind_of, located
from support import tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
HEAD = """# Model folders

`tests/models/test_zoo.py` generates this page: folders of many kinds, and how each is read. "Equal" means that
scores (as logits) or embeddings agree to 1e-5 with those of sentence-transformers, or of PEFT for its own folders.
Any other answer is the sentence with which the folder is refused.

| folder | read as | answer |
|---|---|---|
"""
QUERY, DOCS = (
    "who sits",
    ["Red cat", "the blue dog sits under the tree on a mat", "bird", "a " * 40],
)
PAIRS = [(QUERY, doc) for doc in DOCS]
Array = Any
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the libraries' own, about old names of each other's
]
WIDE = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MORE: dict[str, Any] = {
    "albert": transformers.AlbertConfig(
        **WIDE, embedding_size=16, intermediate_size=64, pad_token_id=0, max_position_embeddings=64
    ),
    "xlm-roberta": transformers.XLMRobertaConfig(
        **WIDE, intermediate_size=64, pad_token_id=0, max_position_embeddings=66
    ),
    "xlnet": transformers.XLNetConfig(
        vocab_size=64, d_model=32, n_layer=2, n_head=4, d_inner=64, pad_token_id=0
    ),
    "t5": transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, pad_token_id=0,
        eos_token_id=3, decoder_start_token_id=0,
    ),
    "bart": transformers.BartConfig(
        vocab_size=64, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=0,
        bos_token_id=2, eos_token_id=3, max_position_embeddings=64,
    ),
    "gpt2": transformers.GPT2Config(
        vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0
    ),
}  # fmt: skip
CONFIGS = tiny.ARCHITECTURES | tiny.DECODERS | MORE


# -- making them ----------------------------------------------------------------------------------


def config(architecture: str, **how: Any) -> Any:
    return type(CONFIGS[architecture]).from_dict(CONFIGS[architecture].to_dict() | how)


def tokenizer(*, left: bool = False, pad: bool = True, lower: bool = True) -> Any:
    made = tiny.tokenizer()
    made.eos_token = "[SEP]"
    made.padding_side = made.init_kwargs["padding_side"] = "left" if left else "right"
    if not pad:
        made.pad_token = None
    if not lower:
        made.backend_tokenizer.normalizer = None
    return made


def save(model: Any, folder: Path, made: Any = None) -> Path:
    model.save_pretrained(folder)
    (made or tokenizer()).save_pretrained(folder)
    return folder


def scorer(folder: Path, architecture: str = "bert", labels: int = 1, **how: Any) -> Path:
    """A whole cross-encoder with random weights, large enough that scores differ."""
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_config(config(architecture, num_labels=labels, **how))
    spread(model)
    return save(model, folder)


def spread(model: Any) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)


def saved_cross_encoder(folder: Path, **how: Any) -> Path:
    """As sentence-transformers saves one, with `modules.json`."""
    inner = TheirCrossEncoder(str(scorer(folder.with_name("plain"))), device="cpu", **how)
    inner.save_pretrained(str(folder))
    return folder


def changed(path: Path, **fields: Any) -> None:
    told = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


def encoder(folder: Path, architecture: str = "bert", made: Any = None, **how: Any) -> Path:
    model = transformers.AutoModel.from_config(config(architecture, **how))
    spread(model)
    return save(model, folder, made)


def bi_encoder(
    folder: Path, *behind: Any, architecture: str = "bert", made: Any = None, **how: Any
) -> Path:
    inner = Transformer(str(encoder(folder.with_name("bare"), architecture, made)))
    parts = [inner, *(behind or (Pooling(32),))]
    SentenceTransformer(modules=parts, device="cpu", **how).save(str(folder))
    return folder


def lora(folder: Path, labels: int = 1, kind: Any = peft.LoraConfig, **how: Any) -> Path:
    """PEFT's own folder over a bare BERT: adapter and head, nothing else."""
    base = encoder(folder.with_name("base"))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels)
    targets = how.pop("target_modules", ["query", "value"])
    adapted = peft.get_peft_model(
        model, kind(task_type=how.pop("task_type", "SEQ_CLS"), target_modules=targets, **how)
    )
    spread(adapted)
    # the base's own weights are those on disk; only what the adapter saves may have moved
    fresh = dict(transformers.AutoModel.from_pretrained(base).named_parameters())
    is_trained = {"none": "never", "all": "bias", "lora_only": "base_layer.bias"}[
        how.get("bias", "none")
    ]
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if name.endswith(is_trained):
                continue
            own = name.removeprefix("base_model.model.bert.").replace(".base_layer", "")
            if own in fresh and "lora" not in name:
                weight.copy_(fresh[own])
    adapted.save_pretrained(folder)
    return folder


# -- reading them ---------------------------------------------------------------------------------


def by_theirs(folder: Path, **how: Any) -> Array:
    model = TheirCrossEncoder(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, **how
    )
    return model.predict(PAIRS, activation_fn=torch.nn.Identity(), batch_size=1)


def by_two(folder: Path) -> Array:
    found = by_theirs(folder)
    return found[:, 1] - found[:, 0]


def by_peft(folder: Path, labels: int = 1) -> Array:
    base = folder.with_name("base")
    auto = transformers.AutoModelForSequenceClassification
    model = peft.PeftModel.from_pretrained(auto.from_pretrained(base, num_labels=labels), folder)
    made = transformers.AutoTokenizer.from_pretrained(base)
    inputs = made(*map(list, zip(*PAIRS, strict=True)), padding=True, truncation=True, return_tensors="pt")  # fmt: skip
    with torch.inference_mode():
        found = model.eval()(**inputs).logits
    return (found[:, -1] - (found[:, 0] if labels == 2 else 0)).numpy()


def by_sentences(folder: Path) -> Array:
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return np.concatenate([model.encode_query([QUERY]), model.encode_document(DOCS, batch_size=1)])


def scores(folder: Path) -> Array:
    assert kind_of(folder) == "cross_encoder"
    return np.array(CrossEncoder.load(folder).score(QUERY, DOCS))


def embeddings(folder: Path) -> Array:
    assert kind_of(folder) == "bi_encoder"
    model = BiEncoder.load(located(str(folder)))
    found = torch.cat([model.embed_queries([QUERY]), model.embed_docs(DOCS)])
    return found.numpy()


# -- the zoo --------------------------------------------------------------------------------------

Made = Callable[[Path], Path]
Read = Callable[[Path], Array]
ZOO: dict[str, tuple[str, Made, Read | None]] = {}
"""By name: what it is read as, how it is made, and who says what is right; None where nobody can."""


def cross(what: str, made: Made, theirs: Read | None = by_theirs) -> None:
    ZOO[what] = ("cross-encoder", made, theirs)


def bi(what: str, made: Made, theirs: Read | None = by_sentences) -> None:
    ZOO[what] = ("bi-encoder", made, theirs)


def animal(what: str, kind: str = "cross-encoder", theirs: Read | None = by_theirs) -> Any:
    def kept(made: Made) -> Made:
        ZOO[what] = (kind, made, theirs)
        return made

    return kept


bare = partial(animal, kind="bi-encoder", theirs=by_sentences)

for name in CONFIGS:
    cross(f"{name}, one label", partial(scorer, architecture=name))
for name in ("bert", "roberta", "t5", "llama"):
    cross(f"{name}, two labels", partial(scorer, architecture=name, labels=2), by_two)
cross("bert, three labels", partial(scorer, labels=3), None)


@animal("two labels with names of their own", theirs=by_two)
def _(folder: Path) -> Path:
    named = {0: "irrelevant", 1: "relevant"}
    return scorer(folder, labels=2, id2label=named, label2id={v: k for k, v in named.items()})


PROMPTS = {"rel": "what sings under a house ", "other": "where "}
cross("a default prompt", partial(saved_cross_encoder, prompts=PROMPTS, default_prompt_name="rel"))
cross("prompts of which none is the default", partial(saved_cross_encoder, prompts=PROMPTS))
cross("the activation Identity", partial(saved_cross_encoder, activation_fn=torch.nn.Identity()))
cross("the activation ReLU", partial(saved_cross_encoder, activation_fn=torch.nn.ReLU()), None)
cross("as sentence-transformers saves one", saved_cross_encoder)


@animal("prompts beside a config alone, which sentence-transformers leaves out")
def _(folder: Path) -> Path:
    told = {"prompts": PROMPTS, "default_prompt_name": "rel"}
    scorer(folder)
    (folder / "config_sentence_transformers.json").write_text(json.dumps(told))
    return folder


TEMPLATE = "{% for m in messages %}{{ m.content }} {% endfor %}"


def with_template(folder: Path) -> Path:
    made = tokenizer()
    made.chat_template = TEMPLATE
    made.save_pretrained(folder)
    return folder


@animal("a chat template, by which sentence-transformers writes pairs", theirs=None)
def _(folder: Path) -> Path:
    return with_template(scorer(folder))


@animal("a chat template beside settings that take plain pairs")
def _(folder: Path) -> Path:
    return with_template(saved_cross_encoder(folder))


@animal("max_seq_length of 12")
def _(folder: Path) -> Path:
    changed(saved_cross_encoder(folder) / "sentence_bert_config.json", max_seq_length=12)
    return folder


@animal("max_seq_length above the tokenizer's own length")
def _(folder: Path) -> Path:
    saved_cross_encoder(folder)
    changed(folder / "tokenizer_config.json", model_max_length=16)
    changed(folder / "sentence_bert_config.json", max_seq_length=40)
    return folder


@animal("do_lower_case with a tokenizer that keeps case")
def _(folder: Path) -> Path:
    saved_cross_encoder(folder)
    tokenizer(lower=False).save_pretrained(folder)
    changed(folder / "sentence_bert_config.json", do_lower_case=True)
    return folder


@animal("processing_kwargs that cut elsewhere", theirs=None)
def _(folder: Path) -> Path:
    kwargs = {"text": {"max_length": 9}}
    changed(saved_cross_encoder(folder) / "sentence_bert_config.json", processing_kwargs=kwargs)
    return folder


def stored_as(folder: Path, dtype: torch.dtype) -> Path:
    path = scorer(folder) / "model.safetensors"
    weights = {name: weight.to(dtype) for name, weight in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    changed(folder / "config.json", dtype=str(dtype).removeprefix("torch."))
    return folder


for dtype in (torch.float16, torch.bfloat16, torch.float64):
    cross(f"weights as {str(dtype).removeprefix('torch.')}", partial(stored_as, dtype=dtype))
cross("weights as int8", partial(stored_as, dtype=torch.int8), None)


@animal("weights in several files")
def _(folder: Path) -> Path:
    scorer(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink()
    return folder


@animal("a decoder whose config has no padding token")
def _(folder: Path) -> Path:
    changed(scorer(folder, "llama") / "config.json", pad_token_id=None)
    template = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", 2)]
    )
    made = tokenizer()
    made.backend_tokenizer.post_processor = template
    made.save_pretrained(folder)
    return folder


@animal("a decoder whose tokenizer pads with its end token", theirs=None)
def _(folder: Path) -> Path:
    changed(scorer(folder, "llama") / "config.json", pad_token_id=None)
    made = tokenizer()
    made.pad_token = "[SEP]"
    made.save_pretrained(folder)
    return folder


for name in ("qwen3", "gpt2", "xlnet"):

    @animal(f"{name}, padded on the left")
    def _(folder: Path, name: str = name) -> Path:
        scorer(folder, name)
        tokenizer(left=True).save_pretrained(folder)
        return folder


@animal("a tokenizer without padding", theirs=None)
def _(folder: Path) -> Path:
    scorer(folder)
    tokenizer(pad=False).save_pretrained(folder)
    return folder


@animal("a language model that answers yes or no (LogitScore)", theirs=None)
def _(folder: Path) -> Path:
    model = transformers.AutoModelForCausalLM.from_config(config("qwen3"))
    plain = save(model, folder.with_name("plain"))
    parts = [Transformer(str(plain), transformer_task="text-generation"), LogitScore(5, 6)]
    TheirCrossEncoder(modules=parts, device="cpu").save_pretrained(str(folder))
    return folder


cross("PEFT's own folder, LoRA and head over a bare encoder", lora, by_peft)
cross("PEFT's own folder with two labels", partial(lora, labels=2), partial(by_peft, labels=2))
cross("PEFT's own folder, DoRA", partial(lora, use_dora=True), by_peft)
cross("PEFT's own folder, every dense layer", partial(lora, target_modules="all-linear"), by_peft)
cross("PEFT's own folder, all biases trained", partial(lora, bias="all"), by_peft)
cross("PEFT's own folder, its layers' biases trained", partial(lora, bias="lora_only"), by_peft)
cross("PEFT's own folder without a head", partial(lora, task_type="FEATURE_EXTRACTION"), None)
cross(
    "PEFT's own folder, IA3",
    partial(
        lora, kind=peft.IA3Config, target_modules=["query", "output.dense"],
        feedforward_modules=["output.dense"],
    ),
    None,
)  # fmt: skip


@animal("LoRA and head as sentence-transformers saves them")
def _(folder: Path) -> Path:
    model = TheirCrossEncoder(str(encoder(folder.with_name("base"))), num_labels=1, device="cpu")
    model.add_adapter(
        peft.LoraConfig(
            task_type="SEQ_CLS", target_modules=["query"], modules_to_save=["classifier"]
        )
    )
    spread_adapter(model.model)
    model.save_pretrained(str(folder))
    return folder


def changed_config(folder: Path, **fields: Any) -> Path:
    changed(folder / "config.json", **fields)
    return folder


@animal("return_dict: false, which asks for tuples")
def _(folder: Path) -> Path:
    return changed_config(scorer(folder), return_dict=False)


def asked_for_objects(folder: Path) -> Array:
    return by_theirs(changed_config(folder, return_dict=None))


@animal("return_dict: false of T5, which its own class cannot score", theirs=asked_for_objects)
def _(folder: Path) -> Path:
    return changed_config(scorer(folder, "t5"), return_dict=False)


@bare("return_dict: false of a bi-encoder")
def _(folder: Path) -> Path:
    return changed_config(bi_encoder(folder), return_dict=False)


def spread_adapter(model: Any) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.add_(torch.randn_like(weight) * 0.05)


@animal("a cross-encoder without tokenizer files", theirs=None)
def _(folder: Path) -> Path:
    for path in scorer(folder).glob("*token*"):
        path.unlink()
    return folder


@animal("a cross-encoder whose tokenizer has a name and no vocabulary", theirs=None)
def _(folder: Path) -> Path:
    (scorer(folder) / "tokenizer.json").unlink()
    (folder / "merges.txt").write_text("")
    changed(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    return folder


@animal("a sentencepiece vocabulary alone", theirs=None)
def _(folder: Path) -> Path:
    (scorer(folder, "t5") / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(b"\x0a\x05\x0a\x01a\x15\x00")
    changed(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    return folder


@animal("weights in a pickle", theirs=None)
def _(folder: Path) -> Path:
    path = scorer(folder) / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()
    return folder


@animal("a pickle beside the safetensors")
def _(folder: Path) -> Path:
    torch.save(load_file(scorer(folder) / "model.safetensors"), folder / "pytorch_model.bin")
    return folder


@animal("an adapter in a pickle", theirs=None)
def _(folder: Path) -> Path:
    path = lora(folder) / "adapter_model.safetensors"
    torch.save(load_file(path), folder / "adapter_model.bin")
    path.unlink()
    return folder


for mode in ("cls", "mean", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"):
    bi(f"pooling {mode}", lambda folder, mode=mode: bi_encoder(folder, Pooling(32, mode)))  # type: ignore[misc]
bi("two poolings", lambda folder: bi_encoder(folder, Pooling(32, ("cls", "mean"))))
for name in ("t5", "albert", "xlnet", "modernbert", "deberta-v2"):
    bi(f"{name}, mean", partial(bi_encoder, architecture=name))
bi(
    "llama, last token, padded on the left",
    lambda folder: bi_encoder(
        folder, Pooling(32, "lasttoken"), architecture="llama", made=tokenizer(left=True)
    ),
)
bi("prompts", partial(bi_encoder, prompts={"query": "who ", "document": "the house "}))
bi("a `passage` prompt alone", partial(bi_encoder, prompts={"query": "who ", "passage": "the "}))
bi(
    "prompts that are not pooled",
    lambda folder: bi_encoder(
        folder,
        Pooling(32, include_prompt=False),
        prompts={"query": "who ", "document": "the house "},
    ),
)
bi("Dense", lambda folder: bi_encoder(folder, Pooling(32), Dense(32, 16)))
bi("Normalize", lambda folder: bi_encoder(folder, Pooling(32), Normalize()))
bi("LayerNorm", lambda folder: bi_encoder(folder, Pooling(32), LayerNorm(32)))
bi("embeddings cut to 8 numbers", partial(bi_encoder, truncate_dim=8))
bi("similarity euclidean", partial(bi_encoder, similarity_fn_name="euclidean"))


@bare("two towers")
def _(folder: Path) -> Path:
    towers = [
        [Transformer(str(encoder(folder.with_name(side)))), Pooling(32, pooling)]
        for side, pooling in (("q", "mean"), ("d", "cls"))
    ]
    model = SentenceTransformer(modules=[Router.for_query_document(*towers)], device="cpu")
    model.save(str(folder))
    return folder


@bare("max_seq_length of 8 in its configuration")
def _(folder: Path) -> Path:
    changed(bi_encoder(folder) / "sentence_bert_config.json", max_seq_length=8)
    return folder


@bare("do_lower_case of sentences")
def _(folder: Path) -> Path:
    bi_encoder(folder, made=tokenizer(lower=False))
    changed(folder / "sentence_bert_config.json", do_lower_case=True)
    return folder


@bare("LoRA in a bi-encoder")
def _(folder: Path) -> Path:
    plain = bi_encoder(folder.with_name("whole"))
    model = SentenceTransformer(str(plain), device="cpu")
    model.add_adapter(peft.LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["query"]))
    spread_adapter(model[0].model)
    model.save(str(folder))
    return folder


@bare("processing_kwargs of a bi-encoder that cut elsewhere", theirs=None)
def _(folder: Path) -> Path:
    kwargs = {"text": {"max_length": 9}}
    changed(bi_encoder(folder) / "sentence_bert_config.json", processing_kwargs=kwargs)
    return folder


@bare("a tokenizer from elsewhere", theirs=None)
def _(folder: Path) -> Path:
    changed(bi_encoder(folder) / "sentence_bert_config.json", tokenizer_name_or_path="bert-base")
    return folder


@bare("layers weighted")
def _(folder: Path) -> Path:
    return bi_encoder(folder, WeightedLayerPooling(32, 2, 1), Pooling(32))


@bare("static embeddings", theirs=None)
def _(folder: Path) -> Path:
    inner = StaticEmbedding(tiny.tokenizer().backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[inner], device="cpu").save(str(folder))
    return folder


@bare("a Dense in a pickle", theirs=None)
def _(folder: Path) -> Path:
    path = bi_encoder(folder, Pooling(32), Dense(32, 16)) / "2_Dense" / "model.safetensors"
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()
    return folder


@bare("a bi-encoder without tokenizer files", theirs=None)
def _(folder: Path) -> Path:
    for path in bi_encoder(folder).glob("*token*"):
        path.unlink()
    return folder


@bare("a class of its own in modules.json", theirs=None)
def _(folder: Path) -> Path:
    path = bi_encoder(folder) / "modules.json"
    path.write_text(path.read_text().replace("sentence_transformers.base.modules", "my_code"))
    return folder


# -- what holds of all ----------------------------------------------------------------------------

ANSWERS: dict[str, str] = {}


def answer(what: str, folder: Path) -> str:
    """ "equal", or the sentence a folder is refused with; computed once."""
    if what in ANSWERS:
        return ANSWERS[what]
    kind, made, theirs = ZOO[what]
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(7)
        place = made(folder / "m")
        try:
            ours = (scores if kind == "cross-encoder" else embeddings)(place)
        except BadInput as refusal:
            said = " ".join(str(refusal).split()).replace(str(folder), "").replace("/m/", "")
            ANSWERS[what] = re.sub(r"/tmp/\S*", "...", said)
            return ANSWERS[what]
        assert theirs is not None, f"{what}: read, and nobody says whether rightly: {ours}"
        expected = theirs(place)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-5, (what, ours, expected)
    assert np.ptp(ours[..., 0] if ours.ndim > 1 else ours) > 1e-4, "all alike proves nothing"
    ANSWERS[what] = "equal"
    return "equal"


@pytest.mark.parametrize("what", ZOO)
def test_a_folder_is_read_as_its_own_library_reads_it_or_refused(what: str, tmp_path: Path) -> None:
    found = answer(what, tmp_path)
    if ZOO[what][2] is not None:
        assert found == "equal"
    else:
        assert found.endswith(".")
        assert len(found) < 600


@pytest.mark.parametrize("architecture", ["t5", "bart"])
@pytest.mark.parametrize("has_adapter", [False, True])
def test_docs_that_spell_the_end_token_are_scored_beside_others(
    architecture: str, has_adapter: bool, tmp_path: Path
) -> None:
    """Their heads refuse a batch whose texts have unequally many; it ended in a traceback."""
    docs = ["the blue dog", "the [SEP] dog sits", "[SEP] [SEP]", "a tree"]
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(7)
        folder = scorer(tmp_path / "m", architecture)
        theirs = TheirCrossEncoder(str(folder), device="cpu").predict(
            [(QUERY, doc) for doc in docs], activation_fn=torch.nn.Identity(), batch_size=1
        )
        made = CrossEncoder.load(folder)
        if has_adapter:  # fresh, so it changes no score
            made.adapt(LoRA(2, 4.0, 0.0, ()), base=folder, seed=1)
        ours = np.array(made.score(QUERY, docs))
    assert np.abs(ours - theirs).max() < 1e-5


def test_docs_that_spell_the_end_token_are_refused_of_a_model_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process must call it equally often, so pairs cannot be parted; it ended in transformers' ValueError."""
    made = CrossEncoder.load(scorer(tmp_path / "m", "t5"))
    whole = made.score(QUERY, DOCS)
    monkeypatch.setattr(processes, "is_sharded", lambda model: True)
    assert made.score(QUERY, DOCS) == pytest.approx(whole, abs=1e-5)
    with pytest.raises(BadInput, match=r"reads the last \[SEP\].*Take it out of the texts"):
        made.score(QUERY, ["a tree", "the [SEP] dog sits"])


def table(answers: Sequence[tuple[str, str]]) -> str:
    rows = [
        f"| {what} | {ZOO[what][0]} | {said.replace('|', chr(92) + '|')} |"
        for what, said in answers
    ]
    return HEAD + "\n".join(rows) + "\n"


def test_the_page_has_every_answer(tmp_path: Path) -> None:
    made = table([(what, answer(what, tmp_path / str(n))) for n, what in enumerate(ZOO)])
    if os.environ.get("RANKSCOPE_WRITE_DOCS"):
        PAGE.write_text(made, "utf-8")
    assert PAGE.read_text("utf-8") == made
