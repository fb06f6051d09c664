"""Ask a server for an LLM's rankings of a run's docs, without a study file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table, json_of
from rankscope.core.words import counted
from rankscope.llm.answer_file import answers_in
from rankscope.llm.asked import faults_in
from rankscope.llm.costs import Prices, spent
from rankscope.llm.estimate import estimated
from rankscope.llm.server.asking import Asked, carry_out
from rankscope.llm.server.terms import Paid, Served, require_prices
from rankscope.llm.settings import AskChoices
from rankscope.verbs.asking.prepared import AskedAbout, Prepared, opened, prepared
from rankscope.verbs.teacher import teacher_rows


@dataclass(frozen=True)
class AskSettings:
    """What is asked, of whom, for how much, and the file of the answers."""

    choices: AskChoices
    about: AskedAbout
    out: Path
    served: Served
    paid: Paid = field(default_factory=Paid)
    is_dry: bool = False
    """Whether only the requests, tokens and money are told, and nothing is sent."""


def ask(settings: AskSettings, progress: Progress) -> Result:
    """Ask for what the file of answers does not hold yet, and tell what it took.

    AskingStopped, with the number of answers kept, where the lists cannot be finished.
    """
    require_prices(settings.paid)
    server = settings.served.opened(is_asked=not settings.is_dry)
    with prepared(settings.choices, settings.about) as made:
        for note in made.notes:
            progress.note(note)
        if settings.is_dry:
            return _foreseen(settings, made)
        answers = opened(settings.out, made)
        try:
            asked = Asked(made.job, made.counting, settings.served, settings.paid)
            n_retried = carry_out(asked, server, answers, progress)
        finally:
            answers.close()
        return _told(settings, made, n_retried)


# -- what is told ----------------------------------------------------------------------------------


def _foreseen(settings: AskSettings, made: Prepared) -> Result:
    """What asking will take."""
    stored = {a.key: a for a in answers_in(settings.out)} if settings.out.is_file() else {}
    found = estimated(made.job, made.counting, settings.paid.prices, n_stored=len(stored))
    report = found.report() | _cut(made)
    line = "Nothing was sent."
    return Result(
        tables=(Table("asking", *teacher_rows(report), n_names=1, texts=("value",)),),
        lines=(line,),
        forms={"json": lambda: json_of(report)},
    )


def _cut(made: Prepared) -> dict[str, Any]:
    passages = made.passages
    return {"passages_cut": f"{passages.n_cut} of {passages.n_shown} shown"}


def _told(settings: AskSettings, made: Prepared, n_retried: int) -> Result:
    """What the answers took, and how they are malformed."""
    report, out = told_of(settings.out, made, settings.paid.prices), settings.out
    report["n_requests_tried_again"] = n_retried
    line = f"{out}: {counted(made.job.n_lists, 'list is', 'lists are')} done. Make a run of it: {_next(settings)}"
    return Result(
        tables=(Table(out.name, *teacher_rows(report), n_names=1, texts=("value",)),),
        lines=(line,),
        forms={"json": lambda: json_of(report)},
    )


def _next(settings: AskSettings) -> str:
    malformed = settings.choices.malformed
    more = "" if malformed == "repair" else f" --malformed {malformed}"
    return f"rankscope teacher read {settings.out} --candidates {settings.about.run} --out {settings.out.stem}.run{more}"


def told_of(out: Path, made: Prepared, prices: Prices) -> dict[str, Any]:
    """What the answers in a file took, as plain data."""
    records = [{**answer.record, **answer.key._asdict()} for answer in answers_in(out)]
    took = spent(records)
    report: dict[str, Any] = {
        "model": made.job.asking.model,
        "answered_by": ", ".join(took.models) or None,
        "n_queries": took.n_queries,
        "n_answers": took.n_requests,
        "tokens_in": took.tokens.prompt,
        "tokens_out": took.tokens.answer,
        "n_with_estimated_tokens": took.n_estimated,
        "cost": prices.of(took.tokens) if prices.prompt or prices.answer else None,
        "seconds_a_query": took.seconds_a_query,
        "n_cut_off_at_max_tokens": took.n_cut_off,
        "malformed": dict(faults_in(made.job.asking, records)),
    }
    return report | _cut(made)
