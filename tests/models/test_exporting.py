"""`rankscope export`: the ONNX file gives the ranker's own numbers, and what cannot be exported is refused."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from sentence_transformers import SentenceTransformer

from rankscope.models import backbone, exporting
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import located
from support import tiny
from support.command import Command

QUERY, DOCS = "who is it", ["a red cat and a dog", "one", "cat " * 12]
OTHERS = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("electra", "distilbert", "roberta", "mpnet")
]


def outputs(folder: Path, given: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    session = onnxruntime.InferenceSession(str(folder / exporting.FILE))
    arrays = {name: tensor.numpy() for name, tensor in given.items()}
    found: np.ndarray[Any, np.dtype[np.float32]] = session.run(None, arrays)[0]
    return found


@pytest.mark.parametrize("architecture", ["bert", *OTHERS])
def test_a_cross_encoders_file_gives_its_scores(
    tmp_path: Path, rankscope: Command, architecture: str
) -> None:
    whole = tiny.cross_encoder(tmp_path, architecture)
    for weight in whole.model.parameters():
        weight.data.mul_(4)  # scores of small weights would hardly differ
    whole.save(tmp_path / "ranker")
    answer = rankscope("export", tmp_path / "ranker", tmp_path / "out", "--onnx")
    assert (answer.code, answer.err) == (0, "")
    ranker = CrossEncoder.load(tmp_path / "out")
    for docs in (DOCS[:1], DOCS):
        given = ranker.padded(ranker.pairs([(QUERY, docs)]))
        scores = outputs(tmp_path / "out", given)[:, 0]
        expected = ranker.score(QUERY, docs)
        assert scores == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.01


def test_a_bi_encoders_file_gives_the_states_that_are_pooled_and_names_are_those_of_earlier_releases(
    tmp_path: Path, rankscope: Command
) -> None:
    folder = tiny.save_bi_encoder(tmp_path / "ranker")
    assert rankscope("export", folder, tmp_path / "out", "--onnx").code == 0
    modules = json.loads((tmp_path / "out" / "modules.json").read_text("utf-8"))
    names = [module["type"] for module in modules]
    assert names[:2] == [
        f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling")
    ]
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text("utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    with backbone.quiet():
        whole = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    given = whole.preprocess(DOCS)
    states = torch.from_numpy(
        outputs(tmp_path / "out", {name: given[name] for name in ("input_ids", "attention_mask")})
    )
    after = {"token_embeddings": states, "attention_mask": given["attention_mask"]}
    for module in [*whole][1:]:
        after = module(after)
    expected = whole.encode(DOCS, convert_to_tensor=True)
    assert torch.allclose(after["sentence_embedding"], expected, atol=1e-5)
    assert torch.equal(BiEncoder.load(located(str(tmp_path / "out"))).embed_docs(DOCS), expected)


def test_without_onnx_a_copy_is_written(tmp_path: Path, rankscope: Command) -> None:
    tiny.cross_encoder(tmp_path).save(tmp_path / "ranker")
    answer = rankscope("export", tmp_path / "ranker", tmp_path / "out")
    assert (answer.code, answer.out.split()) == (0, ["wrote", str(tmp_path / "out")])
    assert not (tmp_path / "out" / "onnx").exists()
    before, after = (CrossEncoder.load(tmp_path / name) for name in ("ranker", "out"))
    assert before.score(QUERY, DOCS) == after.score(QUERY, DOCS)


def test_what_cannot_be_exported_is_one_sentence_and_nothing_is_left(
    tmp_path: Path, rankscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranker = BiEncoder.load(located(str(tiny.save_bi_encoder(tmp_path / "one"))))
    ranker.separated().save(tmp_path / "two")
    out = tmp_path / "out"
    answer = rankscope("export", tmp_path / "two", out, "--onnx")
    assert (answer.code, "a folder holds one ONNX file" in answer.err) == (1, True)
    late = tiny.save_late_interaction(tmp_path / "late")
    assert "late-interaction" in rankscope("export", late, out, "--onnx").err
    assert "exists already" in rankscope("export", tmp_path / "one", tmp_path / "two", "--onnx").err
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert "extra `onnx`" in rankscope("export", tmp_path / "one", out, "--onnx").err
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", refused)
        said = rankscope("export", tmp_path / "one", out, "--onnx").err
    assert "cannot export BertModel to ONNX (no such operator)" in said
    assert not [*tmp_path.glob("*out*")]


def refused(*_: Any, **__: Any) -> None:
    raise RuntimeError("no such operator\nand more")


@pytest.mark.slow
def test_a_file_of_other_numbers_is_refused(
    tmp_path: Path, rankscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.cross_encoder(tmp_path).save(tmp_path / "ranker")
    own = onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "run", lambda *given: [own(*given)[0] + 0.001]
    )
    answer = rankscope("export", tmp_path / "ranker", tmp_path / "out", "--onnx")
    assert "gives other numbers than the model (by 1.0e-03)" in answer.err
    assert not (tmp_path / "out").exists()
