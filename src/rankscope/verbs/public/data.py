"""List the public collections, and fetch them into the cache."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table, json_of
from rankscope.data.public import places
from rankscope.data.public.fetching import Fetched, fetch
from rankscope.data.public.table import PUBLIC, PublicCollection

MB = 1_000_000


@dataclass(frozen=True)
class DataSettings:
    """What is to be done with which collections."""

    words: Sequence[str] = ()
    """Nothing, or `fetch` and names."""
    again: bool = False
    """Whether what was fetched is fetched again."""
    mirror: str | None = None
    """The address of a mirror, which has each file under its host and path."""


def answer(settings: DataSettings, progress: Progress) -> Result:
    """The list of collections, or what was fetched."""
    if not settings.words:
        return _listed()
    do, *names = settings.words
    return choose(DOING, do, what="word after `rankscope data`")(names, settings, progress)


# -- the list -------------------------------------------------------------------------------------


def _listed() -> Result:
    rows = [[name, _size(made), _state(name), made.licence, made.what] for name, made in PUBLIC.items()]  # fmt: skip
    columns = ["name", "download", "fetched", "licence", "what it is"]
    facts = [
        {"name": name, "what": made.what, "licence": made.licence, "home": made.home}
        | {"n_bytes": made.size, "fetched": places.is_there(name)}
        for name, made in PUBLIC.items()
    ]
    return Result(
        tables=(Table("Public collections", columns, rows, is_text=True),),
        lines=(
            "Fetch one with `rankscope data fetch NAME`; a study names it by {kind: public, id: NAME}.",
        ),
        forms={"json": lambda: json_of(facts)},
    )


def _size(made: PublicCollection) -> str:
    if not made.files:
        return "ir_datasets"
    return "not known" if made.size is None else f"{made.size / MB:.1f} MB"


def _state(name: str) -> str:
    if places.own_copy(name):
        return f"own copy in ${places.OWN}"
    return "yes" if places.is_there(name) else "no"


# -- fetching -------------------------------------------------------------------------------------


def _fetched(names: Sequence[str], settings: DataSettings, progress: Progress) -> Result:
    """Fetch collections one after another; every name is looked at before the first."""
    if not names:
        raise BadInput(f"Name what to fetch. There are: {', '.join(PUBLIC)}.")
    for name in names:
        progress.note(f"{name}: {places.known(name).licence}. {places.known(name).home}")
    done = [
        fetch(name, again=settings.again, mirror=settings.mirror, progress=progress)
        for name in dict.fromkeys(names)
    ]
    facts = [
        {"name": each.name, "folder": str(each.folder), "was_there": each.was_there}
        | {"counts": dict(each.counts), "recorded": list(each.recorded)}
        for each in done
    ]
    notes = tuple(note for each in done for note in _notes(each))
    return Result(
        lines=tuple(map(_sentence, done)),
        forms={"json": lambda: json_of(facts)},
        notes=notes,
    )


def _sentence(done: Fetched) -> str:
    counts = dict(done.counts)
    judged = ", ".join(
        f"{counts[split]:,} {split}" for split in counts if split not in {"docs", "queries"}
    )
    held = f"{counts['docs']:,} docs, {counts['queries']:,} queries, judgements: {judged}"
    there = " was there already" if done.was_there else ""
    return f"{done.folder}{there}{f': {held}' if counts else ''}."


def _notes(done: Fetched) -> Iterator[str]:
    if done.recorded:
        yield (
            f"{done.name}: no public source states the sums of {', '.join(done.recorded)}; those of what came were "
            f"recorded in {done.folder / places.SOURCE}, and a later fetch is compared with them"
        )
    if places.own_copy(done.name):
        yield (
            f"{done.name}: studies read your own copy, {places.own_copy(done.name)}, since ${places.OWN} names it"
        )


DOING: dict[str, Callable[[Sequence[str], DataSettings, Progress], Result]] = {"fetch": _fetched}
"""What follows `rankscope data`."""
