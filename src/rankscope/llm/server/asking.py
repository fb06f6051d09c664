"""A server asked for all lists of a job: its address and its price, and what is asked of it."""

import asyncio
from dataclasses import dataclass

from rankscope.core.errors import AskingStopped
from rankscope.core.progress import Progress
from rankscope.core.words import counted
from rankscope.llm.answer_file import AnswerFile, answers_in
from rankscope.llm.costs import TokenCounting, tokens_of
from rankscope.llm.job import Job
from rankscope.llm.server.budget import Budget, Ledger, ledger_of
from rankscope.llm.server.client import Client, Sent
from rankscope.llm.server.driver import Driver
from rankscope.llm.server.endpoint import Endpoint
from rankscope.llm.server.terms import Paid, Served


@dataclass(frozen=True)
class Asked:
    """The lists that are asked for, of whom, and for how much."""

    job: Job
    counting: TokenCounting
    served: Served
    paid: Paid

    @property
    def sent(self) -> Sent:
        """What every request holds beside its messages."""
        return sent_for(self.job)


def sent_for(job: Job) -> Sent:
    """What every request of a job holds beside its messages."""
    asking = job.asking
    return Sent(asking.model, asking.temperature, asking.max_tokens, asking.fields)


def carry_out(asked: Asked, server: Endpoint, answers: AnswerFile, progress: Progress) -> int:
    """Ask for what the file of answers does not hold yet; the number of requests that were tried again.

    AskingStopped, with the number of answers kept, where the lists cannot be finished.
    """
    prices, limit = asked.paid.prices, asked.paid.budget
    before = sum(prices.of(tokens_of(answer.record)) for answer in answers.stored.values())
    ledger = Ledger(ledger_of(answers.path)) if limit is not None else None
    if ledger is not None:
        before += ledger.unanswered(answers.stored)
    try:
        return asyncio.run(_until_done(asked, server, answers, Budget(limit, before, ledger, server.named), progress))  # fmt: skip
    except AskingStopped as stopped:
        n = len(answers.stored) + answers.n_added
        kept = f"{counted(n, 'answer is', 'answers are')} kept in {answers.path}"
        raise AskingStopped(f"{stopped} {kept}: the same command goes on from there.") from None
    finally:
        if ledger is not None:
            ledger.close(answer.key for answer in answers_in(answers.path))


async def _until_done(
    asked: Asked, server: Endpoint, answers: AnswerFile, budget: Budget, progress: Progress
) -> int:
    job, served = asked.job, asked.served
    async with Client(server, asked.sent, timeout=served.timeout) as client:
        driver = Driver(
            job,
            client,
            answers,
            budget,
            prices=asked.paid.prices,
            counting=asked.counting,
            patience=served.patience,
        )
        with progress.task("asking", job.n_requests(), "answers", done=len(answers.stored)) as task:
            await driver.carry_out(served.parallel, task)
    return driver.n_retried
