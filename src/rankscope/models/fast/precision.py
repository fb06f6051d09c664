"""Dense layers in 8-bit integers or bfloat16, for scoring; what stands between them stays float32.

Only the dense layers inside the stack of layers are narrowed; heads stay float32. Each row of inputs (a token) and each
row of weights (an output) has a scale of its own. Libraries that scale a batch as a whole (ONNX Runtime, `torch.ao`'s
dynamic layers) make a text's score depend on the other texts; here they change it by rounding alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rankscope.core.errors import BadInput, choose
from rankscope.models import anatomy
from rankscope.models.interventions import Forward, replaced

INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "i8mm")
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
_LARGEST = 127
_TINY = torch.finfo(torch.float32).tiny


@contextmanager
def narrowed(model: nn.Module, precision: str) -> Iterator[None]:
    """Inside the block, the dense layers of a model's layers are computed in one of `PRECISIONS`, without gradients.

    Raises UnknownChoice for another; BadInput where the device is not faster that way, and for a model without such
    layers.
    """
    require(precision, next(model.parameters()).device)
    narrow = PRECISIONS[precision]
    if narrow is None:
        yield
        return
    with torch.no_grad(), replaced({dense: narrow(dense) for dense in _dense_layers(model)}):
        yield


def require(precision: str, device: torch.device) -> None:
    """Raise UnknownChoice for a precision that is none, and BadInput for one that is slower on the device."""
    choose(PRECISIONS, precision, what="precision")
    if precision == "float32":
        return
    if device.type != "cpu":
        if precision == "int8":
            raise BadInput(
                f"precision int8 is for processors, and the ranker is on {device}. Use bfloat16 there."
            )
        return
    instructions = INT8_INSTRUCTIONS if precision == "int8" else BFLOAT16_INSTRUCTIONS
    able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if not any(able.get(name) for name in instructions):
        raise BadInput(
            f"precision {precision} is slower than float32 on this processor: it has none of "
            f"{', '.join(instructions)}. Leave `precision` out."
        )


def _dense_layers(model: nn.Module) -> list[nn.Linear]:
    """The dense layers inside the stacks of layers."""
    stacks = [
        module
        for encoder in anatomy.encoders(model)
        for module in encoder.modules()
        if isinstance(module, nn.ModuleList)
    ]
    modules = (module for stack in stacks for module in stack.modules())
    dense = [module for module in dict.fromkeys(modules) if type(module) is nn.Linear]
    if not dense:
        raise BadInput(
            f"{type(model).__name__}: its layers have no dense layers of PyTorch's (nn.Linear), so another "
            "precision would change nothing. Leave `precision` out."
        )
    return dense


def _in_bfloat16(dense: nn.Linear) -> Forward:
    weight = dense.weight.bfloat16()
    bias = None if dense.bias is None else dense.bias.bfloat16()
    return lambda given: linear(given.bfloat16(), weight, bias).to(given.dtype)


def _in_int8(dense: nn.Linear) -> Forward:
    weight, scales = quantized(dense.weight)
    columns, scales = weight.t(), scales.t()
    bias: Tensor | None = dense.bias

    def forward(given: Tensor) -> Tensor:
        rows, row_scales = quantized(given.reshape(-1, given.shape[-1]))
        gave = torch._int_mm(rows, columns).float()
        gave *= row_scales
        gave *= scales
        if bias is not None:
            gave += bias
        return gave.reshape(*given.shape[:-1], -1).to(given.dtype)

    return forward


def quantized(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(integers from -127 to 127, (rows, 1) what each row's are multiplied by), to the nearest; rows: (rows, columns)."""
    scales = rows.abs().amax(-1, keepdim=True).float().clamp_(min=_TINY) / _LARGEST
    return (rows / scales).round_().to(torch.int8), scales


PRECISIONS: Mapping[str, Callable[[nn.Linear], Forward] | None] = {
    "float32": None,
    "bfloat16": _in_bfloat16,
    "int8": _in_int8,
}
"""What computes a dense layer in each precision; float32 is the layer itself."""
