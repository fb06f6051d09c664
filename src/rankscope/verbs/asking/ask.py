"""Ask a server for an LLM's rankings of a run's docs, without a study file."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankscope.core.errors import AskingStopped, BadInput
from rankscope.core.progress import Progress
from rankscope.core.result import Result, Table, json_of
from rankscope.core.words import counted
from rankscope.llm.answer_file import AnswerFile, answers_in
from rankscope.llm.asked import faults_in
from rankscope.llm.costs import Prices, Tokens, spent
from rankscope.llm.estimate import estimated
from rankscope.llm.server.budget import Budget, Ledger, ledger_of
from rankscope.llm.server.client import Client
from rankscope.llm.server.driver import Driver, Patience
from rankscope.llm.server.endpoint import KEY, Endpoint, endpoint
from rankscope.llm.settings import AskChoices
from rankscope.verbs.asking.prepared import AskedAbout, Prepared, opened, prepared
from rankscope.verbs.teacher import teacher_rows


@dataclass(frozen=True)
class Served:
    """The server, and how it is asked; nothing of it changes an answer."""

    endpoint: str
    key_name: str = KEY
    parallel: int = 8
    timeout: float = 120.0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Paid:
    """Prices, and what may be spent in all."""

    prices: Prices = field(default_factory=Prices)
    budget: float | None = None
    is_dry: bool = False
    """Whether only the requests, tokens and money are told, and nothing is sent."""


@dataclass(frozen=True)
class AskSettings:
    """What is asked, of whom, for how much, and the file of the answers."""

    choices: AskChoices
    about: AskedAbout
    out: Path
    served: Served
    paid: Paid = field(default_factory=Paid)


def ask(settings: AskSettings, progress: Progress) -> Result:
    """Ask for what the file of answers does not hold yet, and tell what it took.

    AskingStopped, with the number of answers kept, where the lists cannot be finished.
    """
    paid = settings.paid
    if paid.budget is not None and not (paid.prices.prompt or paid.prices.answer):
        raise BadInput("--budget: without prices nothing costs anything. Give --price-in and --price-out, per million tokens.")  # fmt: skip
    server = endpoint(settings.served.endpoint, os.environ, settings.served.key_name)
    with prepared(settings.choices, settings.about) as made:
        for note in made.notes:
            progress.note(note)
        if paid.is_dry:
            return _foreseen(settings, made)
        answers = opened(settings.out, made)
        try:
            n_retried = _asked(settings, server, made, answers, progress)
        except AskingStopped as stopped:
            n = len(answers.stored) + answers.n_added
            kept = f"{counted(n, 'answer is', 'answers are')} kept in {settings.out}: the same command goes on from there."
            raise AskingStopped(f"{stopped} {kept}") from None
        finally:
            answers.close()
        return _told(settings, made, n_retried)


def _asked(
    settings: AskSettings,
    server: Endpoint,
    made: Prepared,
    answers: AnswerFile,
    progress: Progress,
) -> int:
    """Ask until all lists are done; the number of requests that were tried again."""
    job, paid, served = made.job, settings.paid, settings.served
    before = sum(paid.prices.of(Tokens(*_tokens(answer.record))) for answer in answers.stored.values())  # fmt: skip
    ledger = Ledger(ledger_of(settings.out)) if paid.budget is not None else None
    if ledger is not None:
        before += ledger.unanswered(answers.stored)

    async def run() -> int:
        budget = Budget(paid.budget, before, ledger)
        async with Client(server, made.sent, timeout=served.timeout) as client:
            driver = Driver(
                job,
                client,
                answers,
                budget,
                prices=paid.prices,
                counting=made.counting,
                patience=served.patience,
            )
            with progress.task(
                "asking", job.n_requests(), "answers", done=len(answers.stored)
            ) as task:
                await driver.carry_out(served.parallel, task)
        return driver.n_retried

    try:
        return asyncio.run(run())
    finally:
        if ledger is not None:
            ledger.close(answer.key for answer in answers_in(settings.out))


def _tokens(record: Mapping[str, Any]) -> tuple[int, int]:
    return int(record.get("tokens_in") or 0), int(record.get("tokens_out") or 0)


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
