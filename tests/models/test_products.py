"""Dense layers as convolutions: the same numbers and gradients, and only where they are faster."""

import pytest
import torch
from torch import nn

from rankscope.models.fast import products


@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_product_by_convolution_is_the_linear_one(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], has_bias: bool
) -> None:
    monkeypatch.setattr(products, "is_by_onednn", lambda _: True)
    monkeypatch.setattr(products, "is_by_intel", lambda: False)
    dense = nn.Linear(5, 3, bias=has_bias)
    given = torch.randn(shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
    whole = dense(given)
    with products.by_convolution(dense):
        found = dense(given)
    assert "forward" not in vars(dense)
    assert found.grad_fn is not None
    assert "ConvolutionBackward0" in _ancestors(found.grad_fn)
    torch.testing.assert_close(found, whole)
    gradients = [torch.autograd.grad(each.square().sum(), given)[0] for each in (found, whole)]
    torch.testing.assert_close(*gradients)


def _ancestors(node: object) -> list[str]:
    following = [each for each, _ in getattr(node, "next_functions", ()) if each is not None]
    return [type(node).__name__, *(name for each in following for name in _ancestors(each))]


def test_where_intel_made_the_processor_pytorch_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "is_by_onednn", lambda _: True)
    monkeypatch.setattr(products, "is_by_intel", lambda: True)
    dense = nn.Linear(5, 3)
    with products.by_convolution(dense):
        assert "forward" not in vars(dense)
    given = torch.randn((7, 5), requires_grad=True)
    found = products.product(given, dense.weight, dense.bias)
    assert found.grad_fn is not None
    assert "ConvolutionBackward0" not in _ancestors(found.grad_fn)


def test_other_types_are_left_to_pytorch() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        dense = nn.Linear(5, 3, dtype=dtype)
        with products.by_convolution(dense):
            assert "forward" not in vars(dense)
