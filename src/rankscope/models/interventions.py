"""Record the inputs and outputs of modules, or replace their outputs, for the length of a `with` block.

No weight is written: a module's `forward` is another function inside the block, and its own again after
it, after an exception too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn

Forward = Callable[..., Any]


class Call(NamedTuple):
    """The first input of a module, and its output."""

    given: Any
    """A tensor; None where all inputs were keyword arguments."""
    gave: Any
    """A tensor; of some layers a tuple whose first is the states."""
    times: int = 1
    """The number of calls; input and output are the last call's."""


@contextmanager
def recorded(modules: Iterable[nn.Module]) -> Iterator[dict[nn.Module, Call]]:
    """The last call of each module inside the block, in the order in which their first calls ended."""
    calls: dict[nn.Module, Call] = {}

    def note(module: nn.Module, given: tuple[Any, ...], gave: Any) -> None:
        times = calls[module].times + 1 if module in calls else 1
        calls[module] = Call(given[0] if given else None, gave, times)

    handles = [module.register_forward_hook(note) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced(forwards: Mapping[nn.Module, Forward]) -> Iterator[None]:
    """Inside the block, each module gives its function's output and is not computed itself."""
    before = {module: vars(module).get("forward") for module in forwards}
    try:
        for module, forward in forwards.items():
            vars(module)["forward"] = forward
        yield
    finally:
        for module, own in before.items():
            vars(module).pop("forward", None)
            if own is not None:
                vars(module)["forward"] = own


@contextmanager
def as_constants(model: nn.Module) -> Iterator[None]:
    """The weights need no gradient inside the block, and nothing is kept for theirs."""
    needing = [weight for weight in model.parameters() if weight.requires_grad]
    try:
        for weight in needing:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in needing:
            weight.requires_grad_(True)
