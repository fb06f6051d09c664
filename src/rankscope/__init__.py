"""Fine-tune neural rankers, evaluate them, and explain what fine-tuning changed."""

from rankscope.core.errors import RankscopeError
from rankscope.core.records import Doc, ListwiseSample, Qrel, Query, Run, ScoredDoc
from rankscope.core.trec import read_qrels, read_run, write_qrels, write_run

__version__ = "0.1.0"

__all__ = [
    "Doc",
    "ListwiseSample",
    "Qrel",
    "Query",
    "RankscopeError",
    "Run",
    "ScoredDoc",
    "read_qrels",
    "read_run",
    "write_qrels",
    "write_run",
]
