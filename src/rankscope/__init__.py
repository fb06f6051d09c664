"""Fine-tune neural rankers, evaluate them, and explain what fine-tuning changed."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from rankscope.core.errors import RankscopeError
    from rankscope.core.formats import read_qrels, read_run
    from rankscope.core.records import Doc, ListwiseSample, Qrel, Query, Run, ScoredDoc
    from rankscope.core.trec.writing import write_qrels, write_run
    from rankscope.evaluate.comparing import compare
    from rankscope.evaluate.evaluation import measure

__version__ = "0.1.0"

__all__ = [
    "Doc",
    "ListwiseSample",
    "Qrel",
    "Query",
    "RankscopeError",
    "Run",
    "ScoredDoc",
    "compare",
    "measure",
    "read_qrels",
    "read_run",
    "write_qrels",
    "write_run",
]

_HOMES = {
    "rankscope.core.errors": ("RankscopeError",),
    "rankscope.core.formats": ("read_qrels", "read_run"),
    "rankscope.core.records": ("Doc", "ListwiseSample", "Qrel", "Query", "Run", "ScoredDoc"),
    "rankscope.core.trec.writing": ("write_qrels", "write_run"),
    "rankscope.evaluate.comparing": ("compare",),
    "rankscope.evaluate.evaluation": ("measure",),
}


def __getattr__(name: str) -> typing.Any:
    """Each public name on first use: `import rankscope` alone loads nothing that takes long."""
    for module, names in _HOMES.items():
        if name in names:
            return globals().setdefault(name, getattr(importlib.import_module(module), name))
    raise AttributeError(f"module 'rankscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
