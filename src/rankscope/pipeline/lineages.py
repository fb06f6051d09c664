"""How two systems of a study are related: their kinship, and the lineage whose seeds they follow."""

from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.pipeline.spec.pipeline import Pipeline


def kinship(study: Pipeline, system: str, baseline: str) -> Kinship:
    """How far the k-th runs of two evaluated systems are from a ranker that no other run starts from."""
    systems = study.systems()
    mine, theirs = (list(systems.get(name, ())) for name in (system, baseline))
    if len(mine) != len(theirs) or len(mine) < 2:
        return Kinship.NONE
    lines = [[study.lineage(name) for name in runs] for runs in (mine, theirs)]
    shared = [set(a) & set(b) for a, b in zip(*lines, strict=True)]
    own = [line - set().union(*shared[:at], *shared[at + 1 :]) for at, line in enumerate(shared)]
    if not all(own):
        return Kinship.NONE
    n_stages = max(len(set(a) ^ set(b)) for a, b in zip(*lines, strict=True))
    return {1: Kinship.ONE_STAGE, 2: Kinship.TWO_STAGES}.get(n_stages, Kinship.MORE_STAGES)


def seed_lineage(study: Pipeline, system: str) -> str:
    """The system whose seeds an evaluated system's runs follow: itself or an ancestor; "" for a single run.

    It is the first of a line that each run has to itself. Systems that follow the same one move together.
    """
    runs = study.systems().get(system, ())
    lines = [study.lineage(name) for name in runs]
    if len(lines) < 2:
        return ""
    own = next(name for name in lines[0] if not any(name in other for other in lines[1:]))
    return study.system_of(own)
