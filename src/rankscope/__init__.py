"""Fine-tune neural rankers, evaluate them, and explain what fine-tuning changed."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from rankscope.core.errors import RankscopeError
    from rankscope.core.formats import read_qrels, read_run
    from rankscope.core.records import Doc, ListwiseSample, Qrel, Query, Run, ScoredDoc
    from rankscope.core.trec.writing import write_qrels, write_run
    from rankscope.notebook.collections import collection
    from rankscope.notebook.insides import attribute, diff, probe
    from rankscope.notebook.measures import compare, measure
    from rankscope.notebook.rankers import load
    from rankscope.notebook.runs import rerank, search
    from rankscope.notebook.studies import read_study
    from rankscope.notebook.tuning import tune

__version__ = "0.1.0"

__all__ = [
    "Doc",
    "ListwiseSample",
    "Qrel",
    "Query",
    "RankscopeError",
    "Run",
    "ScoredDoc",
    "attribute",
    "collection",
    "compare",
    "diff",
    "load",
    "measure",
    "probe",
    "read_qrels",
    "read_run",
    "read_study",
    "rerank",
    "search",
    "tune",
    "write_qrels",
    "write_run",
]

_HOMES = {
    "rankscope.core.errors": ("RankscopeError",),
    "rankscope.core.formats": ("read_qrels", "read_run"),
    "rankscope.core.records": ("Doc", "ListwiseSample", "Qrel", "Query", "Run", "ScoredDoc"),
    "rankscope.core.trec.writing": ("write_qrels", "write_run"),
    "rankscope.notebook.collections": ("collection",),
    "rankscope.notebook.insides": ("attribute", "diff", "probe"),
    "rankscope.notebook.measures": ("compare", "measure"),
    "rankscope.notebook.rankers": ("load",),
    "rankscope.notebook.runs": ("rerank", "search"),
    "rankscope.notebook.studies": ("read_study",),
    "rankscope.notebook.tuning": ("tune",),
}


def __getattr__(name: str) -> typing.Any:
    """Each public name on first use: `import rankscope` alone loads nothing that takes long."""
    for module, names in _HOMES.items():
        if name in names:
            return globals().setdefault(name, getattr(importlib.import_module(module), name))
    raise AttributeError(f"module 'rankscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
