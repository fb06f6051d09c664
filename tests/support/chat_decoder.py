"""A tiny chat decoder with random weights, and a server of OpenAI's interface around transformers' `generate`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from support.llm_server import Body, LLMServer, llm_server

TEMPLATE = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
LONGEST = 4096


def save_chat_decoder(folder: Path, seed: int = 0) -> Path:
    """A Llama of two layers that reads bytes, with a chat template, as a folder that transformers loads."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: n for n, word in enumerate(["<pad>", "<s>", "</s>", *letters])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=LONGEST
    )  # fmt: skip
    made.chat_template = TEMPLATE
    config = transformers.LlamaConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
        vocab_size=len(vocabulary), max_position_embeddings=LONGEST, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


@contextmanager
def decoder_server(folder: Path) -> Iterator[LLMServer]:
    """A server that answers with what the decoder in a folder generates, one request at a time."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    one_at_a_time = threading.Lock()

    def generated(body: Body) -> str:
        ids = tokenizer.apply_chat_template(
            body["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )["input_ids"]
        with one_at_a_time, torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=body["max_tokens"],
                do_sample=False,
                pad_token_id=0,
            )
        return str(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))

    with llm_server(generated) as server:
        yield server
