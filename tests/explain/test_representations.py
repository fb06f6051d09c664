"""Every layer's representations: the model's own, whatever else is in the batch, and stored bit for bit."""

import signal
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.rng import stream
from rankscope.explain import representations
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.ranker import SIDES
from support import tiny

TEXTS = ["cat", "the red cat sits", "a green dog", " ".join(tiny.WORDS), "blue bird " * 5, "dog"]
PREFIXES = {"query": "who ", "document": "a "}
RANKERS = [("bert", "cls"), ("bert", "mean"), ("roberta", "mean"), ("llama", "last")]


@pytest.fixture(params=RANKERS, ids=lambda made: "-".join(made))
def ranker(request: pytest.FixtureRequest, tmp_path: Path) -> BiEncoder:
    architecture, pooling = request.param
    return tiny.bi_encoder(tmp_path, architecture, pooling=pooling, prefixes=PREFIXES)


def test_the_last_layer_is_what_the_ranker_embeds(ranker: BiEncoder) -> None:
    for side in SIDES:
        found = representations.of_texts(ranker, TEXTS, side)[:, -1]
        torch.testing.assert_close(found, ranker.embed(TEXTS, side), rtol=0, atol=1e-5)


def test_a_representation_is_the_same_in_every_batch(
    ranker: BiEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = representations.of_texts(ranker, TEXTS, "document")
    for text, expected in zip(TEXTS, together, strict=True):
        alone = representations.of_texts(ranker, [text], "document")[0]
        torch.testing.assert_close(alone, expected, rtol=0, atol=1e-5)
    monkeypatch.setattr(representations, "BYTES_AT_ONCE", 1)
    one_by_one = representations.of_texts(ranker, TEXTS, "document")
    torch.testing.assert_close(one_by_one, together, rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_states_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """Else a probe learns of them, and its accuracy is NaN."""
    for ranker in (tiny.bi_encoder(tmp_path / "bi"), tiny.cross_encoder(tmp_path / "cross")):
        weights = dict(ranker.model.named_parameters())
        (name,) = (name for name in weights if name.endswith("layer.1.output.dense.bias"))
        with torch.no_grad():
            weights[name][3:] = value
        with pytest.raises(
            BadInput, match=r"2 of 2 texts have states that are not finite \(from layer 2 on\)"
        ):
            if isinstance(ranker, BiEncoder):
                representations.of_texts(ranker, TEXTS[:2], "document")
            else:
                representations.of_texts(ranker, [("cat", text) for text in TEXTS[:2]], "pair")


def test_states_beyond_half_precision_are_not_stored_as_infinity(tmp_path: Path) -> None:
    states = torch.tensor([[[1.0]], [[7e4]]])
    for dtype, is_held in (("float32", True), ("float16", False)):
        kept = partial(
            representations.store, tmp_path / dtype, lambda places: states[places], n_texts=2, n_layers=1, width=1, dtype=dtype
        )  # fmt: skip
        if is_held:
            kept()
            assert representations.layer(tmp_path / dtype, 0).tolist() == [[1.0], [7e4]]
        else:
            with pytest.raises(BadInput, match=r"as large as 7e\+04 are beyond float16"):
                kept()


def test_mean_ignores_padding_and_last_takes_the_last_real_token() -> None:
    states = torch.tensor([[[1.0], [2.0], [100.0]], [[4.0], [5.0], [9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert representations.mean(states, mask).tolist() == [[1.5], [6.0]]
    assert representations.last_token(states, mask).tolist() == [[2.0], [9.0]]
    assert representations.first_token(states, mask).tolist() == [[1.0], [4.0]]


def test_the_layers_are_the_models_own_hidden_states(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    (one,) = ranker.inputs(["the red cat"], "document")
    ids = torch.from_numpy(one.ids)[None]
    with torch.inference_mode():
        inside = ranker.tower("document").model(ids, output_hidden_states=True).hidden_states
    for pooling, expected in {
        "mean": [s[0].mean(0) for s in inside],
        "last": [s[0, -1] for s in inside],
    }.items():
        found = representations.of_texts(ranker, ["the red cat"], "document", pooling=pooling)[0]
        torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-5)


def test_a_prompt_that_the_model_leaves_out_does_not_count(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path, prefixes=PREFIXES)
    whole = representations.of_texts(ranker, TEXTS[:3], "query")[:, -1]
    ranker.model.pooler("query").include_prompt = False
    found = representations.of_texts(ranker, TEXTS[:3], "query")[:, -1]
    torch.testing.assert_close(found, ranker.embed_queries(TEXTS[:3]), rtol=0, atol=1e-5)
    assert not torch.allclose(found, whole, atol=1e-3)


def test_two_towers_give_each_side_its_own_states(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path).separated()
    with torch.no_grad():
        next(ranker.tower("query").model.parameters()).mul_(2.0)
    for side in SIDES:
        found = representations.of_texts(ranker, TEXTS, side)[:, -1]
        torch.testing.assert_close(found, ranker.embed(TEXTS, side), rtol=0, atol=1e-5)


def test_pairs_give_the_first_tokens_state_of_every_layer(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    pairs = [("who sits", "the red cat"), ("who", "a green dog " * 3)]
    found = representations.of_texts(ranker, pairs, "pair")
    for pair, layers in zip(pairs, found, strict=True):
        alone = representations.of_texts(ranker, [pair], "pair")[0]
        torch.testing.assert_close(layers, alone, rtol=0, atol=1e-5)
    assert found.shape == (2, 3, 32)


def test_an_unknown_pooling_is_answered_with_those_there_are(tmp_path: Path) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    with pytest.raises(UnknownChoice, match="There are: cls, last, mean"):
        representations.of_texts(ranker, TEXTS, "query", pooling="max")
    ranker.model.pooler("query").pooling_mode = "max"
    with pytest.raises(BadInput, match="pools by 'max'"):
        representations.of_texts(ranker, TEXTS, "query")


# -- on disk --------------------------------------------------------------------------------------


def made_slowly(folder: Path, states: torch.Tensor, dtype: str, pause: float = 0.0) -> list[Path]:
    def some(at: range) -> torch.Tensor:
        time.sleep(pause)
        return states[at.start : at.stop]

    n_texts, n_layers, width = states.shape
    return representations.store(
        folder, some, n_texts=n_texts, n_layers=n_layers, width=width, dtype=dtype
    )


@pytest.mark.parametrize("n_kills", [3, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_killed_at_random_moments_the_files_have_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, n_kills: int
) -> None:
    """SIGKILL to a process that makes them, some times, wherever it is; each goes on where the last one was."""
    monkeypatch.setattr(representations, "MOST_PER_BLOCK", 2)
    n_texts = 200 * n_kills + 1
    states = torch.randn(n_texts, 3, 4, generator=torch.Generator().manual_seed(1))
    whole = made_slowly(tmp_path / "whole", states, dtype)
    moments = stream(5, "kills", dtype)
    for _ in range(n_kills):
        process = get_context("fork").Process(
            target=made_slowly, args=(tmp_path / "cut", states, dtype, 0.002)
        )
        process.start()
        time.sleep(moments.uniform(0.02, 0.15))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    found = made_slowly(tmp_path / "cut", states, dtype)
    assert [path.read_bytes() for path in found] == [path.read_bytes() for path in whole]
    layer = representations.layer(tmp_path / "cut", 1)
    exact = states[:, 1] if dtype == "float32" else states[:, 1].half().float()
    assert layer.dtype == torch.float32
    assert torch.equal(layer, exact)
    assert np.load(found[0]).shape == (n_texts, 4)
