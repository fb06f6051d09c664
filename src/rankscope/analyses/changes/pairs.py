"""Which ranker is compared with which: each with the one it starts from, unless the study names pairs."""

from rankscope.analyses.analysis import Question
from rankscope.analyses.changes.spec import ChangesSpec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.stages import TrainedSpec

DEPTH = 20
"""Docs that two rankers re-rank where the evaluation re-ranks none."""


def changed_pairs(study: Pipeline, question: Question) -> dict[str, str]:
    """Ranker to the one it is compared with, in the order in which `pairs` or the study names them."""
    spec: ChangesSpec = question.spec
    if isinstance(spec.pairs, dict):
        return dict(spec.pairs)
    specs = {name: study.rankers[name] for name in spec.pairs or question.named or study.rankers}
    return {name: spec.start for name, spec in specs.items() if isinstance(spec, TrainedSpec)}


def with_heads(study: Pipeline, question: Question) -> tuple[str, ...]:
    """The rankers for which heads are refitted, on their encoder and on that of the ranker before."""
    spec: ChangesSpec = question.spec
    if spec.heads is None:
        return ()
    return spec.heads.rankers or tuple(changed_pairs(study, question))


def changed_depth(study: Pipeline, spec: ChangesSpec) -> int:
    """How many docs both re-rank: as many as the evaluation, if it re-ranks, so that a run serves both."""
    rerank = study.evaluate.rerank
    return spec.depth or (rerank.depth if rerank else DEPTH)


def changed_precision(study: Pipeline) -> str:
    """The precision of both: the evaluation's, if it re-ranks."""
    rerank = study.evaluate.rerank
    return rerank.precision if rerank else "float32"
