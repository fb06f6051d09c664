import json
import struct
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.errors import BadInput
from rankscope.models.files import folders
from rankscope.models.inputs import notes_on
from rankscope.models.location import kind_of, located
from support import tiny
from support.command import Command

HEADER = struct.pack("<Q", 10**9)


def spoilt(folder: Path, name: str, content: str | bytes) -> None:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("whole") / "m")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(whole, tmp_path / "m"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", "[]", "an empty list where a list of modules belongs"),
        ("modules.json", "{}", "an object where a list of modules belongs"),
        ("modules.json", "null", "null where a list of modules belongs"),
        ("modules.json", '[{"type": "sentence_transformers.X", "name": "0"}]', "entry 0: no 'path'"),
        ("modules.json", "[3]", "entry 0: a number where an object belongs"),
        ("config.json", "[1]", "a list where an object"),
        ("config.json", "{", "config.json, line 1: no JSON"),
        ("config.json", "", "config.json, line 1: an empty file"),
        ("config.json", b"\xff\xfe", "no text in UTF-8"),
        ("config.json", "[" * 100_000, "no JSON that can be read"),
        ("config.json", '{"architectures": 3}', "'architectures' is 3, and a list of texts"),
        ("config.json", '{"max_position_embeddings": "x"}', "is \"x\", and a whole number above 0"),
        ("config.json", '{"hidden_size": -1}', "'hidden_size' is -1"),
        ("config.json", '{"num_hidden_layers": 1000000000}', "is 1000000000, and the weights beside"),
        ("tokenizer.json", '{"version": ', "tokenizer.json, line 1: no JSON"),
        ("tokenizer.json", '{"version": "1.0"}', "no tokenizer in it"),
        ("tokenizer.json", '{"model": {"vocab": {"a": 1, "b": 2, "c": 1}}}', "the tokens 'a' and 'c' have one id, 1"),
        ("tokenizer_config.json", '{"padding_side": "up"}', 'is "up", and "left" or "right"'),
        ("sentence_bert_config.json", '{"max_seq_length": "x"}', "'max_seq_length' is \"x\""),
        ("1_Pooling/config.json", "7", "a number where an object"),
        ("1_Pooling/config.json", '{"include_prompt": "no"}', "'include_prompt' is \"no\", and true or false"),
        ("1_Pooling/config.json", '{"pooling_mode_cls_token": []}', "'pooling_mode_cls_token' is []"),
        ("adapter_config.json", '{"peft_type": "LORA", "use_rslora": {"a": 1}}', "'use_rslora' is {"),
        ("adapter_config.json", '{"peft_type": "LORA", "fan_in_fan_out": "x"}', "'fan_in_fan_out' is \"x\""),
        ("adapter_config.json", '{"peft_type": "LORA", "alpha_pattern": 3}', "'alpha_pattern' is 3"),
        ("config_sentence_transformers.json", '{"prompts": {"query": 3}}', "the prompt 'query' is 3"),
        ("config_sentence_transformers.json", '{"prompts": null}', "`prompts` is null, which"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "x"}', "is 'x', and the prompts"),
        ("config_sentence_transformers.json", '{"prompts": {"query": "\\ud83d"}}', "`query` holds half a character"),
        ("tokenizer_config.json", '{"model_type": "bert"}', "not the content that belongs there"),
        ("config_sentence_transformers.json", '{"version": "1.0"}', "not the content that belongs"),
        ("model.safetensors", b"", "no whole safetensors file (an empty file)"),
        ("model.safetensors", HEADER, "8 bytes, and its header asks for 1000000008"),
        ("pytorch_model.bin", b"x", None),
        ("1_Pooling/weights.pt", b"x", "a pickle, which cannot be loaded"),
        ("model.safetensors.index.json", '{"weight_map": 3}', "'weight_map' is 3, and an object"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_before_any_library_sees_it(
    folder: Path, name: str, content: str | bytes, words: str | None
) -> None:
    spoilt(folder, name, content)
    if words is None:  # a pickle beside its safetensors is never opened
        assert located(str(folder)).folder == folder.resolve()
        return
    with pytest.raises(BadInput) as refused:
        located(str(folder))
    assert words in str(refused.value)
    assert str(folder.resolve() / name) in str(refused.value) or "config.json" in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "has other bytes than its type"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}, "begins at byte 4, not 0"),
        ({"dtype": "X", "shape": [1], "data_offsets": [0, 4]}, "no known type, shape and place"),
        ({"dtype": "F32", "shape": [1]}, "no known type, shape and place"),
        ({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "its header asks for"),
        ([], "no known type, shape and place"),
    ],
)
def test_a_lying_header_is_told(tmp_path: Path, entry: Any, words: str) -> None:
    """Four bytes of weights behind a header that says otherwise."""
    told = json.dumps({"w": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(told)) + told + b"\0" * 4)
    with pytest.raises(BadInput, match=words):
        folders.header(path)


def test_a_library_error_is_one_sentence_and_memory_is_none() -> None:
    with (
        pytest.raises(BadInput, match=r"m: cannot load \(KeyError: 'x'\)\. Save or download"),
        folders.library_answers("m", "cannot load"),
    ):
        raise KeyError("x")
    for error in (MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), folders.library_answers("m", "cannot load"):
            raise error


def test_a_model_without_a_tokenizer_is_refused_at_every_door(
    rankscope: Command, tiny_study: Path, tmp_path: Path, folder: Path
) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    data = tiny.write_collection(tmp_path / "data")
    out = ("--collection", data, "--out", tmp_path / "o.run")
    run = tmp_path / "first.run"
    run.write_text("q0 Q0 d0 1 2.0 mine\n")
    study = tmp_path / "study.yaml"
    text = tiny_study.read_text()
    study.write_text(text + f"\n# {folder}\n")
    for words in (
        ("search", folder, *out),
        ("rerank", folder, "--run", run, *out),
        ("check", study, f"rankers.other={{kind: bi_encoder, model: {folder}}}"),
    ):
        answer = rankscope(*words)
        assert answer.code == 1
        assert "no tokenizer in it" in answer.err
        assert answer.err.count("\n") == 1


def test_a_passage_prompt_that_no_doc_gets_is_told(
    rankscope: Command, tmp_path: Path, folder: Path
) -> None:
    card = folder / "config_sentence_transformers.json"
    told = json.loads(card.read_text()) | {"prompts": {"query": "who ", "passage": "the "}}
    card.write_text(json.dumps(told))
    data = tiny.write_collection(tmp_path / "data")
    answer = rankscope("search", folder, "--collection", data, "--out", tmp_path / "o.run")
    assert answer.code == 0
    assert "Note: The model comes with prompts that no text gets (passage)" in answer.err


def test_two_labels_are_named(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    assert notes_on(ranker) == []
    ranker.labels = ("no", "yes")
    assert notes_on(ranker) == [
        "The model has two labels: a score is the logit of 'yes' (label 1) less that of 'no' (label 0)."
    ]


def test_kinds_are_told_by_what_the_folder_says(folder: Path) -> None:
    assert kind_of(folder) == "bi_encoder"
    (folder / "modules.json").unlink()
    (folder / "config_sentence_transformers.json").unlink()
    with pytest.raises(BadInput, match="A bare encoder cannot rank"):
        kind_of(folder)
