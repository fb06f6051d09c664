import json
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import processors

from rankscope.explain import representations
from rankscope.models import inputs
from rankscope.models.cross_encoder import CrossEncoder
from support import tiny

DOC = "the red cat sits"


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_encoders_read_the_first_token_and_lack_nothing(architecture: str, tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path, architecture)
    assert ranker.pooling() == "cls"
    assert inputs.missing_tokens(ranker, "who sits", DOC) == []


def decoder(template: str | None, *, end: str | None, pad: int = 0) -> CrossEncoder:
    """A tiny LLaMA-type ranker whose tokenizer joins texts by a template."""
    config = transformers.LlamaConfig(
        **tiny.SMALL, intermediate_size=64, vocab_size=64, pad_token_id=pad, num_labels=1
    )
    with torch.random.fork_rng():
        model = transformers.AutoModelForSequenceClassification.from_config(config)
    tokenizer = tiny.tokenizer()
    tokenizer.eos_token = end
    special = [("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair=template or "$A $B", special_tokens=special
    )
    return CrossEncoder(model, tokenizer, 32)


def test_states_of_pairs_are_those_that_the_head_reads(tmp_path: Path) -> None:
    """A decoder's first token has seen nothing: it is the same in every pair."""
    pairs = [("who sits", DOC), ("what is it", "a dog")]
    modern = tiny.cross_encoder(tmp_path, "modernbert")
    modern.model.config.classifier_pooling = "mean"
    causal = decoder("$A [SEP] $B [MASK]", end="[MASK]")
    for ranker, pooling in ((modern, "mean"), (causal, "last")):
        assert ranker.pooling() == pooling
        states = representations.of_texts(ranker, pairs, "pair")
        assert torch.equal(states, representations.of_texts(ranker, pairs, "pair", pooling=pooling))
        assert not torch.allclose(states[0, -1], states[1, -1])


def test_a_decoder_needs_an_end_token_that_is_no_padding() -> None:
    whole = decoder("$A [SEP] $B [MASK]", end="[MASK]")
    assert whole.pooling() == "last"
    assert inputs.missing_tokens(whole, "who sits", DOC) == []
    (unset,) = inputs.missing_tokens(decoder("$A [SEP] $B", end=None), "who sits", DOC)
    assert unset == "the text does not end in an end token (it has no `eos_token`)"
    (absent,) = inputs.missing_tokens(decoder("$A [SEP] $B", end="[MASK]"), "who sits", DOC)
    assert absent == "the text does not end in an end token (`eos_token` is '[MASK]')"
    (padded,) = inputs.missing_tokens(
        decoder("$A [SEP] $B [MASK]", end="[MASK]", pad=4), "who sits", DOC
    )
    assert padded.startswith("the end token is the padding token too")
    assert inputs.missing_tokens(decoder(None, end="[MASK]"), "who", DOC)[-1] == (
        "nothing stands between query and doc"
    )


def test_an_encoder_needs_a_class_token(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    ranker.tokenizer.cls_token = None
    (found,) = inputs.missing_tokens(ranker, "who sits", DOC)
    assert found == "the text does not begin with a class token (it has no `cls_token`)"


def test_docs_that_are_cut_are_counted_as_texts_and_as_tokens(tmp_path: Path) -> None:
    """[CLS] q [SEP] d [SEP]: 3 + 1 + n tokens; 9 fit in 12 less 3."""
    ranker = tiny.cross_encoder(tmp_path, max_length=12)
    pairs = [("who", "cat " * n) for n in (1, 8, 9, 30)]
    assert ranker.n_cut(pairs) == 2
    tokens = [tuple(ranker.tokens(list(pair))) for pair in pairs]
    assert ranker.n_cut(tokens) == 2  # type: ignore[arg-type]
    assert ranker.n_cut([]) == 0


@pytest.mark.parametrize(
    ("config", "of_cross_encoder", "of_bi_encoder"),
    [
        ({}, [], []),
        ({"prompts": {"query": "", "document": ""}}, [], []),
        ({"prompts": {"query": "query: "}}, ["query"], []),
        ({"prompts": {"web": "find: ", "sts": "alike: "}}, ["sts", "web"], ["sts", "web"]),
        (
            # sentence-transformers' encode_query and encode_document do not fall back to the default
            {"prompts": {"web": "find: "}, "default_prompt_name": "web"},
            ["web"],
            ["web"],
        ),
        ({"prompts": {"query": "q: ", "passage": "p: "}}, ["passage", "query"], ["passage"]),
        (
            {"prompts": {"query": "q: ", "document": "p: ", "passage": "p: "}},
            ["document", "passage", "query"],
            [],
        ),
    ],
)
def test_prompts_that_nothing_uses(
    config: dict[str, object], of_cross_encoder: list[str], of_bi_encoder: list[str], tmp_path: Path
) -> None:
    assert inputs.prompts_in(tmp_path) == {}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(config))
    found = inputs.prompts_in(tmp_path)
    assert sorted(found) == of_cross_encoder
    assert list(inputs.left_out(found)) == of_bi_encoder
