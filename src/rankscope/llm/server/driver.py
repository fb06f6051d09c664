"""Lists asked for directly: queries beside each other, requests tried again, answers written as they come.

Each list's questions follow one another, since one needs the answer before; so requests that run beside each other belong to
different lists. More lists are under way than requests may be, and take turns: so the last ones end together, and no place
stays empty while a few of them are finished one question after another.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, final

from rankscope.core.errors import AskingStopped
from rankscope.core.progress import Task
from rankscope.core.rng import stream
from rankscope.llm.answer_file import AnswerFile
from rankscope.llm.costs import Prices, TokenCounting, Tokens
from rankscope.llm.job import Course, Job, Request
from rankscope.llm.server.budget import Budget
from rankscope.llm.server.client import Client, Completion, TryAgain
from rankscope.llm.server.terms import Patience

LISTS_A_PLACE = 8
"""Lists under way for each request that may be."""


class _Answered(NamedTuple):
    completion: Completion
    seconds: float


@final
class Driver:
    """Asks a server for all lists of a job."""

    def __init__(
        self,
        job: Job,
        client: Client,
        answers: AnswerFile,
        budget: Budget,
        *,
        prices: Prices,
        counting: TokenCounting,
        patience: Patience,
    ) -> None:
        self._job, self._client, self._answers, self._budget = job, client, answers, budget
        self._prices, self._counting, self._patience = prices, counting, patience
        self._opens_at = 0.0
        """No request is sent before, since the server asked all to wait."""
        self._stopped: Exception | None = None
        self._ends = asyncio.Event()
        self.n_retried = 0

    async def carry_out(self, parallel: int, task: Task) -> None:
        """Ask until all lists are done. AskingStopped where they cannot be; answers under way are waited for first."""
        places = asyncio.Semaphore(parallel)
        courses = self._job.courses(self._answers.stored)
        workers = [self._work(courses, places, task) for _ in range(LISTS_A_PLACE * parallel)]
        await asyncio.gather(*workers)
        if self._stopped is not None:
            raise self._stopped

    async def _work(self, courses: Iterator[Course], places: asyncio.Semaphore, task: Task) -> None:
        """Bring one list after the other to its end; whatever goes wrong ends all work."""
        try:
            for course in courses:
                await self._finish(course, places, task)
                if self._stopped is not None:
                    return
        except Exception as error:  # told when what is under way has ended
            self._stop(error)

    async def _finish(self, course: Course, places: asyncio.Semaphore, task: Task) -> None:
        while course.rankings is None and self._stopped is None:
            requests = [self._job.request(*pending) for pending in course.pending().items()]
            asked = [self._ask(course, request, places, task) for request in requests]
            await asyncio.gather(*asked)
        if course.rankings is not None:  # what was counted beforehand and is not needed
            task.advance(self._job.n_requests_of(course) - course.n_answers)

    def _stop(self, error: Exception) -> None:
        """No further request is sent; the first reason is told."""
        self._stopped = self._stopped or error
        self._ends.set()

    async def _ask(
        self, course: Course, request: Request, places: asyncio.Semaphore, task: Task
    ) -> None:
        at_most = Tokens(self._counting.at_most(request.messages), self._job.asking.max_tokens)
        try:
            async with places:
                answered = await self._until_answered(request, self._prices.of(at_most))
            if answered is not None:
                await self._keep(course, request, answered, at_most)
        except Exception as error:  # told when what is under way has ended
            self._stop(error)
            return
        money = {"money spent": self._budget.spent} if self._budget.spent else {}
        if self._budget.left is not None:
            money["money left"] = self._budget.left
        task.advance(int(answered is not None), **money)

    async def _until_answered(self, request: Request, reserved: float) -> _Answered | None:
        """The answer; None where all work ends before there is one. Its money stays set aside until it is kept."""
        for attempt in range(1, self._patience.attempts + 1):
            while self._stopped is None and (wait := self._opens_at - monotonic()) > 0:
                await self._pause(wait)
            if self._stopped is not None:
                return None
            await self._budget.reserve(request.key, reserved)
            began = monotonic()
            try:
                completion = await self._client.ask(request.messages)
                return _Answered(completion, monotonic() - began)
            except TryAgain as error:
                cost = reserved if error.may_be_paid else 0.0
                await self._budget.settle(request.key, reserved, cost, is_answered=False)
                self.n_retried += 1
                await self._pause(self._wait(request, error, attempt))
            except AskingStopped:
                await self._budget.settle(request.key, reserved, 0.0, is_answered=False)
                raise
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until all work ends."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), seconds)

    async def _keep(
        self, course: Course, request: Request, answered: _Answered, at_most: Tokens
    ) -> None:
        """Write an answer, then count it and go on with it."""
        completion, seconds = answered
        is_told = completion.tokens_in is not None and completion.tokens_out is not None
        tokens = Tokens(completion.tokens_in or 0, completion.tokens_out or 0) if is_told else at_most  # fmt: skip
        record = {**request.record(), **completion.record(), "seconds": round(seconds, 3)}
        record |= {"tokens_in": tokens.prompt, "tokens_out": tokens.answer}
        if not is_told:
            record["is_estimated"] = True
        self._answers.add(request.key, record)
        cost = self._prices.of(tokens)
        await self._budget.settle(request.key, self._prices.of(at_most), cost, is_answered=True)
        course.answer(request.key, completion.text)

    def _wait(self, request: Request, error: TryAgain, attempt: int) -> float:
        """Seconds before the next attempt. AskingStopped where there is none, or the server asks for very many."""
        if attempt == self._patience.attempts:
            raise AskingStopped(
                f"The server did not answer a request in {attempt} attempts ({error.why}). Try later, or change "
                f"{self._client.named('retries')} and {self._client.named('timeout')}."
            )
        if error.after is not None:
            if error.after > self._patience.longest_asked:
                raise AskingStopped(
                    f"The server asks to wait {error.after:,.0f} s ({error.why}). Go on then."
                )
            self._opens_at = max(self._opens_at, monotonic() + error.after)
            return 0.0
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** (attempt - 1))
        return longest * stream(attempt, "wait", *map(str, request.key)).uniform(0.5, 1)
