"""Which systems of a study are compared with which."""

from collections.abc import Sequence
from itertools import product

from rankscope.evaluate.pairs import verdicts
from rankscope.pipeline.spec.pipeline import Pipeline


def compared_pairs(study: Pipeline, systems: Sequence[str]) -> list[tuple[str, str]]:
    """Every system with every baseline, every ranker with the LLMs it learnt from, and the further pairs that claims are about."""
    spec = study.evaluate
    here = [name for name in spec.baseline if name in systems]
    pairs = verdicts.pairs(systems, here if spec.baseline else systems)
    known = {frozenset(pair) for pair in pairs}
    learnt = [
        (system, llm)
        for system in systems
        for llm in spec.teachers
        if llm in study.lists_learnt(system)
    ]
    for pairs_of in (learnt, *(product(claim.systems, [claim.baseline]) for claim in spec.claims)):
        for pair in pairs_of:
            if frozenset(pair) not in known and set(pair) <= set(systems):
                known.add(frozenset(pair))
                pairs.append(pair)
    return pairs
