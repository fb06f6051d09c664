"""Which ranker is held against which: each against the one it starts from, if nothing else is said."""

from rankscope.analyses.analysis import Question
from rankscope.analyses.changes.spec import ChangesSpec
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.stages import TrainedSpec

DEPTH = 20
"""Docs that two rankers re-rank where the evaluation re-ranks none."""


def changed_pairs(study: Pipeline, question: Question) -> dict[str, str]:
    """Ranker to the one it is held against, in the order asked for, or of the study."""
    spec: ChangesSpec = question.spec
    if isinstance(spec.pairs, dict):
        return dict(spec.pairs)
    specs = {name: study.rankers[name] for name in spec.pairs or question.named or study.rankers}
    return {name: spec.start for name, spec in specs.items() if isinstance(spec, TrainedSpec)}


def with_heads(study: Pipeline, question: Question) -> tuple[str, ...]:
    """The rankers for which heads are fitted anew, on their encoder and on that before."""
    spec: ChangesSpec = question.spec
    if spec.heads is None:
        return ()
    return spec.heads.rankers or tuple(changed_pairs(study, question))


def changed_depth(study: Pipeline, spec: ChangesSpec) -> int:
    """How many docs both re-rank: then runs that the evaluation needs too are made once."""
    rerank = study.evaluate.rerank
    return spec.depth or (rerank.depth if rerank else DEPTH)
