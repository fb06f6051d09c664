"""How two rankers are compared, and how heads are refitted, unless a test says more."""

from typing import Any

from rankscope.analyses.changes.plan import ChangeParams, HeadsParams
from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
from rankscope.pipeline.spec.fields import spec_of


def compared(over: str, *, depth: int = 20, **fields: Any) -> ChangeParams:
    """Two rankers over a collection."""
    spec = spec_of(ChangesSpec, over=over, first_stage="bm25", **fields)
    return ChangeParams(spec, depth, 42)


def refitted(
    *, depth: int = 20, measure: str = "nDCG@10", margin: float = 0.02, **fields: Any
) -> HeadsParams:
    """Heads on two encoders."""
    spec = spec_of(HeadsSpec, train="train", **fields)
    return HeadsParams(spec, depth, measure, margin, train_relevance_level=1, seed=42)
