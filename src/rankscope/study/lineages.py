"""Which ranker is held against which: each against the one it starts from, if nothing else is said."""

from typing import TYPE_CHECKING

from rankscope.core.errors import BadStudy, listed
from rankscope.evaluate.kinship import Kinship
from rankscope.study.spec_changes import ChangesSpec, ForgettingSpec
from rankscope.study.spec_rankers import LateInteractionSpec, TrainedSpec

if TYPE_CHECKING:
    from rankscope.study.spec import Study

DEPTH = 20
"""Docs that two rankers re-rank where the evaluation re-ranks none."""
MARGIN = 0.02
"""Below which runs of two heads are equivalent, where the evaluation has none for their measure."""


def changed_pairs(study: "Study", asked: ChangesSpec) -> dict[str, str]:
    """Ranker to the one it is held against, in the order asked for, or of the study."""
    if isinstance(asked.pairs, dict):
        return dict(asked.pairs)
    chosen = asked.pairs or (study.explain and study.explain.rankers) or tuple(study.rankers)
    specs = {name: study.rankers[name] for name in chosen}
    return {name: spec.start for name, spec in specs.items() if isinstance(spec, TrainedSpec)}


def with_heads(study: "Study", asked: ChangesSpec) -> tuple[str, ...]:
    """The rankers for which heads are fitted anew, on their encoder and on that before."""
    if asked.heads is None:
        return ()
    return asked.heads.rankers or tuple(changed_pairs(study, asked))


def changed_depth(study: "Study", asked: ChangesSpec) -> int:
    """How many docs both re-rank: then runs that the evaluation needs too are made once."""
    rerank = study.evaluate.rerank
    return asked.depth or (rerank.depth if rerank else DEPTH)


def held_against(study: "Study", asked: ForgettingSpec) -> dict[str, str]:
    """Evaluated system to what it is held against: its nearest evaluated ancestor, if nothing is said."""
    systems = study.systems()
    if asked.baseline is not None:
        return dict.fromkeys((name for name in systems if name != asked.baseline), asked.baseline)
    nearest = {
        name: next((each for each in ancestors(study, name) if each in systems), None)
        for name in systems
    }
    return {name: start for name, start in nearest.items() if start is not None}


def ancestors(study: "Study", system: str) -> list[str]:
    """The systems that a system was tuned from, the nearest first; none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0])[-2::-1] if rankers else []
    return [study.system_of(name) for name in line]


def kinship(study: "Study", system: str, baseline: str) -> Kinship:
    """How far the k-th runs of two evaluated systems are from a ranker that no other run starts from."""
    systems = study.systems()
    mine, theirs = (list(systems.get(name, ())) for name in (system, baseline))
    if len(mine) != len(theirs) or len(mine) < 2:
        return Kinship.NONE
    lines = [[study.lineage(name) for name in of] for of in (mine, theirs)]
    shared = [set(a) & set(b) for a, b in zip(*lines, strict=True)]
    own = [of - set().union(*shared[:at], *shared[at + 1 :]) for at, of in enumerate(shared)]
    if not all(own):
        return Kinship.NONE
    n_stages = max(len(set(a) ^ set(b)) for a, b in zip(*lines, strict=True))
    return {1: Kinship.ONE_STAGE, 2: Kinship.TWO_STAGES}.get(n_stages, Kinship.MORE_STAGES)


def seed_lineage(study: "Study", system: str) -> str:
    """The system whose seeds an evaluated system's runs follow: itself or an ancestor; "" of one run a system.

    It is the first of a line that each run has to itself. Systems that follow the same one move together.
    """
    runs = study.systems().get(system, ())
    lines = [study.lineage(name) for name in runs]
    if len(lines) < 2:
        return ""
    own = next(name for name in lines[0] if not any(name in other for other in lines[1:]))
    return study.system_of(own)


def taught(study: "Study", system: str, *, since: str | None = None) -> list[str]:
    """The collections whose queries a system's line learnt from (since an ancestor); none for a first stage."""
    rankers = study.systems().get(system, ())
    line = study.lineage(rankers[0]) if rankers else []
    systems = [study.system_of(name) for name in line]
    return study.learnt_in(line[systems.index(since) + 1 :] if since in systems else line)


def changes_are_within_a_lineage(study: "Study") -> None:
    """BadStudy where two rankers are compared that have no weights in common, or heads that are none."""
    for key, asked in study.changes.items():
        place = f"explain.changes.{key}"
        pairs = changed_pairs(study, asked)
        if isinstance(asked.pairs, tuple):
            for name in set(asked.pairs) - pairs.keys():
                raise BadStudy(
                    f"{place}.pairs: {name} was not tuned from another ranker. Write {{{name}: ANOTHER}}, or leave "
                    "it out."
                )
        if not pairs:
            among = "`explain.rankers`" if study.explain and study.explain.rankers else "`rankers`"
            raise BadStudy(
                f"{place}: no ranker of {among} is tuned here. Name `pairs`, or drop it."
            )
        for after, before in pairs.items():
            _check_pair(study, place, after, before)
        for name in with_heads(study, asked):
            if name not in pairs:
                raise BadStudy(
                    f"{place}.heads.rankers: {name} is not among the pairs. There are: {listed(pairs)}."
                )
            if study.is_bi_encoder(name):
                raise BadStudy(
                    f"{place}.heads: {name} reads query and doc apart and has no head. Name the cross-encoders in "
                    "`rankers`, or drop it."
                )


def _check_pair(study: "Study", place: str, after: str, before: str) -> None:
    roots = [study.lineage(name)[0] for name in (after, before)]
    if after == before:
        raise BadStudy(f"{place}.pairs: {after} is held against itself. Name another ranker.")
    if roots[0] != roots[1]:
        raise BadStudy(
            f"{place}.pairs: {after} and {before} are of two lineages ({roots[0]}, {roots[1]}), so their weights "
            "have nothing to do with each other. Compare rankers that start from one."
        )
    if isinstance(study.rankers[roots[0]], LateInteractionSpec):
        raise BadStudy(
            f"{place}.pairs: {after} compares token by token, so no layer has one state of a text. Leave it out."
        )


def forgetting_has_something_to_compare(study: "Study") -> None:
    """BadStudy where no evaluated ranker starts from an evaluated one, or a measure is not measured."""
    asked = study.explain.forgetting if study.explain else None
    if asked is None:
        return
    if asked.baseline is not None and not held_against(study, asked):
        raise BadStudy(
            f"explain.forgetting.baseline: {asked.baseline} is all that is evaluated, so nothing can be held against it. "
            "Add others to `evaluate.rankers`."
        )
    if not held_against(study, asked):
        raise BadStudy(
            "explain.forgetting: no evaluated ranker starts from another evaluated one. Add those to "
            "`evaluate.rankers`, or give `baseline`."
        )
    if asked.measure is not None and asked.measure not in study.evaluate.measures:
        raise BadStudy(
            f"explain.forgetting.measure: {asked.measure} is not measured. Add it to `evaluate.measures`; there are: "
            f"{', '.join(study.evaluate.measures)}."
        )
