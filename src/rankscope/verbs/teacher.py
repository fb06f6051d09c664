"""Make a run of a teacher's file without a study file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from rankscope.core.errors import BadInput, choose
from rankscope.core.records import Qrel, Run
from rankscope.core.trec import write_run
from rankscope.data.answers import Malformed
from rankscope.data.collections import Source, StoredDocs, write_docs
from rankscope.data.names import AsGiven, IdLookup, InCollection
from rankscope.data.teachers import KINDS, recognised
from rankscope.pipeline.teachers import Opened, open_other, open_permutations, quality
from rankscope.store.files import writable, written_whole


@dataclass(frozen=True)
class Asked:
    """What the command is asked to do."""

    kind: str | None = None
    """None: to be seen from what the file holds."""
    candidates: Path | None = None
    collection: Source | None = None
    """Where texts are looked up, and ids checked."""
    malformed: Malformed = "repair"
    window: int = 20
    step: int = 10
    tag: str | None = None


MALFORMED: dict[str, Malformed] = {way: way for way in get_args(Malformed)}


def known_malformed(name: str) -> Malformed:
    """What is done with malformed answers, if there is such a thing."""
    return choose(MALFORMED, name, what="way with malformed answers")


def to_run(
    path: Path, out: Path, asked: Asked, qrels: Sequence[Qrel] | None
) -> tuple[Run, dict[str, Any]]:
    """Write a teacher's file as a run; the run, and how good it is."""
    if asked.kind is not None:
        choose(dict.fromkeys(KINDS), asked.kind, what="kind of teacher's file")
    if asked.step > asked.window:
        raise BadInput(
            f"Windows of {asked.window} that move by {asked.step} leave docs out. Give a --step that is "
            "not larger than --window."
        )
    writable(out)
    kind = asked.kind or recognised(path)
    if kind == "permutations" and asked.candidates is None:
        raise BadInput(
            f"{path}: answers of an LLM, whose numbers mean docs it was shown. Give them by --candidates."
        )
    teacher, shown = _with_names(asked.collection, lambda names: _opened(path, kind, asked, names))
    run = teacher.run if asked.tag is None else Run(asked.tag, teacher.run.rankings)
    with written_whole(out) as aside:
        write_run(aside, run)
    return run, quality(teacher, shown, qrels)


def _opened(path: Path, kind: str, asked: Asked, names: IdLookup) -> Opened:
    if kind == "permutations":
        assert asked.candidates is not None
        return open_permutations(
            path,
            asked.candidates,
            names,
            malformed=asked.malformed,
            window=asked.window,
            step=asked.step,
        )
    return open_other(path, kind, asked.candidates, names)


def _with_names(source: Source | None, call: Callable[[IdLookup], Opened]) -> Opened:
    """The call with the names of a collection, whose docs lie in a folder only as long as it lasts."""
    if source is None:
        return call(AsGiven())
    with TemporaryDirectory() as folder:
        write_docs(source.docs(), Path(folder))
        return call(InCollection(list(source.queries()), StoredDocs(Path(folder))))
