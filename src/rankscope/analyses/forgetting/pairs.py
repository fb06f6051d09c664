"""The baseline of each system, and the collections that its lineage learnt from."""

from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.pipeline.spec.pipeline import Pipeline


def baselines_of_systems(study: Pipeline, spec: ForgettingSpec) -> dict[str, str]:
    """Evaluated system to its baseline: its nearest evaluated ancestor, unless the spec names one."""
    systems = study.systems()
    if spec.baseline is not None:
        return dict.fromkeys((name for name in systems if name != spec.baseline), spec.baseline)
    nearest = {
        name: next((ancestor for ancestor in ancestors(study, name) if ancestor in systems), None)
        for name in systems
    }
    return {name: start for name, start in nearest.items() if start is not None}


def ancestors(study: Pipeline, system: str) -> list[str]:
    """The systems that a system was tuned from, the nearest first; none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0])[-2::-1] if rankers else []
    return [study.system_of(name) for name in line]


def taught(study: Pipeline, system: str, *, since: str | None = None) -> list[str]:
    """The collections whose queries a system's lineage learnt from (since an ancestor); none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0]) if rankers else []
    systems = [study.system_of(name) for name in line]
    return study.learnt_in(line[systems.index(since) + 1 :] if since in systems else line)
