"""Dense layers in 8-bit integers and bfloat16: near the float32 ones, the same in any company, refused where slower."""

from pathlib import Path
from typing import get_args

import pytest
import torch
import transformers
from torch import nn

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.models.fast.precision import PRECISIONS, narrowed, quantized
from rankscope.pipeline.spec.evaluate import RerankSpec
from support import tiny

NARROW = sorted(name for name in PRECISIONS if name != "float32")
RNG = torch.Generator().manual_seed(1)


def _has(monkeypatch: pytest.MonkeyPatch, instructions: tuple[str, ...]) -> None:
    table = dict.fromkeys(instructions, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: table, raising=False)


def _stack(dense: nn.Linear) -> nn.Module:
    """A model of transformers with one dense layer in its one layer."""
    model = transformers.BertModel(tiny.ARCHITECTURES["bert"])
    model.encoder.layer = nn.ModuleList([dense])
    return model


def test_the_study_file_and_the_option_have_the_same_precisions() -> None:
    field = RerankSpec.model_fields["precision"]
    assert set(get_args(field.annotation)) == set(PRECISIONS)


def test_integers_are_the_nearest_and_the_largest_of_a_row_is_127() -> None:
    rows = torch.tensor([[1.27, -0.634, 0.006], [0.0, 0.0, 0.0], [-2e6, 1e6, 9e3]])
    integers, scales = quantized(rows)
    assert integers.tolist() == [[127, -63, 1], [0, 0, 0], [-127, 64, 1]]
    assert scales[[0, 2], 0].tolist() == pytest.approx([0.01, 2e6 / 127])


@pytest.mark.usefixtures("every_instruction")
@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("shape", [(7, 96), (1, 96), (2, 7, 96)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_narrow_layer_is_near_the_exact_one(
    name: str, shape: tuple[int, ...], has_bias: bool
) -> None:
    dense = nn.Linear(96, 40, bias=has_bias)
    given = torch.randn(shape, generator=RNG)
    with torch.no_grad():
        exact = dense(given)
        with narrowed(_stack(dense), name):
            found = dense(given)
        assert torch.equal(dense(given), exact)
    assert (found.shape, found.dtype) == (exact.shape, exact.dtype)
    error = float((found - exact).norm() / exact.norm())
    assert 1e-5 < error < 0.015


@pytest.mark.usefixtures("every_instruction")
def test_a_row_in_integers_is_the_same_among_larger_ones() -> None:
    dense = nn.Linear(96, 40)
    rows = torch.randn(5, 96, generator=RNG) * torch.tensor([[1.0], [1e3], [1e-3], [1e6], [1.0]])
    with narrowed(_stack(dense), "int8"):
        together = dense(rows)
        alone = torch.cat([dense(row[None]) for row in rows])
    assert torch.equal(together, alone)


@pytest.mark.usefixtures("every_instruction")
@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_rankers_score_nearly_the_same_and_the_same_again_afterwards(
    tmp_path: Path, architecture: str, name: str
) -> None:
    ranker = tiny.cross_encoder(tmp_path, architecture)
    docs = ["red cat", "the blue dog sits under the tree on a mat", "bird"]
    exact = ranker.score("who sits", docs)
    with narrowed(ranker.model, name):
        found = ranker.score("who sits", docs)
        (alone,) = ranker.score("who sits", docs[2:])
    assert ranker.score("who sits", docs) == exact
    assert found != exact
    assert found == pytest.approx(exact, abs=0.05 * max(map(abs, exact)) + 1e-3)
    assert alone == pytest.approx(found[2], abs=1e-6)  # padding is rounded with its own tokens


@pytest.mark.usefixtures("every_instruction")
def test_heads_and_embeddings_stay_as_they_are(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path, "bert")
    model = ranker.model
    with narrowed(model, "int8"):
        narrow = {name for name, module in model.named_modules() if "forward" in vars(module)}
    every = {name for name, module in model.named_modules() if type(module) is nn.Linear}
    assert every - narrow == {"bert.pooler.dense", "classifier"}
    assert narrow < every


@pytest.mark.usefixtures("every_instruction")
def test_both_towers_of_a_bi_encoder_are_narrowed(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path).separated()
    with narrowed(ranker.model, "int8"):
        narrow = [module for module in ranker.model.modules() if "forward" in vars(module)]
    assert len(narrow) == 2 * 2 * 6


def test_what_is_slower_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.cross_encoder(tmp_path, "bert").model
    _has(monkeypatch, ("avx2",))
    for name in NARROW:
        with (
            pytest.raises(BadInput, match=f"precision {name} is slower than float32"),
            narrowed(model, name),
        ):
            pass
    with narrowed(model, "float32"):
        pass
    with pytest.raises(UnknownChoice, match="Unknown precision 'int4'"), narrowed(model, "int4"):
        pass
    with (
        pytest.raises(BadInput, match="int8 is for processors"),
        narrowed(model.to("meta"), "int8"),
    ):
        pass


@pytest.mark.usefixtures("every_instruction")
def test_a_model_without_dense_layers_is_refused() -> None:
    model = transformers.GPT2Model(
        transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=64, n_positions=16)
    )
    with pytest.raises(BadInput, match="no dense layers of PyTorch"), narrowed(model, "int8"):
        pass
