"""Fine-tune neural rankers, evaluate them, and explain what fine-tuning changed."""

import typing

from rankscope.core.errors import RankscopeError
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.records import Doc, ListwiseSample, Qrel, Query, Run, ScoredDoc
from rankscope.core.trec.writing import write_qrels, write_run

__version__ = "0.1.0"

if typing.TYPE_CHECKING:
    from rankscope.evaluate.comparing import compare
    from rankscope.evaluate.evaluation import measure


def __getattr__(name: str) -> typing.Any:
    """`compare` and `measure` on first use: `import rankscope` alone loads no statistics."""
    if name in {"compare", "measure"}:
        from rankscope.evaluate import comparing, evaluation

        return getattr(comparing if name == "compare" else evaluation, name)
    raise AttributeError(f"module 'rankscope' has no attribute {name!r}")


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
