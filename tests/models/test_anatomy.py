"""Where feed-forward blocks are, tested by putting something else in their place."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel

from rankscope.core.errors import BadInput
from rankscope.models import anatomy
from rankscope.models.interventions import recorded, replaced
from support import tiny

DECODERS = {"llama", "mistral", "qwen3"}


@pytest.mark.parametrize("architecture", [*(tiny.ARCHITECTURES | tiny.DECODERS)])
def test_what_a_feed_forward_block_gives_is_what_its_layer_adds(
    tmp_path: Path, architecture: str
) -> None:
    model: Any = AutoModel.from_pretrained(tiny.save_encoder(tmp_path, architecture)).eval()
    ids = torch.tensor([[2, 7, 9, 3], [2, 8, 6, 3]])

    def states() -> Tensor:
        with torch.no_grad():
            found: Tensor = model(input_ids=ids).last_hidden_state
        return found

    before = states()
    layers = anatomy.layers(model)
    assert len(layers) == 2
    for layer in layers:
        dense = anatomy.feed_forward(layer)
        first, *_, last = dense.values()
        assert first.in_features == last.out_features == 32
        assert last.in_features == 64
        assert ("gate" in dense) == (architecture in DECODERS)
        with recorded([first, last]) as calls:
            states()
        assert calls[last].given.shape == (2, 4, 64)
        assert torch.equal(calls[first].gave, first(calls[first].given))
        for module in dense.values():
            with replaced({module: lambda x, n=module.out_features: x.new_zeros(*x.shape[:-1], n)}):
                assert not torch.allclose(states(), before)
            assert torch.equal(states(), before)


def test_a_block_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="Linear: no feed-forward block is known in it"):
        anatomy.feed_forward(nn.Linear(2, 2))


def test_what_was_in_place_before_is_put_back() -> None:
    module = nn.Linear(2, 2)
    with replaced({module: lambda _: 1}):
        with replaced({module: lambda _: 2}):
            assert module(torch.zeros(2)) == 2
        assert module(torch.zeros(2)) == 1
    assert "forward" not in vars(module)
