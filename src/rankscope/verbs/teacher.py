"""Make a run from a teacher's file, without a study file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from rankscope.core.errors import BadInput, choose
from rankscope.core.formats import read_run
from rankscope.core.judged.costs import SystemCost
from rankscope.core.records import Qrel, Run
from rankscope.core.result import Result, Table, json_of
from rankscope.data.answers import Malformed
from rankscope.data.collections import Source, StoredDocs, write_docs
from rankscope.data.names import AsGiven, IdLookup, InCollection
from rankscope.data.teachers import KINDS, recognised
from rankscope.llm.costs import Prices, answer_cost
from rankscope.pipeline.teachers import Opened, open_other, open_permutations, quality
from rankscope.report.wording.costs import amount
from rankscope.store.files import temporary_folder
from rankscope.verbs import run_metadata
from rankscope.verbs.judgements import Judgements
from rankscope.verbs.run_metadata import RunFacts
from rankscope.verbs.written import ready, written


@dataclass(frozen=True)
class TeacherSettings:
    """The kind of a teacher's file, and how its numbers and texts are read."""

    kind: str | None = None
    """The kind of file; recognised from the file, if None."""
    candidates: Path | None = None
    collection: Source | None = None
    """The collection in which texts are looked up and ids checked."""
    malformed: Malformed = "repair"
    window: int = 20
    step: int = 10
    tag: str | None = None
    beside: tuple[Path, ...] = ()
    """Runs of other teachers, with which it is compared."""
    prices: Prices = field(default_factory=Prices)
    """The prices of its tokens, where an LLM was asked."""
    about: str = ""
    """The collection's folder or id."""
    command: str = ""


SMALL = 0.01
"""Numbers below it are shown to three digits, not to four places."""
MALFORMED: dict[str, Malformed] = {way: way for way in get_args(Malformed)}


def known_malformed(name: str) -> Malformed:
    """The way with malformed answers of that name; raises UnknownChoice if there is none."""
    return choose(MALFORMED, name, what="way with malformed answers")


def to_run(
    path: Path, out: Path, settings: TeacherSettings, qrels: Sequence[Qrel] | None
) -> tuple[str, dict[str, Any]]:
    """Write a teacher's file as a run; returns a sentence on it, and numbers on its quality."""
    if settings.kind is not None:
        choose(dict.fromkeys(KINDS), settings.kind, what="kind of teacher's file")
    if settings.step > settings.window:
        raise BadInput(
            f"Windows of {settings.window} that move by {settings.step} leave docs out. Give a --step that is "
            "not larger than --window."
        )
    ready(out)
    beside = [read_run(each) for each in settings.beside]
    kind = settings.kind or recognised(path)
    if kind == "permutations" and settings.candidates is None:
        raise BadInput(
            f"{path}: these are answers of an LLM, whose numbers stand for the docs it was shown. Give the docs by --candidates."
        )
    teacher, shown = _with_names(
        settings.collection, lambda names: _opened(path, kind, settings, names)
    )
    run = teacher.run if settings.tag is None else Run(settings.tag, teacher.run.rankings)
    report = quality(teacher, shown, qrels, beside)
    line = written(out, run)
    if teacher.asked:
        report["asked"] |= _told_beside(out, run, teacher.asked, settings)
    return line, report


def _told_beside(
    out: Path, run: Run, asked: Mapping[str, Any], settings: TeacherSettings
) -> dict[str, float]:
    """Write what an LLM's run cost beside it; its money, where there are prices."""
    answers = answer_cost(asked, settings.prices)
    cost = SystemCost(len(run.rankings), asked["seconds"], answers)
    first = {"name": "candidates", "method": f"the run {settings.candidates}"}
    second = {"name": "llm", "method": asked["model"], "reranks": "candidates"}
    facts = RunFacts(settings.command, settings.about, [first, second], cost=cost)
    run_metadata.write(out, run_metadata.of_run(run.tag, facts))
    money, n = answers.money, max(1, len(run.rankings))
    return {} if money is None else {"cost": money, "cost_a_query": money / n}


def answer(path: Path, out: Path, settings: TeacherSettings, judged: Judgements | None) -> Result:
    """The numbers on the teacher's quality, with a sentence on the written run."""
    line, quality = to_run(path, out, settings, None if judged is None else judged.qrels)
    notes = quality.pop("notes", [])
    return Result(
        tables=(Table(path.name, *teacher_rows(quality), n_names=1, texts=("value",)),),
        lines=(line,),
        forms={"json": lambda: json_of(quality | {"notes": notes})},
        notes=tuple(notes),
    )


def _opened(path: Path, kind: str, settings: TeacherSettings, names: IdLookup) -> Opened:
    if kind == "permutations":
        assert settings.candidates is not None
        return open_permutations(
            path,
            settings.candidates,
            names,
            malformed=settings.malformed,
            window=settings.window,
            step=settings.step,
        )
    return open_other(path, kind, settings.candidates, names)


def _with_names(source: Source | None, call: Callable[[IdLookup], Opened]) -> Opened:
    """The result of the call with the names of a collection, whose docs are in a folder as long as the call lasts."""
    if source is None:
        return call(AsGiven())
    with temporary_folder() as folder:
        write_docs(source.docs(), folder)
        return call(InCollection(list(source.queries()), StoredDocs(folder)))


# -- on a terminal ---------------------------------------------------------------------------------


def teacher_rows(quality: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A row for each number on a teacher's quality, under the name of its group."""
    rows = []
    for key, value in quality.items():
        if not isinstance(value, Mapping):
            rows.append([_plain_name(key), _plain_value(value)])
        elif not value:
            rows.append([_plain_name(key), "none"])
        else:
            rows += [
                [f"{_plain_name(key)}: {_plain_name(str(name))}", _plain_value(number)]
                for name, number in value.items()
            ]
    return ["what", "value"], rows


def _plain_name(key: str) -> str:
    return key.removeprefix("n_").replace("_", " ")


def _plain_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= SMALL else amount(value)
    if isinstance(value, list | tuple):
        return ", ".join(_plain_value(item) for item in value)
    return "-" if value is None else str(value)
