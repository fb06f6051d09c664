from copy import deepcopy
from pathlib import Path

import pytest
import torch

from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast.first_token import FAMILY, first_token_only
from support import tiny

ASKED = [("who sits", ["red cat", "the blue dog sits under the tree on a mat", "bird"])]


def scores_and_gradients(ranker: CrossEncoder) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    ranker.model.zero_grad()
    scores = ranker.logits(ranker.model, ranker.pairs(ASKED))
    scores.square().sum().backward()
    gradients = {
        n: w.grad.clone() for n, w in ranker.model.named_parameters() if w.grad is not None
    }
    return scores.detach(), gradients


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_scores_and_gradients_are_those_of_the_whole_layer(
    tmp_path: Path, architecture: str
) -> None:
    ranker = tiny.cross_encoder(tmp_path, architecture)
    ranker.model.eval()
    scores, gradients = scores_and_gradients(ranker)
    with first_token_only(ranker.model):
        cut, cut_gradients = scores_and_gradients(ranker)
    assert torch.allclose(scores, cut, atol=1e-5)
    assert gradients.keys() == cut_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, cut_gradients[name], atol=1e-5), name


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_last_layer_gives_one_token_inside_and_all_outside(
    tmp_path: Path, architecture: str
) -> None:
    ranker = tiny.cross_encoder(tmp_path, architecture)
    inputs = ranker.joiner.pad(ranker.pairs(ASKED))

    def n_tokens() -> int:
        encoder = getattr(ranker.model, str(ranker.model.base_model_prefix))
        return int(encoder(**inputs).last_hidden_state.shape[1])

    whole = inputs["input_ids"].shape[1]
    with first_token_only(ranker.model), first_token_only(ranker.model):
        assert n_tokens() == (1 if architecture in FAMILY else whole)
    assert n_tokens() == whole
    with pytest.raises(RuntimeError), first_token_only(ranker.model):
        raise RuntimeError
    assert n_tokens() == whole


def test_a_copy_made_inside_has_its_own_last_layer(tmp_path: Path) -> None:
    """Training in shards copies the model there: the copy must not run with the first one's weights."""
    ranker = tiny.cross_encoder(tmp_path)
    ranker.model.eval()
    scores, _ = scores_and_gradients(ranker)
    with first_token_only(ranker.model):
        copied = deepcopy(ranker)
        for weight in ranker.model.parameters():
            weight.data.zero_()
        again, gradients = scores_and_gradients(copied)
    assert torch.allclose(scores, again, atol=1e-6)
    assert gradients.keys() == dict(copied.model.named_parameters()).keys()
