"""Which system is held against which, and what their lines have learnt."""

from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.pipeline.spec.pipeline import Pipeline


def held_against(study: Pipeline, asked: ForgettingSpec) -> dict[str, str]:
    """Evaluated system to what it is held against: its nearest evaluated ancestor, if nothing is said."""
    systems = study.systems()
    if asked.baseline is not None:
        return dict.fromkeys((name for name in systems if name != asked.baseline), asked.baseline)
    nearest = {
        name: next((each for each in ancestors(study, name) if each in systems), None)
        for name in systems
    }
    return {name: start for name, start in nearest.items() if start is not None}


def ancestors(study: Pipeline, system: str) -> list[str]:
    """The systems that a system was tuned from, the nearest first; none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0])[-2::-1] if rankers else []
    return [study.system_of(name) for name in line]


def taught(study: Pipeline, system: str, *, since: str | None = None) -> list[str]:
    """The collections whose queries a system's line learnt from (since an ancestor); none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0]) if rankers else []
    systems = [study.system_of(name) for name in line]
    return study.learnt_in(line[systems.index(since) + 1 :] if since in systems else line)
