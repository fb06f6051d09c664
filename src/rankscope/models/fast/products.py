"""Dense layers on a processor with AVX-512, by oneDNN.

PyTorch leaves products of float32 to MKL and convolutions to oneDNN, which was faster on such a processor of AMD's
(decision 10); and a dense layer is a convolution over one place. The sums are the same up to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from rankscope.models.interventions import Forward, replaced


def is_by_onednn(weight: Tensor) -> bool:
    """Whether products with a weight are left to oneDNN: float32, on a processor with AVX-512."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def product(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The values of `linear`: (..., inputs) to (..., outputs)."""
    if not _is_faster(weight):
        return linear(given, weight, bias)
    rows = given.reshape(1, -1, 1, given.shape[-1]).permute(
        0, 3, 1, 2
    )  # inputs as channels, no copy
    gave: Tensor = conv2d(rows, weight[:, :, None, None], bias).permute(0, 2, 3, 1)
    return gave.reshape(*given.shape[:-1], -1)


@cache
def is_by_intel() -> bool:
    """Whether Intel made the processor: PyTorch's own products, by MKL, are faster than oneDNN's there (decision 10)."""
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


@contextmanager
def by_convolution(model: nn.Module) -> Iterator[None]:
    """Inside the block, the dense layers of a model are convolutions where that is faster."""
    dense = (module for module in model.modules() if type(module) is nn.Linear)
    with replaced({module: _forward(module) for module in dense if _is_faster(module.weight)}):
        yield


def _is_faster(weight: Tensor) -> bool:
    return is_by_onednn(weight) and not is_by_intel()


def _forward(dense: nn.Linear) -> Forward:
    return lambda given: product(given, dense.weight, dense.bias)
